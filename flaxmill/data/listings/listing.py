"""Listings: which pictures there are, and in which classes."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int, Int32

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "validate": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "test": "test",
    "testing": "test",
}
"""What the splits are called in folders and tables."""
_FILLERS = ("set", "data", "split", "image", "images", "img", "imgs", "pictures", "photos")

Labels = Int32[np.ndarray, " example"] | Float32[np.ndarray, "example class"]


@dataclass(frozen=True)
class Subset(Sequence[Any]):
    """Some elements of another sequence.

    Attributes:
        whole: The other sequence.
        indices: Which of its elements.
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


def subset(files: Sequence[Any], rows: Int[np.ndarray, " row"]) -> Sequence[Any]:
    """Returns some of a listing's files, none of which is read."""
    if isinstance(files, tuple):
        return tuple(files[row] for row in rows.tolist())
    if isinstance(files, Subset):
        return Subset(files.whole, files.indices[rows])
    return Subset(files, rows)


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
        note: What to tell the person about how they were listed; empty if nothing.
        lacking: Why nothing can be learnt from them, though a model can be judged by them; empty if
            something can.
        things: What messages call them.
    """

    files: Sequence[Any]
    labels: Labels
    classes: tuple[str, ...]
    root: Path
    note: str = ""
    lacking: str = ""
    things: str = "pictures"

    def __len__(self) -> int:
        return len(self.files)

    @property
    def multi_label(self) -> bool:
        """Whether any number of labels may hold of a picture."""
        return self.labels.ndim == 2

    def select(self, rows: Int[np.ndarray, " row"]) -> "Listing":
        """Returns some of the pictures, in the order asked for."""
        return replace(self, files=subset(self.files, rows), labels=self.labels[rows])

    def groups(self) -> Int32[np.ndarray, " example"]:
        """Returns what dividing stratifies by: the class, or the rarest of the labels."""
        if not self.multi_label:
            return self.labels
        count = self.labels.sum(axis=0)
        rarity = np.where(self.labels > 0, count, np.inf)
        return np.where(self.labels.any(axis=1), rarity.argmin(axis=1), -1).astype(np.int32)


def split_of(name: str) -> str:
    """Returns which split a name means, as of a folder or a cell; nothing if it means none.

    >>> [split_of(name) for name in ("Train", "training_set", "testset", "val2017", "test tube")]
    ['train', 'train', 'test', 'validation', '']
    """
    bare = re.sub(r"(?<=[a-z])[_ -]?(19|20)\d\d$", "", name.strip().lower())  # COCO's train2017
    words = [word for word in re.split(r"[_ .-]+", bare) if word and word not in _FILLERS]
    return SPLIT_NAMES.get(words[0].removesuffix("set"), "") if len(words) == 1 else ""


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
    return tuple(sorted(names, key=_value) if numbers else names)


def _value(digits: str) -> tuple[int, str]:
    """Returns what whole numbers are sorted by, for `int` refuses those of thousands of digits."""
    significant = digits.lstrip("0")
    return len(significant), significant
