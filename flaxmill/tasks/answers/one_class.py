"""Exactly one class is right: probabilities add up to 1, and the highest score is predicted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Shaped

from flaxmill.maths import calibration, statistics, suspects
from flaxmill.maths.calibration import check_classes, log_probabilities
from flaxmill.tasks.answers import (
    concatenated,
    likeliest,
    probability_meanings,
    with_probabilities,
)

CLASSIFIES = True
SEVERAL = False
ABOUT = "the class"
SCORES = "scores before the softmax"
MEANING = "softmax of the logits"

NUM_PAIRS = 5
LARGEST_MATRIX = 30  # classes; more make a table that nobody reads, and a heavy page

Logits = Float[np.ndarray, "example class"]
Labels = Integer[np.ndarray, " example"]
Indices = Int[np.ndarray, " mistake"]


def probabilities(logits: Shaped[Array, "batch class"]) -> Float[Array, "batch class"]:
    """Returns the probability of each class, in JAX."""
    import jax

    return jax.nn.softmax(logits)


def outputs(logits: Float[Array, "batch class"], signature: Any) -> dict[str, Any]:
    """Returns what an export of the model gives, in JAX: logits and calibrated probabilities."""
    return with_probabilities(logits, signature, probabilities)


def meanings(signature: Any) -> dict[str, str]:
    """Returns what each output of an export means."""
    return probability_meanings(signature, MEANING)


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


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """Returns the temperature that calibrates predictions, fitted on held-out examples."""
    return calibration.fit_temperature(logits, labels)


@dataclass(frozen=True, eq=False)
class Tally:
    """What is kept of the logits for some examples: a few numbers each, however many classes.

    Attributes:
        classes: Number of classes.
        labels: True classes.
        predicted: Predicted classes.
        doubt: Log of the calibrated probability that another class is right, which stays apart
            where `calibrated_sure` rounds to 0.
        sure: Log-probability of the predicted class.
        own: Log-probability of the true class.
        calibrated_sure: As `sure`, at the temperature.
        calibrated_own: As `own`, at the temperature.
        expected: Sums of all calibrated probabilities, by their size.
    """

    classes: int
    labels: Labels
    predicted: Int[np.ndarray, " example"]
    doubt: Float[np.ndarray, " example"]
    sure: Float[np.ndarray, " example"]
    own: Float[np.ndarray, " example"]
    calibrated_sure: Float[np.ndarray, " example"]
    calibrated_own: Float[np.ndarray, " example"]
    expected: suspects.BySize

    def confusion(self, classes: Sequence[str]) -> dict[str, Any]:
        """Returns the matrix, where it is small enough to be read, and its largest entries."""
        matrix = self._matrix()
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

    def class_metrics(self, classes: Sequence[str]) -> dict[str, Any]:
        """Returns precision, recall, F1 and support of each class."""
        metrics = statistics.class_metrics(self._matrix())
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

    def mistakes(self, most: int) -> tuple[Indices, Float[np.ndarray, " mistake"]]:
        """Finds the wrong predictions that the model was most sure of.

        Returns:
            Their indices, the surest first, the earlier first among equals, and how sure it was.
        """
        wrong = np.flatnonzero(self.predicted != self.labels)
        worst = wrong[np.argsort(self.doubt[wrong], kind="stable")[:most]].astype(np.int64)
        return worst, np.exp(self.calibrated_sure[worst])

    def most_confident(self) -> list[tuple[int, int]]:
        """Returns each class that was found, and its example that the model is surest of."""
        pairs = []
        for label in range(self.classes):
            members = np.flatnonzero((self.predicted == label) & (self.labels == label))
            if len(members):
                pairs.append((label, int(members[np.argmax(self.sure[members])])))
        return pairs

    def calibration(self, *, calibrated: bool) -> tuple[statistics.Calibration, float]:
        """Returns the bins of the predictions' confidence, and the mean loss in nats."""
        sure, own = self.sure, self.own
        if calibrated:
            sure, own = self.calibrated_sure, self.calibrated_own
        right = self.predicted == self.labels
        return statistics.binned(np.exp(sure), right), -float(own.mean())

    def questions(self) -> suspects.Questions:
        """Returns what the model was asked of each example: its class."""
        return suspects.Questions(
            example=np.arange(len(self.labels)),
            of_label=np.exp(self.calibrated_own),
            of_answer=np.exp(self.calibrated_sure),
            answer=self.predicted,
            expected=self.expected,
        )

    def _matrix(self) -> Int[np.ndarray, "class class"]:
        return statistics.confusion_matrix(self.labels, self.predicted, self.classes)


def tally(logits: Logits, labels: Labels, temperature: float) -> Tally:
    """Returns what is kept of the logits for some examples."""
    check_classes(logits.shape[-1], labels)
    rows, classes = np.arange(len(labels)), predicted(logits)
    logs, calibrated = log_probabilities(logits), log_probabilities(logits, temperature)
    return Tally(
        classes=logits.shape[-1],
        labels=labels,
        predicted=classes,
        doubt=statistics.doubt(calibrated),
        sure=logs.max(-1),
        own=logs[rows, labels],
        calibrated_sure=calibrated.max(-1),
        calibrated_own=calibrated[rows, labels],
        expected=suspects.by_size(np.exp(calibrated)),
    )


def merge(tallies: Sequence[Tally]) -> Tally:
    """Returns the tally of the examples of several, one after another."""
    columns = concatenated(tallies, but=("classes", "expected"))
    expected = sum((one.expected for one in tallies), suspects.NOTHING)
    return Tally(classes=tallies[0].classes, expected=expected, **columns)
