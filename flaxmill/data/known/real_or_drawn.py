"""The known picture sets: their real pictures, or drawn ones in their place."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flaxmill.data import fetch
from flaxmill.data.known.idx import LabelledImages
from flaxmill.data.source import Arrays, Source, Splits, divide
from flaxmill.errors import BadInput, nearest
from flaxmill.machine.program import command_line
from flaxmill.machine.progress import DownloadProgress

TRAIN, TEST = 60_000, 10_000
"""How many pictures are drawn in the place of a set that is not there."""
DRAWN_LICENCE = "none needed: flaxmill drew the pictures"


@dataclass(frozen=True)
class KnownPictures:
    """A published set of pictures in classes, and what is drawn in its place.

    Attributes:
        name: Of the data set, as `flaxmill.data.fetch` knows it.
        title: What people call it.
        labels: Class names in the order of their indices.
        licence: Of the data, and whose it is.
        read: Reads and checks it, given its folder.
        drawn_labels: Class names of the drawn pictures.
        draw: Makes a source of drawn pictures of the set's size and colours, given their number and
            the index of the first one.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    licence: str
    read: Callable[[Path], LabelledImages]
    drawn_labels: tuple[str, ...]
    draw: Callable[[int, int], Source]


def pictures(
    known: KnownPictures, data: str, *, validation: int | float = 0, overfit: int = 0
) -> Splits:
    """Returns the pictures of a known set and their labels, or drawn ones.

    Args:
        known: The set.
        data: Its name (looked for in the usual places, else downloaded), a folder that holds its
            files, ``sketches`` (drawn by flaxmill), or ``auto``: the real pictures if they can be
            had, and the sketches if not.
        validation: How many training examples to hold out, or which share of them.
        overfit: Train and evaluate on the first so many examples only; 0 for all.

    Raises:
        BadInput: The data is not there or not right.
    """
    if data == "sketches":
        return _drawn(known, "", validation, overfit)
    if data == "auto":
        try:
            folder = _locate(known.name)
        except BadInput:
            note = (
                f"The real pictures of {known.title} could not be had, so these are drawn "
                f"garments. {command_line(f'fetch {known.name}')} says why."
            )
            return _drawn(known, note, validation, overfit)
        return _real(known, folder, validation, overfit)
    if data != known.name:
        _check_named(known, data)
    folder = _locate(known.name, None if data == known.name else Path(data))
    return _real(known, folder, validation, overfit)


def _check_named(known: KnownPictures, data: str) -> None:
    """Refuses a name that is no folder, and may be misspelt.

    Raises:
        BadInput: There is no such folder; the message says where it was looked for.
    """
    words = (known.name, "auto", "sketches")
    if not Path(data).expanduser().exists():
        hint = nearest(data.replace("_", "-"), words).replace(" There are", " Other words are")
        raise BadInput(
            f"--data {data}: there is no such folder ({Path(data).expanduser().absolute()}).{hint}"
        )


def _locate(name: str, folder: Path | None = None) -> Path:
    with DownloadProgress() as progress:
        return fetch.locate(name, folder, on_progress=progress)


@functools.lru_cache(maxsize=2)
def _real(known: KnownPictures, folder: Path, validation: int | float, overfit: int) -> Splits:
    images = known.read(folder)
    return divide(
        known.title,
        Arrays(images.train),
        Arrays(images.test),
        labels=known.labels,
        digests=images.digests,
        validation=validation,
        overfit=overfit,
        licence=known.licence,
        note=images.note,
    )


@functools.lru_cache(maxsize=2)
def _drawn(known: KnownPictures, note: str, validation: int | float, overfit: int) -> Splits:
    from flaxmill.data.sketches import TEST_FIRST, VERSION

    train, test = (
        Arrays(source.take(np.arange(len(source))))
        for source in (known.draw(TRAIN, 0), known.draw(TEST, TEST_FIRST))
    )
    # Not a digest of the pixels: another processor may round a few of them by one grey level.
    digests = {"sketches": f"version {VERSION}, seed 0, {TRAIN} and {TEST} pictures"}
    return divide(
        "drawn garments (sketches)",
        train,
        test,
        labels=known.drawn_labels,
        digests=digests,
        validation=validation,
        overfit=overfit,
        drawn=True,
        licence=DRAWN_LICENCE,
        note=note,
    )
