"""What a classifier's answer is: the one class that is right, or every label that holds.

Whatever makes something of a model's logits asks here: predictions, exports and their checks, the
server, the report. Which of the two a model gives is the task of its signature.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Shaped

from flaxmill.tasks.signature import Signature

Logits = Float[np.ndarray, "example class"]


class OneClass:
    """Exactly one class is right: probabilities add up to 1, and the highest score answers."""

    several = False
    meaning = "softmax of the logits"

    def probabilities(self, logits: Shaped[Array, "batch class"]) -> Float[Array, "batch class"]:
        """Returns the probability of each class, in JAX."""
        return jax.nn.softmax(logits)

    def together(self, logits: Float[Array, "member batch class"]) -> Float[Array, "batch class"]:
        """Returns the logits whose probabilities are the mean of those of several models."""
        return jax.nn.logsumexp(jax.nn.log_softmax(logits), 0) - jnp.log(len(logits))

    def said(self, scores: Logits) -> Int[np.ndarray, " example"]:
        """Returns the class that each example is taken for; of logits or of probabilities."""
        return scores.argmax(-1)

    def agree(self, logits: Logits, other: Logits) -> Bool[np.ndarray, " example"]:
        """Says for which examples two models give the same answer."""
        return self.said(logits) == self.said(other)

    def right(
        self, logits: Logits, labels: Integer[np.ndarray, " example"]
    ) -> Bool[np.ndarray, " example"]:
        """Says for which examples the answer is right."""
        return self.said(logits) == labels

    def accuracy(
        self, logits: Logits, labels: Integer[np.ndarray, " example"]
    ) -> Float[np.ndarray, " example"]:
        """Returns 1 for each example that is right, else 0."""
        return self.right(logits, labels).astype(np.float64)


class SeveralLabels:
    """Every label holds or not, by itself: it is said where its probability is above one half."""

    several = True
    meaning = "sigmoid of each logit"

    def probabilities(self, logits: Shaped[Array, "batch class"]) -> Float[Array, "batch class"]:
        """Returns the probability of each label, in JAX."""
        return jax.nn.sigmoid(logits)

    def together(self, logits: Float[Array, "member batch class"]) -> Float[Array, "batch class"]:
        """Returns the logits whose probabilities are the mean of those of several models."""
        holds, not_so = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
        return jax.nn.logsumexp(holds, 0) - jax.nn.logsumexp(not_so, 0)

    def said(self, scores: Logits) -> Bool[np.ndarray, "example class"]:
        """Says which labels each example is given; of logits."""
        return scores > 0

    def agree(self, logits: Logits, other: Logits) -> Bool[np.ndarray, " example"]:
        """Says for which examples two models give the same set of labels."""
        return (self.said(logits) == self.said(other)).all(-1)

    def right(
        self, logits: Logits, labels: Float[np.ndarray, "example class"]
    ) -> Bool[np.ndarray, " example"]:
        """Says for which examples every label is right."""
        return (self.said(logits) == (labels > 0)).all(-1)

    def accuracy(
        self, logits: Logits, labels: Float[np.ndarray, "example class"]
    ) -> Float[np.ndarray, " example"]:
        """Returns the share of the labels of each example that are right."""
        return (self.said(logits) == (labels > 0)).mean(-1)


Answers = OneClass | SeveralLabels

TASKS: dict[str, Answers] = {
    "image-classification": OneClass(),
    "image-multilabel-classification": SeveralLabels(),
}


def of(signature: Signature) -> Answers:
    """Returns what the answers of a model are; one class, where its task is of another kind."""
    return TASKS.get(signature.task, TASKS["image-classification"])


def of_labels(labels: Any) -> Answers:
    """Returns what answers must be to go with labels: indices, or a row of zeros and ones each."""
    return TASKS["image-multilabel-classification" if labels.ndim == 2 else "image-classification"]


def names(labels: np.ndarray, classes: tuple[str, ...] | list[str]) -> list[str]:
    """Returns the labels of each example in words.

    >>> names(np.array([1, 0]), ["cat", "dog"])
    ['dog', 'cat']
    >>> names(np.array([[1.0, 1.0], [0.0, 0.0]]), ["cat", "dog"])
    ['cat, dog', 'none']
    """
    if labels.ndim == 1:
        return [classes[int(label)] for label in labels]
    return [", ".join(classes[i] for i in np.flatnonzero(row > 0)) or "none" for row in labels]


def counts(labels: np.ndarray, num_classes: int) -> Int[np.ndarray, " class"]:
    """Counts the examples of each class; one of several labels counts for each that holds.

    >>> counts(np.array([2, 2, 0]), 3)
    array([1, 0, 2])
    """
    if labels.ndim == 2:
        return (labels > 0).sum(0).astype(np.int64)
    return np.bincount(labels, minlength=num_classes).astype(np.int64)
