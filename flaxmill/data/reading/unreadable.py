"""Examples that cannot be read: whether they end a run, and what comes in their place."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from flaxmill.data.source import Example
from flaxmill.errors import BadInput, CannotGoOn, Unreadable


def read_first(
    read: Callable[[int], None], candidates: Iterable[int], known: dict[int, str], *, skip: bool
) -> tuple[bool, list[str]]:
    """Reads the first example that can be read.

    Args:
        read: Reads the example of an index.
        candidates: Indices, in the order in which they are tried.
        known: What is wrong with those that are known to be unreadable; more are put in.
        skip: Whether one that cannot be read is passed over.

    Returns:
        Whether one was read, and what is wrong with those that were passed over.

    Raises:
        Unreadable: An example cannot be read, and is not to be passed over.
    """
    met = []
    for index in candidates:
        if index not in known:
            try:
                read(index)
                return True, met
            except (MemoryError, CannotGoOn):  # of the machine, not of the example
                raise
            except Exception as trouble:
                if not skip:
                    raise _told(trouble, index) from trouble
                known[index] = str(_told(trouble, index, words=True))
        met.append(known[index])
    return False, met


class Passed:
    """A source in which the next example that can be read takes the place of one that cannot.

    That is what training with ``--skip-unreadable`` does. The first comes after the last.

    Args:
        source: Reads an example when it is asked for.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._unreadable: dict[int, str] = {}  # so that none is tried over and over

    def __getattr__(self, name: str) -> Any:
        """Returns what the source has besides, such as its ``files``."""
        if name in ("files", "labels", "items", "listing", "holds_gil"):
            return getattr(self.source, name)
        raise AttributeError(name)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Example:
        return {name: values[0] for name, values in self.take(np.array([int(index)])).items()}

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples.

        Raises:
            Unreadable: Not one can be read.
        """
        if not len(indices):
            return self.source.take(indices)
        found = [self._first(int(index)) for index in indices]
        return {name: np.stack([one[name] for one in found]) for name in found[0]}

    def _first(self, index: int) -> Example:
        found: list[Example] = []
        candidates = ((index + more) % len(self) for more in range(len(self)))
        done, met = read_first(
            lambda at: found.append(self.source[at]), candidates, self._unreadable, skip=True
        )
        if not done:
            raise none_of(len(self), met)
        return found[0]


def none_of(length: int, met: list[str]) -> Unreadable:
    """Returns the error that not one example can be read."""
    return Unreadable(f"none of the {length:,} examples can be read. One of them: {met[0]}")


def _told(trouble: Exception, index: int, *, words: bool = False) -> Exception:
    """Returns an error that says which example could not be read.

    Sources of ours name the file. What is neither about input nor about a file is a defect of the
    source: it stays as it is, but for a note, unless only its words are wanted.
    """
    if isinstance(trouble, BadInput):
        return Unreadable(str(trouble))
    if words or isinstance(trouble, OSError):
        why = str(trouble) or type(trouble).__name__
        return Unreadable(f"example {index:,} cannot be read: {why}")
    trouble.add_note(f"while example {index:,} was read")
    return trouble
