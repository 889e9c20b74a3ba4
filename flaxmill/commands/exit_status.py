"""How a command ends: whatever stops it becomes one message and an exit status."""

import contextlib
import errno
import gc
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn

from flaxmill.errors import BadInput, CannotGoOn, Stopped, short
from flaxmill.machine import stopping, terminal
from flaxmill.machine.files import final_name
from flaxmill.recipes.loading.mistakes import TRACEBACK

_NAME = 300  # letters of a file's name that are shown; one alone has 255 at most
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST),  # a file where a folder is meant, or vice versa
)


def exit_with(status_of: Callable[[], int], *, own: bool) -> NoReturn:
    """Exits with a status.

    Args:
        status_of: Runs the command that has it.
        own: Whether this process is the command's own, and ends soon when a signal asks for that.
    """
    with stopping.watching() if own else contextlib.nullcontext():
        status = status_of()
        if own and stopping.pending_stop():
            stopping.exit_at_once(status)
    gc.freeze()  # Python need not look through all of JAX's objects once more before it ends
    sys.exit(status)


def run_command(command: Callable[[], None], *, usual: bool = False) -> int:
    """Runs a command; returns the exit status that its end deserves.

    A signal that would end the process ends the command, in good order.

    Args:
        command: What is run.
        usual: Whether a signal is how it is meant to end: with exit status 0.

    Raises:
        Exception: A defect of ours, whose traceback is wanted.
    """
    try:
        _in_good_order(command, usual)
    except BadInput as trouble:
        if os.environ.get(TRACEBACK):
            terminal.show_traceback(type(trouble), trouble, trouble.__traceback__)
        return _say(2, *trouble.lines)
    except CannotGoOn as trouble:
        return _say(3, *trouble.lines)
    except Stopped as stopped:
        return _say(stopped.status, str(stopped))
    except KeyboardInterrupt:
        return _say(130, stopping.NOTHING_TO_SAVE)
    except BrokenPipeError:  # whoever reads the output, such as head, has seen enough
        terminal.drop_output()
    except OSError as trouble:
        if trouble.errno in _FULL:
            terminal.drop_output()
            return _say(3, f"the disk is full ({_place(trouble, 'no room left')}).")
        if trouble.errno in _REFUSED:
            return _say(2, f"{_place(trouble, 'a file')}: {trouble.strerror}.")
        raise
    except (RuntimeError, AssertionError):
        from flaxmill.devices import parallel

        try:
            parallel.check_platform()
        except BadInput as trouble:
            return _say(2, *trouble.lines)
        raise
    return 0


def _in_good_order(command: Callable[[], None], usual: bool) -> None:
    """Runs a command; a signal ends it, whatever other code has made of its exception."""
    with stopping.scope(usual=usual):
        try:
            command()
            sys.stdout.flush()
        except BaseException:
            if (stopped := stopping.pending_stop()) is not None:
                raise stopped from None
            raise


def speak_plainly() -> None:
    """Makes Python's warnings look like messages, and prints undecodable bytes as escapes."""
    warnings.formatwarning = plain_warning
    sys.excepthook = terminal.show_traceback
    if logging.lastResort is not None:  # what libraries log
        logging.lastResort.setFormatter(terminal.Plain())
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
    return f"flaxmill: {terminal.plain(message)}\n"


def print_if_read(*lines: str) -> None:
    """Prints at once; goes on where whoever read the output, such as head, has seen enough."""
    try:
        terminal.show(*lines, flush=True)
    except BrokenPipeError:
        terminal.drop_output()


def _place(trouble: OSError, otherwise: str) -> str:
    """Returns where something went wrong, by the name that a person knows."""
    return (
        short(final_name(os.fsdecode(trouble.filename)), _NAME) if trouble.filename else otherwise
    )


def _say(status: int, first: str = "", *more: str) -> int:
    terminal.complain(f"flaxmill: {first}", *more)
    return status
