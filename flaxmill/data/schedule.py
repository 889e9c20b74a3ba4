"""All the durations of a run, in steps: when it logs, when it evaluates, when it ends."""

import math
from typing import Protocol, runtime_checkable

from flaxmill.errors import BadInput


@runtime_checkable
class Durations(Protocol):
    """The durations in a recipe's ``Config``, all but ``batch_size`` in epochs."""

    @property
    def epochs(self) -> float:
        """How often every training example is seen."""

    @property
    def batch_size(self) -> int:
        """Examples a step."""

    @property
    def log_every(self) -> float:
        """Epochs between rows of training metrics."""

    @property
    def evaluate_every(self) -> float:
        """Epochs between evaluations."""

    @property
    def evaluate_on(self) -> str:
        """The split that those evaluations use."""

    @property
    def validation(self) -> int | float:
        """Training examples held out: how many, or which share; 0 for none."""


class Schedule:
    """All the durations of a run, in steps: when it logs, when it evaluates, when it ends.

    Args:
        config: A recipe's config, in epochs.
        examples: Number of training examples, which is an epoch.

    Attributes:
        steps: Training steps in all.
        batch_size: Examples a step.
        steps_per_epoch: Steps an epoch, not rounded.

    Raises:
        BadInput: A duration or the batch size is not positive.
    """

    def __init__(self, config: Durations, examples: int) -> None:
        for name in ("epochs", "batch_size", "log_every", "evaluate_every"):
            if not 0 < getattr(config, name) < math.inf:
                flag = "--" + name.replace("_", "-")
                raise BadInput(f"{flag} {getattr(config, name)} must be a number greater than 0.")
        if config.batch_size > examples:
            raise BadInput(
                f"--batch-size {config.batch_size:,} is larger than the {examples:,} training "
                f"examples: give a number from 1 to {examples:,}."
            )
        self.batch_size = config.batch_size
        self.steps_per_epoch = examples / config.batch_size
        self.steps = max(1, round(config.epochs * self.steps_per_epoch))
        self._log = max(1.0, config.log_every * self.steps_per_epoch)
        self._evaluate = max(1.0, config.evaluate_every * self.steps_per_epoch)
        held_out = config.evaluate_on != "validation" or config.validation
        self._evaluated = (config.evaluate_on,) if held_out else ()

    def epoch(self, step: int) -> float:
        """Returns how many epochs a number of steps is."""
        return round(step / self.steps_per_epoch, 4)

    def logs(self, step: int) -> bool:
        """Whether a row of training metrics ends with this step (the last one always)."""
        return step == self._next(step - 1, self._log)

    def evaluates(self, step: int) -> tuple[str, ...]:
        """Returns the splits to evaluate after this step."""
        return self._evaluated if step == self._next(step - 1, self._evaluate) else ()

    def next_stop(self, step: int) -> int:
        """Returns the next step after ``step`` at which the host has something to do."""
        stops = [self._next(step, self._log)]
        if self._evaluated:
            stops.append(self._next(step, self._evaluate))
        return min(stops)

    def _next(self, step: int, every: float) -> int:
        """Returns the first multiple of ``every``, in whole steps, that comes after ``step``."""
        count = max(1, math.floor(step / every))
        while round(count * every) <= step:
            count += 1
        return min(round(count * every), self.steps)
