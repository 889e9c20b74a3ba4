"""Ends a recipe's loop before its schedule does, once all that is needed of it is known."""

import contextlib
from collections.abc import Iterator
from typing import NoReturn


class Early:
    """Ends a recipe's own loop from within what it calls, as a dry run and a range test do.

    Attributes:
        ended: Whether the loop was ended early.
    """

    def __init__(self) -> None:
        self.ended = False

    def end(self) -> NoReturn:
        """Ends the loop that runs inside `awaited`."""
        raise _Enough

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """Leaves the block without an error where `end` is called inside."""
        try:
            yield
        except _Enough:
            self.ended = True


class _Enough(BaseException):
    """Leaves a loop, also through its ``except Exception``; nothing but `Early` knows it."""
