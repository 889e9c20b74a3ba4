"""Exactly one class is right: probabilities add up to 1, and the highest score is predicted."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Shaped

from flaxmill.maths import statistics
from flaxmill.maths.calibration import log_probabilities
from flaxmill.maths.suspects import Questions
from flaxmill.tasks.answers import likeliest

CLASSIFIES = True
SEVERAL = False
ABOUT = "the class"
SCORES = "scores before the softmax"
MEANING = "softmax of the logits"

NUM_PAIRS = 5
LARGEST_MATRIX = 30  # classes; more make a table that nobody reads, and a heavy page

Logits = Float[np.ndarray, "example class"]
Labels = Integer[np.ndarray, " example"]


def probabilities(logits: Shaped[Array, "batch class"]) -> Float[Array, "batch class"]:
    """Returns the probability of each class, in JAX."""
    import jax

    return jax.nn.softmax(logits)


def ensemble(logits: Float[Array, "member batch class"]) -> Float[Array, "batch class"]:
    """Returns the logits whose probabilities are the mean of the members', in JAX."""
    import jax
    import jax.numpy as jnp

    return jax.nn.logsumexp(jax.nn.log_softmax(logits), 0) - jnp.log(len(logits))


def log_odds(logits: Float[Array, "batch class"], classes: Labels) -> Float[Array, " batch"]:
    """Returns the logarithm of p / (1 - p) of a class of each example, in JAX."""
    import jax
    import jax.numpy as jnp

    own = jnp.take_along_axis(logits, classes[:, None], 1)[:, 0]
    if logits.shape[-1] == 1:
        return own
    others = jnp.where(np.arange(logits.shape[-1]) == classes[:, None], -jnp.inf, logits)
    return own - jax.nn.logsumexp(others, -1)


def predicted(scores: Logits) -> Int[np.ndarray, " example"]:
    """Returns the predicted class of each example, from logits or probabilities."""
    return scores.argmax(-1)


def agree(logits: Logits, other: Logits) -> Bool[np.ndarray, " example"]:
    """Returns for which examples two models predict the same class."""
    return predicted(logits) == predicted(other)


def correct(logits: Logits, labels: Labels) -> Bool[np.ndarray, " example"]:
    """Returns for which examples the prediction is right."""
    return predicted(logits) == labels


def accuracy(logits: Logits, labels: Labels) -> Float[np.ndarray, " example"]:
    """Returns 1 for each example that is right, else 0."""
    return correct(logits, labels).astype(np.float64)


def of_class(labels: Labels, label: int) -> Bool[np.ndarray, " example"]:
    """Returns which examples have a label."""
    return labels == label


def names(labels: Labels, classes: Sequence[str]) -> list[str]:
    """Returns the label of each example in words.

    >>> names(np.array([1, 0]), ["cat", "dog"])
    ['dog', 'cat']
    """
    return [classes[int(label)] for label in labels]


def counts(labels: Labels, num_classes: int) -> Int[np.ndarray, " class"]:
    """Counts the examples of each class.

    >>> counts(np.array([2, 2, 0]), 3)
    array([1, 0, 2])
    """
    return np.bincount(labels, minlength=num_classes).astype(np.int64)


def decode(
    probabilities: Float[np.ndarray, " class"], labels: Sequence[str], top: int
) -> dict[str, Any]:
    """Returns the prediction for one example, as JSON.

    Args:
        probabilities: One for each class.
        labels: The class names.
        top: How many classes to name; at least one is named.
    """
    return {"predictions": likeliest(probabilities, labels, top)}


def summary(decoded: Mapping[str, Any]) -> str:
    """Returns the prediction for one example in a word or two."""
    return decoded["predictions"][0]["label"]


def caption(decoded: Mapping[str, Any]) -> str:
    """Returns the caption of an example on a sheet, in two lines."""
    first = decoded["predictions"][0]
    return f"{first['label']}\n{first['probability']:.0%}"


def confusion(logits: Logits, labels: Labels, classes: Sequence[str]) -> dict[str, Any]:
    """Returns the matrix, where it is small enough to be read, and its largest entries."""
    matrix = statistics.confusion_matrix(labels, predicted(logits), len(classes))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_PAIRS]
    pairs = [
        {
            "truth": classes[row],
            "answer": classes[column],
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
            for name, numbers, row_shares in zip(classes, matrix, shares, strict=True)
        ]
    return {"rows": rows, "pairs": pairs}


def scores(logits: Logits, labels: Labels, classes: Sequence[str]) -> dict[str, Any]:
    """Returns precision, recall, F1 and support of each class."""
    matrix = statistics.confusion_matrix(labels, predicted(logits), len(classes))
    metrics = statistics.class_metrics(matrix)
    columns = (metrics.precision, metrics.recall, metrics.f1, metrics.support)
    rows = list(zip(classes, *(column.tolist() for column in columns), strict=True))
    ranked = sorted((row for row in rows if math.isfinite(row[3])), key=lambda row: row[3])
    return {
        "rows": rows,
        "ranked": sorted(rows, key=lambda row: row[3] if math.isfinite(row[3]) else 2),
        "weakest": ranked[0],
        "strongest": ranked[-1],
        "means": [float(np.nanmean(column)) for column in columns[:3]],
        "incomplete": len(ranked) < len(rows) or not np.isfinite(columns[:3]).all(),
    }


def mistakes(
    logits: Logits, labels: Labels, most: int, temperature: float = 1.0
) -> tuple[Int[np.ndarray, " mistake"], Float[np.ndarray, " mistake"]]:
    """Finds the wrong predictions that a model was most sure of.

    Returns:
        Their indices, the surest first, and how sure it was.
    """
    worst = statistics.worst_mistakes(logits, labels, most)
    return worst, np.exp(log_probabilities(logits[worst], temperature).max(axis=-1))


def surest(logits: Logits, labels: Labels) -> list[tuple[int, int]]:
    """Returns each class that was found anywhere, and the example that the model is surest of."""
    pairs = []
    for label in range(logits.shape[1]):
        members = np.flatnonzero((predicted(logits) == label) & (labels == label))
        if len(members):
            confidence = log_probabilities(logits[members]).max(-1)
            pairs.append((label, int(members[np.argmax(confidence)])))
    return pairs


def bins(logits: Logits, labels: Labels, temperature: float) -> statistics.Calibration:
    """Returns the bins of the predictions' confidence."""
    return statistics.calibration(logits, labels, temperature=temperature)


def loss(logits: Logits, labels: Labels, temperature: float) -> float:
    """Returns the mean loss of an example, in nats."""
    return statistics.negative_log_likelihood(logits, labels, temperature)


def questions(logits: Logits, labels: Labels, temperature: float) -> Questions:
    """Returns what the model was asked of each example: its class."""
    probable = np.exp(log_probabilities(logits, temperature))
    rows, classes = np.arange(len(labels)), predicted(logits)
    own = probable[rows, labels]
    return Questions(rows, own, probable[rows, classes], classes, probable.ravel())
