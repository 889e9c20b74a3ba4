"""The learning-rate range test: one short training of growing rate shows which rates train.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flaxmill.commands.request import TrainRequest
from flaxmill.commands.train import open_run, run_loop, schedule_of
from flaxmill.errors import BadInput
from flaxmill.machine import stopping
from flaxmill.machine.progress import Words
from flaxmill.maths.optim import Ramp
from flaxmill.maths.rate_curve import LEAST, RateCurve, averages, judge
from flaxmill.recipes.loading import border
from flaxmill.training.directory import RunDirectory

_DIVERGED = 4.0  # times the best smoothed loss: the test ends
_COMPUTES = (
    "its optimizer() computes with config.learning_rate, which is a schedule here: give it to "
    "flaxmill.maths.optim's schedules and optimizers as it is, or multiplied."
)


def diverged(losses: Sequence[float]) -> bool:
    """Returns whether the loss has grown too far to come back; a few batches cannot tell that.

    Args:
        losses: Of the steps so far, one or more.
    """
    if not math.isfinite(losses[-1]):
        return True
    if len(losses) < LEAST:
        return False
    smooth = averages(losses)
    return bool(smooth[-1] > _DIVERGED * smooth.min())


def check(request: TrainRequest, steps: int, first: float, last: float) -> None:
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
    if request.seeds != 1:
        raise BadInput(
            f"--seeds {request.seeds}: a range test trains one model; leave --seeds out."
        )
    if request.run is not None or request.fresh:
        option = "--fresh" if request.run is None else f"--run {request.run}"
        raise BadInput(
            f"{option}: a range test keeps no run; leave it out. --init-from RUN begins the test "
            f"with a run's weights."
        )
    if not hasattr(request.config, "learning_rate"):
        raise BadInput(
            f"{request.recipe.name} has no learning_rate in its Config, so no range of it can be "
            f"tried: give the field this name."
        )


def _check_optimizer(request: TrainRequest, tried: Any, steps: int) -> None:
    """Makes sure that a recipe's optimizer takes a schedule in the place of its rate."""
    optimizer = request.recipe.module.optimizer
    optimizer(request.config, steps)  # what it refuses anyhow, it refuses here
    try:
        optimizer(tried, steps)
    except (BadInput, TypeError, ValueError) as error:
        name = request.recipe.name
        raise BadInput(f"the rates of {name} cannot be tried: {_COMPUTES} ({error})") from error


def find(
    request: TrainRequest,
    words: Words,
    steps: int,
    first: float,
    last: float,
    initial: Mapping[str, np.ndarray] | None = None,
) -> RateCurve:
    """Tries a range of learning rates with a recipe's own loop, and leaves no trace.

    Args:
        request: What would be trained: recipe, config, seed and options; resolved.
        words: Speaks to the person.
        steps: Training steps.
        first: The rate of the first step.
        last: The rate of the last step.
        initial: The weights to begin with; None begins with the model's own.

    Raises:
        BadInput: Something given cannot be used, or the recipe does not take its rate from the
            config as flaxmill's optimizers do.
    """
    check(request, steps, first, last)
    splits = border.trainable_splits(request.recipe, request.config)
    batch_size = schedule_of(request, splits).batch_size
    ramp = Ramp(first, last, steps)
    tried = dataclasses.replace(
        request.config,
        learning_rate=ramp,
        epochs=steps * batch_size / len(splits.train),
        log_every=1e-9,  # every step
        evaluate_every=1e9,
    )
    _check_optimizer(request, tried, steps)
    options = dataclasses.replace(request.options, chunk=1, dry_run=True)
    trial = dataclasses.replace(request, config=tried, options=options)
    words.say(splits.note or f"Trying learning rates of {request.recipe.name} on {splits.title}.")
    losses: list[float] = []

    def on_loss(loss: float) -> bool:
        losses.append(loss)
        return diverged(losses)

    with stopping.temporary_folder() as nowhere:
        place = RunDirectory(nowhere)
        run_loop(trial, open_run(trial, splits, initial, place, words, on_loss=on_loss))
    if sum(map(math.isfinite, losses)) < LEAST:
        raise BadInput(
            f"the loss of {request.recipe.name} was not finite after {len(losses)} steps, at a "
            f"rate of {float(ramp(len(losses) - 1)):.2g}. Give a lower --from, or a lower --to "
            f"with more --steps. Or else {_COMPUTES}"
        )
    rates = np.array([float(ramp(step)) for step in range(steps)])
    return judge(rates, losses, diverged=len(losses) < steps or diverged(losses))
