"""The known sets of texts: read and checked, or made-up sentences in their place."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flaxmill.data.listings.dividing import interleaved, stratified_split
from flaxmill.data.listings.listing import Listing
from flaxmill.data.places import absolute, listed_files, places
from flaxmill.data.source import Splits
from flaxmill.data.text import reading
from flaxmill.data.text.sentences import CLASSES, TEST_FIRST, VERSION, sentences
from flaxmill.data.text.splits import TextOptions, own_texts, text_splits
from flaxmill.errors import BadInput, nearest

TRAIN, TEST = 12_000, 2_000
"""How many sentences are made up."""
DRAWN = ("sentences", "sketches")
"""What the made-up data is called; the second is the word for it in every recipe."""
DRAWN_LICENCE = "none needed: flaxmill made the sentences"

_Parts = Mapping[str, tuple[Sequence[str], Sequence[int]]]


@dataclass(frozen=True)
class KnownTexts:
    """A published set of labelled texts.

    Attributes:
        name: Of its folder; what ``--data`` calls it.
        title: What people call it.
        labels: Class names in the order of their numbers.
        licence: Of the data, and whose it is.
        files: The SHA-256 of each file that is read.
        parts: Makes texts and labels of each split, given the files' content by name.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    licence: str
    files: Mapping[str, str]
    parts: Callable[[Mapping[str, str]], _Parts]


def _sst2(files: Mapping[str, str]) -> _Parts:
    return {
        split: _columns(files[f"{name}.tsv"], 0, 1)
        for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
    }


def _nsmc(files: Mapping[str, str]) -> _Parts:
    return {
        split: _columns(files[f"{name}.tsv"].partition("\n")[2], 1, 2)
        for split, name in (("train", "train"), ("validation", "valid"), ("test", "test"))
    }


def _3i4k(files: Mapping[str, str]) -> _Parts:
    sayings, labels = _columns(files["fci_train_val.txt"], 1, 0)
    cut = 49_622  # the training set comes first, then the validation set: its README says so
    return {
        "train": (sayings[:cut], labels[:cut]),
        "validation": (sayings[cut:], labels[cut:]),
        "test": _columns(files["fci_test.txt"], 1, 0),
    }


def _columns(content: str, text: int, label: int) -> tuple[list[str], list[int]]:
    rows = [line.removesuffix("\r").split("\t") for line in content.split("\n") if line]
    return [row[text].strip() for row in rows], [int(row[label]) for row in rows]


SST2 = KnownTexts(
    name="sst2",
    title="SST-2, whole sentences",
    labels=("negative", "positive"),
    licence="none stated (Stanford Sentiment Treebank, Socher et al. 2013), for research",
    files={
        "train.tsv": "ec192f833a64da08",
        "dev.tsv": "eddea6b39e601dd4",
        "test.tsv": "831169c7e2e429d6",
    },
    parts=_sst2,
)
NSMC = KnownTexts(
    name="korean-text/nsmc-subset",
    title="a subset of the Naver sentiment movie corpus",
    labels=("negative", "positive"),
    licence="CC0 1.0 (NSMC, Lucy Park)",
    files={
        "train.tsv": "020460bf53f19217",
        "valid.tsv": "06a7117ca64b12f6",
        "test.tsv": "80a1a50f33a344c7",
    },
    parts=_nsmc,
)
INTENTION = KnownTexts(
    name="korean-text/3i4k",
    title="3i4K, intentions of Korean utterances",
    labels=(
        *("fragment", "statement", "question", "command"),
        *("rhetorical question", "rhetorical command", "intonation-dependent"),
    ),
    licence="CC BY-SA 4.0 (3i4K, Cho et al. 2018)",
    files={"fci_train_val.txt": "646f450b84992c6d", "fci_test.txt": "d74c5b376c7d231b"},
    parts=_3i4k,
)
KNOWN = {known.name: known for known in (SST2, NSMC, INTENTION)}
SHORT = {"nsmc": NSMC.name, "nsmc-subset": NSMC.name, "3i4k": INTENTION.name}
"""What some of them are called for short."""


