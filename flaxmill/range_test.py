"""The learning-rate range test: one short training of growing rate shows which rates train.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

import dataclasses
import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float

from flaxmill import weights
from flaxmill.clock import Clock
from flaxmill.data.batches import Schedule
from flaxmill.directory import RunDirectory
from flaxmill.errors import BadInput, DryRun
from flaxmill.loop import TrainChunk
from flaxmill.metrics import Sums
from flaxmill.optim import Ramp
from flaxmill.options import training_arguments
from flaxmill.order import Order, of, parse
from flaxmill.progress import Words
from flaxmill.recipes import Recipe
from flaxmill.run import Run
from flaxmill.state import State
from flaxmill.training import carry_out

DECAY = 0.8  # of the smoothing
_DIVERGED = 4.0  # times the best smoothed loss: the test ends
_CAP = 1.2  # times the first losses: what is worse counts as this bad, or it would drown the rest
_LEAST = 10  # steps that say something
_FALL = 0.02  # share of the first loss by which a loss must fall to count as training
_AS_GOOD = 0.1  # share of the whole fall by which a loss may miss the lowest and be as good


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
        state = super().restore(state, schedule, own)
        self._can_save = False  # a signal is answered at once
        return state

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
        """Says whether the loss has grown too far to come back."""
        if not math.isfinite(self.losses[-1]):
            return True
        averages = _average(self.losses)
        return bool(averages[-1] > _DIVERGED * averages.min())

    def save_if_due(self, step: int, state: State) -> None:
        """Saves nothing."""


def arguments(config: type) -> type:
    """Returns what ``lr-find`` takes beside recipe and preset: the options of train, and its own.

    Args:
        config: The recipe's kind of config.
    """
    from tyro.conf import arg

    def said(form: Any, words: str, **how: Any) -> Any:
        return Annotated[form, arg(help=words, **how)]

    of_test = [
        ("steps", said(int, "Training steps to try rates in."), 150),
        ("first", said(float, "The lowest rate.", name="from"), 1e-5),
        ("last", said(float, "The highest rate.", name="to"), 10.0),
        ("out", said(Path | None, "The PNG to write; by default RECIPE-lr-find.png here."), None),
        ("json", said(bool, "Print JSON."), False),
    ]
    return make_dataclass("Arguments", of_test, bases=(training_arguments(config),), frozen=True)


def command(recipe: Recipe, given: list[str], program: str) -> None:
    """Tries rates as a command says, writes the curve, and prints what is suggested.

    Args:
        recipe: The recipe that was named.
        given: What follows it.
        program: What was typed before them, for the help.
    """
    from flaxmill.report import figures, rates

    preset, asked = parse(recipe, given, program, arguments(recipe.module.Config))
    order = of(recipe, preset, asked)
    path = order.options.init_from
    order = order.settled(None if path is None else weights.read_initial(path))
    check(order, asked.steps, asked.first, asked.last)
    found = find(order, Words(quiet=asked.json), asked.steps, asked.first, asked.last)
    out = asked.out or Path(f"{recipe.name}-lr-find.png")
    now = order.config.learning_rate
    title = f"{recipe.name} ({preset}): loss of {len(found.losses)} steps of growing rate"
    figures.save_png(rates.draw(found, now=now, title=title), out)
    if asked.json:
        print(json.dumps(found.json() | {"learning_rate": now, "picture": str(out)}))
    else:
        print("\n".join([*said(found, now), f"wrote {out}"]))


def said(found: Found, now: float) -> list[str]:
    """Says what was found, a line each.

    Args:
        found: What was found.
        now: The learning rate of the recipe as it is.
    """
    first, last, curve = found.rates[0], found.rates[-1], found.smoothed
    end = "it diverged" if found.diverged else f"it was {curve[-1]:.3f}"
    lines = [
        f"The loss began at {curve[0]:.3f} and fell to {curve.min():.3f}; at {last:.2g} {end}."
    ]
    if found.suggestion is None:
        return [
            *lines,
            f"No rate from {first:.2g} to {last:.2g} made the loss fall: nothing is suggested. Try "
            f"more --steps, or another range with --from and --to.",
        ]
    lines += [
        f"Up to {found.suggestion:g} it stayed about as low as it ever was: the highest rate of a "
        f"schedule that rises and falls.",
        f"A rate that stays the same may have to be lower: the loss fell fastest at "
        f"{found.steepest:.2g}, and a tenth of the rate where it was lowest is {found.tenth:.2g}.",
        f"suggested --learning-rate {found.suggestion:g}   (now {now:g})",
    ]
    if found.suggestion > 0.9 * last:
        lines.insert(1, "The highest rate did no harm: a higher --to may tell more.")
    return lines


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


def find(order: Order, words: Words, steps: int, first: float, last: float) -> Found:
    """Tries a range of learning rates with a recipe's own loop, and leaves no trace.

    Args:
        order: What would be trained: recipe, config, seed and options.
        words: Speaks to the person.
        steps: Training steps.
        first: The rate of the first step.
        last: The rate of the last step.

    Raises:
        BadInput: Something given cannot be used, or the recipe does not take its rate from the
            config as flaxmill's optimizers do.
    """
    module = order.recipe.module
    splits = module.data(order.config)
    batch_size = Schedule(order.config, len(splits.train)).batch_size
    order.options.check(batch_size, splits.train)
    ramp = Ramp(first, last, steps)
    config = dataclasses.replace(
        order.config,
        learning_rate=ramp,
        epochs=steps * batch_size / len(splits.train),
        log_every=1e-9,  # every step
        evaluate_every=1e9,
    )
    path = order.options.init_from
    initial = None if path is None else weights.read_initial(path)
    words.say(splits.note or f"Trying learning rates of {order.recipe.name} on {splits.title}.")
    with tempfile.TemporaryDirectory() as nowhere:
        run = Trial(
            directory=RunDirectory(Path(nowhere)),
            identity=order.identity(splits, initial),
            signature=module.signature(config, splits),
            options=dataclasses.replace(order.options, chunk=1, dry_run=True),
            clock=Clock(),
            words=words,
            splits=splits,
            measure=module.measure,
            recipe=order.recipe.text,
            initial=initial,
        )
        carry_out(dataclasses.replace(order, config=config), run)
    if sum(map(math.isfinite, run.losses)) < _LEAST:
        raise BadInput(
            f"the loss of {order.recipe.name} was not finite after {len(run.losses)} steps at a "
            f"rate of {first:g} and little more. Give a lower --from; or else its optimizer() "
            f"computes with config.learning_rate, which is a schedule here: give it to "
            f"flaxmill.optim's schedules and optimizers as it is, or multiplied."
        )
    rates = np.array([float(ramp(step)) for step in range(steps)])
    return judge(rates, run.losses, diverged=len(run.losses) < steps or run.diverged())
