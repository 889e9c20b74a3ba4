"""Losses and measures of classifiers, per example."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from flaxmill.maths.losses import sigmoid_cross_entropy, softmax_cross_entropy
from flaxmill.maths.metrics import Measures, accuracy, label_measures


def class_measures(
    logits: Shaped[Array, "batch class"],
    labels: Int[Array, " batch"] | Float[Array, "batch class"],
    *,
    label_smoothing: float = 0.0,
) -> Measures:
    """Measures predictions of one class each: ``loss`` in nats, and ``accuracy``.

    Args:
        logits: Scores before the softmax.
        labels: Class indices, or a distribution over the classes for each example.
        label_smoothing: Share of the label mass that is spread over all classes.
    """
    values = softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    weights = jnp.ones_like(values)
    return {"loss": (values, weights), "accuracy": (accuracy(logits, labels), weights)}


def macro_f1(logits: Shaped[Array, "batch class"], labels: Int[Array, " batch"]) -> Measures:
    """Measures ``macro_f1``, the mean of the F1 of each class, exactly.

    The F1 of a class is twice the examples rightly predicted to be of it, over those predicted to
    be and those that are. So each class has a part of the metric, whose weights make a mean over
    examples just that, in whatever batches they come; a class that is neither is left out.

    Args:
        logits: Scores before the softmax.
        labels: Class indices.
    """
    predicted, measures = logits.argmax(-1), {}
    for label in range(logits.shape[-1]):
        both = (predicted == label).astype(jnp.float32) + (labels == label).astype(jnp.float32)
        right = ((predicted == label) & (labels == label)).astype(jnp.float32)
        measures[f"macro_f1/{label}"] = (2 * right / jnp.maximum(both, 1), both)
    return measures


def multilabel_measures(
    logits: Shaped[Array, "batch class"],
    labels: Float[Array, "batch class"],
    *,
    label_smoothing: float = 0.0,
) -> Measures:
    """Measures predictions of any number of labels: ``loss``, and what `label_measures` returns.

    Args:
        logits: Scores before the sigmoid of each.
        labels: 1 for a label that holds, 0 for one that does not.
        label_smoothing: How far targets are drawn towards a half.
    """
    values = sigmoid_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return {"loss": (values, jnp.ones_like(values)), **label_measures(logits, labels)}


def measures_by_labels(
    logits: Shaped[Array, "batch class"],
    labels: Int[Array, " batch"] | Float[Array, "batch class"],
    *,
    label_smoothing: float = 0.0,
) -> Measures:
    """Measures predictions as the data has labels: one class each, or any number of labels.

    Args:
        logits: Scores.
        labels: Class indices, or rows of 1 for a label that holds and 0 for one that does not.
        label_smoothing: As `class_measures` and `multilabel_measures` have it.
    """
    measures = multilabel_measures if labels.ndim == 2 else class_measures
    return measures(logits, labels, label_smoothing=label_smoothing)
