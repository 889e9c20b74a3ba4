"""Convolutions with 3×3 kernels in fewer multiplications: Winograd's minimal filtering.

Source: Lavin and Gray, 2016, "Fast algorithms for convolutional neural networks", sections 3 and 4.
An output tile of m×m places is computed from an input tile of (m+2)×(m+2) as
``Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A``; summed over the input channels, the product in the middle is
(m+2)² matrix products, each over all tiles. They stay separate: XLA runs a plain product of two
matrices faster than a batch of them.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Num

Pairs = tuple[tuple[int, int], ...]
Grid = list[list[Array]]

_B: dict[int, np.ndarray] = {
    2: np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    4: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
}
"""``Bᵀ`` of F(m×m, 3×3), by m."""
_G: dict[int, np.ndarray] = {
    2: np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
    4: np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
}
_A: dict[int, np.ndarray] = {
    2: np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    4: np.array(
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    ),
}
"""``Aᵀ``, by m."""

kept = lax.optimization_barrier
"""Marks what is worth keeping in memory: XLA would compute it anew for each of its readers."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def winograd(
    x: Float[Array, "batch height width channel"],
    kernel: Float[Array, "3 3 channel feature"],
    padding: Pairs,
    tile: int,
) -> Float[Array, "batch out_height out_width feature"]:
    """Convolves with stride 1; the places of the result lie tile by tile, the tile outside.

    Args:
        x: Pictures.
        kernel: Of 3×3 places.
        padding: Zeros before and after, at least 0, for height and width.
        tile: Output places across a tile: 2 or 4.

    Returns:
        The result, height and width rounded up to whole tiles.
    """
    return _forward(x, kernel, padding, tile)[0]


def _forward(
    x: Array, kernel: Array, padding: Pairs, tile: int
) -> tuple[Array, tuple[Grid, Array, tuple[int, ...]]]:
    batch, *size, _ = x.shape
    rows, columns = _tiles(size, padding, tile)
    inputs = _input_tiles(x, padding, tile)
    kernels = _kernel_tiles(kernel, tile)
    products = [
        [kept(part @ kernels[i, j]) for j, part in enumerate(row)] for i, row in enumerate(inputs)
    ]
    outputs = _both_sides(_A[tile], products)
    shape = (batch, rows * tile, columns * tile, kernel.shape[-1])
    y = jnp.concatenate([part for row in outputs for part in row]).reshape(shape)
    return kept(y), (inputs, kernel, x.shape)


def _backward(
    padding: Pairs, tile: int, saved: tuple[Grid, Array, tuple[int, ...]], gradient: Array
) -> tuple[Array, Array]:
    inputs, kernel, shape = saved
    parts = kept(gradient).reshape(tile, tile, -1, gradient.shape[-1])
    outputs = [[parts[p, q] for q in range(tile)] for p in range(tile)]
    products = _both_sides(_A[tile].T, outputs)
    kernels = _kernel_tiles(kernel, tile)
    places = range(tile + 2)
    kernel_tiles = jnp.stack([inputs[i][j].T @ products[i][j] for i in places for j in places])
    kernel_gradient = _both(_G[tile]).T @ kernel_tiles.reshape(len(kernel_tiles), -1)
    input_tiles = [[kept(products[i][j] @ kernels[i, j].T) for j in places] for i in places]
    return (
        _input_gradient(input_tiles, shape, padding, tile),
        kernel_gradient.reshape(kernel.shape).astype(kernel.dtype),
    )


winograd.defvjp(_forward, _backward)


