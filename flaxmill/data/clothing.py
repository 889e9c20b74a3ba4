"""Clothing in ten classes: the real pictures of Fashion-MNIST, or drawn ones."""

import functools
from pathlib import Path

import numpy as np

from flaxmill.data import fetch
from flaxmill.data.images import CLASS_NAMES, read_fashion_mnist
from flaxmill.data.source import Arrays, Source, Splits, cycled, hold_out
from flaxmill.errors import BadInput
from flaxmill.progress import Download

TRAIN, TEST = 60_000, 10_000
REAL_LICENCE = "MIT (Fashion-MNIST, Zalando SE)"
DRAWN_LICENCE = "none needed: flaxmill drew the pictures"


def clothing(data: str, *, validation: int | float = 0, overfit: int = 0) -> Splits:
    """Returns pictures of clothing and their labels.

    Args:
        data: ``fashion-mnist`` (looked for in the usual places, else downloaded), a folder that
            holds its four files, ``sketches`` (drawn by flaxmill), or ``auto``: the real pictures
            if they can be had, and the sketches if not.
        validation: How many training examples to hold out, or which share of them.
        overfit: Train and evaluate on the first so many examples only; 0 for all.

    Raises:
        BadInput: The data is not there or not right.
    """
    if data == "sketches":
        return _drawn("", validation, overfit)
    if data == "auto":
        try:
            folder = _located()
        except BadInput:
            note = (
                "The real pictures of Fashion-MNIST could not be had, so these are drawn garments. "
                "flaxmill fetch fashion-mnist says why."
            )
            return _drawn(note, validation, overfit)
        return _real(folder, validation, overfit)
    return _real(_located(None if data == "fashion-mnist" else Path(data)), validation, overfit)


def _located(given: Path | None = None) -> Path:
    with Download() as progress:
        return fetch.locate("fashion-mnist", given, on_progress=progress)


@functools.lru_cache(maxsize=2)
def _real(folder: Path, validation: int | float, overfit: int) -> Splits:
    found = read_fashion_mnist(folder)
    train, test = Arrays(found.train), Arrays(found.test)
    return _divided("Fashion-MNIST", train, test, found.digests, validation, overfit)


@functools.lru_cache(maxsize=2)
def _drawn(note: str, validation: int | float, overfit: int) -> Splits:
    from flaxmill.data.sketches import TEST_FIRST, VERSION, Sketches

    train, test = (
        Arrays(source.take(np.arange(len(source))))
        for source in (Sketches(TRAIN), Sketches(TEST, first=TEST_FIRST))
    )
    # Not a digest of the pixels: another processor may round a few of them by one grey level.
    digests = {"sketches": f"version {VERSION}, seed 0, {TRAIN} and {TEST} pictures"}
    return _divided(
        "drawn garments (sketches)",
        train,
        test,
        digests,
        validation,
        overfit,
        drawn=True,
        note=note,
    )


def _divided(
    title: str,
    train: Source,
    test: Source,
    digests: dict[str, str],
    validation: int | float,
    overfit: int,
    *,
    drawn: bool = False,
    note: str = "",
) -> Splits:
    trained, held_out = hold_out(train, validation)
    if overfit:
        if not 0 < overfit <= len(trained):
            raise BadInput(f"--overfit {overfit}: give a number from 1 to {len(trained):,}.")
        trained = cycled(trained, overfit)
        held_out = test = cycled(train, overfit, length=overfit)
        title += f", the first {overfit} training examples alone"
    return Splits(
        title=title,
        train=trained,
        validation=held_out,
        test=test,
        labels=CLASS_NAMES,
        digests=digests,
        licence=DRAWN_LICENCE if drawn else REAL_LICENCE,
        drawn=drawn,
        seen=bool(overfit),
        note=note,
    )
