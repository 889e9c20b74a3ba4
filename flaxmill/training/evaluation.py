"""Exact evaluation: every example once, padding masked out, sums and no means of means."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Bool

from flaxmill.data.reading.readers import Filled, Reading, read_ahead
from flaxmill.data.reading.unreadable import SkippingUnreadable
from flaxmill.data.sizes import sources_of
from flaxmill.data.source import Example, Source, Splits, View
from flaxmill.errors import BadInput, listed, quoted
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.training import returned

BATCH_SIZE = 500
"""Examples a batch, at most."""
_BATCH_BYTES = 16 * 2**20
"""A batch of large examples is about so large, for what a network makes of them is far larger."""


def _fitting(example: Example, length: int, most: int, devices: int) -> int:
    """Returns how many examples are evaluated at a time: that depends on the source alone.

    Of few examples, a half, a quarter or so of the usual number: a network would spend most of the
    time on what fills a batch up. Were it exactly so many, splits that differ by an example or two
    would be compiled one by one.
    """

    def divisible(count: int) -> int:
        return -(-count // devices) * devices

    bytes_of_one = max(1, sum(np.asarray(array).nbytes for array in example.values()))
    size = divisible(max(1, min(most, _BATCH_BYTES // bytes_of_one)))
    while length <= (half := divisible(-(-size // 2))) < size:
        size = half
    return size


def padded_batches(
    source: Source, size: int = BATCH_SIZE, *, devices: int = 1, reading: Reading | None = None
) -> Iterator[tuple[dict[str, Any], Bool[np.ndarray, " batch"]]]:
    """Yields all examples in batches of one size; the next one is read meanwhile.

    Args:
        source: What to go through.
        size: Most examples a batch; there are fewer where they are large.
        devices: What their number is to be divisible by, for which it is rounded up.
        reading: How examples are read.

    Yields:
        A batch, and a mask that is False for what fills it up: copies of the last example in the
        last batch, and zeros in the place of an example that cannot be read, if ``reading`` skips
        those.

    Raises:
        Unreadable: An example cannot be read; the message names it.
    """
    if not len(source):
        return
    reading = reading or Reading()
    size = _fitting(reading.first(source), len(source), size, devices)

    def requests() -> Iterator[tuple[np.ndarray, int]]:
        for start in range(0, len(source), size):
            indices = np.arange(start, start + size)
            count = min(size, len(source) - start)
            yield np.where(indices < len(source), indices, -1), count

    def padded(count: int, filled: Filled) -> tuple[dict[str, Any], np.ndarray]:
        for array in filled.arrays.values():
            array[count:] = array[count - 1]
        mask = np.arange(size) < count
        mask[list(filled.unreadable)] = False
        return filled.arrays, mask

    yield from read_ahead(source, requests(), reading, ahead=1, finish=padded)


def readable(source: Source) -> Source:
    """Returns the examples of a source that can be read; this reads each of them once.

    Raises:
        Unreadable: There is none.
    """
    if not len(source):
        return source
    reading = Reading(skip_unreadable=True)
    masks = [mask for _, mask in padded_batches(source, reading=reading)]
    kept = np.flatnonzero(np.concatenate(masks))
    return View(source, len(kept), lambda indices: kept[indices])


def passing_over(splits: Splits) -> Splits:
    """Returns splits without what cannot be read, as a run had them that was to skip it.

    It is left out of validation and test, and a neighbour takes its place among the training
    examples, which are not read for it.

    Raises:
        Unreadable: A part has no example that can be read.
    """
    held_out, test = (readable(part) for part in (splits.validation, splits.test))
    train = splits.train if hasattr(splits.train, "resident") else SkippingUnreadable(splits.train)
    return replace(splits, train=train, validation=held_out, test=test)


def measured(
    measure: Callable[..., Measures], model: nnx.Module
) -> Callable[[Mapping[str, Any], Any], Sums]:
    """Returns the function that sums a recipe's ``measure`` of a model over a padded batch."""
    return functools.partial(_measured, measure, model)


@functools.partial(jax.jit, static_argnums=0)
def _measured(measure: Any, model: nnx.Module, batch: Mapping[str, Any], mask: Any) -> Sums:
    return Sums.of(returned.measures(measure, measure(model, batch), len(mask)), mask)


@jax.jit
def applied(model: nnx.Module, inputs: Any) -> Any:
    """Returns a model's output; each form of model and size of batch is compiled once."""
    return model(inputs)


def scored(
    model: nnx.Module,
    source: Source,
    name: str,
    *,
    reading: Reading | None = None,
    apply: Callable[[nnx.Module, Any], Any] = applied,
    where: str | Path = "signature.json",
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields a model's output for every example of a source, and their labels, batch by batch.

    Each example is read once: neither they nor the outputs need fit into memory together.

    Args:
        model: In evaluation mode.
        source: The examples; at least one.
        name: Of what the model takes of an example.
        reading: How examples are read; those that it skips are left out.
        apply: Asks the model.
        where: The signature that says what it takes, for messages.
    """
    for batch, mask in padded_batches(source, reading=reading):
        outputs = np.asarray(apply(model, taken(batch, name, where)))
        yield outputs[mask], np.asarray(batch["label"])[mask]


def joined(parts: Iterable[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Returns the arrays of all batches, one after another."""
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def taken(batch: Mapping[str, Any], name: str, where: str | Path) -> Any:
    """Returns what a model takes of a batch.

    Args:
        batch: By name.
        name: Of it.
        where: The signature that says so, for the message.

    Raises:
        BadInput: The batch has nothing of that name, which the model's signature says.
    """
    if name not in batch:
        raise BadInput(
            f"{where} says that the model takes {quoted(name)}, and the examples have "
            f"{listed(batch)}: restore it from a copy."
        )
    return batch[name]


def total(
    sums: Callable[[Mapping[str, Any], Any], Sums],
    source: Source,
    size: int = BATCH_SIZE,
    *,
    devices: int = 1,
    reading: Reading | None = None,
) -> Sums:
    """Adds up the sums of all batches, in float64 on the host.

    Args:
        sums: From a padded batch and its mask to the sums over it; it may return before the device
            is done, for the next batch is read meanwhile.
        source: What to evaluate on.
        size: Most examples a batch.
        devices: What their number is to be divisible by.
        reading: How examples are read; those that it skips do not count.

    Raises:
        BadInput: There is nothing to evaluate on, or an example cannot be read.
    """
    if not len(source):
        raise BadInput("there is nothing to evaluate on: the split is empty (--validation 0?).")
    added, pending, examples = None, None, 0
    for part in sources_of(source):  # a sum has no order: each size by itself costs the least
        for batch, mask in padded_batches(part, size, devices=devices, reading=reading):
            previous, pending = pending, sums(batch, mask)
            added = _added(added, previous)
            examples += int(mask.sum())
    added = _added(added, pending)
    assert added is not None, "there was at least one batch"
    return replace(added, examples=examples)


def _added(added: Sums | None, sums: Sums | None) -> Sums | None:
    if sums is None:
        return added
    fetched = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), jax.device_get(sums))
    return fetched if added is None else jax.tree.map(np.add, added, fetched)
