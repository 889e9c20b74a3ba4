"""What a learning-rate range test shows: the loss over a growing rate, and what it suggests.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

DECAY = 0.8  # of the smoothing
_CAP = 1.2  # times the first losses: what is worse counts as this bad, or it would drown the rest
LEAST = 10  # steps that say something
_FALL = 0.02  # share of the first loss by which a loss must fall to count as training
_AS_GOOD = 0.1  # share of the whole fall by which a loss may miss the lowest and be as good


@dataclass(frozen=True, eq=False)
class RateCurve:
    """The result of a range test.

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
        """Returns the suggestion in a line."""
        best = "nothing" if self.suggestion is None else f"learning_rate={self.suggestion:g}"
        return f"<RateCurve: {best} is suggested, after {len(self.losses)} steps>"

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
    forwards = averages(losses)
    return (forwards + averages(losses[::-1])[::-1]) / 2


def averages(losses: Sequence[float] | np.ndarray) -> Float[np.ndarray, " step"]:
    """Returns the exponential moving average after each step, corrected for its start."""
    means, mean = np.zeros(len(losses)), 0.0
    for step, loss in enumerate(losses):
        mean = DECAY * mean + (1 - DECAY) * float(loss)
        means[step] = mean / (1 - DECAY ** (step + 1))
    return means


def judge(rates: np.ndarray, losses: Sequence[float], *, diverged: bool) -> RateCurve:
    """Suggests a learning rate.

    Args:
        rates: The learning rate of each step.
        losses: The loss of each step.
        diverged: Whether the test ended early.
    """
    rates, raw = rates[: len(losses)], np.asarray(losses, np.float64)
    finite = np.where(np.isfinite(raw), raw, np.inf)
    curve = smoothed(np.minimum(finite, _CAP * np.median(finite[: LEAST // 2])))
    lowest = int(curve.argmin())
    fall = curve[0] - curve[lowest]
    if fall < _FALL * curve[0]:
        return RateCurve(rates, raw, curve, diverged, None, None, None)
    steepest = int(np.gradient(curve, np.log(rates))[: lowest + 1].argmin())
    worse = np.flatnonzero(curve[lowest:] > curve[lowest] + _AS_GOOD * fall)
    edge = lowest + int(worse[0]) - 1 if worse.size else len(curve) - 1
    suggestion = float(f"{rates[edge]:.1e}")
    tenth = float(rates[lowest]) / 10
    return RateCurve(rates, raw, curve, diverged, float(rates[steepest]), tenth, suggestion)
