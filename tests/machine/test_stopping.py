"""Signals that ask for an end: which they are, how they are answered, and how soon."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flaxmill.errors import Stopped
from flaxmill.machine import signals, stopping

ENDING = sorted(signals.ending())
ENDED_BY = """
import os, resource, signal

def ends(number):
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(0)
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)

print(*filter(ends, map(int, signal.valid_signals())))
"""
"""Tries each signal on a process that does nothing about it."""
BEGUN = "print('begun', flush=True)"
LONG = f"{BEGUN}; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
"""Takes minutes in one instruction of Python's, with its lock free: as a compilation does."""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_every_signal_that_ends_a_process_is_answered_but_faults() -> None:
    ending = subprocess.run(python(ENDED_BY), capture_output=True, text=True, check=True).stdout
    apart = {int(number) for number in ending.split()} ^ signals.ending()
    assert {signals.name(number) for number in apart} == {
        *("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS"),
        *(("SIGSTKFLT",) if sys.platform == "linux" else ("SIGEMT",)),
        *("SIGKILL", "SIGPIPE"),
    }


@pytest.fixture
def default() -> Iterator[None]:
    """Every signal does what it does by default, whatever pytest's plugins have it do."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default")
def test_each_of_them_stops_what_is_under_way_and_is_given_back() -> None:
    for number in ENDING:
        with pytest.raises(Stopped, match=r"^enough\.$") as stopped, stopping.scope("enough."):
            os.kill(os.getpid(), number)
        assert stopped.value.signal == number
        assert signal.getsignal(number) == signal.SIG_DFL


@pytest.mark.usefixtures("default")
def test_each_of_them_has_a_run_save_first() -> None:
    for number in ENDING:
        asked = stopping.StopRequest(lambda: "stopped; all is kept.")
        with asked.handling():
            asked.can_save = True
            os.kill(os.getpid(), number)
            assert asked.number == number
            os.kill(os.getpid(), signal.SIGTERM)  # as Slurm does after the warning
            assert asked.number == number
            with pytest.raises(Stopped, match="all is kept") as stopped:
                asked.check()
            assert stopped.value.signal == number
            with pytest.raises(Stopped):
                os.kill(os.getpid(), signal.SIGINT)  # a second Ctrl-C does not wait


@pytest.mark.usefixtures("default")
def test_what_is_ignored_and_what_is_somebody_elses_stays_so() -> None:
    received: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    signal.signal(signal.SIGUSR1, lambda number, _: received.append(number))
    with stopping.scope():
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.signal(signal.SIGUSR2, lambda number, _: received.append(number))  # on the way
    os.kill(os.getpid(), signal.SIGUSR2)
    assert received == [signal.SIGUSR1, signal.SIGUSR2]


def test_other_threads_have_no_handlers_to_set() -> None:
    def work() -> None:
        with stopping.scope():
            done.append(signal.getsignal(signal.SIGTERM))

    done: list[object] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGTERM)]


def end_of(code: str, folder: Path, *numbers: int) -> tuple[int, str]:
    """Runs a command that is sent signals when it has begun; returns its status and its errors."""
    program = (
        "import hashlib, time, weakref\n"
        "from flaxmill.commands import exit_status\nfrom flaxmill.machine import stopping\n"
        "def command():\n"
        "    with stopping.temporary_folder():\n"
        f"        {code}\n"
        "exit_status.exit_with(lambda: exit_status.run_command(command), own=True)\n"
    )
    process = subprocess.Popen(
        python(program),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    errors = ""
    for count, number in enumerate(numbers, start=1):
        process.send_signal(number)
        if count < len(numbers):
            errors += process.stderr.readline()
    errors += process.communicate(timeout=30)[1]  # not the minutes that it takes
    assert not list(folder.iterdir())
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_command_ends_soon_also_while_python_cannot_answer(number: int, tmp_path: Path) -> None:
    status, errors = end_of(LONG, tmp_path, number)
    assert status == 128 + number
    assert errors == "flaxmill: interrupted; nothing was under way that needed saving.\n"


def test_an_end_that_nobody_passes_on_comes_all_the_same(tmp_path: Path) -> None:
    hides = f"{BEGUN}; weakref.finalize(set(), time.sleep, 20); {LONG}"
    # What is raised in such a call, Python drops.
    status, errors = end_of(hides, tmp_path, signal.SIGINT)
    assert status == 128 + signal.SIGINT
    assert errors == "flaxmill: interrupted; nothing was under way that needed saving.\n"


def test_a_run_with_something_to_save_says_what_it_waits_for(tmp_path: Path) -> None:
    code = (
        "asked = stopping.StopRequest(lambda: 'stopped; step 7 is saved.'); asked.can_save = True\n"
        "        with asked.handling():\n"
        f"            {LONG}"
    )
    status, errors = end_of(code, tmp_path, signal.SIGUSR1, signal.SIGINT)
    assert status == 128 + signal.SIGINT
    assert errors == (
        "flaxmill: SIGUSR1: stopping when the steps or the evaluation under way are done, and "
        "saved; Ctrl-C now does not wait.\n"
        "flaxmill: stopped; step 7 is saved.\n"
    )
