"""Exact evaluation: every example once, padding masked out, sums and no means of means."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Bool

from flaxmill.data.source import Source
from flaxmill.errors import BadInput
from flaxmill.metrics import Measures, Sums

BATCH_SIZE = 500


def padded_batches(
    source: Source, size: int = BATCH_SIZE
) -> Iterator[tuple[dict[str, Any], Bool[np.ndarray, " batch"]]]:
    """Yields all examples in batches of one size.

    Args:
        source: What to go through.
        size: Examples a batch; the last one is filled up with its last example.

    Yields:
        A batch, and a mask that is False for what fills it up.
    """
    for start in range(0, len(source), size):
        indices = np.arange(start, start + size)
        yield dict(source.take(np.minimum(indices, len(source) - 1))), indices < len(source)


def measured(
    measure: Callable[..., Measures], model: nnx.Module
) -> Callable[[Mapping[str, Any], Any], Sums]:
    """Returns the function that sums a recipe's ``measure`` of a model over a padded batch."""
    return functools.partial(_measured, measure, model)


@functools.partial(jax.jit, static_argnums=0)
def _measured(measure: Any, model: nnx.Module, batch: Mapping[str, Any], mask: Any) -> Sums:
    return Sums.of(measure(model, batch), mask)


def total(
    sums: Callable[[Mapping[str, Any], Any], Sums], source: Source, size: int = BATCH_SIZE
) -> Sums:
    """Adds up the sums of all batches, in float64 on the host.

    Args:
        sums: From a padded batch and its mask to the sums over it; it may return before the device
            is done, for the next batch is read meanwhile.
        source: What to evaluate on.
        size: Examples a batch.

    Raises:
        BadInput: There is nothing to evaluate on.
    """
    if not len(source):
        raise BadInput("there is nothing to evaluate on: the split is empty (--validation 0?).")
    added, pending = None, None
    for batch, mask in padded_batches(source, size):
        previous, pending = pending, sums(batch, mask)
        added = _added(added, previous)
    added = _added(added, pending)
    assert added is not None, "there was at least one batch"
    return added


def _added(added: Sums | None, sums: Sums | None) -> Sums | None:
    if sums is None:
        return added
    fetched = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(sums))
    return fetched if added is None else jax.tree.map(np.add, added, fetched)
