"""Convolutions as one product of two matrices: patches of the input, and the kernel."""

import functools
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Pairs = tuple[tuple[int, int], ...]


def patches(
    x: Float[Array, "batch *space channel"],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int],
) -> Float[Array, "batch *out depth"]:
    """Returns, for every output place, the inputs that its kernel covers, side by side.

    Args:
        x: Pictures of any number of space axes.
        window: Kernel size of each space axis, as are the other arguments.
        strides: Steps between output places.
        padding: Zeros before and after.
        dilation: Steps between kernel places.
    """
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    spans = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    sizes = [
        (side - span - 1) // stride + 1
        for side, span, stride in zip(padded.shape[1:-1], spans, strides, strict=True)
    ]
    if len(window) == 2 and tuple(strides) == tuple(window) and set(dilation) == {1}:
        return _touching(padded, window, sizes)
    slices = []
    for place in itertools.product(*(range(k) for k in window)):
        start = [p * d for p, d in zip(place, dilation, strict=True)]
        stop = [s + (n - 1) * t + 1 for s, n, t in zip(start, sizes, strides, strict=True)]
        bounds = (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *strides, 1)
        slices.append(lax.slice(padded, *bounds))
    return jnp.concatenate(slices, axis=-1) if len(slices) > 1 else slices[0]


def _touching(x: Array, window: Sequence[int], sizes: Sequence[int]) -> Array:
    """Returns patches that lie side by side, which are a picture cut up: no slice for each place.

    Patches of 16×16 places compile in a second so, and as slices in fourteen.
    """
    (down, right), (rows, columns) = window, sizes
    x = x[:, : rows * down, : columns * right]
    grid = x.reshape(len(x), rows, down, columns, right, x.shape[-1])
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), rows, columns, -1)


def multiply(rows: Array, kernel: Array) -> Array:
    """Multiplies patches by a kernel, as one product of two matrices."""
    depth, features = rows.shape[-1], kernel.shape[-1]
    product = rows.reshape(-1, depth) @ kernel.reshape(depth, features)
    return product.reshape(*rows.shape[:-1], features)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def patch_product(
    x: Float[Array, "batch *space channel"],
    kernel: Float[Array, "*window channel feature"],
    strides: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
) -> Float[Array, "batch *out feature"]:
    """Convolves by patches and one matrix product; the arguments are those of `patches`."""
    return multiply(patches(x, kernel.shape[:-2], strides, padding, dilation), kernel)


def _forward(
    x: Array, kernel: Array, strides: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]
) -> tuple[Array, tuple[Array, Array, Array]]:
    rows = patches(x, kernel.shape[:-2], strides, padding, dilation)
    return multiply(rows, kernel), (x, rows, kernel)


def _backward(
    strides: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    saved: tuple[Array, Array, Array],
    gradient: Array,
) -> tuple[Array, Array]:
    x, rows, kernel = saved
    window = kernel.shape[:-2]
    depth, features = rows.shape[-1], gradient.shape[-1]
    flat = gradient.reshape(-1, features)
    kernel_gradient = multiply(rows.reshape(-1, depth).T, flat).reshape(kernel.shape)
    reach = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    back = tuple((r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True))
    if all(stride == 1 for stride in strides) and all(min(pair) >= 0 for pair in back):
        # The input's gradient is a convolution too: of the output's gradient, kernel turned round.
        space = tuple(range(len(window)))
        turned = jnp.flip(kernel, space).swapaxes(-1, -2)
        input_gradient = multiply(patches(gradient, window, strides, back, dilation), turned)
    else:
        spread = functools.partial(
            patches, window=window, strides=strides, padding=padding, dilation=dilation
        )
        columns = multiply(flat, kernel.reshape(depth, features).T).reshape(rows.shape)
        (input_gradient,) = jax.linear_transpose(spread, x)(columns)
    return input_gradient, kernel_gradient


patch_product.defvjp(_forward, _backward)


def tile_product(
    x: Float[Array, "batch height width channel"],
    kernel: Float[Array, "down right channel feature"],
    padding: Pairs,
) -> Float[Array, "batch out_height out_width feature"]:
    """Convolves with stride 1 in tiles of 2×2 places, whose patches overlap for the most part.

    One row of the product is a whole tile, so that there are four times fewer rows to gather: it
    pays where there are few channels. The output's height and width must be even; its places lie
    tile by tile, the tile inside.

    Args:
        x: Pictures.
        kernel: For all their channels.
        padding: Zeros before and after, for height and width.
    """
    height, width, _, features = kernel.shape
    rows = patches(x, (height + 1, width + 1), (2, 2), padding, (1, 1))
    at_places = jnp.tensordot(jnp.asarray(_tile_places(height, width), kernel.dtype), kernel, 2)
    spread = at_places.transpose(0, 1, 4, 2, 3, 5)  # [down, right, channel, p, q, feature]
    y = multiply(rows, spread.reshape(-1, 4 * features))
    batch, down, right, _ = y.shape
    return y.reshape(batch, 2 * down, 2 * right, features)


@functools.cache
def _tile_places(height: int, width: int) -> np.ndarray:
    """Returns which kernel place lies at which place of a tile's patch, for each place of the tile.

    Returns:
        ``[patch down, patch right, p, q, kernel down, kernel right]``: 1 or 0.
    """
    selection = np.zeros((height + 1, width + 1, 2, 2, height, width), np.float32)
    for p, q, i, j in itertools.product(range(2), range(2), range(height), range(width)):
        selection[p + i, q + j, p, q, i, j] = 1
    return selection
