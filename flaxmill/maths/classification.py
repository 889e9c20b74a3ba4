"""What classifiers are trained by and measured with: a loss, and how much is right, per example."""

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
    """Measures answers of one class each: ``loss`` in nats, and ``accuracy``.

    Args:
        logits: Scores before the softmax.
        labels: Class indices, or a distribution over the classes for each example.
        label_smoothing: Share of the label mass that is spread over all classes.
    """
    values = softmax_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    weights = jnp.ones_like(values)
    return {"loss": (values, weights), "accuracy": (accuracy(logits, labels), weights)}


def several_label_measures(
    logits: Shaped[Array, "batch class"],
    labels: Float[Array, "batch class"],
    *,
    label_smoothing: float = 0.0,
) -> Measures:
    """Measures answers of any number of labels: ``loss``, and what `label_measures` gives.

    Args:
        logits: Scores before the sigmoid of each.
        labels: 1 for a label that holds, 0 for one that does not.
        label_smoothing: How far targets are drawn towards a half.
    """
    values = sigmoid_cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return {"loss": (values, jnp.ones_like(values)), **label_measures(logits, labels)}
