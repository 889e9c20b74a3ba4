"""Listings: which pictures there are, in which classes, and how they are divided."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from flaxmill.data.permutation import permute
from flaxmill.errors import BadInput

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""What the splits are called in folders and tables."""

Labels = Int32[np.ndarray, " example"] | Float32[np.ndarray, "example class"]


@dataclass(frozen=True)
class Rows(Sequence[Any]):
    """Some of what another sequence reads and gives.

    Attributes:
        whole: The other sequence.
        indices: Which of it.
    """

    whole: Sequence[Any]
    indices: Int[np.ndarray, " row"]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        return self.whole[int(self.indices[index])]

    def name(self, index: int) -> str:
        """Returns what messages call one of them."""
        return name_of(self.whole, int(self.indices[index]))


def chosen(files: Sequence[Any], rows: Int[np.ndarray, " row"]) -> Sequence[Any]:
    """Returns some of a listing's files, none of which is read."""
    if isinstance(files, tuple):
        return tuple(files[row] for row in rows.tolist())
    if isinstance(files, Rows):
        return Rows(files.whole, files.indices[rows])
    return Rows(files, rows)


def name_of(files: Sequence[Any], index: int) -> str:
    """Returns what messages call a picture: its path, or what the sequence that gives it says."""
    name = getattr(files, "name", None)
    return name(index) if name else str(files[index])


@dataclass(frozen=True)
class Listing:
    """Pictures and their labels; none of them is read yet.

    Attributes:
        files: Their paths; or a sequence that reads and gives a picture file's content, a Pillow
            picture, or an array. It may have ``name(index)``, for messages, and a ``digest``.
        labels: An index into ``classes`` for each, or, where any number of labels may hold, a row
            of zeros and ones for each.
        classes: Class names.
        root: The folder, or file, that they were found in.
        note: What to tell the person about how they were found; empty if nothing.
    """

    files: Sequence[Any]
    labels: Labels
    classes: tuple[str, ...]
    root: Path
    note: str = ""

    def __len__(self) -> int:
        return len(self.files)

    @property
    def multi_label(self) -> bool:
        """Whether any number of labels may hold of a picture."""
        return self.labels.ndim == 2

    def rows(self, rows: Int[np.ndarray, " row"]) -> "Listing":
        """Returns some of the pictures, in the order asked for."""
        return replace(self, files=chosen(self.files, rows), labels=self.labels[rows])

    def groups(self) -> Int32[np.ndarray, " example"]:
        """Returns what `stratified` keeps apart: the class, or the rarest of the labels."""
        if not self.multi_label:
            return self.labels
        count = self.labels.sum(axis=0)
        rarity = np.where(self.labels > 0, count, np.inf)
        return np.where(self.labels.any(axis=1), rarity.argmin(axis=1), -1).astype(np.int32)


def scan(place: Path, *, sign: str = "") -> dict[str, Listing]:
    """Finds the pictures of a data set and their labels, without decoding the pictures.

    Args:
        place: One of

            - a folder with a folder for each class;
            - a folder with ``train`` and maybe ``val`` (``valid``, ``validation``) and ``test``,
              each with a folder for each class, as ImageNet's;
            - a CSV or Parquet file with a column for the path, one for the label, and maybe one
              called split; or a folder with such files, called train, val and test;
            - Parquet files that hold the pictures, as Hugging Face's do, or a folder of them;
            - an ``.npz`` file, or a folder of ``.npy`` files, with arrays of pictures and labels.
        sign: What stands between the labels of a picture that has several, in a table.

    Returns:
        "train", and where they are given "validation" and "test"; all with the same classes.

    Raises:
        BadInput: There is nothing of the kind; the message says what was found and expected.
    """
    from flaxmill.data.listings.layouts import (
        read_layout,  # which makes listings, and so imports this
    )

    return read_layout(place, sign=sign)


