"""The learning-rate range test: one short training of growing rate shows which rates train.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flaxmill import border, stopping
from flaxmill.data.batches import Schedule
from flaxmill.directory import RunDirectory
from flaxmill.errors import BadInput, DryRun
from flaxmill.loop import TrainChunk
from flaxmill.metrics import Sums
from flaxmill.optim import Ramp
from flaxmill.order import Order
from flaxmill.progress import Words
from flaxmill.run import Run
from flaxmill.state import State
from flaxmill.training import carry_out, prepared

DECAY = 0.8  # of the smoothing
_DIVERGED = 4.0  # times the best smoothed loss: the test ends
_CAP = 1.2  # times the first losses: what is worse counts as this bad, or it would drown the rest
_LEAST = 10  # steps that say something
_FALL = 0.02  # share of the first loss by which a loss must fall to count as training
_AS_GOOD = 0.1  # share of the whole fall by which a loss may miss the lowest and be as good
_COMPUTES = (
    "its optimizer() computes with config.learning_rate, which is a schedule here: give it to "
    "flaxmill.optim's schedules and optimizers as it is, or multiplied."
)


@dataclass(frozen=True, eq=False)
class Found:
    """What a range test found.

    Attributes:
        rates: The learning rate of each step.
        losses: The mean loss of each step's batch, before that step.
        smoothed: The losses without their noise.
        diverged: Whether the loss grew so much that the test ended early.
        steepest: The rate at which the loss fell fastest; None if it did not fall.
        tenth: A tenth of the rate of the lowest loss; None if it did not fall.
        suggestion: The highest rate, to two digits, up to which the loss stayed about as low as it
            ever was; None if it did not fall.
    """

    rates: Float[np.ndarray, " step"]
    losses: Float[np.ndarray, " step"]
    smoothed: Float[np.ndarray, " step"]
    diverged: bool
    steepest: float | None
    tenth: float | None
    suggestion: float | None

    def __repr__(self) -> str:
        """Says what was found, in a line."""
        best = "nothing" if self.suggestion is None else f"learning_rate={self.suggestion:g}"
        return f"<Found: {best} is suggested, after {len(self.losses)} steps>"

    def json(self) -> dict[str, Any]:
        """Returns everything, for programs; a loss that is not finite is null."""
        rows = {name: getattr(self, name).tolist() for name in ("rates", "losses", "smoothed")}
        rows["losses"] = [loss if math.isfinite(loss) else None for loss in rows["losses"]]
        names = ("suggestion", "steepest", "tenth", "diverged")
        return {name: getattr(self, name) for name in names} | rows


def smoothed(losses: Sequence[float] | np.ndarray) -> Float[np.ndarray, " step"]:
    """Takes the noise off losses: exponential moving averages from both ends, then their mean.

    Each is corrected for its start, as Adam's are; together they do not lag behind.

    >>> smoothed([1.0, 1.0, 1.0]).round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    forwards = _average(losses)
    return (forwards + _average(losses[::-1])[::-1]) / 2


def _average(losses: Sequence[float] | np.ndarray) -> Float[np.ndarray, " step"]:
    averages, mean = np.zeros(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = DECAY * mean + (1 - DECAY) * float(loss)
        averages[step] = mean / (1 - DECAY ** (step + 1))
    return averages


def judge(rates: np.ndarray, losses: Sequence[float], *, diverged: bool) -> Found:
    """Suggests a learning rate.

    Args:
        rates: The learning rate of each step.
        losses: The loss of each step.
        diverged: Whether the test ended early.
    """
    rates, raw = rates[: len(losses)], np.asarray(losses, np.float64)
    finite = np.where(np.isfinite(raw), raw, np.inf)
    curve = smoothed(np.minimum(finite, _CAP * np.median(finite[: _LEAST // 2])))
    lowest = int(curve.argmin())
    fall = curve[0] - curve[lowest]
    if fall < _FALL * curve[0]:
        return Found(rates, raw, curve, diverged, None, None, None)
    steepest = int(np.gradient(curve, np.log(rates))[: lowest + 1].argmin())
    worse = np.flatnonzero(curve[lowest:] > curve[lowest] + _AS_GOOD * fall)
    edge = lowest + int(worse[0]) - 1 if worse.size else len(curve) - 1
    suggestion = float(f"{rates[edge]:.1e}")
    tenth = float(rates[lowest]) / 10
    return Found(rates, raw, curve, diverged, float(rates[steepest]), tenth, suggestion)


class Trial(Run):
    """A run that ends when the loss has grown, and keeps nothing but the losses."""

    def restore(self, state: State, schedule: Schedule, own: Sequence[str] = ()) -> State:
        """Returns the state to begin with: ``init_from``, or the fresh one."""
        self.losses: list[float] = []
        return super().restore(state, schedule, own)

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
        if len(self.losses) < _LEAST:
            return False
        averages = _average(self.losses)
        return bool(averages[-1] > _DIVERGED * averages.min())

    def save_if_due(self, step: int, state: State) -> None:
        """Saves nothing."""


def check(order: Order, steps: int, first: float, last: float) -> None:
    """Refuses what a range test cannot do.

    Raises:
        BadInput: The message names the option.
    """
    if steps < _LEAST:
        raise BadInput(f"--steps {steps}: a range test takes {_LEAST} steps or more.")
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
    batch_size = Schedule(order.config, len(splits.train)).batch_size
    order.options.check(batch_size, splits.train)
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
    words.say(splits.note or f"Trying learning rates of {order.recipe.name} on {splits.title}.")
    with stopping.temporary_folder() as nowhere:
        place = RunDirectory(nowhere)
        run = prepared(
            dataclasses.replace(order, options=options), splits, initial, place, words, kind=Trial
        )
        carry_out(dataclasses.replace(order, config=tried), run)
    if sum(map(math.isfinite, run.losses)) < _LEAST:
        raise BadInput(
            f"the loss of {order.recipe.name} was not finite after {len(run.losses)} steps, at a "
            f"rate of {float(ramp(len(run.losses) - 1)):.2g}. Give a lower --from, or a lower --to "
            f"with more --steps. Or else {_COMPUTES}"
        )
    rates = np.array([float(ramp(step)) for step in range(steps)])
    return judge(rates, run.losses, diverged=len(run.losses) < steps or run.diverged())
