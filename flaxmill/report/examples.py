"""The examples of a split, each with the file that it was read from."""

import os
from typing import Any, NamedTuple

import numpy as np

from flaxmill.data.listings.listing import name_of
from flaxmill.data.source import unwrap_views


class FileName(NamedTuple):
    """Which file an example was read from; both are empty where it was read from none.

    Attributes:
        shown: Its path below the folder of the data.
        whole: All of its path.
    """

    shown: str
    whole: str


class Examples:
    """The examples of a source, each read when it is asked for: all need not fit into memory.

    Args:
        source: The split.
        name: Of what a model takes of them.
    """

    def __init__(self, source: Any, name: str) -> None:
        self._source, self._name = source, name

    def __getitem__(self, index: int) -> np.ndarray:
        return self._source[int(index)][self._name]

    def name(self, index: int) -> FileName:
        """Returns the file that an example was read from."""
        source, rows = unwrap_views(self._source, np.array([index]))
        if (files := getattr(source, "files", None)) is None:
            return FileName("", "")
        whole = name_of(files, int(rows[0]))
        root = getattr(getattr(source, "listing", None), "root", None)
        # What gives pictures may call them "row 3 of FILE", so the folder may stand anywhere.
        return FileName(whole if root is None else whole.replace(f"{root}{os.sep}", ""), whole)
