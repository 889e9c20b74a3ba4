"""Statistics of several labels, beside their definitions worked out the slow way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.maths import label_statistics
from flaxmill.maths.losses import sigmoid_cross_entropy
from flaxmill.maths.metrics import Sums, label_measures
from flaxmill.tasks.answers import labels as several


def drawn(examples: int = 200, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are right more often than not, in steps so that some are equal."""
    rng = np.random.default_rng(0)
    labels = (rng.random((examples, classes)) < [0.5, 0.3, 0.1, 0.02]).astype(np.float32)
    logits = np.round(rng.normal(0, 1.5, labels.shape) + 3 * (labels - 0.5), 1)
    return logits.astype(np.float32), labels


def slow_average_precision(scores: np.ndarray, holds: np.ndarray) -> float:
    """The sum over thresholds of (rise in recall) × (precision there)."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        predicted = scores >= threshold
        recall, precision = holds[predicted].sum() / holds.sum(), holds[predicted].mean()
        total, before = total + (recall - before) * precision, recall
    return total


def test_average_precision_is_the_area_under_its_steps() -> None:
    logits, labels = drawn()
    precision = label_statistics.label_metrics(logits, labels).average_precision
    expected = [slow_average_precision(logits[:, i], labels[:, i] > 0) for i in range(4)]
    np.testing.assert_allclose(precision, expected, rtol=1e-12)
    perfect = label_statistics.average_precision(np.array([2.0, 1.0]), np.array([True, False]))
    assert perfect == 1
    assert np.isnan(label_statistics.average_precision(np.zeros(2), np.zeros(2, bool)))


def test_the_f1_of_an_evaluation_is_that_of_all_its_labels() -> None:
    logits, labels = drawn()
    parts = [slice(0, 150), slice(150, 200)]
    sums = [Sums.of(label_measures(jnp.asarray(logits[p]), jnp.asarray(labels[p]))) for p in parts]
    means = sums[0].merge(sums[1]).means()
    predicted, holds = logits > 0, labels > 0
    assert means["f1"] == pytest.approx(
        2 * (predicted & holds).sum() / (predicted.sum() + holds.sum())
    )
    assert means["accuracy"] == pytest.approx((predicted == holds).mean())
    assert means["exact"] == pytest.approx((predicted == holds).all(-1).mean())
    assert several.accuracy(logits, labels).mean() == pytest.approx(means["accuracy"])
    assert several.correct(logits, labels).mean() == pytest.approx(means["exact"])


def test_the_loss_is_the_mean_binary_cross_entropy() -> None:
    logits, labels = drawn()
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    each = -(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    losses = sigmoid_cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    np.testing.assert_allclose(losses, each.mean(-1), rtol=1e-5)
    assert label_statistics.label_loss(logits, labels) == pytest.approx(each.mean(), rel=1e-9)
    soft = 0.8 * labels + 0.1
    smoothed = sigmoid_cross_entropy(jnp.asarray(logits), jnp.asarray(labels), label_smoothing=0.2)
    expected = -(soft * np.log(p) + (1 - soft) * np.log(1 - p)).mean(-1)
    np.testing.assert_allclose(smoothed, expected, rtol=1e-5)
    with pytest.raises(BadInput, match=r"--label-smoothing 1\.5 must be from 0"):
        sigmoid_cross_entropy(jnp.zeros((1, 2)), jnp.zeros((1, 2)), label_smoothing=1.5)


def test_calibration_counts_every_label_once() -> None:
    logits, labels = drawn()
    calibration = label_statistics.label_calibration(logits, labels)
    assert calibration.counts.sum() == labels.size
    p = np.asarray(jax.nn.sigmoid(logits))
    in_bin = (p > calibration.edges[7]) & (p <= calibration.edges[8])
    assert calibration.counts[7] == in_bin.sum()
    assert calibration.accuracy[7] == pytest.approx(labels[in_bin].mean())


def test_the_worst_mistakes_are_the_surest_wrong_labels() -> None:
    logits = np.array([[5.0, -1.0], [-9.0, 2.0], [1.0, 1.0]], np.float32)
    labels = np.array([[0, 0], [1, 1], [1, 1]], np.float32)
    worst = label_statistics.worst_label_mistakes(logits, labels, 5)
    assert [index for index, _ in worst] == [1, 0]
    np.testing.assert_allclose(worst[0][1], [1 / (1 + np.exp(-9.0)), 0])
