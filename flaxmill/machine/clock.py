"""Where the seconds of a run go."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping

PHASES = ("import", "data", "compile", "train", "evaluate", "save")
WAITING = "waiting"
"""Seconds of the phase "train" in which the device had no work, for want of data."""


def process_age() -> float:
    """Returns the seconds since this process was started, so that start-up counts too."""
    try:
        with open("/proc/self/stat") as file:
            ticks = int(file.read().rsplit(")", 1)[1].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # not Linux: from the import of this module on
        return time.perf_counter() - _IMPORTED


_IMPORTED = time.perf_counter()


class Clock:
    """Adds up seconds by phase; the time inside a nested phase counts for that phase alone.

    Args:
        earlier: Seconds by phase of the run's earlier attempts, ``total`` among them.
        origin: `process_age` at which this attempt began: 0 for a command, the moment of the call
            for a notebook that has been open for a day.

    >>> clock = Clock({"train": 10.0, "total": 12.0})
    >>> with clock("train"):
    ...     pass
    >>> clock.seconds()["train"] >= 10.0
    True
    """

    def __init__(self, earlier: Mapping[str, float] | None = None, origin: float = 0.0) -> None:
        self._seconds = dict.fromkeys((*PHASES, WAITING), 0.0)
        self.origin = origin
        self._stack: list[str] = []
        self._since = time.perf_counter()
        self.earlier = dict(earlier or {})
        self.compilations = 0

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Counts the time of a ``with`` block for a phase."""
        self._charge()
        self._stack.append(phase)
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def add(self, phase: str, seconds: float) -> None:
        """Counts time that was measured elsewhere."""
        self._seconds[phase] += seconds

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._stack:
            self._seconds[self._stack[-1]] += now - self._since
        self._since = now

    def seconds(self) -> dict[str, float]:
        """Returns the seconds by phase and in total, earlier attempts included.

        Those of ``waiting`` are a part of ``train``.
        """
        self._charge()
        spent = self._seconds | {"total": process_age() - self.origin}
        return {name: round(spent[name] + self.earlier.get(name, 0.0), 3) for name in spent}
