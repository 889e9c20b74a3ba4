"""Pictures that ``flaxmill prepare`` has packed: arrays that are mapped into memory.

Each picture has a digest beside it, and each other array one in ``prepared.json``. The other arrays
are compared when a folder is opened; a picture when it is read first, so that a set of any size
opens at once, and none goes into a training unseen.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings.listing import Listing
from flaxmill.data.listings.numpy_arrays import map_npy
from flaxmill.data.listings.numpy_files import PictureArray
from flaxmill.data.source import SPLITS, Arrays, Example
from flaxmill.errors import BadInput, quoted
from flaxmill.machine import files, json_forms

FORMAT = 2
MANIFEST_NAME = "prepared.json"
"""Its presence says that a folder is whole: it is written last."""
_DIGEST_BYTES = hashlib.sha256().digest_size
_TOGETHER = 1024  # pictures that a thread compares at a time


def file_of(place: Path, split: str, name: str) -> Path:
    """Returns the file with what the examples of a split have under a name, such as "image"."""
    return place / f"{split}_{name}s.npy"


def digests_of(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the SHA-256 of each picture, uint8 [example, 32]."""
    joined = b"".join(hashlib.sha256(np.ascontiguousarray(one).data).digest() for one in pictures)
    return np.frombuffer(joined, np.uint8).reshape(-1, _DIGEST_BYTES)


