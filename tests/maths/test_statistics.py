"""The statistics of a classifier, by the properties that define them."""

import math

import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.maths import statistics
from flaxmill.maths.calibration import log_probabilities


def draw(seed: int, examples: int = 4000, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax: calibrated at temperature 1; then scaled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (examples, 5)).astype(np.float32)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(-1)  # the Gumbel-max trick
    return logits * np.float32(scale), labels


def test_confusion_matrices_of_halves_add_up_to_the_whole() -> None:
    logits, labels = draw(0)
    predictions = logits.argmax(-1)
    whole = statistics.confusion_matrix(labels, predictions, 5)
    halves = [
        statistics.confusion_matrix(labels[part], predictions[part], 5)
        for part in (slice(None, 1234), slice(1234, None))
    ]
    np.testing.assert_array_equal(halves[0] + halves[1], whole)
    assert np.trace(whole) == (labels == predictions).sum()
    np.testing.assert_array_equal(whole.sum(1), np.bincount(labels, minlength=5))
    np.testing.assert_array_equal(whole.sum(0), np.bincount(predictions, minlength=5))


def test_rows_are_true_and_columns_predicted() -> None:
    matrix = statistics.confusion_matrix(np.array([0, 0, 2]), np.array([1, 1, 2]), 3)
    np.testing.assert_array_equal(matrix, [[0, 2, 0], [0, 0, 0], [0, 0, 1]])


def test_small_unsigned_labels_do_not_overflow() -> None:
    labels = np.full(3, 200, np.uint8)
    assert statistics.confusion_matrix(labels, labels, 201)[200, 200] == 3


def test_class_metrics_by_hand_and_where_they_are_a_share_of_nothing() -> None:
    # Class 2 never occurs but is predicted, class 3 occurs but is never predicted, 4 is neither.
    labels, predictions = np.array([0, 0, 0, 1, 1, 3]), np.array([0, 0, 1, 1, 2, 2])
    metrics = statistics.class_metrics(statistics.confusion_matrix(labels, predictions, 5))
    np.testing.assert_allclose(metrics.precision, [1, 1 / 2, 0, np.nan, np.nan])
    np.testing.assert_allclose(metrics.recall, [2 / 3, 1 / 2, np.nan, 0, np.nan])
    np.testing.assert_allclose(metrics.f1, [4 / 5, 1 / 2, 0, 0, np.nan])
    np.testing.assert_array_equal(metrics.support, [3, 2, 0, 1, 0])


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    logits, labels = draw(1)
    metrics = statistics.class_metrics(statistics.confusion_matrix(labels, logits.argmax(-1), 5))
    np.testing.assert_allclose(metrics.f1, 2 / (1 / metrics.precision + 1 / metrics.recall))


def test_log_probabilities_of_large_logits_are_exact() -> None:
    logits = np.array([[1000.0, 999.0, -1000.0]])
    logs = log_probabilities(logits)
    np.testing.assert_allclose(np.exp(logs).sum(-1), 1, rtol=1e-15)  # float64's own rounding
    np.testing.assert_allclose(logs[0, 0], -math.log1p(math.exp(-1)), rtol=1e-14)


def test_calibration_error_by_hand_with_limits_in_the_lower_bin() -> None:
    # Confidences 0.75 (upper limit of bin 3 of 4: inside it), 0.9 and 0.6.
    bins = statistics.binned(np.array([0.75, 0.9, 0.6]), np.array([True, False, False]), 4)
    np.testing.assert_array_equal(bins.counts, [0, 0, 2, 1])
    np.testing.assert_allclose(bins.accuracy, [np.nan, np.nan, 0.5, 0])
    np.testing.assert_allclose(bins.confidence, [np.nan, np.nan, 0.675, 0.9])
    assert bins.error == pytest.approx((2 * abs(0.5 - 0.675) + 0.9) / 3)


def test_wilson_interval_against_its_defining_equation_and_at_the_ends() -> None:
    for right, examples in ((912, 1000), (1, 7), (5000, 10_000)):
        for limit in statistics.wilson_interval(right, examples):
            # A limit is a share from which the observed one is z standard errors away.
            deviation = math.sqrt(limit * (1 - limit) / examples)
            assert abs(right / examples - limit) == pytest.approx(1.959964 * deviation)
    assert statistics.wilson_interval(0, 10)[0] == 0 < statistics.wilson_interval(0, 10)[1]
    low, high = statistics.wilson_interval(10, 10)
    assert low < 0.8 and 1 - 1e-15 <= high <= 1  # float64's rounding, never beyond 1


def test_foreign_predictions_are_named() -> None:
    with pytest.raises(BadInput, match=r"prediction of example 1 is 5, .* 5 classes, 0 to 4"):
        statistics.confusion_matrix(np.zeros(2, np.int64), np.array([4, 5]), 5)
