"""How what is under way ends when a signal asks for it: Ctrl-C, SIGTERM, a terminal that closes.

Python calls a signal's handler between two of its own instructions, and XLA compiles for many
seconds within one. So a command has a thread that watches too: where nothing needs saving, it ends
what does not end by itself in a moment, and elsewhere it says what is waited for.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from flaxmill.errors import Stopped
from flaxmill.machine import files, signals, terminal

_MOMENT = 0.5
"""Seconds after which a process that has not answered a signal is ended, or says why it waits."""
_MOMENTS = 3
"""So many of them, and a process that has answered it and not ended yet is ended."""
_SHOW_CURSOR = b"\r\x1b[K\x1b[?25h"
"""For a terminal in which a bar was shown."""
NOTHING_TO_SAVE = "interrupted; nothing was under way that needed saving."


@dataclass(frozen=True)
class _Scope:
    """What a signal means for what is under way."""

    on_signal: Callable[[int, Any], None]
    waits: Callable[[], str]
    stopped: Callable[[int], Stopped]


_scopes: list[_Scope] = []
_cleanups: list[Callable[[], object]] = []
_ended: list[Stopped] = []  # what handlers have raised: it may have become another error since
_spoken = threading.Event()


@contextlib.contextmanager
def scope(
    words: str | Callable[[], str] = NOTHING_TO_SAVE,
    *,
    on_signal: Callable[[int, Any], None] | None = None,
    waits: Callable[[], str] = lambda: "",
    always: frozenset[signal.Signals] = frozenset(),
    usual: bool = False,
) -> Iterator[None]:
    """Ends a block in good order on each signal that would end the process; nests.

    A signal that is ignored stays so (``nohup`` has a closed terminal ignored), and a handler that
    somebody else set stays. Only a main thread can have handlers: elsewhere nothing is changed.

    Args:
        words: The message of `Stopped`.
        on_signal: Called with a signal's number and a frame: raises `Stopped`, or notes it for
            later. By default it raises.
        waits: Returns what is waited for before the end, where there is something to save; else
            nothing. May be called by another thread.
        always: Signals that are answered whatever their handler was before.
        usual: Whether this is how it is meant to end: with exit status 0.

    Raises:
        Stopped: A signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stopped(number: int) -> Stopped:
        return Stopped(number, words() if callable(words) else words, usual=usual)

    def stop(number: int, _: Any) -> None:
        raise stopped(number)

    if not _scopes:
        _ended.clear()
        _spoken.clear()
    _scopes.append(_Scope(on_signal or stop, waits, stopped))
    free = {number: signal.getsignal(number) for number in signals.ending()}
    replaced = {
        number: handler
        for number, handler in free.items()
        if handler is not _answer
        and handler is not None  # one that is not Python's
        and (handler in (signal.SIG_DFL, signal.default_int_handler) or number in always)
    }
    try:
        for number in replaced:
            signal.signal(number, _answer)
        yield
    finally:
        for number, handler in replaced.items():
            if signal.getsignal(number) is _answer:
                signal.signal(number, handler)
        _scopes.pop()


def _answer(number: int, frame: Any) -> None:
    try:
        _scopes[-1].on_signal(number, frame)
    except Stopped as stopped:
        _ended.append(stopped)
        raise


class StopRequest:
    """Whether a run was asked to stop, which it does when its state is saved.

    Args:
        words: Returns what is saved, for the message.

    Attributes:
        number: Of the first signal that asked for it; None if none did.
        can_save: Whether there is something to save. Until the first steps are done there is not,
            for all is on the disk, nor after the last save.
    """

    def __init__(self, words: Callable[[], str]) -> None:
        self.number: int | None = None
        self.can_save = False
        self._words = words

    def handling(self) -> contextlib.AbstractContextManager[None]:
        """Answers signals inside of a block."""
        return scope(self._words, on_signal=self.handle, waits=self._waits, always=signals.ALWAYS)

    def handle(self, number: int, _: Any = None) -> None:
        """Answers a signal: at once where there is nothing to save, else after the chunk.

        It prints nothing, for it may interrupt something that prints. A second signal means at once
        only if it is from the keyboard: others want the save too, such as the SIGTERM that Slurm
        sends after the warning that it was asked for.

        Raises:
            Stopped: At once.
        """
        again = self.number is not None
        if not self.can_save or (again and number in signals.KEYBOARD):
            raise Stopped(number, self._words())
        if not again:
            self.number = number

    def check(self) -> None:
        """Ends a run that was asked to stop.

        Raises:
            Stopped: It was.
        """
        if self.number is not None:
            raise Stopped(self.number, self._words())

    def _waits(self) -> str:
        if not self.can_save:
            return ""
        return (
            "stopping when the steps or the evaluation under way are done, and saved; "
            "Ctrl-C now does not wait."
        )


