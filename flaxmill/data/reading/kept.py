"""Pictures that are read once and then kept in memory, where all of them have room there."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Example, View

MOST_BYTES = 2**30
"""All examples together may take so much; more are read anew each time."""


class Kept:
    """A source whose examples are read when they are asked for first, and kept from then on.

    Any number of threads may ask at once. What cannot be read is not kept, so it is tried again.

    Args:
        source: Gives the same example each time.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._arrays: dict[str, np.ndarray] | None = None
        self._here = np.zeros(len(source), bool)
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Returns what the source has besides, its ``files``, or how it is to be read."""
        if name in ("files", "listing", "labels", "items", "holds_gil"):
            return getattr(self.source, name)
        raise AttributeError(name)

    def __reduce__(self) -> Any:
        """In a process of its own there is the source alone: what is kept here is not shared."""
        return _itself, (self.source,)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        return {name: values[0] for name, values in self.take(np.array([int(index)])).items()}

    def take(self, indices: Int[np.ndarray, " example"]) -> Example:
        """Returns many examples."""
        missing = np.unique(indices[~self._here[indices]])
        if len(missing):
            self._keep(missing, self.source.take(missing))
        assert self._arrays is not None or not len(indices), "what is here has arrays"
        if self._arrays is None:
            return self.source.take(indices)
        return {name: array[indices] for name, array in self._arrays.items()}

    def _keep(self, indices: np.ndarray, examples: Example) -> None:
        with self._lock:
            if self._arrays is None:
                self._arrays = {
                    name: np.empty((len(self), *values.shape[1:]), values.dtype)
                    for name, values in examples.items()
                }
        for name, values in examples.items():
            self._arrays[name][indices] = values
        self._here[indices] = True  # last: whoever sees it finds the example whole


def _itself(source: Any) -> Any:
    return source


def kept(source: Any, *, most: int = MOST_BYTES) -> Any:
    """Returns a source that is kept in memory, or the source itself where it is too large.

    Args:
        source: Its examples are files to be read. One that lies in memory stays as it is.
        most: Bytes that all examples together may take.

    Raises:
        BadInput: No example can be read, so that their size is not known.
    """
    if hasattr(source, "resident") or not len(source):
        return source
    if isinstance(source, View):  # of few examples over and over, each is kept once
        return replace(source, source=kept(source.source, most=most))
    first = Reading(skip_unreadable=True).first(source)  # whether one may be skipped shows later
    size = sum(value.nbytes for value in first.values())
    return Kept(source) if size * len(source) <= most else source
