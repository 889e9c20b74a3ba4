"""Data sets of Hugging Face's ``datasets`` and of torchvision as listings of pictures."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings.digests import SAMPLED, contents, stamp
from flaxmill.data.listings.labels import Column
from flaxmill.data.listings.listing import SPLIT_NAMES, Listing
from flaxmill.data.listings.picture_cells import PIXELS, content_or_path
from flaxmill.data.listings.tables import Table, listings
from flaxmill.errors import BadInput, nearest, quoted

_STORED = ("binary", "large_binary", "string", "large_string")  # a file's content, or its path
_FEW = 32  # pictures that a digest takes of those that are decoded by others


class Records(Sequence[Any]):
    """The picture files of a data set, as they are stored: they are decoded by flaxmill.

    Args:
        data_set: Its column holds pictures (``datasets.Image``), or bytes, or paths.
        column: Which.
        split: What messages call it.
    """

    def __init__(self, data_set: Any, column: str, split: str) -> None:
        kind = data_set.features[column]
        data_set = data_set.select_columns([column]).with_format(None)
        if hasattr(kind, "decode"):
            data_set = data_set.cast_column(column, type(kind)(decode=False))
        self._rows, self._column, self._split = data_set, column, split

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """Returns the content of a picture's file, or its path."""
        return content_or_path(self._rows[int(index)][self._column], Path(), self.name(index))

    def name(self, index: int) -> str:
        """Returns what messages call a picture."""
        return f"row {index} of the split {self._split}"

    @property
    def digest(self) -> str:
        """What tells these pictures from any others: their number, and a thousand of them."""
        digest = hashlib.sha256(str(len(self)).encode())
        outside = []
        for row in range(0, len(self), max(1, len(self) // SAMPLED)):
            try:
                content = self[row]
            except BadInput:  # whoever reads the pictures says so, or skips it
                content = b""
            if isinstance(content, Path):
                outside.append(str(content))
                content = content.name.encode(errors="surrogateescape")
            digest.update(content)
        for content in contents(outside):
            digest.update(content)
        return digest.hexdigest()

    @property
    def stamp(self) -> str:
        """When the files of a data set were written of which not all rows are in the digest."""
        if len(self) < 2 * SAMPLED:
            return ""
        return stamp(file["filename"] for file in self._rows.cache_files)


class ItemPictures(Sequence[Any]):
    """The pictures, of any sizes, that the items of a data set begin with.

    Args:
        items: Have ``len`` and ``[i]``, which gives a tuple.
    """

    def __init__(self, items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[int(index)][0]

    def name(self, index: int) -> str:
        """Returns what messages call a picture."""
        return f"item {index} of {type(self._items).__name__}"

    @property
    def digest(self) -> str:
        """What tells these pictures from any others: their number, and a few of them."""
        digest = hashlib.sha256(str(len(self)).encode())
        for row in range(0, len(self), max(1, len(self) // _FEW)):
            digest.update(np.asarray(self[row]).tobytes())
        return digest.hexdigest()


def torchvision(data_set: Any, labels: Any, classes: Sequence[str]) -> Listing:
    """Returns the listing of a data set whose items are a picture and more, as torchvision's.

    Args:
        data_set: Gives Pillow pictures or uint8 arrays (without a ``transform`` of its own).
        labels: Of all its items, as whole numbers; most of them have these as ``targets``.
        classes: Class names.

    Returns:
        What `flaxmill.data.folder.pictures` takes, under "train" or "test".

    Raises:
        BadInput: There are not as many labels as items, or they are not numbers of the classes.

    Example::

        listing = torchvision(pets, pets._labels, pets.classes)
        splits = pictures({"train": listing}, size=224)
    """
    numbers = np.asarray(labels)
    if numbers.shape != (len(data_set),) or numbers.dtype.kind not in "iu":
        raise BadInput(
            f"labels of the shape {numbers.shape} and the type {numbers.dtype} do not fit "
            f"{len(data_set):,} items: give a whole number for each."
        )
    outside = numbers[(numbers < 0) | (numbers >= len(classes))]
    if len(outside):
        none = " Often -1 says that there is none: leave such items out." if -1 in outside else ""
        raise BadInput(
            f"the label {outside[0]} is none of {len(classes)} classes, from 0 on.{none}"
        )
    return Listing(ItemPictures(data_set), numbers.astype(np.int32), tuple(classes), Path())


def hugging_face(
    splits: Any, *, image: str = "image", label: str = "label", sign: str = ""
) -> dict[str, Listing]:
    """Returns the listings of data sets as ``datasets.load_dataset`` returns them.

    Args:
        splits: Their names, such as "train" and "test", and data sets; others are left out.
        image: The column of pictures.
        label: The column of classes: a ``ClassLabel``, numbers or names, or a list of such where a
            picture has several.
        sign: What stands between several labels of a picture, where they are text in one cell.

    Returns:
        What `flaxmill.data.folder.pictures` takes in the place of a folder.

    Raises:
        BadInput: There are no such columns or splits, or a row has no label.

    Example::

        listings = hugging_face(datasets.load_dataset("beans"), label="labels")
        splits = pictures(listings, size=224)
    """
    if not isinstance(splits, Mapping):
        raise BadInput(
            f"a {type(splits).__name__} is one split: give {{'train': it}}, or what "
            "datasets.load_dataset returns without split=."
        )
    tables = {}
    for name, data_set in splits.items():
        if name not in SPLIT_NAMES:
            continue
        if (split := SPLIT_NAMES[name]) in tables:
            raise BadInput(
                f"the splits {name} and {tables[split].place.name.split()[-1]} are both for "
                f"{split}: leave one of them."
            )
        _check_columns(name, data_set, image, label)
        kind = data_set.features[label]
        names = getattr(getattr(kind, "feature", kind), "names", None)  # of a list, of what it has
        values = list(data_set.select_columns([label]).with_format(None)[label])
        place, lines = Path(f"the split {name}"), range(len(values))
        labels = Column(label, values, place, lines, tuple(names or ()))
        tables[split] = Table(place, Records(data_set, image, name), labels, None, lines)
    if not tables:
        raise BadInput(f"no split is called train.{nearest('train', splits)}")
    return listings(tables, sign=sign)


def _check_columns(name: str, data_set: Any, image: str, label: str) -> None:
    """Refuses a split that cannot be read in any order, or has no pictures and labels.

    Raises:
        BadInput: It is such a split; the message says what would do.
    """
    if not hasattr(data_set, "__len__"):
        raise BadInput(
            f"the split {name} is a {type(data_set).__name__}, which is read in one order "
            "alone: load it without streaming=True."
        )
    for column in (image, label):
        if column not in data_set.features:
            raise BadInput(
                f"the split {name} has no column {column!r}.{nearest(column, data_set.features)}"
            )
    kind = data_set.features[image]
    if not hasattr(kind, "decode") and getattr(kind, "dtype", "") not in _STORED:
        raise BadInput(f"the column {image!r} of the split {name} is of {quoted(kind)}: {PIXELS}")