@contextlib.contextmanager
def cleaning(clean: Callable[[], object]) -> Iterator[None]:
    """Calls a function when the block ends, also when its process is ended within it."""
    _cleanups.append(clean)
    try:
        yield
    finally:
        _cleanups.remove(clean)
        clean()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Makes a folder that goes when the block ends, also when its process is ended within it.

    One whose process was killed goes when the next one is made.
    """
    place = Path(tempfile.gettempdir(), "flaxmill")
    files.clear_leftovers(place)
    folder, handle = files.create_beside(place, _private_folder)
    with cleaning(lambda: shutil.rmtree(folder, ignore_errors=True)):
        try:
            yield folder
        finally:
            os.close(handle)


def _private_folder(place: Path) -> int:
    place.mkdir(0o700)
    return os.open(place, os.O_RDONLY)


@contextlib.contextmanager
def handled_by_others() -> Iterator[None]:
    """Leaves signals, inside of a block, to something else, such as an event loop."""
    ours = [number for number in signals.ending() if signal.getsignal(number) is _answer]
    if not ours:
        yield
        return
    waking = signal.set_wakeup_fd(-1)
    try:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number in ours:
            signal.signal(number, _answer)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Ends this process, or says what it waits for, a moment after a signal if need be.

    Only for the process of a command, in its main thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before, hook = signal.set_wakeup_fd(writing, warn_on_full_buffer=False), sys.unraisablehook

    def unraisable(trouble: Any) -> None:
        """Ignores a signal's exception where Python drops it: the thread ends the process."""
        if not isinstance(trouble.exc_value, Stopped):
            hook(trouble)

    sys.unraisablehook = unraisable
    thread = threading.Thread(target=_watch, args=[reading], name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.set_wakeup_fd(before)
        os.close(writing)
        thread.join()
        os.close(reading)


def exit_at_once(status: int) -> NoReturn:
    """Ends a process at once: other threads of it may be at work for long."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def pending_stop() -> Stopped | None:
    """Returns the `Stopped` that a signal raised, also if it was swallowed since; None without one.

    The caller is to print its message.
    """
    if not _ended:
        return None
    _spoken.set()
    return _ended[-1]


def _watch(reading: int) -> None:
    """Waits for signals, and then for the end that they ask for, until the pipe is closed."""
    received: list[int] = []
    announced = at_once = False
    moments = 0
    while True:
        if select.select([reading], [], [], _MOMENT if received else None)[0]:
            if not (number := int.from_bytes(os.read(reading, 1))):
                return
            if number in signals.ending() and signal.getsignal(number) is _answer:
                at_once |= bool(received) and number in signals.KEYBOARD
                received.append(number)
                moments = 0
            continue
        moments += 1
        waits = "" if at_once or not _scopes else _scopes[-1].waits()
        if waits and not announced:
            _write(f"flaxmill: {signals.name(received[0])}: {waits}")
            announced = True
        if not waits and moments >= (_MOMENTS if _ended else 1):
            _end(received[-1])


def _end(number: int) -> NoReturn:
    """Ends this process from another thread, when its main one does not come to do so."""

    def clean() -> None:
        for each in reversed(_cleanups):
            with contextlib.suppress(Exception):
                each()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()

    stopped = _scopes[-1].stopped(number) if _scopes else Stopped(number, NOTHING_TO_SAVE)
    helper = threading.Thread(target=clean, daemon=True)
    helper.start()
    helper.join(2)  # what is to be cleaned may itself be what hangs
    for stream in (1, 2):
        if os.isatty(stream):
            os.write(stream, _SHOW_CURSOR)
    if not _spoken.is_set():
        _write(f"flaxmill: {stopped}")
    os._exit(stopped.status)


def _write(words: str) -> None:
    """Writes a line, if that can be written."""
    with contextlib.suppress(OSError):
        terminal.write(2, words)
