"""Arrays of pictures and labels in NumPy's files."""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings.digests import SAMPLED, WHOLE, stamp
from flaxmill.data.listings.label_notes import describe
from flaxmill.data.listings.labels import Column, form_of
from flaxmill.data.listings.listing import Listing, class_order, normal
from flaxmill.data.listings.numpy_arrays import load_npz, map_npy
from flaxmill.errors import BadInput, nearest, quoted, short

_KINDS = {
    **dict.fromkeys(("images", "image", "x", "data"), "images"),
    **dict.fromkeys(("labels", "label", "y", "targets"), "labels"),
    **dict.fromkeys(("classes", "class_names"), "classes"),
}
_SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "validation"
)
_SHOWN = 12  # arrays that a message names


class PictureArray(Sequence[Any]):
    """Pictures in an array, uint8 [example, height, width, channel], which may lie on the disk.

    Args:
        array: The pictures.
        where: What messages call them.
    """

    def __init__(self, array: np.ndarray, where: str) -> None:
        self.array, self._where = array, where

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def name(self, index: int) -> str:
        """Returns what messages call a picture."""
        return f"picture {index} of {self._where}"

    @functools.cached_property
    def digest(self) -> str:
        """What tells these pictures from any others: of a large array, a thousand are read."""
        whole = self.array.nbytes <= WHOLE
        step = 1 if whole else max(1, len(self.array) // SAMPLED)
        digest = hashlib.sha256(repr(self.array.shape).encode())
        for picture in self.array[::step]:
            digest.update(picture.tobytes())
        return digest.hexdigest()

    @property
    def stamp(self) -> str:
        """When the file of a large array was written, of which a thousand are in the digest."""
        return stamp([str(getattr(self.array, "filename", ""))]) * (self.array.nbytes > WHOLE)


def read_npz(place: Path, *, sign: str = "") -> dict[str, Listing]:
    """Reads an ``.npz`` file with ``images`` and ``labels``, or ``train_images`` and so on.

    ``x`` and ``y``, ``data`` and ``targets`` will do too, before or after the split's name
    (``x_train``). The names of the classes may be in ``classes``.

    Args:
        place: The file.
        sign: What stands between several labels of a picture, where they are text.

    Raises:
        BadInput: It is damaged, or its arrays are not those of pictures and labels.
    """
    return _listings(place, load_npz(place, lambda name: bool(_kind(name)[1])), sign)


def npy_files(place: Path) -> dict[str, Path]:
    """Returns the ``.npy`` files of pictures and labels in a folder, by their names."""
    kinds = {path: _kind(path.stem)[1] for path in sorted(place.glob("*.npy"))}
    paths = {path.stem: path for path, kind in kinds.items() if kind}
    return paths if {"images", "labels"} <= set(kinds.values()) else {}


def read_npy(place: Path, paths: Mapping[str, Path], *, sign: str = "") -> dict[str, Listing]:
    """Maps ``.npy`` files of a folder into memory: only what is asked for is read from the disk.

    Args:
        place: The folder.
        paths: Its files, by their names, which mean what they mean in an ``.npz`` file.
        sign: What stands between several labels of a picture, where they are text.

    Raises:
        BadInput: One is damaged, or they are not those of pictures and labels.
    """
    return _listings(place, {name: map_npy(path) for name, path in paths.items()}, sign)


def _kind(name: str) -> tuple[str, str]:
    """Returns the split and the kind that an array's name stands for; empty if none."""
    name = name.lower()
    for word, split in _SPLITS.items():
        if (rest := name.removeprefix(f"{word}_").removesuffix(f"_{word}")) != name:
            return split, _KINDS.get(rest, "")
    return "train", _KINDS.get(name, "")


def _wrong_arrays(place: Path, arrays: Mapping[str, np.ndarray], why: str = "") -> BadInput:
    """Returns an error that says which arrays there are, and what to call them."""
    shapes = (f"{short(name)} {array.shape}" for name, array in arrays.items())
    shown = ", ".join(islice(shapes, _SHOWN)) or "no arrays"
    shown += f" and {len(arrays) - _SHOWN:,} more" if len(arrays) > _SHOWN else ""
    way = "rename the files" if place.is_dir() else "numpy.savez(FILE, images=…, labels=…) does so"
    return BadInput(
        f"{place} holds {shown}{why}; expected images and labels, or train_images, train_labels, "
        f"test_images and test_labels: give the arrays these names ({way})."
    )


def _listings(place: Path, arrays: Mapping[str, np.ndarray], sign: str) -> dict[str, Listing]:
    array_names: dict[tuple[str, str], str] = {}
    for name in arrays:
        split, kind = _kind(name)
        if kind and (other := array_names.setdefault((split, kind), name)) != name:
            both = f", of which {other} and {name} are both {kind} for {split}"
            raise _wrong_arrays(place, arrays, both)
    splits = [name for name in ("train", "validation", "test") if (name, "images") in array_names]
    if "train" not in splits or any((name, "labels") not in array_names for name in splits):
        raise _wrong_arrays(place, arrays)
    labels = {name: _labels(place, array_names[name, "labels"], arrays) for name in splits}
    names = arrays.get(array_names.get(("train", "classes"), ""))
    classes, indices, note = _classes(place, names, labels, sign)
    one = len(classes) < 2 and indices["train"].ndim == 1
    lacking = f"{place} has one class only, {quoted(classes[0])}: expected two or more." * one
    return {
        name: Listing(
            _pictures(place, array_names[name, "images"], arrays, len(indices[name])),
            indices[name],
            classes,
            place,
            note if name == "train" else "",
            lacking,
        )
        for name in splits
    }


def _pictures(place: Path, name: str, arrays: Mapping[str, Any], count: int) -> Any:
    """Returns an array of pictures, [example, height, width, channel]."""
    array = arrays[name]
    where = f"{name} in {place}"
    if array.dtype != np.uint8:
        raise BadInput(
            f"{where} is of the type {array.dtype}: expected uint8, from 0 to 255. Of numbers from "
            "0 to 1 this makes them: (255 * images).round().astype('uint8')."
        )
    if array.ndim == 4 and array.shape[-1] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        raise BadInput(
            f"{where} has the shape {array.shape}, channels first: expected them last, as "
            "images.transpose(0, 2, 3, 1) puts them."
        )
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] not in (1, 3, 4)):
        raise BadInput(
            f"{where} has the shape {array.shape}: expected [example, height, width], or a last "
            "axis of 1, 3 or 4 channels beside."
        )
    if len(array) != count:
        raise BadInput(f"{where} holds {len(array):,} pictures, but there are {count:,} labels.")
    return PictureArray(array[..., None] if array.ndim == 3 else array, where)


