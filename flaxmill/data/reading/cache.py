"""Examples that are read once and then cached in memory, if all of them fit."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Example, View

MOST_BYTES = 2**30
"""All examples together may take so much; larger sources are read anew each time."""


class CachedSource:
    """A source whose examples are read when they are asked for first, and cached from then on.

    Any number of threads may ask at once. What cannot be read is not cached, so it is tried again.

    Args:
        source: Returns the same example each time.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._arrays: dict[str, np.ndarray] | None = None
        self._present = np.zeros(len(source), bool)
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        """Returns other attributes of the source: its ``files``, or how it is to be read."""
        if name in ("files", "listing", "labels", "items", "holds_gil"):
            return getattr(self.source, name)
        raise AttributeError(name)

    def __reduce__(self) -> Any:
        """Pickles the source alone: the cache is not shared with other processes."""
        return _itself, (self.source,)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        return {name: values[0] for name, values in self.take(np.array([int(index)])).items()}

    def take(self, indices: Int[np.ndarray, " example"]) -> Example:
        """Returns many examples."""
        missing = np.unique(indices[~self._present[indices]])
        if len(missing):
            self._store(missing, self.source.take(missing))
        assert self._arrays is not None or not len(indices), "what is here has arrays"
        if self._arrays is None:
            return self.source.take(indices)
        return {name: array[indices] for name, array in self._arrays.items()}

    def _store(self, indices: np.ndarray, examples: Example) -> None:
        with self._lock:
            if self._arrays is None:
                self._arrays = {
                    name: np.empty((len(self), *values.shape[1:]), values.dtype)
                    for name, values in examples.items()
                }
        for name, values in examples.items():
            self._arrays[name][indices] = values
        self._present[indices] = True  # last: a thread that sees it finds the example whole


def _itself(source: Any) -> Any:
    return source


def cached(source: Any, *, most: int = MOST_BYTES) -> Any:
    """Returns a source that is cached in memory, or the source itself if it is too large.

    Args:
        source: Its examples are files to be read. One that lies in memory stays as it is.
        most: Bytes that all examples together may take.

    Raises:
        BadInput: No example can be read, so that their size is not known.
    """
    if hasattr(source, "resident") or not len(source):
        return source
    if isinstance(source, View):  # of few examples over and over, each is cached once
        return replace(source, source=cached(source.source, most=most))
    first = Reading(skip_unreadable=True).first(source)  # whether one may be skipped shows later
    size = sum(value.nbytes for value in first.values())
    return CachedSource(source) if size * len(source) <= most else source
