"""How sure a classifier is: probabilities, and the temperature that calibrates them.

NumPy alone, in float64, from logits and labels. A temperature divides the logits before they become
probabilities; it changes how sure a prediction is, never which it is (Guo et al. 2017, "On
calibration of modern neural networks").
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer, Shaped

from flaxmill.errors import BadInput

PRIOR_EXAMPLES = 250
"""How many examples of a calibrated model are taken for granted beside those that were held out.

An estimate of one number from n examples costs on average 1/(2n) nats an example on other data, and
nine times that where the held-out ones are as misleading as in one case of 370 (Wilks 1938). Beside
k examples at temperature 1 it counts for n/(n + k), which leaves 9n/(2(n + k)²) at most, highest
at n = k: 9/(8k). With 250 that is 0.0045 nats, where calibrating is to cost less than 0.005."""
FEWEST = 100
"""With fewer held-out examples there is no temperature: they could cost more than is promised where
a model is not right as it is. Of sixty draws of 30, one made a model that is far too sure surer
still, and the loss rose by 0.015; of 100, it rose by 0.004 at most."""
RANGE = 1e-3, 1e3
"""Temperatures that are searched; `fit_temperature` says why neither end is met."""


def log_probabilities(
    logits: Float[np.ndarray, "example class"], temperature: float = 1.0
) -> Float[np.ndarray, "example class"]:
    """Computes the logarithm of the softmax in float64.

    Args:
        logits: Unnormalised scores.
        temperature: Divides the logits; above 1 it makes the model less sure.

    Returns:
        Log-probabilities; each row's exponentials sum to one.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    return scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))


def label_probabilities(
    logits: Float[np.ndarray, "example class"], temperature: float = 1.0
) -> Float[np.ndarray, "example class"]:
    """Computes the sigmoid in float64: the probability of each of several labels."""
    scaled = logits.astype(np.float64) / temperature
    return np.exp(-np.logaddexp(0, -scaled))


def fit_temperature(
    logits: Float[np.ndarray, "example class"],
    labels: Integer[np.ndarray, " example"],
) -> float:
    """Finds the temperature at which predictions are as often right as their probabilities say.

    It is the one with the least negative log-likelihood (Guo et al. 2017, section 4.2) of these
    examples and, so that few of them do not decide, of `PRIOR_EXAMPLES` more: the same ones over
    again, with labels as the model itself expects them at temperature 1. So n examples count for
    n/(n + 250). Only uncertain ones tell something: where the model is sure of all, and right, next
    to nothing is left to fit a temperature by, and a last term keeps it at 1: the inverse
    temperature b has the density of a Gamma distribution of shape 2 whose peak is at 1, b·exp(-b).
    It weighs as much as a handful of examples.

    All of these are convex in the inverse temperature, so the sign of the slope tells on which side
    the minimum lies, and halving the interval finds it. The last term grows
    without bound towards 0 and infinity: no end of the range is met unless thousands of
    examples speak for it.

    Args:
        logits: Unnormalised scores of examples that the model was not trained on, nor tested.
        labels: Their true classes.

    Returns:
        The temperature.

    Raises:
        BadInput: There are no examples, or the labels are not those of such logits.
    """
    check_classes(logits.shape[-1], labels)
    exact = _finite(logits)
    target = float(exact[np.arange(len(labels)), labels].sum())
    return _fit(exact, target, _class_probabilities)


def fit_label_temperature(
    logits: Float[np.ndarray, "example class"], labels: Float[np.ndarray, "example class"]
) -> float:
    """Finds the temperature as `fit_temperature` does, where probabilities are sigmoids.

    Args:
        logits: Unnormalised scores of examples that the model was not trained on, nor tested.
        labels: Rows of zeros and ones.

    Raises:
        BadInput: There are no examples, or the labels are not those of such logits.
    """
    check_labels(logits, labels)
    exact = _finite(logits)
    return _fit(exact, float((exact * labels).sum()), label_probabilities)


def _finite(logits: np.ndarray) -> np.ndarray:
    if not np.isfinite(logits).all():
        raise BadInput("The logits are not all finite, so that no temperature fits them.")
    return logits.astype(np.float64)


def _fit(
    exact: np.ndarray, target: float, probabilities: Callable[[np.ndarray, float], np.ndarray]
) -> float:
    """Returns the temperature of `fit_temperature`.

    Args:
        exact: Logits in float64.
        target: Sum of the logits of what holds.
        probabilities: From logits and a temperature.
    """

    def expected(temperature: float) -> float:
        return float((probabilities(exact, temperature) * exact).sum())

    prior = PRIOR_EXAMPLES / len(exact)
    uncalibrated = expected(1.0)

    def slope(temperature: float) -> float:
        """Returns the slope of what is minimised, by the inverse temperature."""
        now = expected(temperature)
        return now - target + prior * (now - uncalibrated) + 1 - temperature

    cold, hot = RANGE
    for _ in range(40):  # halves the logarithm's interval, which is 14 wide
        middle = math.sqrt(cold * hot)
        cold, hot = (middle, hot) if slope(middle) > 0 else (cold, middle)
    return math.sqrt(cold * hot)


def enough(examples: int) -> bool:
    """Returns whether so many held-out examples are enough to fit a temperature on."""
    return examples >= FEWEST


def weight(examples: int) -> float:
    """Returns how much held-out examples count in a temperature, from 0 to 1.

    >>> weight(250)
    0.5
    """
    return examples / (examples + PRIOR_EXAMPLES)


def describe(temperature: float | None, held_out: int) -> str:
    """Describes how probabilities come about.

    >>> describe(0.62134, 5000)
    'calibrated on 5,000 held-out examples (temperature 0.62)'
    >>> describe(None, 60)
    'not calibrated: 60 held-out examples are too few to calibrate by (it takes 100)'
    >>> describe(None, 0)
    'not calibrated, for nothing was held out to calibrate by'
    """
    if temperature is not None:
        return f"calibrated on {held_out:,} held-out examples (temperature {temperature:.2f})"
    if not held_out:
        return "not calibrated, for nothing was held out to calibrate by"
    are = f"example{'s are' if held_out > 1 else ' is'}"
    return (
        f"not calibrated: {held_out:,} held-out {are} too few to calibrate by (it takes {FEWEST})"
    )


def check_classes(
    num_classes: int, labels: Shaped[np.ndarray, " example"], what: str = "label"
) -> None:
    """Refuses labels that are not classes.

    Raises:
        BadInput: There are none, or the message names the first of them.
    """
    _check_any(labels)
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(bad):
        raise BadInput(
            f"The {what} of example {bad[0]} is {labels[bad[0]]}, but there are {num_classes} "
            f"classes, 0 to {num_classes - 1}. Were logits and labels taken from the same data?"
        )


def check_labels(logits: np.ndarray, labels: np.ndarray) -> None:
    """Refuses labels of which any number may hold, if they do not go with logits.

    Raises:
        BadInput: There are none, or they have another shape, or are not zeros and ones.
    """
    _check_any(labels)
    if logits.shape != labels.shape or not np.isin(labels, (0, 1)).all():
        raise BadInput(
            f"Labels of shape {labels.shape} do not go with logits of shape {logits.shape}: each "
            f"example needs a 0 or a 1 for every class."
        )


def _check_any(labels: np.ndarray) -> None:
    if not len(labels):
        raise BadInput("There is no example to compute statistics of: at least one is needed.")


def _class_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    return np.exp(log_probabilities(logits, temperature))
