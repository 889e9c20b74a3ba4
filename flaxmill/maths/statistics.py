"""Statistics of a classifier: what it confuses, how exact it is for each class, how sure it is.

NumPy alone, from logits and labels, so that the same numbers come out wherever a run is looked at.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer

from flaxmill.maths.calibration import check_classes


def confusion_matrix(
    labels: Integer[np.ndarray, " example"],
    predictions: Integer[np.ndarray, " example"],
    num_classes: int,
) -> Int[np.ndarray, "class class"]:
    """Counts how often each true class (row) was taken for each class (column).

    Matrices of parts of a data set add up to the matrix of the whole.

    Args:
        labels: True classes.
        predictions: Predicted classes.
        num_classes: Number of classes.

    Returns:
        Counts; the diagonal holds the right predictions.

    Raises:
        BadInput: A label or prediction is not one of the classes.
    """
    check_classes(num_classes, labels)
    check_classes(num_classes, predictions, what="prediction")
    cells = labels.astype(np.int64) * num_classes + predictions
    counts = np.bincount(cells, minlength=num_classes**2).astype(np.int64)
    return counts.reshape(num_classes, num_classes)


@dataclass(frozen=True, eq=False)
class ClassMetrics:
    """Metrics of each class, as shares from 0 to 1.

    A share of nothing is not a number: the precision of a class that was never predicted, the
    recall of a class that never occurs, the F1 of a class for which both hold.

    Attributes:
        precision: Of the examples taken for the class, the share that is of it.
        recall: Of the examples of the class, the share that was recognised.
        f1: Harmonic mean of the two.
        support: Number of examples of the class.
    """

    precision: Float[np.ndarray, " class"]
    recall: Float[np.ndarray, " class"]
    f1: Float[np.ndarray, " class"]
    support: Int[np.ndarray, " class"]


def class_metrics(matrix: Int[np.ndarray, "class class"]) -> ClassMetrics:
    """Derives precision, recall, F1 and support of each class from a confusion matrix.

    Args:
        matrix: Counts, rows true, columns predicted.

    Returns:
        The metrics, not-a-number where they are a share of nothing.
    """
    right, true, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return ClassMetrics(
        precision=share(right, predicted),
        recall=share(right, true),
        f1=share(2 * right, true + predicted),  # = 2PR / (P + R), defined in more cases
        support=true,
    )


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often a model is right, beside how sure it was.

    Attributes:
        edges: Limits of the bins of confidence; a bin holds its upper limit, not its lower.
        counts: Examples in each bin.
        confidence: Mean confidence in each bin, not-a-number where it is empty.
        accuracy: Share that is right in each bin, not-a-number where it is empty.
        error: Expected calibration error, the mean distance of the two over all examples.
    """

    edges: Float[np.ndarray, " edge"]
    counts: Int[np.ndarray, " bin"]
    confidence: Float[np.ndarray, " bin"]
    accuracy: Float[np.ndarray, " bin"]
    error: float


def binned(
    confidence: Float[np.ndarray, " answer"],
    right: Bool[np.ndarray, " answer"],
    num_bins: int = 15,
) -> Calibration:
    """Measures calibration in bins of equal width (Guo et al. 2017, section 2, equation 3).

    Args:
        confidence: From 0 to 1.
        right: Which of them are right.
        num_bins: Number of bins of equal width.
    """
    edges = np.arange(num_bins + 1) / num_bins
    # Bin m holds (edge m, edge m+1]; rounding may carry a confidence a hair beyond 1.
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins).astype(np.int64)
    sums = np.bincount(bins, weights=confidence, minlength=num_bins)
    hits = np.bincount(bins, weights=right.astype(np.float64), minlength=num_bins)
    error = float(np.abs(hits - sums).sum() / len(right))
    return Calibration(edges, counts, share(sums, counts), share(hits, counts), error)


def doubt(logs: Float[np.ndarray, "example class"]) -> Float[np.ndarray, " example"]:
    """Computes how probable it is that the likeliest class is not the right one, as a logarithm.

    It is that of the other classes' sum, which stays apart where a confidence rounds to 1.

    Args:
        logs: Log-probabilities.
    """
    others = np.where(np.arange(logs.shape[-1]) == logs.argmax(-1)[:, None], -np.inf, logs)
    with np.errstate(divide="ignore"):  # of one class there is no other
        return np.logaddexp.reduce(others, -1)


def wilson_interval(right: int, examples: int, z: float = 1.959964) -> tuple[float, float]:
    """Computes Wilson's score interval of a share (Wilson 1927).

    Args:
        right: Number of successes.
        examples: Number of trials, at least 1.
        z: Quantile of the normal distribution; the default gives 95 %.

    Returns:
        Lower and upper limit, within 0 and 1 even where all or none are right.
    """
    part, weight = right / examples, z * z / examples
    middle = (part + weight / 2) / (1 + weight)
    half = math.sqrt(part * (1 - part) * weight + weight * weight / 4) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(part: np.ndarray, whole: np.ndarray) -> Float[np.ndarray, " class"]:
    """Returns the shares of wholes, not a number where a whole is nothing."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
