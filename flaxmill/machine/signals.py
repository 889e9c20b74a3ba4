"""The signals that ask a process to end: which they are here, and which process gets them."""

import contextlib
import signal
import sys
from collections.abc import Collection, Iterator

KEYBOARD = frozenset({signal.SIGINT, signal.SIGQUIT})
"""A person's own: given a second time, they mean at once."""
ALWAYS = frozenset({signal.SIGINT, signal.SIGTERM})
"""What asks a training to stop, whatever stood there before."""
_NOT_ENDING = frozenset(
    (
        *("SIGCHLD", "SIGCLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGINFO"),  # nothing happens
        *("SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"),  # a process waits
        *(("SIGIO",) if sys.platform == "darwin" else ()),
    )
)
_FAULTS = frozenset(
    (
        *("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGIOT", "SIGTRAP", "SIGSYS"),
        *("SIGEMT", "SIGSTKFLT"),
    )
)
"""After these nothing can be trusted, the state least of all."""
_NOT_OURS = frozenset({"SIGKILL", "SIGPIPE"})  # cannot be caught; is an error of writing instead


def name(number: int) -> str:
    """Returns the name of a signal.

    >>> name(15)
    'SIGTERM'
    """
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"


def ending() -> frozenset[int]:
    """Returns the signals of this platform that end a process, and can be caught."""
    left_alone = _NOT_ENDING | _FAULTS | _NOT_OURS
    return frozenset(int(one) for one in signal.valid_signals() if name(one) not in left_alone)


@contextlib.contextmanager
def blocked(numbers: Collection[int]) -> Iterator[None]:
    """Blocks signals inside, in this thread and whatever it starts: they wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def blocked_for_children() -> contextlib.AbstractContextManager[None]:
    """Blocks the signals that ask for an end in processes that are started inside.

    A terminal, Slurm and systemd send it to all processes of a command, and a run whose readers end
    could not go on to where it saves.
    """
    return blocked(ending())
