"""Arrays of pictures and labels in NumPy's files."""

import functools
import hashlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings.digests import SOME, WHOLE
from flaxmill.data.listings.listing import PARTS, Listing, class_order
from flaxmill.errors import BadInput, nearest

_PICTURES = ("images", "image", "pictures", "x", "data")
_LABELS = ("labels", "label", "y", "targets")
_NAMES = ("classes", "class_names", "label_names")


class Frames(Sequence[Any]):
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
        step = 1 if whole else max(1, len(self.array) // SOME)
        summed = hashlib.sha256(repr(self.array.shape).encode())
        for picture in self.array[::step]:
            summed.update(picture.tobytes())
        return summed.hexdigest()


def read_npz(place: Path) -> dict[str, Listing]:
    """Reads an ``.npz`` file with ``images`` and ``labels``, or ``train_images`` and so on.

    Other names are understood too: ``x`` and ``y``, before or after the split's (``x_train``). The
    names of the classes may be in ``classes``.

    Args:
        place: The file.

    Raises:
        BadInput: It is damaged, or its arrays are not those of pictures and labels.
    """
    try:
        with place.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except TypeError:  # what was loaded is one array
        raise BadInput(f"{place} is an .npy file: give the folder of such files.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"{place} cannot be read as an .npz file: {_words(error)}.") from None
    return _listings(place, arrays)


def in_folder(place: Path) -> dict[str, Path]:
    """Returns the ``.npy`` files of pictures and labels in a folder, by their names."""
    kinds = {path: _kind(path.stem)[1] for path in sorted(place.glob("*.npy"))}
    found = {path.stem: path for path, kind in kinds.items() if kind}
    return found if {"images", "labels"} <= set(kinds.values()) else {}


def read_npy(place: Path, found: Mapping[str, Path]) -> dict[str, Listing]:
    """Maps ``.npy`` files of a folder into memory: only what is asked for is read from the disk.

    Args:
        place: The folder.
        found: Its files, by their names, which mean what they mean in an ``.npz`` file.

    Raises:
        BadInput: One is damaged, or they are not those of pictures and labels.
    """
    arrays = {}
    for name, path in found.items():
        try:
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadInput(f"{path} cannot be read as an .npy file: {_words(error)}.") from None
    return _listings(place, arrays)


def _words(error: Exception) -> str:
    text = "it is cut short" if isinstance(error, EOFError) else str(error)
    if "allow_pickle" in text or "Python objects" in text:
        text = "it holds Python objects; save arrays of numbers or of text"
    return text.rstrip(".")


def _kind(name: str) -> tuple[str, str]:
    """Returns the split and the kind that an array's name tells; empty if it tells none."""
    words = name.lower().split("_")
    for word in (words[0], words[-1]):
        if word in PARTS and len(words) > 1:
            words.remove(word)
            split = PARTS[word]
            break
    else:
        split = "train"
    rest = "_".join(words)
    kinds = {"images": _PICTURES, "labels": _LABELS, "classes": _NAMES}
    return split, next((kind for kind, names in kinds.items() if rest in names), "")


def _listings(place: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Listing]:
    found: dict[tuple[str, str], str] = {}
    for name in arrays:
        split, kind = _kind(name)
        if kind and (other := found.setdefault((split, kind), name)) != name:
            raise BadInput(f"in {place}, {other} and {name} are both {kind} for {split}.")
    splits = [name for name in ("train", "validation", "test") if (name, "images") in found]
    if "train" not in splits or any((name, "labels") not in found for name in splits):
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no arrays"
        raise BadInput(
            f"{place} holds {shown}; expected images and labels, or train_images, train_labels, "
            "test_images and test_labels."
        )
    labels = {name: _labels(place, found[name, "labels"], arrays) for name in splits}
    classes, indices = _classes(place, arrays.get(found.get(("train", "classes"), "")), labels)
    return {
        name: Listing(
            _pictures(place, found[name, "images"], arrays, len(indices[name])),
            indices[name],
            classes,
            place,
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
    return Frames(array[..., None] if array.ndim == 3 else array, where)


def _classes(
    place: Path, names: np.ndarray | None, labels: Mapping[str, np.ndarray]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Returns class names, and the labels of each split as a listing has them."""
    train = labels["train"]
    if names is not None:
        names = _text(place, "classes", names)
        if names.ndim != 1:
            raise BadInput(
                f"the classes in {place} have the shape {names.shape}: expected a name for each."
            )
    if train.ndim == 2:
        count = train.shape[1]
        classes = tuple(map(str, range(count) if names is None else names.tolist()))
        for name, array in labels.items():
            if array.shape[1:] != (len(classes),) or not np.isin(array, (0, 1)).all():
                raise BadInput(
                    f"the labels for {name} in {place} have the shape {array.shape}: expected rows "
                    f"of zeros and ones, {len(classes)} in each."
                )
        if all((array.sum(axis=1) == 1).all() for array in labels.values()):  # one-hot
            return classes, {
                n: array.argmax(axis=1).astype(np.int32) for n, array in labels.items()
            }
        return classes, {name: array.astype(np.float32) for name, array in labels.items()}
    if names is not None:
        words = {name: _named(place, name, array, names) for name, array in labels.items()}
        classes = tuple(map(str, names.tolist()))
    else:
        words = {name: list(map(_word, array.tolist())) for name, array in labels.items()}
        classes = class_order(words["train"])
    known = {word: number for number, word in enumerate(classes)}
    for name, found in words.items():
        if strange := sorted(set(found) - set(known)):
            raise BadInput(
                f"in {place} the class {strange[0]!r} is among the labels for {name} and not among "
                f"those for training, so it cannot be learnt.{nearest(strange[0], classes)}"
            )
    if len(classes) < 2:
        raise BadInput(f"{place} has one class only, {classes[0]!r}: expected two or more.")
    return classes, {n: np.array([known[w] for w in found], np.int32) for n, found in words.items()}


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


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _named(place: Path, split: str, labels: np.ndarray, names: np.ndarray) -> list[str]:
    """Returns the class names of labels that are places among the names."""
    if labels.dtype.kind in "iub":
        outside = labels[(labels < 0) | (labels >= len(names))]
        if not len(outside):
            return [str(names[label]) for label in labels]
        raise BadInput(
            f"in {place} a label for {split} is {outside[0]}, but there are {len(names)} classes, "
            f"numbered from 0 to {len(names) - 1}."
        )
    return list(map(str, labels.tolist()))


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
