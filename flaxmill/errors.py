"""What can go wrong that is not a defect of flaxmill: shown as one message, without a traceback."""

import difflib
from collections.abc import Iterable


class BadInput(ValueError):
    """Something given to flaxmill cannot be used; the message says what, where and how to mend it.

    The command line shows the message alone and ends with exit status 2.
    """


class Unreadable(BadInput):
    """An example cannot be read; the message names its file, or else its index."""


class CannotGoOn(RuntimeError):
    """The run cannot continue (not a number, full disk); its last good state is kept.

    The command line shows the message alone and ends with exit status 3.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Says which known name was probably meant, as the end of an error message.

    Args:
        name: The name that was not found.
        known: All the names that exist.

    Returns:
        ``" Did you mean 'x'?"`` or, where nothing is close, the list of what exists.

    >>> nearest("fashon_mnist", ["fashion_mnist", "images"])
    " Did you mean 'fashion_mnist'?"
    >>> nearest("zebra", ["fashion_mnist", "images"])
    " There are: 'fashion_mnist', 'images'."
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" There are: {', '.join(map(repr, known))}." if known else ""


def check_range(option: str, value: float, least: float, most: float) -> None:
    """Refuses a number that is out of its range, under the name that a person gave it by.

    Args:
        option: Such as ``--crop``.
        value: What was given.
        least: The least that is allowed.
        most: The most that is allowed.

    Raises:
        BadInput: The number is less, or more, or none.
    """
    if not least <= value <= most:
        raise BadInput(f"{option} {value} must be from {least:g} to {most:g}.")


class Stopped(BaseException):
    """A run was asked to stop by a signal; the message says what is kept.

    Attributes:
        signal: The number of the signal; the exit status is 128 more.
    """

    def __init__(self, signal: int, words: str) -> None:
        super().__init__(words)
        self.signal = signal


class NotFinite(Exception):
    """Something became NaN or infinite in the steps up to ``step``."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class DryRun(Exception):
    """Everything is known that ``--dry-run`` asks for; nothing was trained."""
