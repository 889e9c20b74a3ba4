"""What is shown while a run trains: facts first, then a bar with the time left."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from flaxmill.machine import terminal
from flaxmill.machine.terminal import lossy

_SHARES = ("accuracy", "exact", "f1", "top5_accuracy")
"""The metrics of flaxmill's own recipes that are shares, shown in percent.

Nothing is assumed of a fork's own metric by its name.
"""
_PLAIN_SECONDS = 10.0
"""Seconds between progress lines where there is no terminal."""
_IDLE = 0.05
"""Share of the time that a device may wait for data before a line says so."""


def duration(seconds: float, *, fine: bool = False) -> str:
    """Returns a duration in words; a fine one has about three digits.

    >>> duration(8.24), duration(75), duration(7300), duration(0.314, fine=True)
    ('8.2 s', '1 min 15 s', '2 h 1 min', '0.31 s')
    """
    if seconds < 60:
        return f"{seconds:.{2 if fine and seconds < 10 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def is_share(name: str) -> bool:
    """Whether a metric is known to be a share."""
    return name in _SHARES


def figure(name: str, value: float, deviation: float | None = None) -> str:
    """Returns the value of a metric in words.

    >>> figure("accuracy", 0.9), figure("loss", 0.25, 0.01), figure("penalty", 0.00001234)
    ('90.00 %', '0.2500 ± 0.0100', '1.234e-05')
    """
    numbers = [value] if deviation is None else [value, deviation]
    if is_share(name):
        return " ± ".join(f"{100 * number:.2f}" for number in numbers) + " %"
    fits = value == 0 or 1e-3 <= abs(value) < 1e6
    return " ± ".join(f"{number:.4f}" if fits else f"{number:.4g}" for number in numbers)


def figures(means: Mapping[str, Any], deviations: Mapping[str, Any] | None = None) -> str:
    """Returns metrics in words.

    Args:
        means: Metrics.
        deviations: Their standard deviations over several seeds, where there are any.

    >>> figures({"loss": 0.25, "accuracy": 0.9, "examples": 10_000})
    'loss 0.2500, accuracy 90.00 %'
    >>> figures({"loss": 0.25, "accuracy": 0.9}, {"loss": 0.01, "accuracy": 0.002})
    'loss 0.2500 ± 0.0100, accuracy 90.00 ± 0.20 %'
    """
    shown = [
        f"{name} {figure(name, value, deviations[name] if deviations else None)}"
        for name, value in means.items()
        if isinstance(value, float)
    ]
    return ", ".join(shown)


class Words:
    """Prints how a run goes: a live bar in a terminal, plain lines elsewhere.

    Args:
        quiet: Whether to print nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        how: dict[str, Any] = {"highlight": False, "emoji": False, "soft_wrap": True}
        self._console = Console(file=lossy(sys.stdout), quiet=quiet, **how)
        self._quiet = quiet
        self._bar: Progress | None = None
        self._task: Any = None
        self._spoken = time.monotonic()

    def say(self, text: str) -> None:
        """Prints a line."""
        self._console.print(terminal.plain(text), markup=False)

    def facts(self, rows: Mapping[str, str]) -> None:
        """Prints a small table of names and values."""
        width = max(map(len, rows))
        for name, value in rows.items():
            self.say(f"  {name:{width}}  {value}")

    def begin(self, done: int, total: int) -> None:
        """Begins to show how far the training is, in steps."""
        self._spoken = time.monotonic()
        if self._quiet or not self._console.is_terminal or self._console.is_jupyter:
            return
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %  step {task.completed:,}/{task.total:,}"),
            TextColumn("{task.fields[words]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("train", total=total, completed=done, words="")
        self._bar.start()

    def due(self) -> bool:
        """Whether it is time to show figures again."""
        pause = 0.25 if self._bar is not None else _PLAIN_SECONDS
        return not self._quiet and time.monotonic() - self._spoken >= pause

    def show(
        self,
        step: int,
        total: int,
        means: Mapping[str, float],
        seconds: float,
        batch_size: int,
        idle: float = 0.0,
    ) -> None:
        """Shows metrics on the way.

        Args:
            step: Steps done.
            total: Steps in all.
            means: Metrics since the last row.
            seconds: Of a step.
            batch_size: Examples a step.
            idle: Share of the time for which the device waits for data.
        """
        self._spoken = time.monotonic()
        speed = f"{batch_size / seconds:,.0f} examples/s" if seconds else "…"
        words = f"{figures(means)}, {speed}, {duration(seconds * (total - step))} left"
        if idle > _IDLE:
            words += f", {100 * idle:.0f} % of the time waiting for data"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, words=terminal.plain(words))
        else:
            self.say(f"  step {step:,} of {total:,}: {words}")

    def end(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class DownloadProgress:
    """Shows how far a download is: a bar in a terminal, nothing elsewhere but the end.

    Called with a file's name, the bytes that are here, and the bytes in all.
    """

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(file=lossy(sys.stderr)),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "DownloadProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Shows one file's progress."""
        self._bar.start()  # once something arrives, and not for a look at what is here already
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=total)
        self._bar.update(self._tasks[name], completed=done, total=total)


class ReadingProgress:
    """Shows how many files are read, and the time left: a bar in a terminal, lines elsewhere.

    Called with the number of files that are read, and of all.
    """

    def __init__(self) -> None:
        self._console = Console(file=lossy(sys.stderr), highlight=False)
        self._bar = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %  read {task.completed:,} of {task.total:,}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._began = self._spoken = time.monotonic()

    def __enter__(self) -> "ReadingProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Shows how far it is."""
        if self._console.is_terminal:
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task("read", total=total)
            self._bar.update(self._task, completed=done)
        elif time.monotonic() - self._spoken >= _PLAIN_SECONDS:
            self._spoken = time.monotonic()
            left = duration((self._spoken - self._began) / done * (total - done))
            self._console.print(f"  read {done:,} of {total:,}, {left} left", soft_wrap=True)