def labelled_texts(
    data: str,
    options: TextOptions,
    *,
    real: str = SST2.name,
    validation: int | float = 0.15,
    test: int | float = 0.15,
    overfit: int = 0,
    text: str = "",
    label: str = "",
) -> Splits:
    """Returns texts and their labels.

    Args:
        data: ``sentences`` (made by flaxmill), the name of a known set, ``auto`` (the known set
            ``real`` if it is here, and sentences if not), or a file or folder of one's own.
        options: How they become tokens.
        real: The known set that ``auto`` takes.
        validation: Training texts to hold out, of what comes without a validation set.
        test: The same for the test set.
        overfit: Train and evaluate on the first so many examples only; 0 for all.
        text: The column of the texts in a table of one's own, where it has no usual name.
        label: The column of the labels, likewise.

    Raises:
        BadInput: The data is not there or not right.
    """
    data = SHORT.get(data, data)
    if data == "auto":
        if (folder := find_folder(KNOWN[real])) is not None:
            return _real(KNOWN[real], folder, options, validation, overfit)
        note = f"{KNOWN[real].title} is not here, so these are made-up sentences."
        return _drawn(options, validation, overfit, note)
    if data in DRAWN:
        return _drawn(options, validation, overfit)
    if data in KNOWN:
        folder = find_folder(KNOWN[data])
        if folder is None:
            raise BadInput(_absent(KNOWN[data]))
        return _real(KNOWN[data], folder, options, validation, overfit)
    if not absolute(data).exists():
        words = (*KNOWN, *SHORT, "auto", "sentences")
        raise BadInput(f"--data {data}: there is no such file or folder.{nearest(data, words)}")
    return own_texts(
        data,
        options,
        validation=validation,
        test=test,
        overfit=overfit,
        text=text,
        label=label,
    )


def find_folder(known: KnownTexts) -> Path | None:
    """Returns the first of the usual folders that holds a set, or None."""
    for folder in places(known.name):
        if all((folder / file).is_file() for file in known.files):
            return folder
    return None


def _absent(known: KnownTexts) -> str:
    looked = ", ".join(str(folder) for folder in places(known.name))
    return (
        f"{known.title} is not here: it was looked for in {looked}. Put "
        f"{listed_files(list(known.files))} into one of them, or give --data sentences, which "
        f"needs no files, or a file of your own."
    )


def _real(
    known: KnownTexts, folder: Path, options: TextOptions, validation: int | float, overfit: int
) -> Splits:
    parts = known.parts(_contents(known, folder))
    listings = {
        split: interleaved(_listing(known.labels, texts, labels, folder))
        for split, (texts, labels) in parts.items()
    }
    if not validation:  # nothing is to be chosen by it
        listings["validation"] = listings["validation"].select(np.arange(0))
    return text_splits(known.title, listings, options, overfit=overfit, licence=known.licence)


def _contents(known: KnownTexts, folder: Path) -> dict[str, str]:
    """Reads a known set's files, and checks that they are the published ones."""
    contents = {}
    for name, digest in known.files.items():
        contents[name] = reading.read_utf8(folder / name)
        own = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if not own.startswith(digest):
            raise BadInput(
                f"{folder / name} is not the file of {known.title}: its SHA-256 begins with "
                f"{own[:16]}, expected {digest}. Put the published one there, or give the file as "
                f"data of your own: --data {folder / name}."
            )
    return contents


def _listing(
    classes: tuple[str, ...], texts: Sequence[str], labels: Sequence[int], root: Path
) -> Listing:
    return Listing(tuple(texts), np.array(labels, np.int32), classes, root, things="texts")


@functools.lru_cache(maxsize=2)
def _drawn(options: TextOptions, validation: int | float, overfit: int, note: str = "") -> Splits:
    parts = {"train": sentences(TRAIN), "test": sentences(TEST, first=TEST_FIRST)}
    listings = {
        split: _listing(CLASSES, *every, Path("sentences")) for split, every in parts.items()
    }
    train, held_out = stratified_split(listings["train"], validation, option="--validation")
    listings |= {"train": train, "validation": held_out}
    version = {"version": f"{VERSION}, seed 0, {TRAIN} and {TEST} sentences"}
    splits = text_splits(
        "made-up sentences",
        listings,
        options,
        overfit=overfit,
        drawn=True,
        licence=DRAWN_LICENCE,
        note=note,
    )
    splits.digests.update(version)  # pyrefly: ignore
    return splits
