"""Losses, a value per example in float32: the loop alone masks, sums and divides."""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Shaped

from flaxmill.errors import BadInput


def one_hot(
    labels: Int[Array, " batch"] | Float[Array, "batch class"], num_classes: int
) -> Float[Array, "batch class"]:
    """Returns label distributions: indices become one-hot rows, distributions stay as they are."""
    if labels.ndim == 2:
        return labels.astype(jnp.float32)
    classes = jnp.arange(num_classes, dtype=labels.dtype)
    return (labels[:, None] == classes[None, :]).astype(jnp.float32)


def softmax_cross_entropy(
    logits: Shaped[Array, "batch class"],
    labels: Int[Array, " batch"] | Float[Array, "batch class"],
    *,
    label_smoothing: float = 0.0,
) -> Float[Array, " batch"]:
    """Softmax cross-entropy of each example, in nats.

    Args:
        logits: Scores before the softmax; any floating type, computed in float32.
        labels: Class indices, or a distribution over the classes for each example.
        label_smoothing: Share of the label mass that is spread evenly over all classes
            (Szegedy et al. 2016, "Rethinking the Inception architecture", section 7).

    Returns:
        The loss of each example.

    Raises:
        BadInput: The smoothing is out of its range.

    >>> softmax_cross_entropy(jnp.zeros((1, 4)), jnp.array([2])).round(4)
    Array([1.3863], dtype=float32)
    """
    _check_smoothing(label_smoothing)
    targets = one_hot(labels, logits.shape[-1])
    targets = optax.smooth_labels(targets, label_smoothing)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), targets)


def sigmoid_cross_entropy(
    logits: Shaped[Array, "batch class"],
    labels: Float[Array, "batch class"],
    *,
    label_smoothing: float = 0.0,
) -> Float[Array, " batch"]:
    """Binary cross-entropy of each example, in nats: the mean over its labels.

    Args:
        logits: Scores before the sigmoid; any floating type, computed in float32.
        labels: 1 for a label that holds, 0 for one that does not, or a share between.
        label_smoothing: Share of each label that is moved to one half.

    Returns:
        The loss of each example.

    Raises:
        BadInput: The smoothing is out of its range.

    >>> sigmoid_cross_entropy(jnp.zeros((1, 4)), jnp.array([[0.0, 1.0, 1.0, 0.0]])).round(4)
    Array([0.6931], dtype=float32)
    """
    _check_smoothing(label_smoothing)
    targets = labels.astype(jnp.float32) * (1 - label_smoothing) + label_smoothing / 2
    return optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), targets).mean(-1)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing < 1:
        raise BadInput(f"--label-smoothing {label_smoothing} must be from 0 up to, but not, 1.")
