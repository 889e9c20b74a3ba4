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
    if not 0 <= label_smoothing < 1:
        raise BadInput(f"--label-smoothing {label_smoothing} must be from 0 up to, but not, 1.")
    targets = one_hot(labels, logits.shape[-1])
    targets = optax.smooth_labels(targets, label_smoothing)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), targets)
