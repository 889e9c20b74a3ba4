"""The material of the page's sections where exactly one class is right of an example."""

import math
from typing import Any

import numpy as np

from flaxmill.maths.calibration import log_probabilities
from flaxmill.report import figures, statistics

NUM_MISTAKES = 20
NUM_PAIRS = 5
LARGEST_MATRIX = 30  # classes; more make a table that nobody reads, and a heavy page


def counts(subject: Any) -> np.ndarray:
    """Counts how often each true class (row) was taken for each class (column)."""
    predictions = subject.test_logits.argmax(axis=-1)
    return statistics.confusion_matrix(subject.test_labels, predictions, len(subject.labels))


def confusion(subject: Any) -> dict[str, Any]:
    """Returns the matrix, where it is small enough to be read, and its largest entries."""
    matrix = counts(subject)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_PAIRS]
    pairs = [
        {
            "truth": subject.labels[row],
            "answer": subject.labels[column],
            "count": int(wrong[row, column]),
            "of": int(matrix[row].sum()),
        }
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    ]
    rows = None
    if len(matrix) <= LARGEST_MATRIX:
        rows = [
            (name, list(zip(numbers.tolist(), row_shares.tolist(), strict=True)))
            for name, numbers, row_shares in zip(subject.labels, matrix, shares, strict=True)
        ]
    return {"rows": rows, "pairs": pairs}


def classes(subject: Any) -> dict[str, Any]:
    """Returns precision, recall, F1 and support of each class."""
    scores = statistics.class_scores(counts(subject))
    columns = (scores.precision, scores.recall, scores.f1, scores.support)
    rows = list(zip(subject.labels, *(column.tolist() for column in columns), strict=True))
    ranked = sorted((row for row in rows if math.isfinite(row[3])), key=lambda row: row[3])
    return {
        "rows": rows,
        "ranked": sorted(rows, key=lambda row: row[3] if math.isfinite(row[3]) else 2),
        "weakest": ranked[0],
        "strongest": ranked[-1],
        "means": [float(np.nanmean(column)) for column in columns[:3]],
        "incomplete": len(ranked) < len(rows) or not np.isfinite(columns[:3]).all(),
    }


def mistakes(subject: Any) -> list[dict[str, Any]] | None:
    """Returns the wrong answers that the model was most sure of."""
    logits, labels, pictures = subject.test_logits, subject.test_labels, subject.test_pictures
    if pictures is None:
        return None
    worst = statistics.worst_mistakes(logits, labels, NUM_MISTAKES)
    logs = log_probabilities(logits[worst], subject.temperature or 1.0)
    confidence = np.exp(logs.max(axis=-1))
    return [
        {
            "file": subject.test_name and subject.test_name(int(index)),
            "picture": figures.picture_uri(pictures[int(index)]),
            "truth": subject.labels[labels[index]],
            "answer": subject.labels[logits[index].argmax()],
            "confidence": float(sure),
        }
        for index, sure in zip(worst, confidence, strict=True)
    ]


def calibration_state(subject: Any, temperature: float) -> dict[str, Any]:
    """Returns the bins of the answers' confidence, and the loss."""
    given = (subject.test_logits, subject.test_labels)
    return {
        "bins": statistics.calibration(*given, temperature=temperature),
        "loss": statistics.negative_log_likelihood(*given, temperature),
    }
