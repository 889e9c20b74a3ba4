"""Every label holds or not, by itself: it is predicted where its probability is above one half."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from flaxmill.maths import calibration, label_statistics, suspects
from flaxmill.maths.calibration import label_probabilities
from flaxmill.maths.statistics import Calibration
from flaxmill.tasks.answers import (
    concatenated,
    likeliest,
    probability_meanings,
    with_probabilities,
)

CLASSIFIES = True
SEVERAL = True
ABOUT = "the labels"
SCORES = "scores before the sigmoid of each"
MEANING = "sigmoid of each logit"

Logits = Float[np.ndarray, "example class"]
Labels = Float[np.ndarray, "example class"]


def probabilities(logits: Shaped[Array, "batch class"]) -> Float[Array, "batch class"]:
    """Returns the probability of each label, in JAX."""
    import jax

    return jax.nn.sigmoid(logits)


def outputs(logits: Float[Array, "batch class"], signature: Any) -> dict[str, Any]:
    """Returns what an export of the model gives, in JAX: logits and calibrated probabilities."""
    return with_probabilities(logits, signature, probabilities)


def meanings(signature: Any) -> dict[str, str]:
    """Returns what each output of an export means."""
    return probability_meanings(signature, MEANING)


def ensemble(logits: Float[Array, "member batch class"]) -> Float[Array, "batch class"]:
    """Returns the logits whose probabilities are the mean of the members', in JAX."""
    import jax

    holds, not_so = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    return jax.nn.logsumexp(holds, 0) - jax.nn.logsumexp(not_so, 0)


def log_odds(
    logits: Float[Array, "batch class"], classes: Int[np.ndarray, " batch"]
) -> Float[Array, " batch"]:
    """Returns the logarithm of p / (1 - p) of a label of each example, in JAX."""
    import jax.numpy as jnp

    return jnp.take_along_axis(logits, classes[:, None], 1)[:, 0]


def predicted(scores: Logits) -> Bool[np.ndarray, "example class"]:
    """Returns the predicted labels of each example, from logits."""
    return scores > 0


def agree(logits: Logits, other: Logits) -> Bool[np.ndarray, " example"]:
    """Returns for which examples two models predict the same set of labels."""
    return (predicted(logits) == predicted(other)).all(-1)


def correct(logits: Logits, labels: Labels) -> Bool[np.ndarray, " example"]:
    """Returns for which examples every label is right."""
    return (predicted(logits) == (labels > 0)).all(-1)


def accuracy(logits: Logits, labels: Labels) -> Float[np.ndarray, " example"]:
    """Returns the share of the labels of each example that are right."""
    return (predicted(logits) == (labels > 0)).mean(-1)


def of_class(labels: Labels, label: int) -> Bool[np.ndarray, " example"]:
    """Returns which examples have a label."""
    return labels[:, label] > 0


def names(labels: Shaped[np.ndarray, "example class"], classes: Sequence[str]) -> list[str]:
    """Returns the labels of each example in words.

    >>> names(np.array([[1.0, 1.0], [0.0, 0.0]]), ["cat", "dog"])
    ['cat, dog', 'none']
    """
    holding = [np.flatnonzero(row > 0).tolist() for row in labels]
    return [", ".join(classes[i] for i in row) or "none" for row in holding]


def counts(labels: Labels, num_classes: int) -> Int[np.ndarray, " class"]:
    """Counts the examples of each label; each counts for all that hold of it."""
    return (labels > 0).sum(0).astype(np.int64)


def decode(
    probabilities: Float[np.ndarray, " class"], labels: Sequence[str], top: int
) -> dict[str, Any]:
    """Returns the prediction for one example, as JSON: also ``labels``, all that hold.

    Args:
        probabilities: One for each label.
        labels: Their names.
        top: How many to name with their probabilities; at least one is named.
    """
    order = np.argsort(-probabilities, kind="stable")
    holding = [labels[i] for i in order if probabilities[i] > 0.5]
    return {"labels": holding, "predictions": likeliest(probabilities, labels, top)}


