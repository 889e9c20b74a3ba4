"""How a command ends: whatever stops it becomes one message and an exit status."""

import contextlib
import errno
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from flaxmill.errors import BadInput, CannotGoOn, Stopped

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST),  # a file where a folder is meant, or vice versa
)


def after(command: Callable[[], None]) -> int:
    """Runs a command; returns the exit status that its end deserves.

    Raises:
        Exception: A defect of ours, whose traceback is wanted.
    """
    try:
        command()
        sys.stdout.flush()
    except BadInput as trouble:
        return _say(str(trouble), 2)
    except CannotGoOn as trouble:
        return _say(str(trouble), 3)
    except Stopped as stopped:
        return _say(str(stopped), 128 + stopped.signal)
    except KeyboardInterrupt:
        return _say("interrupted; nothing was under way that needed saving.", 130)
    except BrokenPipeError:  # whoever reads the output, such as head, has seen enough
        drop_output()
    except OSError as trouble:
        if trouble.errno in _FULL:
            drop_output()
            return _say(f"the disk is full ({trouble.filename or 'no room left'}).", 3)
        if trouble.errno in _REFUSED:
            return _say(f"{trouble.filename or 'a file'}: {trouble.strerror}.", 2)
        raise
    except (RuntimeError, AssertionError):
        from flaxmill import parallel

        try:
            parallel.check_platform()
        except BadInput as trouble:
            return _say(str(trouble), 2)
        raise
    return 0


@contextlib.contextmanager
def stopping(words: str) -> Iterator[None]:
    """Has what is done inside end in good order on SIGTERM too; only a main thread can.

    Args:
        words: What is said then.

    Raises:
        Stopped: The signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: Any) -> None:
        raise Stopped(number, words)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def speak_plainly() -> None:
    """Has Python's warnings read as messages, and file names that are no text print as escapes."""
    warnings.formatwarning = plain_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def plain_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Words a warning for a person, without the line of code that it comes from."""
    return f"flaxmill: {message}\n"


def print_if_read(words: str) -> None:
    """Prints at once; goes on where whoever read the output, such as head, has seen enough."""
    try:
        print(words, flush=True)
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Drops what cannot be written, which Python would try again, and complain, when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(words: str, status: int) -> int:
    print(f"flaxmill: {words}", file=sys.stderr)
    return status
