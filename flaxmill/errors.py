"""What can go wrong that is not a defect of flaxmill: shown as one message, without a traceback."""

import difflib
from collections.abc import Iterable
from typing import Any

_LINE = 80
"""Characters that a message quotes of one thing: no more than a line."""
_NAMES = 12  # that a message lists
_KNOWN = 50  # of which one was meant


class FlaxmillError(Exception):
    """An error that is shown as a message, without a traceback.

    Args:
        lines: Of the message. A line break within one comes from what it quotes, and is shown as an
            escape.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    def __str__(self) -> str:
        return "\n".join(self.lines)


class BadInput(FlaxmillError, ValueError):
    """An input that cannot be used; the message says what, where and how to mend it.

    The command line shows the message alone and ends with exit status 2.
    """


class Unreadable(BadInput):
    """An example cannot be read; the message names its file, or else its index."""


class TooLarge(BadInput):
    """A picture that would take too much time or memory; the message says why."""


class CannotGoOn(FlaxmillError, RuntimeError):
    """The run cannot continue (not a number, full disk); its last good state is kept.

    The command line shows the message alone and ends with exit status 3.
    """


def quoted(value: Any, most: int = _LINE) -> str:
    """Quotes a value for a message: of a long one, its beginning and length.

    Args:
        value: A cell of a table, the name of a column or class, or the like.
        most: Characters that are quoted of it.

    >>> quoted("cat"), quoted("a" * 1000, 4), quoted(b"a" * 1000, 4)
    ("'cat'", "'aaaa…' (1,000 characters)", "b'aaaa…' (1,000 bytes)")
    """
    if not isinstance(value, str | bytes):
        shown = repr(value)
        return shown if len(shown) <= most else f"{shown[:most]}… ({len(shown):,} characters)"
    shown = repr(value[: most + 1])
    if len(value) <= most and len(shown) <= 2 * most:  # escapes are longer than what they stand for
        return shown
    unit = "characters" if isinstance(value, str) else "bytes"
    return f"{repr(value[:most])[:-1][: most + 2]}…{shown[-1]} ({len(value):,} {unit})"


def describe(value: Any) -> str:
    """Describes a value for a message: its type, and the value itself where that is short.

    >>> describe(3), describe([1.5] * 20)
    ('an int (3)', 'a list')
    """
    kind, shown = type(value).__name__, repr(value)
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    return f"{article} {kind} ({shown})" if len(shown) <= 30 else f"{article} {kind}"


def short(text: str, most: int = _LINE) -> str:
    """Returns a name, of a long one the beginning.

    >>> short("cat"), short("catfish", 4)
    ('cat', 'cat…')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Iterable[Any], most: int = _NAMES) -> str:
    """Returns the first of many names, and how many more there are.

    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(quoted(name) for name in names[:most]) + more


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns the end of an error message: which known name was probably meant.

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
    close = difflib.get_close_matches(name[:_LINE], known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {quoted(close[0])}?"
    return f" There are: {listed(known, _KNOWN)}." if known else ""


def check_range(option: str, value: float, least: float, most: float) -> None:
    """Refuses a number that is out of its range, under the name of its option.

    Args:
        option: Such as ``--crop``.
        value: Of the option.
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
        signal: The number of the signal.
        status: The exit status that it deserves: 128 more, or 0 for what ends in no other way.
    """

    def __init__(self, signal: int, words: str, *, usual: bool = False) -> None:
        super().__init__(words)
        self.signal = signal
        self.status = 0 if usual else 128 + signal


class NotFinite(Exception):
    """Something became NaN or infinite in the steps up to ``step``."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step
