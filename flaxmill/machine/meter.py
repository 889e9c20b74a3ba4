"""How fast a run goes: throughput, time left, and how long its device waits for data."""

from typing import Any

import jax

from flaxmill.machine.clock import WAITING, Clock


class Meter:
    """Measures between the rows of a log.

    Args:
        clock: Where the run's seconds go.
        step: Training steps done before.

    Attributes:
        step_seconds: Of a step, measured when the training function was compiled; None before.
    """

    def __init__(self, clock: Clock, step: int = 0) -> None:
        self._clock, self._step = clock, step
        self.step_seconds: float | None = None
        self._newest: Any = None
        self._since = clock.seconds()

    def begin(self, step_seconds: float) -> None:
        """Begins to measure: the training function is compiled."""
        self.step_seconds, self._since = step_seconds, self._clock.seconds()

    def track(self, sums: Any) -> None:
        """Tracks the newest call of the training function, by the arrays that it returns."""
        self._newest = sums

    def busy(self) -> bool:
        """Whether the device still has training to do."""
        leaves = jax.tree.leaves(self._newest)
        done = (leaf.is_ready() for leaf in leaves if isinstance(leaf, jax.Array))  # pyrefly: ignore
        return not all(done)

    def add_wait(self, seconds: float) -> None:
        """Adds seconds in which the device had no work because the next chunk was not there."""
        self._clock.add(WAITING, seconds)

    def pace(self, step: int) -> tuple[float, float]:
        """Returns the seconds a step takes, and the share of them that the device waits for data.

        Args:
            step: Training steps done.
        """
        now = self._clock.seconds()
        spent, waited = (now[phase] - self._since[phase] for phase in ("train", WAITING))
        idle = min(1.0, round(waited / max(spent, 1e-9), 4))
        done = step - self._step
        return spent / done if done > 0 else self.step_seconds or 0.0, idle

    def training_speed(self, step: int, batch_size: int) -> dict[str, float]:
        """Returns the speed figures of a row of training metrics; the next row begins here.

        Args:
            step: Training steps done.
            batch_size: Examples a step.
        """
        seconds, idle = self.pace(step)
        now = self._clock.seconds()
        self._step, self._since = step, now | {"evaluate": self._since["evaluate"]}
        return {**_speed(batch_size, seconds, now), "idle": idle}

    def evaluation_speed(self, examples: float) -> dict[str, float]:
        """Returns the speed figures of a row of an evaluation."""
        now = self._clock.seconds()
        spent = now["evaluate"] - self._since["evaluate"]
        self._since = self._since | {"evaluate": now["evaluate"]}
        return _speed(examples, spent, now)


def _speed(examples: float, spent: float, now: dict[str, float]) -> dict[str, float]:
    rate = round(examples / max(spent, 1e-9), 1)
    return {"examples_per_second": rate, "seconds": now["total"]}