def _classes(
    place: Path, names: np.ndarray | None, arrays: Mapping[str, np.ndarray], sign: str
) -> tuple[tuple[str, ...], dict[str, np.ndarray], str]:
    """Returns class names, the labels of each split as a listing has them, and a note."""
    known = _names(place, names)
    columns = {split: _column(place, split, array, known) for split, array in arrays.items()}
    form = form_of(list(columns.values()), sign)
    rows = {split: form.rows(column) for split, column in columns.items()}
    train_names = (name for row in rows["train"] for name in row)
    wide = arrays["train"].shape[1] if arrays["train"].ndim == 2 else 0
    classes = known or tuple(map(str, range(wide))) or class_order(train_names)
    number = {name: at for at, name in enumerate(classes)}
    labels: dict[str, np.ndarray] = {}
    for split, split_rows in rows.items():
        if strange := sorted({name for row in split_rows for name in row} - set(number)):
            raise BadInput(
                f"in {place} the class {quoted(strange[0])} is among the labels for {split} and "
                f"not among those for training, so it cannot be learnt."
                f"{nearest(strange[0], classes)}"
            )
        if form.multi_label:
            labels[split] = np.zeros((len(split_rows), len(classes)), np.float32)
            for at, row in enumerate(split_rows):
                labels[split][at, [number[name] for name in row]] = 1
        else:
            labels[split] = np.array([number[name] for [name] in split_rows], np.int32)
    all_rows = [row for split_rows in rows.values() for row in split_rows]
    return classes, labels, describe(list(columns.values()), form, all_rows, classes)


def _names(place: Path, names: np.ndarray | None) -> tuple[str, ...]:
    """Returns the names of the classes, if an array has them."""
    if names is None:
        return ()
    names = _text(place, "classes", names)
    if names.ndim != 1:
        raise BadInput(
            f"the classes in {place} have the shape {names.shape}: expected a name for each."
        )
    return tuple(normal(str(name)) for name in names.tolist())


def _column(place: Path, split: str, array: np.ndarray, names: tuple[str, ...]) -> Column:
    """Returns labels as a column of a table; of rows of zeros and ones, which are ones."""
    how = {"place": place, "lines": range(len(array)), "unit": f"{split} row"}
    if array.ndim == 1:
        return Column("", array.tolist(), names=names, source="an array of labels", **how)
    names = names or tuple(map(str, range(array.shape[1])))
    off = -1 if np.isin(array, (-1, 1)).all() else 0
    if array.shape[1:] != (len(names),) or not np.isin(array, (off, 1)).all():
        raise BadInput(
            f"the labels for {split} in {place} have the shape {array.shape}: expected rows of "
            f"zeros and ones, {len(names)} in each, as (labels > 0).astype('uint8') makes them."
        )
    cells = [[names[at] for at in np.flatnonzero(row == 1)] for row in array]
    return Column("", cells, flags=True, source="rows of 0 and 1", **how)


def _text(place: Path, name: str, array: np.ndarray) -> np.ndarray:
    """Returns words that are bytes, as HDF5 has them, as text; other arrays as they are."""
    if array.dtype.kind != "S":
        return array
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError:
        raise BadInput(
            f"{name} in {place} are bytes that are no UTF-8: write the names as text."
        ) from None


def _labels(place: Path, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns labels as they are, but for an axis of one."""
    array = _text(place, name, arrays[name])
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or array.dtype.kind not in "iubUf" or not len(array):
        raise BadInput(
            f"{name} in {place} has the shape {array.shape} and the type {array.dtype}: expected a "
            "number or a name for each picture, or a row of zeros and ones."
        )
    return np.asarray(array)
