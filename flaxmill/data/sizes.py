"""Examples of many sizes, such as texts, padded to one of a few; and which size each step has.

Steps come in stretches of so many, each of one size, so that a compiled function is called with one
shape for a while. All of it is a function of a step's number, in a memory that does not grow with
the steps: nothing is shuffled, and no stream has a position.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8, UInt32

from flaxmill.data.permutation import GOLDEN, order, permute, scramble
from flaxmill.data.source import Example, Source, known_labels
from flaxmill.errors import BadInput

MOST_SIZES = 8
"""Sizes, at most: each is compiled for itself."""
_TRIED = 512  # lengths that may become sizes
_SIZE_KEY = 0x5EED0F512E5  # whatever the seed: models of several seeds share a step's shape


@dataclass(frozen=True)
class Sized:
    """Examples of many lengths, each in a source of those that are padded to one size.

    As a source itself, it pads all of them to the largest size: code that wants one shape for all
    needs no notion of sizes.

    Args:
        sources: Those of each size; example i is the next one of the smallest size that holds it.
        sizes: Their lengths, smallest first.
        lengths: The length of each example.
        names: Of the arrays that are padded, with zeros, along their first axis.
        stretch: Training steps, one after another, that are of one size.
        texts: The text of each example, to be shown; empty if unknown.

    Raises:
        BadInput: The sizes are too many, out of order, or do not hold all of the examples.
    """

    sources: tuple[Source, ...]
    sizes: tuple[int, ...]
    lengths: Int[np.ndarray, " example"]
    names: tuple[str, ...]
    stretch: int = 8
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_sizes(self.sizes)
        if self.stretch < 1:
            raise BadInput(f"--stretch {self.stretch}: give the steps of one size, 1 or more.")
        if len(self.lengths) and self.lengths.max() > self.sizes[-1]:
            raise BadInput(
                f"an example of length {self.lengths.max():,} is longer than the largest size, "
                f"{self.sizes[-1]:,}."
            )
        if [len(source) for source in self.sources] != self.counts:
            raise BadInput("each size needs a source of the examples that it is the smallest for.")

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self):,} examples.")
        return {name: value[0] for name, value in self.take(np.array([index])).items()}

    @functools.cached_property
    def which(self) -> UInt8[np.ndarray, " example"]:
        """The index of each example's size."""
        return np.searchsorted(self.sizes, self.lengths).astype(np.uint8)

    @functools.cached_property
    def members(self) -> tuple[Int[np.ndarray, " some"], ...]:
        """The examples of each size."""
        return tuple(np.flatnonzero(self.which == size) for size in range(len(self.sizes)))

    @property
    def counts(self) -> list[int]:
        """The number of examples of each size."""
        return [len(some) for some in self.members]

    @property
    def labels(self) -> np.ndarray | None:
        """The label of each example, where those of every size are known without reading."""
        known = [known_labels(source) for source in self.sources]
        if any(some is None for some in known):
            return None
        return self._put([np.asarray(some) for some in known])

    @property
    def padding(self) -> float:
        """The share of padding in all examples."""
        padded = np.asarray(self.sizes)[self.which].sum()
        return float(1 - self.lengths.sum() / max(1, padded))

    def take(self, indices: Int[np.ndarray, " some"]) -> Example:
        """Returns many examples, padded to the largest size."""
        indices = np.asarray(indices)
        indices = np.where(indices < 0, indices + len(self), indices)
        which, arrays = self.which[indices], {}
        for size, members in enumerate(self.members):
            places = np.flatnonzero(which == size)
            if not len(places):
                continue
            rows = np.searchsorted(members, indices[places])
            for name, values in self.sources[size].take(rows).items():
                if name in self.names:
                    wider = [(0, 0)] * values.ndim
                    wider[1] = (0, self.sizes[-1] - self.sizes[size])
                    values = np.pad(values, wider)
                if name not in arrays:
                    arrays[name] = np.zeros((len(indices), *values.shape[1:]), values.dtype)
                arrays[name][places] = values
        return arrays

    def cut(self, examples: Mapping[str, np.ndarray], size: int, axis: int) -> dict[str, Any]:
        """Cuts examples that are padded to the largest size down to a smaller one.

        Args:
            examples: By name; ``axis`` of the arrays that are padded is their length.
            size: Index of the smaller one.
            axis: Number of axes before the length.
        """
        keep = (slice(None),) * axis + (slice(self.sizes[size]),)
        return {
            name: np.ascontiguousarray(array[keep]) if name in self.names else array
            for name, array in examples.items()
        }

    def _put(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        whole = np.zeros((len(self), *parts[0].shape[1:]), parts[0].dtype)
        for members, values in zip(self.members, parts, strict=True):
            whole[members] = values
        return whole


def check_sizes(sizes: Sequence[int]) -> None:
    """Refuses sizes that are too many, out of order, or nothing.

    Raises:
        BadInput: The message says which sizes are allowed.
    """
    if not 1 <= len(sizes) <= MOST_SIZES or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise BadInput(
            f"sizes {', '.join(map(str, sizes))}: give 1 to {MOST_SIZES} lengths, smallest first."
        )


def sources_of(source: Source) -> tuple[Source, ...]:
    """Returns the sources that a source has for its sizes; the source itself if it has one size."""
    return source.sources if isinstance(source, Sized) else (source,)


def choose_sizes(
    lengths: Sequence[int] | np.ndarray, *, most: int = 6, step: int = 1
) -> tuple[int, ...]:
    """Chooses sizes to pad examples to, with as little padding as so many sizes allow.

    The optimum is found by dynamic programming over the lengths that occur.

    Args:
        lengths: Of the examples.
        most: Sizes, at most.
        step: What sizes are multiples of.

    >>> choose_sizes([3, 3, 4, 9, 10, 10, 30], most=3)
    (4, 10, 30)
    """
    step = max(step, -(-int(np.max(lengths)) // _TRIED))
    rounded = -(-np.asarray(lengths, np.int64) // step) * step
    values, counts = np.unique(np.maximum(rounded, step), return_counts=True)
    number, below = len(values), np.concatenate([[0], np.cumsum(counts)])
    if number <= most:
        return tuple(values.tolist())
    # cost[j]: least that all examples up to the j-th length take, with so many sizes as tried yet.
    cost, back = values * below[1:], []
    for _ in range(1, most):
        # one more size: those up to the i-th take what they took, the rest the j-th length
        more = cost[:, None] + values[None, :] * (below[1:][None, :] - below[1:][:, None])
        more = np.where(np.tri(number, k=0, dtype=bool), np.iinfo(np.int64).max, more)
        from_, least = more.argmin(axis=0), more.min(axis=0)
        back.append(np.where(least < cost, from_, -1))
        cost = np.minimum(cost, least)
    picked, at = [number - 1], number - 1
    for previous in reversed(back):
        if previous[at] >= 0:
            at = int(previous[at])
            picked.append(at)
    return tuple(values[sorted(picked)].tolist())


@dataclass(frozen=True)
class SizeSchedule:
    """Which size each training step has, and which examples.

    By the end of epoch e, the examples of size k have had ``e * n_k / (batch_size * stretch)``
    stretches, rounded: so none of them starves, and an epoch has as many stretches as that comes
    to. Which of an epoch's stretches is of which size is a permutation of their own for each epoch.
    Inside a size, the examples follow an endless order as that of `flaxmill.data.permutation`.

    Args:
        counts: Examples of each size.
        batch_size: Examples a step.
        stretch: Steps, one after another, of one size.

    >>> schedule = SizeSchedule((30, 10), batch_size=2, stretch=5)
    >>> [schedule.size(step) for step in range(0, 40, 5)]
    [0, 0, 1, 0, 0, 0, 1, 0]
    """

    counts: tuple[int, ...]
    batch_size: int
    stretch: int

    def _stretches_by(self, epoch: int) -> list[int]:
        """Returns how many stretches each size has had after so many epochs."""
        one = self.batch_size * self.stretch  # examples of a stretch
        return [(2 * epoch * count + one) // (2 * one) for count in self.counts]

    def _stretch_at(self, step: int) -> tuple[int, int]:
        """Returns the size that a step has, and which of that size's stretches it is in."""
        stretch = step // self.stretch
        epoch = stretch * self.batch_size * self.stretch // sum(self.counts)
        while sum(self._stretches_by(epoch)) > stretch:
            epoch -= 1
        while sum(self._stretches_by(epoch + 1)) <= stretch:
            epoch += 1
        before_epoch, after_epoch = self._stretches_by(epoch), self._stretches_by(epoch + 1)
        count = sum(after_epoch) - sum(before_epoch)
        drawn = permute(
            np.array([stretch - sum(before_epoch)]), count, seed=_SIZE_KEY, epoch=np.array([epoch])
        )
        place = int(drawn[0])
        for size, (before, after) in enumerate(zip(before_epoch, after_epoch, strict=True)):
            if place < after - before:
                return size, before + place
            place -= after - before
        raise AssertionError("the stretches of an epoch are those of its sizes")

    def size(self, step: int) -> int:
        """Returns the index of the size that a step has."""
        return self._stretch_at(step)[0]

    def until(self, step: int) -> int:
        """Returns the step at which the stretch of a step is over."""
        return (step // self.stretch + 1) * self.stretch

    def order(
        self, start: int, stop: int, seed: int
    ) -> tuple[Int[np.ndarray, "step batch"], UInt32[np.ndarray, "step batch"]]:
        """Returns which examples of their size the steps of a stretch see.

        Args:
            start: First step.
            stop: The step after the last one, in the same stretch.
            seed: The run's seed.

        Returns:
            Indices among the examples of the size, and the epoch that each belongs to.
        """
        size, index = self._stretch_at(start)
        with np.errstate(over="ignore"):  # an order of its own for each size
            own = scramble(np.array([seed], np.uint64) + np.uint64(size + 1) * GOLDEN)
        first = index * self.stretch + start % self.stretch
        return order(first, first + stop - start, self.batch_size, self.counts[size], int(own[0]))


def size_schedule(source: Source, batch_size: int) -> SizeSchedule | None:
    """Returns the schedule of a source's sizes; None for a source of one size."""
    if not isinstance(source, Sized):
        return None
    return SizeSchedule(tuple(source.counts), batch_size, source.stretch)


def step_examples(
    source: Source, batch_size: int, start: int, stop: int, seed: int
) -> tuple[Int[np.ndarray, "step batch"], Int[np.ndarray, "step batch"], UInt32[np.ndarray, "..."]]:
    """Returns the examples of some steps, which are of one size.

    Args:
        source: The training data.
        batch_size: Examples a step.
        start: First step.
        stop: The step after the last one.
        seed: The run's seed.

    Returns:
        Indices of examples in the source, their places in the source of their size, and the epoch
        that each belongs to.
    """
    sizes = size_schedule(source, batch_size)
    if sizes is None or not isinstance(source, Sized):
        ids, epochs = order(start, stop, batch_size, len(source), seed)
        return ids, ids, epochs
    places, epochs = sizes.order(start, stop, seed)
    return source.members[sizes.size(start)][places], places, epochs
