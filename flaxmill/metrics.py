"""Metrics as sums that can be merged, so that an evaluation is exact whatever its batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

Measures = Mapping[str, tuple[Array, Array]]
"""What ``loss`` and ``measure`` return: name -> (value per example, weight per example)."""


def accuracy(
    logits: Shaped[Array, "batch class"],
    labels: Int[Array, " batch"] | Float[Array, "batch class"],
) -> Float[Array, " batch"]:
    """Returns 1 for each example whose highest logit is its label's, else 0.

    A label distribution (mixed pictures) counts as its likeliest class.
    """
    expected = labels if labels.ndim == 1 else labels.argmax(-1)
    return (logits.argmax(-1) == expected).astype(jnp.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sums:
    """Weighted sums by metric; merging is commutative and `empty` is its identity.

    As in any pytree, shapes or shardings may stand in the place of the arrays.

    Attributes:
        totals: Sum of value × weight for each metric.
        weights: Sum of weights for each metric.
    """

    totals: dict[str, Any]
    weights: dict[str, Any]

    @classmethod
    def of(cls, measures: Measures, mask: Bool[Array, " batch"] | None = None) -> "Sums":
        """Sums measures over a batch.

        Args:
            measures: Name -> (value per example, weight per example).
            mask: False for padding. What it hides, or has no weight, does not count, NaN included.
        """
        totals, weights = {}, {}
        for name, (value, weight) in measures.items():
            value, weight = value.astype(jnp.float32), weight.astype(jnp.float32)
            if mask is not None:
                rows = mask.reshape(mask.shape + (1,) * (value.ndim - 1))
                weight = jnp.where(rows, weight, 0)
            value = jnp.where(weight == 0, 0, value)
            totals[name], weights[name] = (value * weight).sum(), weight.sum()
        return cls(totals, weights)

    @classmethod
    def empty(cls, like: "Sums") -> "Sums":
        """Returns the sums over no example, with the metrics of ``like``."""
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)

    def merge(self, other: "Sums") -> "Sums":
        """Returns the sums over the examples of both."""
        return jax.tree.map(jnp.add, self, other)

    def means(self) -> dict[str, float]:
        """Returns the weighted mean of each metric; this waits for the device."""
        totals, weights = jax.device_get((self.totals, self.weights))
        return {name: float(totals[name]) / max(float(weights[name]), 1e-30) for name in totals}
