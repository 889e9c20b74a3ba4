"""What reaches a terminal: lines, in which whatever they quote stays text.

The names of files, classes and tensors come from others, and so do the messages of libraries. A
control character in one of them could move the cursor, a line break could look like a line of ours,
and a mark of bidirectional text could turn a word around. So everything that a command says goes
through here: a line break is where a line ends, and nothing within one does more than be read.
"""

import codecs
import contextlib
import errno
import io
import json
import logging
import os
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

_ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Categories of Unicode that are no text: controls, marks of format, half pairs, ends of lines."""
_JOINING = "\u200c\u200d"
"""Marks of format that words of some languages are written with, and joined emoji."""


def plain(text: Any) -> str:
    r"""Returns text as a line shows it: of what is no letter or space, the escape.

    >>> plain("a\x1b[31m\nb"), plain("\u202ecod.exe"), plain("개미 é")
    ('a\\x1b[31m\\nb', '\\u202ecod.exe', '개미 é')
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(one.encode("unicode_escape").decode() if _acts(one) else one for one in text)


def _acts(one: str) -> bool:
    return unicodedata.category(one) in _ACTING and one not in _JOINING


def show(*lines: Any, file: Any = None, flush: bool = False) -> None:
    """Prints lines.

    Args:
        lines: Without the line breaks at their ends.
        file: A stream; by default the standard output.
        flush: Whether they are written at once, also where they go to a file.
    """
    print("\n".join(map(plain, lines)), file=file, flush=flush)


def complain(*lines: Any) -> None:
    """Prints lines to the standard error, which may be closed."""
    with contextlib.suppress(OSError):
        show(*lines, file=sys.stderr, flush=True)


def show_json(value: Any, *, file: Any = None) -> None:
    """Prints a value as a line of JSON, in which the same characters are escaped in its own way."""
    encoding = getattr(file or sys.stdout, "encoding", None) or "utf-8"
    line = json.dumps(value, ensure_ascii=codecs.lookup(encoding).name != "utf-8")
    if not line.isprintable():
        line = "".join(json.dumps(one)[1:-1] if _acts(one) else one for one in line)
    print(line, file=file)


def write(stream: int, line: str) -> None:
    """Writes a line past Python's buffers, whose lock an interrupted thread may hold."""
    os.write(stream, f"{plain(line)}\n".encode(errors="backslashreplace"))


def lossy(stream: Any) -> Any:
    """Wraps a stream so that what is written to a closed pipe or terminal is lost in silence.

    A training whose terminal was closed goes on if it was left to itself (``disown``), and saves if
    it was not.

    Args:
        stream: Such as the standard output. All but writing is passed on to it.
    """
    return _Lossy(stream)


class _Lossy:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._lost():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._lost():
            self._stream.flush()

    @contextlib.contextmanager
    def _lost(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            drop(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def drop_output() -> None:
    """Drops output that cannot be written: Python would try again at exit, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        drop(sys.stdout)


def drop(stream: Any) -> None:
    """Discards what is written to a stream from now on, and what waits in its buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain_parser_errors(arguments: Iterable[str]) -> contextlib.AbstractContextManager[Any]:
    """Escapes what the errors of a command line's parser quote, where that is not printable.

    Args:
        arguments: Of the command line; a pattern of the shell may have put names of files there.
    """
    if all(map(str.isprintable, arguments)):
        return contextlib.nullcontext()
    return contextlib.redirect_stderr(_Parser(sys.stderr))


class _Parser(io.TextIOBase):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write("\n".join(map(plain, text.split("\n"))))


class Plain(logging.Formatter):
    """Formats log records as single lines without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns a record as one line."""
        return plain(super().format(record))


def show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Prints an error and how it came to it, in the place of `sys.excepthook`."""
    complain(*"".join(traceback.format_exception(kind, error, trace)).rstrip().split("\n"))
