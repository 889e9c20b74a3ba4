"""The learning-rate range test: one short training of growing rate shows which rates train.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flaxmill.commands.order import Order
from flaxmill.commands.train import carry_out, prepared, schedule_of
from flaxmill.errors import BadInput, DryRun
from flaxmill.machine import stopping
from flaxmill.machine.progress import Words
from flaxmill.maths.metrics import Sums
from flaxmill.maths.optim import Ramp
from flaxmill.maths.rate_curve import LEAST, Found, averages, judge
from flaxmill.recipes.loading import border
from flaxmill.training.directory import RunDirectory
from flaxmill.training.loop import TrainChunk
from flaxmill.training.run import Run
from flaxmill.training.state import State

_DIVERGED = 4.0  # times the best smoothed loss: the test ends
_COMPUTES = (
    "its optimizer() computes with config.learning_rate, which is a schedule here: give it to "
    "flaxmill.maths.optim's schedules and optimizers as it is, or multiplied."
)


class Trial(Run):
    """A run that ends when the loss has grown, and keeps nothing but the losses."""

    def restore(self, state: State, *, own: Sequence[str] = ()) -> State:
        """Returns the state to begin with: ``init_from``, or the fresh one."""
        self.losses: list[float] = []
        return super().restore(state, own=own)

    def compiled(self, train_chunk: TrainChunk, step_seconds: float, slow: list[str]) -> None:
        """Notes that the training function is compiled."""
        self.words.begin(0, self.schedule.steps)
        self.meter.begin(step_seconds)

    def log(self, split: str, step: int, sums: Sums) -> None:
        """Notes the loss of a step.

        Raises:
            DryRun: The test is over.
        """
        if split != "train":
            return
        self.meter.given(sums)
        self.losses.append(sums.means()["loss"])
        if self.words.wanted():
            (seconds, idle), size = self.meter.pace(step), self.schedule.batch_size
            loss = {"loss": self.losses[-1]}
            self.words.show(step, self.schedule.steps, loss, seconds, size, idle)
        if step == self.schedule.steps or self.diverged():
            raise DryRun

    def diverged(self) -> bool:
        """Says whether the loss has grown too far to come back; a few batches cannot tell that."""
        if not math.isfinite(self.losses[-1]):
            return True
        if len(self.losses) < LEAST:
            return False
        smooth = averages(self.losses)
        return bool(smooth[-1] > _DIVERGED * smooth.min())

    def save_if_due(self, step: int, state: State) -> None:
        """Saves nothing."""


def check(order: Order, steps: int, first: float, last: float) -> None:
    """Refuses what a range test cannot do.

    Raises:
        BadInput: The message names the option.
    """
    if steps < LEAST:
        raise BadInput(f"--steps {steps}: a range test takes {LEAST} steps or more.")
    if not 0 < first < last < math.inf:
        raise BadInput(
            f"--from {first:g} --to {last:g}: the first rate must be above 0 and below the last."
        )
    if order.seeds != 1:
        raise BadInput(f"--seeds {order.seeds}: a range test trains one model; leave --seeds out.")
    if order.run is not None or order.fresh:
        given = "--fresh" if order.run is None else f"--run {order.run}"
        raise BadInput(
            f"{given}: a range test keeps no run; leave it out. --init-from RUN begins the test "
            f"with a run's weights."
        )
    if not hasattr(order.config, "learning_rate"):
        raise BadInput(
            f"{order.recipe.name} has no learning_rate in its Config, so no range of it can be "
            f"tried: give the field this name."
        )


def _check_optimizer(order: Order, tried: Any, steps: int) -> None:
    """Makes sure that a recipe's optimizer takes a schedule in the place of its rate."""
    optimizer = order.recipe.module.optimizer
    optimizer(order.config, steps)  # what it refuses anyhow, it refuses here
    try:
        optimizer(tried, steps)
    except (BadInput, TypeError, ValueError) as error:
        name = order.recipe.name
        raise BadInput(f"the rates of {name} cannot be tried: {_COMPUTES} ({error})") from error


def find(
    order: Order,
    words: Words,
    steps: int,
    first: float,
    last: float,
    initial: Mapping[str, np.ndarray] | None = None,
) -> Found:
    """Tries a range of learning rates with a recipe's own loop, and leaves no trace.

    Args:
        order: What would be trained: recipe, config, seed and options; settled.
        words: Speaks to the person.
        steps: Training steps.
        first: The rate of the first step.
        last: The rate of the last step.
        initial: The weights to begin with; None begins with the model's own.

    Raises:
        BadInput: Something given cannot be used, or the recipe does not take its rate from the
            config as flaxmill's optimizers do.
    """
    check(order, steps, first, last)
    splits = border.to_train(order.recipe, order.config)
    batch_size = schedule_of(order, splits).batch_size
    ramp = Ramp(first, last, steps)
    tried = dataclasses.replace(
        order.config,
        learning_rate=ramp,
        epochs=steps * batch_size / len(splits.train),
        log_every=1e-9,  # every step
        evaluate_every=1e9,
    )
    _check_optimizer(order, tried, steps)
    options = dataclasses.replace(order.options, chunk=1, dry_run=True)
    trial = dataclasses.replace(order, config=tried, options=options)
    words.say(splits.note or f"Trying learning rates of {order.recipe.name} on {splits.title}.")
    with stopping.temporary_folder() as nowhere:
        place = RunDirectory(nowhere)
        run = prepared(trial, splits, initial, place, words, kind=Trial)
        carry_out(trial, run)
    if sum(map(math.isfinite, run.losses)) < LEAST:
        raise BadInput(
            f"the loss of {order.recipe.name} was not finite after {len(run.losses)} steps, at a "
            f"rate of {float(ramp(len(run.losses) - 1)):.2g}. Give a lower --from, or a lower --to "
            f"with more --steps. Or else {_COMPUTES}"
        )
    rates = np.array([float(ramp(step)) for step in range(steps)])
    return judge(rates, run.losses, diverged=len(run.losses) < steps or run.diverged())
