"""The material of the page's sections where any number of labels may hold of an example."""

import math
from typing import Any

import numpy as np

from flaxmill.report import figures, label_statistics
from flaxmill.tasks import answers

NUM_MISTAKES = 20


def classes(subject: Any) -> dict[str, Any]:
    """Returns precision, recall, F1, support and average precision of each label."""
    scores = label_statistics.label_scores(subject.test_logits, subject.test_labels)
    columns = (scores.precision, scores.recall, scores.f1, scores.support, scores.average_precision)
    rows = list(zip(subject.labels, *(column.tolist() for column in columns), strict=True))
    ranked = sorted((row for row in rows if math.isfinite(row[5])), key=lambda row: row[5])
    means = [_mean(column) for column in columns]
    return {
        "rows": rows,
        "ranked": sorted(rows, key=lambda row: row[3] if math.isfinite(row[3]) else 2),
        "weakest": ranked[0] if ranked else rows[0],
        "strongest": ranked[-1] if ranked else rows[-1],
        "means": [*means[:3], means[4]],
        "incomplete": any(not math.isfinite(part) for row in rows for part in row[1:]),
    }


def _mean(column: np.ndarray) -> float:
    """Returns the mean of what is a number, not a number where nothing is."""
    return float(np.nanmean(column)) if np.isfinite(column).any() else math.nan


def mistakes(subject: Any) -> list[dict[str, Any]] | None:
    """Returns the examples with the labels that the model was most sure of and wrong about."""
    if subject.test_pictures is None:
        return None
    logits, labels = subject.test_logits, subject.test_labels
    divided = logits / (subject.temperature or 1.0)  # which is the order that it was
    worst = label_statistics.worst_label_mistakes(divided, labels, NUM_MISTAKES)
    return [
        {
            "file": subject.test_name and subject.test_name(index),
            "picture": figures.picture_uri(subject.test_pictures[index]),
            "truth": answers.names(labels[index : index + 1], list(subject.labels))[0],
            "answer": answers.names(logits[index : index + 1], list(subject.labels))[0],
            "confidence": float(sure.max()),
        }
        for index, sure in worst
    ]


def calibration_state(subject: Any, temperature: float) -> dict[str, Any]:
    """Returns the bins of the labels' probabilities, and the loss."""
    given = (subject.test_logits, subject.test_labels)
    return {
        "bins": label_statistics.label_calibration(*given, temperature=temperature),
        "loss": label_statistics.label_loss(*given, temperature),
    }
