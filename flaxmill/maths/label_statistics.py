"""Statistics of multilabel classification: each of the labels of an example holds or not.

NumPy alone, from logits and labels, as `flaxmill.maths.statistics` is for one class of all.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from flaxmill.maths.calibration import label_probabilities
from flaxmill.maths.statistics import Calibration, binned, share

Logits = Float[np.ndarray, "example class"]
Labels = Float[np.ndarray, "example class"]


@dataclass(frozen=True, eq=False)
class LabelMetrics:
    """Metrics of each label, as shares from 0 to 1; a share of nothing is not a number.

    Attributes:
        precision: Of the examples predicted to have the label, the share that has it.
        recall: Of the examples that have it, the share predicted to.
        f1: Harmonic mean of the two.
        support: Number of examples that have it.
        average_precision: Mean of the precision at the rank of each of these examples.
    """

    precision: Float[np.ndarray, " class"]
    recall: Float[np.ndarray, " class"]
    f1: Float[np.ndarray, " class"]
    support: Int[np.ndarray, " class"]
    average_precision: Float[np.ndarray, " class"]


def label_metrics(logits: Logits, labels: Labels) -> LabelMetrics:
    """Derives the metrics of each label, which is predicted where its logit is above 0."""
    predicted, holds = logits > 0, labels > 0
    right = (predicted & holds).sum(0)
    return LabelMetrics(
        precision=share(right, predicted.sum(0)),
        recall=share(right, holds.sum(0)),
        f1=share(2 * right, predicted.sum(0) + holds.sum(0)),
        support=holds.sum(0),
        average_precision=np.array(
            [average_precision(logits[:, i], holds[:, i]) for i in range(logits.shape[1])]
        ),
    )


def average_precision(
    scores: Float[np.ndarray, " example"], holds: Bool[np.ndarray, " example"]
) -> float:
    """Computes the average precision of a ranking: the area under its precision-recall steps.

    Examples with equal scores share a rank, so that their order does not matter.

    Args:
        scores: The higher, the earlier.
        holds: Which examples should come first.

    Returns:
        From 0 to 1; not a number where none should.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([True, False, True])).__round__(4)
    0.8333
    """
    if not holds.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(holds[order])
    last = np.append(np.diff(scores[order]) != 0, True)  # of those with one score
    last_hits, ranks = hits[last], np.flatnonzero(last) + 1
    return float((np.diff(last_hits, prepend=0) * last_hits / ranks).sum() / last_hits[-1])


def label_loss(logits: Logits, labels: Labels, temperature: float = 1.0) -> float:
    """Computes the binary cross-entropy in nats, the mean over examples and labels."""
    scaled = logits.astype(np.float64) / temperature
    return float((np.logaddexp(0, scaled) - labels * scaled).mean())


def label_calibration(
    logits: Logits, labels: Labels, *, temperature: float = 1.0, num_bins: int = 15
) -> Calibration:
    """Measures how often labels hold beside the probability that they were predicted with.

    Every label of every example counts once: a bin's confidence is its mean probability, its
    accuracy the share of its labels that hold.
    """
    probabilities = label_probabilities(logits, temperature).ravel()
    return binned(probabilities, labels.ravel() > 0, num_bins)


def worst_label_mistakes(
    logits: Logits, labels: Labels, count: int
) -> list[tuple[int, Float[np.ndarray, " class"]]]:
    """Finds the examples with the labels that the model was most sure of and wrong about.

    Args:
        logits: Scores before the sigmoid.
        labels: Rows of zeros and ones.
        count: How many examples to find, at most.

    Returns:
        Their indices, the worst first, and for each of their labels how sure the model was of the
        opposite: 0 where it is right.
    """
    wrong = (logits > 0) != (labels > 0)
    sure = np.where(wrong, label_probabilities(np.abs(logits)), 0.0)
    worst = np.argsort(-np.where(wrong, np.abs(logits), 0).max(-1), kind="stable")
    return [(int(index), sure[index]) for index in worst[:count] if wrong[index].any()]
