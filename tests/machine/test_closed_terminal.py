"""A terminal that closes takes its words along, and no more."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import fcntl, os, signal, sys, termios
from pathlib import Path
from flaxmill.commands import exit_status
from flaxmill.machine import progress, stopping

fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that the kernel tells of its end, as it does to a shell's
if sys.argv[2] == "left":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

def train():
    words, asked = progress.Words(), stopping.StopRequest(lambda: "stopped; step 7 is saved.")
    words.begin(0, 10)
    asked.can_save = True
    with asked.handling():
        words.say("begun")
        while asked.number is None:
            try:
                os.write(1, b".")
            except OSError:  # it is closed, and nobody asked to stop
                if sys.argv[2] == "left":
                    break
        words.say("SIGHUP: saving step 7 \u2026")
        words.show(7, 10, {"loss": 0.5}, 0.1, 8)
        words.end()
        Path(sys.argv[1]).write_text("step 7")
        asked.check()

exit_status.exit_with(lambda: exit_status.run_command(train), own=True)
"""
"""What a training does, as far as its terminal is concerned."""


@pytest.mark.parametrize(("how", "status"), [("asked", 128 + signal.SIGHUP), ("left", 0)])
def test_what_a_training_says_as_its_terminal_closes_keeps_it_from_nothing(
    how: str, status: int, tmp_path: Path
) -> None:
    """It saves first, or goes on where it was left to itself: SIGHUP is ignored, as by disown."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "saved"), how],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        read = b""
        while b"begun" not in read:
            read += os.read(ours, 4096)
        os.close(ours)
        assert process.wait() == status
    assert (tmp_path / "saved").read_text() == "step 7"