@dataclass(frozen=True)
class Verified(Arrays):
    """Examples whose pictures are compared with their digests, each when it is read first.

    Args:
        arrays: As those of `flaxmill.data.source.Arrays`.
        digests: Of each picture, uint8 [example, 32].
        where: What messages call them.
    """

    digests: np.ndarray
    where: str
    _seen: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_seen", np.zeros(len(self), bool))

    def __getitem__(self, index: int) -> Example:
        return {name: values[0] for name, values in self.take(np.array([int(index)])).items()}

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples.

        Raises:
            BadInput: A picture is not the one that was prepared; the message names it.
        """
        examples = super().take(indices)
        new = np.flatnonzero(~self._seen[indices])
        self._compare(indices[new], (examples["image"][at] for at in new))
        return examples

    def verify(self) -> None:
        """Compares all pictures that were not read yet, before they go to the device as a whole.

        Raises:
            BadInput: A picture is not the one that was prepared; the message names it.
        """
        pictures = self.arrays["image"]

        def compare(start: int) -> None:
            some = pictures[start : start + _TOGETHER]  # where they lie: no copy is made
            self._compare(np.arange(start, start + len(some)), some)

        with ThreadPoolExecutor() as pool:
            list(pool.map(compare, range(0, len(self), _TOGETHER)))

    def _compare(self, rows: np.ndarray, pictures: Iterable[np.ndarray]) -> None:
        same = (digests_of(pictures) == self.digests[rows]).all(axis=1)
        if not same.all():
            raise BadInput(
                f"picture {rows[~same][0]} of {self.where} is not the one that was prepared: its "
                f"file was damaged or changed since. Prepare the pictures again."
            )
        self._seen[rows] = True


class PreparedPictures(PictureArray):
    """Pictures of a split, with what was done to them.

    Args:
        array: The pictures.
        where: What messages call them.
        digests: Of each picture.
        digest: What tells these pictures from any others.
        how: How they were brought to their size: fields of `flaxmill.data.folder.Pictures`.
        extras: What else each example has, such as its aspect.
    """

    def __init__(
        self,
        array: np.ndarray,
        where: str,
        *,
        digests: np.ndarray,
        digest: str,
        how: Mapping[str, Any],
        extras: Mapping[str, np.ndarray],
    ) -> None:
        super().__init__(array, where)
        self.where, self.digests, self.how, self.extras = where, digests, how, extras
        self.__dict__["digest"] = digest

    @property
    def stamp(self) -> str:
        """Nothing: each picture is compared with its digest."""
        return ""

    def examples(self, labels: np.ndarray) -> Verified:
        """Returns the pictures with these labels, as a source."""
        arrays = {"image": self.array, "label": labels, **self.extras}
        return Verified(arrays, self.digests, self.where)

    def check(self, expected: Mapping[str, Any]) -> None:
        """Refuses pictures that were prepared otherwise.

        Raises:
            BadInput: The message says what differs.
        """
        apart = [name for name in expected if self.how[name] != expected[name]]
        if apart:
            here = ", ".join(f"{name} {self.how[name]}" for name in apart)
            there = ", ".join(f"{name} {expected[name]}" for name in apart)
            raise BadInput(
                f"{self.where} was prepared with {here}, and here {there} is wanted: ask for what "
                f"was prepared, prepare the pictures again, or give their own folder."
            )


def prepared_how(files: Any) -> Mapping[str, Any]:
    """Returns how a listing's pictures were prepared; nothing if they were not.

    Args:
        files: Those of the listing.
    """
    return files.how if isinstance(files, PreparedPictures) else {}


def is_prepared(place: Path) -> bool:
    """Returns whether a folder was written by ``flaxmill prepare``."""
    return os.path.isfile(place / MANIFEST_NAME)  # Path.is_file raises where the folder is closed


def read_prepared(place: Path) -> dict[str, Listing]:
    """Returns the listings of all three splits.

    Args:
        place: The folder.

    Raises:
        BadInput: It is damaged or was changed, or is of another format.
    """
    manifest = files.read_json(place / MANIFEST_NAME)
    number = manifest.get("format") if isinstance(manifest, dict) else None
    if number != FORMAT:
        raise BadInput(
            f"{place} was prepared in the format {quoted(number, 20)}, and this flaxmill reads "
            f"{FORMAT}: prepare the pictures again."
        )
    json_forms.check(manifest, _FORM, place / MANIFEST_NAME, "Prepare the pictures again.")
    classes = tuple(manifest["classes"])
    return {split: _listing(place, split, manifest["splits"][split], classes) for split in SPLITS}


_SIDE = json_forms.whole(1, 2**16)
_HOW: dict[str, json_forms.Form] = {
    "size": json_forms.each(_SIDE, least=2, most=2),
    "fit": json_forms.text(20),
    "share": json_forms.number(0, 1),
    "channels": json_forms.whole(1, 4),
    "draft": json_forms.flag,
    "white": json_forms.whole(1, 2**32),
}
_SUM = json_forms.text(64)
_SPLIT = json_forms.record(
    {
        "count": json_forms.whole(),
        "how": json_forms.record(_HOW, closed=True),
        "multi_label": json_forms.flag,
        "sha256": json_forms.record({"label": _SUM, "digest": _SUM}, {"aspect": _SUM}, closed=True),
    }
)
_FORM = json_forms.record(
    {
        "classes": json_forms.each(json_forms.text(), least=1),
        "splits": json_forms.record(dict.fromkeys(SPLITS, _SPLIT)),
    }
)


def _listing(
    place: Path, split: str, entry: Mapping[str, Any], classes: tuple[str, ...]
) -> Listing:
    """Returns a split.

    Raises:
        BadInput: An array of it is not as it was written.
    """
    count, sums = entry["count"], entry["sha256"]
    how = {**entry["how"], "size": tuple(entry["how"]["size"])}
    row = (len(classes),) if entry["multi_label"] else ()
    forms: dict[str, tuple[type, tuple[Any, ...]]] = {
        "image": (np.uint8, (count, *how["size"], how["channels"])),
        "label": (np.float32 if row else np.int32, (count, *row)),
        "digest": (np.uint8, (count, _DIGEST_BYTES)),
        **({"aspect": (np.float32, (count,))} if "aspect" in sums else {}),
    }
    arrays = {
        name: _array(file_of(place, split, name), *forms[name], sums.get(name))
        for name in sorted(forms)
    }
    labels = np.asarray(arrays["label"])
    least, most = (0, 1) if row else (0, len(classes) - 1)
    if count and not (labels.min() >= least and labels.max() <= most):
        raise BadInput(
            f"{file_of(place, split, 'label')} has labels from {labels.min():g} to "
            f"{labels.max():g}, expected {least} to {most}: prepare the pictures again."
        )
    pictures = PreparedPictures(
        arrays["image"],
        f"{split} in {place}",
        digests=arrays["digest"],
        digest=json.dumps(sums, sort_keys=True),
        how=how,
        extras={"aspect": arrays["aspect"]} if "aspect" in arrays else {},
    )
    return Listing(pictures, labels, classes, place)


def _array(path: Path, kind: type, shape: Sequence[int], sha256: str | None) -> np.ndarray:
    """Maps an array into memory.

    Args:
        path: Its file.
        kind: The type that it has.
        shape: The shape that it has.
        sha256: The digest of the file; None for pictures, which have one each.

    Raises:
        BadInput: It has another type, shape or content.
    """
    if not path.is_file():
        raise BadInput(f"{path} is missing: prepare the pictures again.")
    if sha256 is not None and files.sha256(path) != sha256:
        raise BadInput(f"{path} is not as it was prepared: prepare the pictures again.")
    try:
        array = map_npy(path)
    except BadInput as error:
        raise BadInput(f"{str(error).rstrip('.')}: prepare the pictures again.") from None
    if array.dtype != kind or array.shape != tuple(shape):
        raise BadInput(
            f"{path} holds {array.dtype}{list(array.shape)}, expected "
            f"{np.dtype(kind)}{list(shape)}: prepare the pictures again."
        )
    return array
