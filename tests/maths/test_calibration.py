"""A temperature makes probabilities as sure as answers are right, or leaves them as they are."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.maths import calibration
from flaxmill.maths.calibration import (
    fit_label_temperature,
    fit_temperature,
    label_probabilities,
    log_probabilities,
)
from flaxmill.tasks.answers import labels as several
from flaxmill.tasks.answers import one_class


def draw(
    seed: int, examples: int = 4000, scale: float = 1.0, classes: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax: calibrated at temperature 1; then scaled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (examples, classes)).astype(np.float32)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(-1)  # the Gumbel-max trick
    return logits * np.float32(scale), labels


def draw_labels(seed: int, examples: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """The same where each of several labels holds or not."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (examples, 3)).astype(np.float32)
    labels = (rng.uniform(size=logits.shape) < label_probabilities(logits)).astype(np.float32)
    return logits, labels


def loss(
    logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0, kind: Any = one_class
) -> float:
    """The mean loss in nats."""
    return kind.tally(logits, labels, temperature).calibration(calibrated=True)[1]


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 8.0])
def test_of_many_examples_a_known_scale_is_recovered(scale: float) -> None:
    # The standard error is about 1 %; 250 in 10,250 parts are left at what is usual.
    assert fit_temperature(*draw(4, 10_000, scale)) == pytest.approx(scale, rel=0.06)
    logits, labels = draw_labels(4, 10_000)
    fitted = fit_label_temperature(logits * np.float32(scale), labels)
    assert fitted == pytest.approx(scale, rel=0.06)


@pytest.mark.parametrize(("drawn", "kind"), [(draw, one_class), (draw_labels, several)])
def test_the_loss_of_very_many_examples_is_least(
    drawn: Callable[..., tuple[np.ndarray, np.ndarray]],
    kind: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration, "PRIOR_EXAMPLES", 0)
    logits, labels = drawn(5)
    logits = logits * np.float32(2.5)
    best = kind.fit_temperature(logits, labels)
    least = loss(logits, labels, best, kind)
    for factor in (0.5, 0.98, 1.02, 2):
        assert loss(logits, labels, best * factor, kind) > least


def test_perfect_answers_make_a_model_little_surer() -> None:
    """One mistake in a hundred later on must not cost what certainty would."""
    sure = np.tile(np.array([[3.0, 0.0]], np.float32), (125, 1))  # 95 %
    temperature = fit_temperature(sure, np.zeros(125, np.int32))
    assert 0.8 < temperature < 1
    mistaken = np.arange(125) < 2
    before = loss(sure, mistaken.astype(np.int32))
    assert loss(sure, mistaken.astype(np.int32), temperature) < before + 0.005


def test_where_nothing_is_uncertain_nothing_is_changed() -> None:
    for certain in (30.0, 1000.0):
        logits = np.tile(np.array([[certain, 0.0]], np.float32), (5000, 1))
        labels = np.zeros(5000, np.int32)
        assert fit_temperature(logits, labels) == pytest.approx(1, abs=1e-3)
    assert fit_temperature(0 * logits, labels) == pytest.approx(1, abs=1e-6)  # all are as likely


@pytest.mark.parametrize("examples", [100, 250, 1000])
def test_few_examples_cost_no_more_than_is_promised(examples: int) -> None:
    """Whichever were held out of calibrated ones, the loss of all rises by less than 0.005."""
    logits, labels = draw(6, 8000)
    usual = loss(logits, labels)
    rng = np.random.default_rng(0)
    for _ in range(40):
        some = rng.integers(0, len(labels), examples)
        temperature = fit_temperature(logits[some], labels[some])
        assert loss(logits, labels, temperature) < usual + 0.005


def test_what_cannot_be_fitted_is_said() -> None:
    logits, labels = draw_labels(8, 10)
    with pytest.raises(BadInput, match="each example needs a 0 or a 1 for every class"):
        fit_label_temperature(logits, labels + 0.5)
    with pytest.raises(BadInput, match="no example"):
        fit_label_temperature(logits[:0], labels[:0])
    with pytest.raises(BadInput, match="not all finite"):
        fit_label_temperature(logits * np.inf, labels)


def test_log_probabilities_sum_to_one_at_any_temperature() -> None:
    logits, _ = draw(9, 10)
    for temperature in (1e-3, 1.0, 1e3):
        assert np.exp(log_probabilities(logits, temperature)).sum(-1) == pytest.approx(1)
