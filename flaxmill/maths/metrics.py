"""Metrics as sums that can be merged, so that an evaluation is exact whatever its batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from flaxmill.errors import NotFinite

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


def top_accuracy(
    logits: Shaped[Array, "batch class"], labels: Int[Array, " batch"], count: int
) -> Float[Array, " batch"]:
    """Returns 1 for each example whose label is among the ``count`` highest logits, else 0."""
    own = jnp.take_along_axis(logits, labels[:, None], 1)
    return ((logits > own).sum(-1) < count).astype(jnp.float32)


def label_measures(
    logits: Shaped[Array, "batch class"], labels: Float[Array, "batch class"]
) -> Measures:
    """Measures multilabel predictions: a label is predicted where its logit is above 0.

    Args:
        logits: Scores before the sigmoid.
        labels: 1 for a label that holds, 0 for one that does not.

    Returns:
        ``accuracy``, the share of the labels that are right; ``exact``, whether all of an example's
        are; and ``f1``, twice the labels rightly predicted over those predicted and those that
        hold. Its weights make a mean over examples the micro-averaged F1 of all labels, exactly.
    """
    predicted, holds = logits > 0, labels > 0.5
    right = (predicted == holds).astype(jnp.float32)
    hits = 2 * (predicted & holds).sum(-1).astype(jnp.float32)
    both = (predicted.sum(-1) + holds.sum(-1)).astype(jnp.float32)
    ones = jnp.ones_like(hits)
    return {
        "accuracy": (right.mean(-1), ones),
        "exact": (right.min(-1), ones),
        "f1": (hits / jnp.maximum(both, 1), both),
    }


def spread(members: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Returns the mean of each figure over models, and its standard deviation.

    The deviation is that of a sample (divided by one less than their number); one model has none.

    >>> spread([{"loss": 1.0}, {"loss": 3.0}])
    ({'loss': 2.0}, {'loss': 1.4142135623730951})
    """
    if len(members) == 1:
        return dict(members[0]), {}
    columns = {name: [figures[name] for figures in members] for name in members[0]}
    means = {name: float(np.mean(column)) for name, column in columns.items()}
    return means, {name: float(np.std(column, ddof=1)) for name, column in columns.items()}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sums:
    """Weighted sums by metric; merging is commutative and `empty` is its identity.

    As in any pytree, shapes or shardings may stand in the place of the arrays.

    Attributes:
        totals: Sum of value × weight for each metric; for several models, an array of theirs.
        weights: Sum of weights for each metric.
        examples: Number of examples, where the host counted them (in an evaluation); else 0.
    """

    totals: dict[str, Any]
    weights: dict[str, Any]
    examples: int = field(default=0, metadata={"static": True})

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
            if weight.ndim == 0:  # the same for all
                weight = jnp.broadcast_to(weight, value.shape)
            if mask is not None:
                rows = mask.reshape(mask.shape + (1,) * (value.ndim - 1))  # [batch, 1, …]
                weight = jnp.where(rows, weight, 0)
            value = jnp.where(weight == 0, 0, value)
            totals[name], weights[name] = (value * weight).sum(), weight.sum()
        return cls(totals, weights)

    @classmethod
    def empty(cls, like: "Sums") -> "Sums":
        """Returns the sums over no example, with the metrics of ``like``."""
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
        return replace(zeros, examples=0)

    def mean(self, name: str) -> Any:
        """Returns the mean of a metric as an array, to be computed with; 0 where nothing counts."""
        return self.totals[name] / jnp.maximum(self.weights[name], 1e-30)

    def merge(self, other: "Sums") -> "Sums":
        """Returns the sums over the examples of both."""
        ours, theirs = (self.totals, self.weights), (other.totals, other.weights)
        totals, weights = jax.tree.map(jnp.add, ours, theirs)
        return Sums(totals, weights, self.examples + other.examples)

    @classmethod
    def stacked(cls, members: Sequence["Sums"]) -> "Sums":
        """Puts the sums of several models into one, with an axis for them."""
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)

    def apart(self) -> list["Sums"]:
        """Returns the sums of each model; this waits for the device."""
        sums = jax.device_get(self)
        count = max(map(np.size, jax.tree.leaves(sums)))
        return [jax.tree.map(lambda leaf, i=i: np.ravel(leaf)[i], sums) for i in range(count)]

    def means(self) -> dict[str, float]:
        """Returns the weighted mean of each metric; this waits for the device.

        Metrics called ``name/part`` become one, ``name``: the mean of those parts that have a
        weight, each of which is a mean over examples itself.
        """
        totals, weights = jax.device_get((self.totals, self.weights))
        parts: dict[str, list[float]] = {}
        for name in totals:
            means = parts.setdefault(name.partition("/")[0], [])
            if float(weights[name]) or "/" not in name:
                means.append(float(totals[name]) / max(float(weights[name]), 1e-30))
        return {name: sum(means) / max(len(means), 1) for name, means in parts.items()}

    def finite_means(self, step: int) -> list[dict[str, float]]:
        """Returns the weighted means of each model.

        Raises:
            NotFinite: One is NaN or infinite, in the steps up to ``step``.
        """
        each = [one.means() for one in self.apart()]
        if not all(np.isfinite(value) for means in each for value in means.values()):
            raise NotFinite(step)
        return each
