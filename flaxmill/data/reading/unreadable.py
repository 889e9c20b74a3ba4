"""Examples that cannot be read: whether they end a run, and what replaces them."""

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
        known: Messages about those that are known to be unreadable, by index; more are added.
        skip: Whether one that cannot be read is skipped.

    Returns:
        Whether one was read, and messages about those that were skipped.

    Raises:
        Unreadable: An example cannot be read, and is not to be skipped.
    """
    messages = []
    for index in candidates:
        if index not in known:
            try:
                read(index)
                return True, messages
            except (MemoryError, CannotGoOn):  # of the machine, not of the example
                raise
            except Exception as trouble:
                if not skip:
                    raise _as_unreadable(trouble, index) from trouble
                known[index] = str(_as_unreadable(trouble, index, words=True))
        messages.append(known[index])
    return False, messages


class SkippingUnreadable:
    """A source in which the next example that can be read replaces one that cannot.

    That is what training with ``--skip-unreadable`` does. The first comes after the last.

    Args:
        source: Reads an example when it is asked for.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._unreadable: dict[int, str] = {}  # so that none is tried over and over

    def __getattr__(self, name: str) -> Any:
        """Returns other attributes of the source, such as its ``files``."""
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
        examples = [self._first(int(index)) for index in indices]
        return {name: np.stack([one[name] for one in examples]) for name in examples[0]}

    def _first(self, index: int) -> Example:
        examples: list[Example] = []
        candidates = ((index + more) % len(self) for more in range(len(self)))
        done, messages = read_first(
            lambda at: examples.append(self.source[at]), candidates, self._unreadable, skip=True
        )
        if not done:
            raise none_readable(len(self), messages)
        return examples[0]


def none_readable(length: int, messages: list[str]) -> Unreadable:
    """Returns the error that no example can be read."""
    return Unreadable(f"none of the {length:,} examples can be read. One of them: {messages[0]}")


def _as_unreadable(trouble: Exception, index: int, *, words: bool = False) -> Exception:
    """Returns an error that says which example could not be read.

    Our own sources name the file. An error about neither input nor a file is a defect of the
    source: it stays as it is, but for a note, unless only its ``words`` are asked for.
    """
    if isinstance(trouble, BadInput):
        return Unreadable(str(trouble))
    if words or isinstance(trouble, OSError):
        why = str(trouble) or type(trouble).__name__
        return Unreadable(f"example {index:,} cannot be read: {why}")
    trouble.add_note(f"while example {index:,} was read")
    return trouble
