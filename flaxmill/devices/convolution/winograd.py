"""Convolutions with 3×3 kernels in fewer multiplications: Winograd's minimal filtering.

Source: Lavin and Gray, 2016, "Fast algorithms for convolutional neural networks", sections 3 and 4.
An output tile of m×m places is computed from an input tile of (m+2)×(m+2) as
``Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A``; summed over the input channels, the product in the middle is
(m+2)² matrix products, each over all tiles.

The places of a tile are the outermost axes here, ``[right, down, …]``, so that a product ``Bᵀ d``
is a sum of whole arrays with factors, and all its rows are one fused loop: written row by row it
would run a tenth faster, and compile three times as long.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Num

from flaxmill.devices.convolution.tiles import materialise

Pairs = tuple[tuple[int, int], ...]
Saved = tuple[Array, Array, tuple[int, ...]]

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
        tile: Output places across a tile; 2, or 4, which rounds a few times as much.

    Returns:
        The result, height and width rounded up to whole tiles.
    """
    return _forward(x, kernel, padding, tile)[0]


def _forward(x: Array, kernel: Array, padding: Pairs, tile: int) -> tuple[Array, Saved]:
    rows, columns = _tiles(x.shape[1:3], padding, tile)
    inputs = _input_tiles(x, padding, tile)
    products = materialise(jnp.einsum("ptc,pcf->ptf", inputs, _kernel_tiles(kernel, tile)))
    grid = products.reshape(tile + 2, tile + 2, *products.shape[1:])
    y = _both_sides(_A[tile], grid)
    return y.reshape(len(x), rows * tile, columns * tile, -1), (inputs, kernel, x.shape)


def _backward(padding: Pairs, tile: int, saved: Saved, gradient: Array) -> tuple[Array, Array]:
    inputs, kernel, shape = saved
    grid = materialise(gradient).reshape(tile, tile, -1, gradient.shape[-1])
    products = _both_sides(_A[tile].T, grid).reshape(*inputs.shape[:2], -1)
    kernel_tiles = jnp.einsum("ptc,ptf->pcf", inputs, products)
    kernel_gradient = _both(_G[tile]).T @ kernel_tiles.reshape(len(kernel_tiles), -1)
    input_tiles = jnp.einsum("ptf,pcf->ptc", products, _kernel_tiles(kernel, tile))
    return (
        _input_gradient(materialise(input_tiles), shape, padding, tile),
        kernel_gradient.reshape(3, 3, *kernel.shape[2:]).swapaxes(0, 1),
    )


winograd.defvjp(_forward, _backward)


def _tiles(size: Sequence[int], padding: Pairs, tile: int) -> list[int]:
    """Returns how many tiles an output has down and across."""
    return [-(-(s + sum(pads) - 2) // tile) for s, pads in zip(size, padding, strict=True)]


def _both(matrix: np.ndarray) -> Array:
    """Returns a matrix that acts on both axes of a flattened square."""
    return jnp.asarray(np.kron(matrix, matrix), jnp.float32)


def _kernel_tiles(kernel: Array, tile: int) -> Float[Array, "place channel feature"]:
    """Returns ``G g Gᵀ``, its places in the order right, down."""
    turned = kernel.swapaxes(0, 1).reshape(9, -1)
    return (_both(_G[tile]) @ turned).reshape((tile + 2) ** 2, *kernel.shape[2:])


def _input_tiles(x: Array, padding: Pairs, tile: int) -> Float[Array, "place tile channel"]:
    """Returns ``Bᵀ d B`` of every tile."""
    counts = _tiles(x.shape[1:3], padding, tile)
    edges = [
        (before, tile * count + 2 - side - before)
        for side, (before, _), count in zip(x.shape[1:3], padding, counts, strict=True)
    ]
    padded = materialise(jnp.pad(x, ((0, 0), *edges, (0, 0))))

    def places(array: Array, axis: int, count: int) -> list[Array]:
        """Returns what lies at each place of the tiles along an axis."""
        span = tile * (count - 1) + 1
        return [
            lax.slice_in_dim(array, place, place + span, tile, axis) for place in range(tile + 2)
        ]

    down = _mixed(_B[tile], places(padded, 1, counts[0]))  # [down, batch, row, width, channel]
    both = _mixed(_B[tile], places(down, 3, counts[1]))
    return both.reshape((tile + 2) ** 2, -1, x.shape[-1])


def _input_gradient(tiles: Array, shape: tuple[int, ...], padding: Pairs, tile: int) -> Array:
    """Puts the gradients of all input tiles, which overlap, together: undoes `_input_tiles`."""
    batch, height, width, channels = shape
    rows, columns = _tiles((height, width), padding, tile)
    grid = tiles.reshape(tile + 2, tile + 2, batch, rows, columns, channels)
    right = _mixed(_B[tile].T, list(grid))  # [right, down, batch, row, column, channel]
    across = materialise(jnp.stack(_overlapped(right, 3, width, padding[1][0], tile), 4))
    down = _mixed(_B[tile].T, list(across))  # [down, batch, row, column, phase, channel]
    both = jnp.stack(_overlapped(down, 1, height, padding[0][0], tile), 2)
    joined = both.reshape(batch, both.shape[1] * tile, -1, channels)
    return materialise(joined[:, :height, :width])


def _overlapped(places: Array, axis: int, size: int, before: int, tile: int) -> list[Array]:
    """Adds up what overlapping tiles give to each place of an axis.

    Args:
        places: For each place across a tile, an array whose ``axis`` counts the tiles. Place ``a``
            of tile ``t`` is the input's place ``tile * t + a - before``.
        axis: Of each of those arrays.
        size: The input's size along the axis.
        before: Zeros that were added before the input.
        tile: Output places across a tile.

    Returns:
        For each phase from 0 to ``tile - 1``, the input's places ``phase``, ``phase + tile``, …
    """
    count = -(-size // tile)
    phases = []
    for phase in range(tile):
        terms = []
        for place, values in enumerate(places):
            ahead, rest = divmod(phase + before - place, tile)
            if rest == 0:  # number n of this phase is this place of tile n + ahead
                ends = (-ahead, count + ahead - values.shape[axis], 0)
                config = [ends if i == axis else (0, 0, 0) for i in range(values.ndim)]
                terms.append(lax.pad(values, jnp.zeros((), values.dtype), config))
        phases.append(sum(terms[1:], terms[0]))
    return phases


def _both_sides(matrix: np.ndarray, grid: Array) -> Array:
    """Returns ``matrix · gridᵀ · matrixᵀ`` over the two outermost axes, which change places."""
    half = _mixed(matrix, list(grid))
    return _mixed(matrix, [half[:, place] for place in range(half.shape[1])])


def _mixed(matrix: Num[np.ndarray, "row place"], arrays: Sequence[Array]) -> Array:
    """Returns the product of a matrix and a column of arrays: ``[row, …]``."""
    terms = [
        jnp.asarray(column, jnp.float32).reshape(-1, *[1] * array.ndim) * array[None]
        for column, array in zip(matrix.T, arrays, strict=True)
    ]
    return materialise(functools.reduce(jnp.add, terms))