def _tiles(size: Sequence[int], padding: Pairs, tile: int) -> list[int]:
    """Returns how many tiles an output has down and across."""
    return [-(-(s + sum(pads) - 2) // tile) for s, pads in zip(size, padding, strict=True)]


def _both(matrix: np.ndarray) -> Array:
    """Returns a matrix that acts on both axes of a flattened square."""
    return jnp.asarray(np.kron(matrix, matrix), jnp.float32)


def _kernel_tiles(kernel: Array, tile: int) -> Array:
    """Returns ``G g Gᵀ``: ``[tile + 2, tile + 2, channel, feature]``."""
    flat = _both(_G[tile]) @ kernel.reshape(9, -1)
    return flat.reshape(tile + 2, tile + 2, *kernel.shape[2:])


def _input_tiles(x: Array, padding: Pairs, tile: int) -> Grid:
    """Returns ``Bᵀ d B`` of every tile: for each of its places ``[tiles, channel]``."""
    counts = _tiles(x.shape[1:3], padding, tile)
    far = [
        tile * count + 2 - side - low
        for side, (low, _), count in zip(x.shape[1:3], padding, counts, strict=True)
    ]
    padded = kept(jnp.pad(x, ((0, 0), (padding[0][0], far[0]), (padding[1][0], far[1]), (0, 0))))
    down, right = (tile * (count - 1) + 1 for count in counts)
    places = range(tile + 2)
    parts = [
        [
            padded[:, i : i + down : tile, j : j + right : tile].reshape(-1, x.shape[-1])
            for j in places
        ]
        for i in places
    ]
    return _both_sides(_B[tile], parts)


def _input_gradient(grid: Grid, shape: tuple[int, ...], padding: Pairs, tile: int) -> Array:
    """Puts the gradients of all input tiles, which overlap, together: undoes `_input_tiles`."""
    batch, height, width, channels = shape
    rows, columns = _tiles((height, width), padding, tile)
    parts = [[part.reshape(batch, rows, columns, channels) for part in row] for row in grid]
    across = [_spread_back(row, 2, width, padding[1][0], tile) for row in parts]
    both = [
        _spread_back([across[i][q] for i in range(tile + 2)], 1, height, padding[0][0], tile)
        for q in range(tile)
    ]
    joined = jnp.stack(
        [jnp.stack([both[q][p] for q in range(tile)], 3) for p in range(tile)], 2
    )  # [batch, row, down, column, right, channel]
    sizes = (batch, joined.shape[1] * tile, joined.shape[3] * tile, channels)
    return kept(joined.reshape(sizes)[:, :height, :width])


def _spread_back(
    parts: Sequence[Array], axis: int, size: int, before: int, tile: int
) -> list[Array]:
    """Undoes ``Bᵀ`` along one axis; returns the gradient at every ``tile``-th place, by phase.

    Place ``a`` of tile ``t`` is the input's place ``tile * t + a - before``.
    """
    count = -(-size // tile)
    phases = []
    for phase in range(tile):
        terms = []
        for a in range(tile + 2):
            ahead, rest = divmod(phase + before - a, tile)
            if rest == 0:  # phase s is place a of tile s + ahead
                term = _combined(_B[tile][:, a], parts)
                ends = (-ahead, count + ahead - term.shape[axis], 0)
                config = [ends if i == axis else (0, 0, 0) for i in range(term.ndim)]
                terms.append(lax.pad(term, jnp.zeros((), term.dtype), config))
        phases.append(kept(functools.reduce(jnp.add, terms)))
    return phases


def _both_sides(matrix: np.ndarray, grid: Grid) -> Grid:
    """Returns ``matrix · grid · matrixᵀ`` for a grid of arrays."""
    columns = list(zip(*grid, strict=True))
    half = [[_combined(row, column) for column in columns] for row in matrix]
    if len(matrix) > 4:  # with so many terms, the first half is worth keeping
        half = [[kept(part) for part in row] for row in half]
    return [[kept(_combined(row, part)) for row in matrix] for part in half]


def _combined(factors: Num[np.ndarray, " term"], arrays: Sequence[Array]) -> Array:
    """Returns the sum of arrays times their factors, without those whose factor is 0."""
    total = None
    for factor, array in zip(factors.tolist(), arrays, strict=True):
        if factor:
            term = array if abs(factor) == 1 else float(abs(factor)) * array
            if total is None:
                total = term if factor > 0 else -term
            else:
                total = total + term if factor > 0 else total - term
    assert total is not None, "no row of the matrices is 0"
    return total
