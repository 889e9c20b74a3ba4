"""A limit in seconds, for a benchmark of which one call may not take longer."""

import subprocess
import time
from typing import Any

GRACE = 50  # seconds that a process may take to save its state


class Deadline:
    """The moment at which a call has to stop.

    Args:
        limit: Seconds from now.
    """

    def __init__(self, limit: float) -> None:
        self._end = time.monotonic() + limit

    def left(self) -> float:
        """Returns the seconds until then."""
        return max(0.0, self._end - time.monotonic())


def ended(command: list[str], deadline: Deadline, output: Any = subprocess.DEVNULL) -> bool:
    """Runs a command to its end, or asks it to stop (SIGTERM) at the deadline; says which.

    Raises:
        CalledProcessError: It failed by itself.
    """
    if not deadline.left():
        return False
    with subprocess.Popen(command, stdout=output) as process:
        try:
            process.wait(deadline.left())
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            return False
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return True
