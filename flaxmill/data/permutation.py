"""The endless order of a run's examples: a permutation for each epoch, a function of an index.

It needs no memory, whatever the length of the data, so that the position in the data is one
integer.
"""

import math
from typing import Any

import numpy as np
from jaxtyping import Int, UInt32, UInt64

_ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: steps of it spread evenly."""


def scramble(value: UInt64[np.ndarray, "*dims"]) -> UInt64[np.ndarray, "*dims"]:
    """Scrambles 64-bit integers so that neighbours become unrelated; no two become the same.

    Source: the output function of SplitMix64 (Steele, Lea and Flood, 2014, section 5.1).
    """
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def permute(
    positions: Int[np.ndarray, "*dims"], length: int, *, seed: int, epoch: Int[np.ndarray, "*dims"]
) -> Int[np.ndarray, "*dims"]:
    """Maps positions to their places in a random permutation of ``range(length)``.

    A Feistel network permutes the next larger power of four, and is applied again to values
    outside the range until they fall inside it (Black and Rogaway 2002, "Ciphers with arbitrary
    finite domains", section 3: cycle walking). It needs no memory, whatever the length.

    Args:
        positions: Places in the order, from 0 to ``length - 1``.
        length: Number of examples.
        seed: The run's seed.
        epoch: The epoch of each position; each epoch has a permutation of its own.

    Returns:
        The index of the example at each position.

    >>> permute(np.arange(5), 5, seed=0, epoch=np.zeros(5, np.int64)).sum()
    np.int64(10)
    """
    half = np.uint64(max(1, math.ceil((length - 1).bit_length() / 2)))
    mask = (np.uint64(1) << half) - np.uint64(1)
    with np.errstate(over="ignore"):
        stream = scramble(scramble(np.asarray(seed, np.uint64) + epoch.astype(np.uint64) * GOLDEN))
        keys = [scramble(stream + np.uint64(r + 1) * GOLDEN) for r in range(_ROUNDS)]

        def encrypt(value: np.ndarray, subset: Any) -> np.ndarray:
            left, right = value >> half, value & mask
            for key in keys:
                left, right = right, left ^ (scramble(right ^ key[subset]) & mask)
            return (left << half) | right

        value = encrypt(positions.astype(np.uint64), ...)
        while (outside := value >= length).any():
            value[outside] = encrypt(value[outside], outside)
    return value.astype(np.int64)


def order(
    start: int, stop: int, batch_size: int, length: int, seed: int
) -> tuple[Int[np.ndarray, "step batch"], UInt32[np.ndarray, "step batch"]]:
    """Returns the examples in the batches of the steps from ``start`` to ``stop``.

    Args:
        start: First step.
        stop: The step after the last one.
        batch_size: Examples a step.
        length: Examples in the training data.
        seed: The run's seed.

    Returns:
        Indices of examples, and the epoch that each belongs to.
    """
    places = np.arange(start * batch_size, stop * batch_size, dtype=np.int64)
    places = places.reshape(stop - start, batch_size)  # [step, batch]
    epochs = places // length
    return permute(places % length, length, seed=seed, epoch=epochs), epochs.astype(np.uint32)