def summary(decoded: Mapping[str, Any]) -> str:
    """Returns the prediction for one example in a word or two."""
    return ", ".join(decoded["labels"]) or "none"


def caption(decoded: Mapping[str, Any]) -> str:
    """Returns the caption of an example on a sheet."""
    return summary(decoded)


def fit_temperature(logits: Logits, labels: Labels) -> float:
    """Returns the temperature that calibrates predictions, fitted on held-out examples."""
    return calibration.fit_label_temperature(logits, labels)


@dataclass(frozen=True, eq=False)
class Tally:
    """What is kept of the logits for some examples: all of them.

    A label's average precision is about the order of all of its scores, so none can be left out.

    Attributes:
        logits: As the model gave them.
        labels: 1 for each label that holds, else 0.
        temperature: What the logits are divided by, once they are calibrated.
    """

    logits: Logits
    labels: Labels
    temperature: float

    @property
    def predicted(self) -> Bool[np.ndarray, "example class"]:
        """The predicted labels."""
        return predicted(self.logits)

    def confusion(self, classes: Sequence[str]) -> None:
        """Returns nothing: no label is taken for another where each holds by itself."""

    def class_metrics(self, classes: Sequence[str]) -> dict[str, Any]:
        """Returns precision, recall, F1, support and average precision of each label."""
        each = label_statistics.label_metrics(self.logits, self.labels)
        columns = (each.precision, each.recall, each.f1, each.support, each.average_precision)
        rows = list(zip(classes, *(column.tolist() for column in columns), strict=True))
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

    def mistakes(
        self, most: int
    ) -> tuple[Int[np.ndarray, " mistake"], Float[np.ndarray, " mistake"]]:
        """Finds the examples with the labels that the model was most sure of and wrong about.

        Returns:
            Their indices, the surest first, and how sure it was.
        """
        scaled = self.logits / self.temperature
        worst = label_statistics.worst_label_mistakes(scaled, self.labels, most)
        indices = np.array([index for index, _ in worst], np.int64)
        return indices, np.array([sure.max() for _, sure in worst], np.float64)

    def most_confident(self) -> list[tuple[int, int]]:
        """Returns each label that was found, and its example that the model is surest of."""
        pairs = []
        for label in range(self.logits.shape[1]):
            found = self.predicted[:, label] & of_class(self.labels, label)
            members = np.flatnonzero(found)
            if len(members):
                pairs.append((label, int(members[np.argmax(self.logits[members, label])])))
        return pairs

    def calibration(self, *, calibrated: bool) -> tuple[Calibration, float]:
        """Returns the bins of the labels' probabilities, and the mean loss of a label in nats."""
        temperature = self.temperature if calibrated else 1.0
        bins = label_statistics.label_calibration(self.logits, self.labels, temperature=temperature)
        return bins, label_statistics.label_loss(self.logits, self.labels, temperature)

    def questions(self) -> suspects.Questions:
        """Returns what the model was asked of each example: of each label, whether it holds."""
        holds = label_probabilities(self.logits, self.temperature)
        fails = label_probabilities(-self.logits, self.temperature)  # 1 - holds would round to 0
        examples, classes = np.indices(holds.shape)
        return suspects.Questions(
            example=examples.ravel(),
            of_label=np.where(self.labels > 0, holds, fails).ravel(),
            of_answer=np.maximum(holds, fails).ravel(),
            answer=(2 * classes + self.predicted).ravel(),
            expected=suspects.by_size(holds) + suspects.by_size(fails),
        )


def _mean(column: np.ndarray) -> float:
    """Returns the mean of what is a number, not a number where nothing is."""
    return float(np.nanmean(column)) if np.isfinite(column).any() else math.nan


def tally(logits: Logits, labels: Labels, temperature: float) -> Tally:
    """Returns what is kept of the logits for some examples."""
    return Tally(logits, labels, temperature)


def merge(tallies: Sequence[Tally]) -> Tally:
    """Returns the tally of the examples of several, one after another."""
    columns = concatenated(tallies, but=("temperature",))
    return Tally(temperature=tallies[0].temperature, **columns)