def normal(name: str, form: Literal["NFC", "NFD"] = "NFC") -> str:
    """Returns a name in a normal form of Unicode, for file systems differ in how they store it."""
    return unicodedata.normalize(form, name)


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sorts class names: by their characters, or by value where all are whole numbers.

    >>> class_order(["bee", "Ant", "ant"])
    ('Ant', 'ant', 'bee')
    >>> class_order(["10", "9", "1"])
    ('1', '9', '10')
    """
    names = sorted(set(names))
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return tuple(sorted(names, key=int) if numbers else names)


def stratified(
    listing: Listing, held_out: int | float, *, seed: int = 0, option: str = "the number"
) -> tuple[Listing, Listing]:
    """Divides a listing so that both parts have each class in its proportion.

    The draw depends on nothing but the listing's order and the seed. Pictures with several labels
    are divided as Sechidis, Tsoumakas and Vlahavas (2011, "On the stratification of multi-label
    data", algorithm 1) do: the rarest label first.

    Args:
        listing: What to divide.
        held_out: How many pictures to hold out, or which share of them if it is a fraction below 1.
            A share holds out at least one of each class; every class keeps at least one. Of
            pictures with several labels, it is about so many.
        seed: Of the draw.
        option: What messages call the number.

    Returns:
        What is kept, and what is held out.

    Raises:
        BadInput: The number is negative or leaves nothing.
    """
    share = isinstance(held_out, float)
    if not 0 <= held_out < (1 if share else len(listing)):
        raise BadInput(
            f"{option} {held_out} does not fit {len(listing):,} pictures: give one from 0 to "
            f"{len(listing) - 1:,}, or a share such as 0.1."
        )
    if listing.multi_label:
        part = held_out if isinstance(held_out, float) else held_out / len(listing)
        held = _several(listing.labels, part, seed)
        return listing.rows(np.flatnonzero(~held)), listing.rows(np.flatnonzero(held))
    groups = listing.groups()
    rows = _dealt(groups, seed)
    each, place = np.unique(groups, return_counts=True), _places(groups[rows])
    counts = _counts(each[1], held_out)
    held = place < counts[np.searchsorted(each[0], groups[rows])]
    return listing.rows(np.sort(rows[~held])), listing.rows(np.sort(rows[held]))


def _several(
    labels: Float32[np.ndarray, "example class"], share: float, seed: int
) -> Bool[np.ndarray, " example"]:
    """Returns which pictures with several labels to hold out."""
    rows = _dealt(np.zeros(len(labels), np.int32), seed)
    wanted = np.array([1 - share, share])
    of_label, of_all = wanted[:, None] * labels.sum(axis=0), wanted * len(labels)
    held, left = np.zeros(len(labels), bool), np.ones(len(labels), bool)

    def put(row: int, part: bool) -> None:
        held[row], left[row] = part, False
        of_label[int(part)] -= labels[row]
        of_all[int(part)] -= 1

    while (counts := labels[left].sum(axis=0)).any():
        label = np.where(counts > 0, counts, np.inf).argmin()
        for row in rows[left[rows] & (labels[rows, label] > 0)].tolist():
            kept, apart = zip(of_label[:, label].tolist(), of_all.tolist(), strict=True)
            put(row, apart > kept)
    for row in rows[left[rows]].tolist():  # those of which no label holds
        put(row, bool(of_all[1] > of_all[0]))
    return held


def interleaved(listing: Listing, *, seed: int = 0) -> Listing:
    """Orders a listing so that its beginning has something of every class."""
    groups = listing.groups()
    rows = _dealt(groups, seed)
    return listing.rows(rows[np.argsort(_places(groups[rows]), kind="stable")])


def _dealt(groups: Int32[np.ndarray, " example"], seed: int) -> Int[np.ndarray, " example"]:
    """Returns all rows, group by group, in a drawn order within each."""
    total = len(groups)
    drawn = permute(np.arange(total), total, seed=seed, epoch=np.zeros(total, np.int64))
    return drawn[np.argsort(groups[drawn], kind="stable")]


def _places(groups: Int32[np.ndarray, " example"]) -> Int[np.ndarray, " example"]:
    """Numbers the examples of each group, given group by group, from 0 on."""
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))


def _counts(sizes: Int[np.ndarray, " group"], held_out: int | float) -> np.ndarray:
    """Returns how many to hold out of each group."""
    if isinstance(held_out, float):
        counts = np.maximum(np.round(held_out * sizes), held_out > 0)
    else:  # exactly so many: what rounding down leaves goes to the largest remainders
        ideal = held_out * sizes / sizes.sum()
        counts = np.floor(ideal)
        left = held_out - int(counts.sum())
        counts[np.argsort(counts - ideal, kind="stable")[:left]] += 1
    return np.minimum(counts, sizes - 1).astype(np.int64)
