"""Pictures that ``flaxmill prepare`` has made ready: arrays that are mapped into memory."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings.listing import Listing
from flaxmill.data.listings.numpy_files import Frames
from flaxmill.data.source import SPLITS
from flaxmill.errors import BadInput
from flaxmill.files import read_json

FORMAT = 1
FACTS = "prepared.json"
"""Its presence says that a folder is whole: it is written last."""


def file_of(place: Path, split: str, name: str) -> Path:
    """Returns the file with what the examples of a split have under a name, such as "image"."""
    return place / f"{split}_{name}s.npy"


class Prepared(Frames):
    """Pictures of a split, with what was done to them.

    Args:
        array: The pictures.
        where: What messages call them.
        digest: What tells these pictures from any others.
        how: How they were brought to their size: the arguments of `flaxmill.data.folder.Pictures`.
        beside: What else each example has, such as its aspect.
    """

    def __init__(
        self,
        array: np.ndarray,
        where: str,
        *,
        digest: str,
        how: Mapping[str, Any],
        beside: Mapping[str, np.ndarray],
    ) -> None:
        super().__init__(array, where)
        self.where, self.how, self.beside = where, how, beside
        self.__dict__["digest"] = digest

    def check(self, wanted: Mapping[str, Any]) -> None:
        """Refuses pictures that were made ready for something else.

        Raises:
            BadInput: The message says what differs.
        """
        apart = [name for name in wanted if self.how[name] != wanted[name]]
        if apart:
            here = ", ".join(f"{name} {self.how[name]}" for name in apart)
            there = ", ".join(f"{name} {wanted[name]}" for name in apart)
            raise BadInput(
                f"{self.where} was prepared with {here}, and here {there} is wanted: ask for what "
                f"was prepared, prepare the pictures again, or give their own folder."
            )


def prepared_how(files: Any) -> Mapping[str, Any]:
    """Returns how a listing's pictures were prepared; nothing if they were not.

    Args:
        files: Those of the listing.
    """
    return files.how if isinstance(files, Prepared) else {}


def is_prepared(place: Path) -> bool:
    """Says whether a folder was written by ``flaxmill prepare``."""
    return os.path.isfile(place / FACTS)  # Path.is_file raises where the folder is closed


def read_prepared(place: Path) -> dict[str, Listing]:
    """Returns the listings of all three splits.

    Args:
        place: The folder.

    Raises:
        BadInput: It is damaged, or of a newer format.
    """
    try:
        return _listings(place)
    except (KeyError, TypeError, AttributeError) as error:  # a key is missing, or another thing
        raise BadInput(
            f"{place / FACTS} is damaged ({error!r}): prepare the pictures again."
        ) from None


def _listings(place: Path) -> dict[str, Listing]:
    facts = read_json(place / FACTS)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise BadInput(
            f"{place} was prepared in the format {found}, and this flaxmill reads {FORMAT}: "
            f"prepare the pictures again."
        )
    listings = {}
    for split in SPLITS:
        about = facts["splits"][split]
        arrays = {name: _mapped(file_of(place, split, name), about) for name in about["names"]}
        files = Prepared(
            arrays.pop("image"),
            f"{split} in {place}",
            digest=about["digest"],
            how={**about["how"], "size": tuple(about["how"]["size"])},
            beside={name: arrays[name] for name in arrays if name != "label"},
        )
        labels = np.asarray(arrays["label"])
        listings[split] = Listing(files, labels, tuple(facts["classes"]), place)
    return listings


def _mapped(path: Path, about: Mapping[str, Any]) -> np.ndarray:
    try:
        array = (
            np.load(path, mmap_mode="r", allow_pickle=False) if about["count"] else np.load(path)
        )
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} cannot be read ({error}): prepare the pictures again.") from None
    if len(array) != about["count"]:
        raise BadInput(
            f"{path} holds {len(array):,} examples, not {about['count']:,}: prepare the pictures "
            f"again."
        )
    return array
