"""Which form a convolution takes: the fastest that was measured for its shape."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from flaxmill.devices.convolution.depthwise import depthwise, fits
from flaxmill.devices.convolution.patches import patch_product, patches, tile_product
from flaxmill.devices.convolution.tiles import Tiled
from flaxmill.devices.convolution.winograd import winograd

FEW_CHANNELS = 16
"""Below so many input or output channels, Winograd's transforms cost more than they save."""
MANY_CHANNELS = 64
"""From so many input and output channels on, larger tiles are faster."""
MANY_PLACES = 1024
"""From so many places of a picture on, larger tiles are faster for few channels too: 24 to 64 of
32×32 places took a fifth less."""


def convolve(params: dict[str, Any], x: Array, kernel: Array, out: Any) -> Array | Tiled | None:
    """Computes a ``conv_general_dilated`` without it; None where no form of ours is known.

    Args:
        params: Of the operation.
        x: Pictures, in the operation's layout.
        kernel: In the operation's layout.
        out: Shape and type of the result.
    """
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    known = (
        params["batch_group_count"] == 1
        and all(jnp.issubdtype(array.dtype, jnp.floating) for array in (x, out))
        and x.dtype == kernel.dtype
        and jnp.finfo(x.dtype).bits <= jnp.finfo(out.dtype).bits
        and out.size > 0
    )
    if not known:
        return None
    # Half precision is computed in float32 and rounded once: on CPU, patches in bfloat16 took 2.6
    # times as long as float32, and this 1.6 times.
    wide = out.dtype if jnp.finfo(out.dtype).bits > 32 else jnp.float32
    x, kernel = x.astype(wide), kernel.astype(wide)
    x = _moved(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    kernel = _moved(kernel, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))
    x, padding = _padded(x, params["lhs_dilation"], params["padding"])
    how = (tuple(params["window_strides"]), padding, tuple(params["rhs_dilation"]))
    y = _one_group(x, kernel, *how) if groups == 1 else _grouped(x, kernel, groups, *how)
    y = y.like(y.values.astype(out.dtype)) if isinstance(y, Tiled) else y.astype(out.dtype)
    back = (
        0,
        x.ndim - 1,
        *range(1, x.ndim - 1),
    )  # [batch, feature, space] of [batch, space, feature]
    out_spec = numbers.out_spec
    order = [back[out_spec.index(axis)] for axis in range(x.ndim)]
    if order == list(range(x.ndim)):
        return y
    return (y.natural() if isinstance(y, Tiled) else y).transpose(order)


def _moved(array: Array, order: Sequence[int]) -> Array:
    """Transposes, where there is something to transpose."""
    return array if list(order) == list(range(array.ndim)) else array.transpose(order)


def _padded(
    x: Array, spread: Sequence[int], padding: Sequence[tuple[int, int]]
) -> tuple[Array, tuple[tuple[int, int], ...]]:
    """Does to the input what the forms do not know: zeros between its places, and cropping.

    Returns:
        The input, and the padding that is left to do.
    """
    padding = [(int(before), int(after)) for before, after in padding]
    if all(step == 1 for step in spread) and min(itertools.chain(*padding), default=0) >= 0:
        return x, tuple(padding)
    edges = [(b, a, s - 1) for (b, a), s in zip(padding, spread, strict=True)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
    return x, ((0, 0),) * len(edges)


def _one_group(
    x: Array,
    kernel: Array,
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> Array | Tiled:
    channels, features = kernel.shape[-2:]
    plain = x.ndim == 4 and x.dtype == jnp.float32 and set(strides) == set(dilation) == {1}
    window = kernel.shape[:-2]
    size = [
        side + sum(pads) - k + 1
        for side, pads, k in zip(x.shape[1:-1], padding, window, strict=True)
    ]
    if plain and window == (3, 3) and min(channels, features) >= FEW_CHANNELS:
        tile = _tile(size, min(channels, features))
        tiled = Tiled(winograd(x, kernel, padding, tile), tile, outside=True)
        if list(tiled.values.shape[1:3]) == size:
            return tiled
        return tiled.natural()[:, : size[0], : size[1]]
    if plain and max(window) > 1 and channels < FEW_CHANNELS and not any(s % 2 for s in size):
        return Tiled(tile_product(x, kernel, padding), 2, outside=False)
    return patch_product(x, kernel, strides, padding, dilation)


def _tile(size: Sequence[int], channels: int) -> int:
    """Returns how many places across Winograd's tiles are to be: 2 or 4.

    A tile of 4 takes 36 products for 16 places, one of 2 takes 16 for 4; its transforms cost more,
    and more of it may lie beyond the edge.
    """
    products = {
        tile: math.prod(-(-side // tile) for side in size) * (tile + 2) ** 2 for tile in (2, 4)
    }
    many = channels >= MANY_CHANNELS or math.prod(size) >= MANY_PLACES
    return 4 if many and products[4] < 0.8 * products[2] else 2


def _grouped(
    x: Array,
    kernel: Array,
    groups: int,
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> Array:
    """Convolves each group of channels by itself, all groups in one batch of products."""
    if fits(x, kernel, groups, strides, padding, dilation):
        return depthwise(x, kernel, padding)
    *window, channels, features = kernel.shape
    rows = patches(x, window, strides, padding, dilation)
    places = rows.shape[-1] // x.shape[-1]
    grouped = rows.reshape(*rows.shape[:-1], places, groups, channels)
    kernels = kernel.reshape(places, channels, groups, features // groups)
    y = jnp.einsum("...pgc,pcgf->...gf", grouped, kernels)
    return y.reshape(*rows.shape[:-1], features)
