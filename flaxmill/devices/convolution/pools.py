"""Pools whose windows touch and do not overlap, as slices that are added or compared."""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flaxmill.devices.convolution.tiles import Tiled, materialise

Kind = Literal["sum", "max"]


def pool(params: dict[str, Any], x: Array | Tiled, kind: Kind) -> Array | Tiled | None:
    """Computes a ``reduce_window`` of windows that touch; None where it is of another sort.

    Args:
        params: Of the operation.
        x: Its input.
        kind: What is taken of each window.
    """
    values = x.values if isinstance(x, Tiled) else x
    window = tuple(params["window_dimensions"])
    known = (
        window == tuple(params["window_strides"])
        and window[0] == window[-1] == 1
        and 1 < math.prod(window) <= 16
        and not any(map(any, params["padding"]))
        and all(d == 1 for d in (*params["base_dilation"], *params["window_dilation"]))
        and all(side >= w for side, w in zip(values.shape, window, strict=True))
        and jnp.issubdtype(values.dtype, jnp.floating)
    )
    if not known:
        return None
    if isinstance(x, Tiled):
        down, right = window[1:3]
        if x.tile % down or x.tile % right or down != right:
            return pool(params, x.natural(), kind)
        return _pool_tiles(x, down, kind)
    cut = tuple(slice(side // w * w) for side, w in zip(x.shape, window, strict=True))
    grid = x[cut].reshape(
        [n for side, w in zip(x.shape, window, strict=True) for n in (side // w, w)]
    )
    return _reduce(grid, tuple(range(1, grid.ndim, 2)), kind)


def _pool_tiles(x: Tiled, window: int, kind: Kind) -> Array | Tiled:
    """Pools within tiles, which need not be put in order for it."""
    batch, height, width, channels = x.values.shape
    rest = x.tile // window
    places = (batch, height // x.tile, width // x.tile)
    tile = (rest, window, rest, window)
    shape = (*tile, *places, channels) if x.outside else (*places, *tile, channels)
    axes = (1, 3) if x.outside else (4, 6)
    pooled = _reduce(x.values.reshape(shape), axes, kind)
    pooled = pooled.reshape(batch, height // window, width // window, channels)
    return pooled if rest == 1 else Tiled(pooled, rest, x.outside)


def _reduce(grid: Array, axes: tuple[int, ...], kind: Kind) -> Array:
    return _sum(grid, axes) if kind == "sum" else _max(grid, axes)


def _places(grid: Array, axes: Sequence[int]) -> list[Array]:
    """Returns the array at each place of the given axes."""
    places = []
    for place in itertools.product(*(range(grid.shape[axis]) for axis in axes)):
        index: list[Any] = [slice(None)] * grid.ndim
        for axis, number in zip(axes, place, strict=True):
            index[axis] = number
        places.append(grid[tuple(index)])
    return places


def _joined(places: list[Array], shape: tuple[int, ...], axes: Sequence[int]) -> Array:
    """Puts together what `_places` took apart."""
    apart = [axis for axis in range(axes[0], axes[-1]) if axis not in axes and shape[axis] > 1]
    if not apart:  # the places lie side by side, and one copy does it
        return jnp.stack(places, axes[0]).reshape(shape)
    for number in reversed(range(len(axes))):
        size = shape[axes[number]]
        groups = [places[start : start + size] for start in range(0, len(places), size)]
        places = [jnp.stack(group, axes[number] - number) for group in groups]
    return places[0]


def _spread(values: Array, shape: tuple[int, ...], axes: Sequence[int]) -> Array:
    """Repeats values along axes that they lack."""
    return jnp.broadcast_to(jnp.expand_dims(values, axes), shape)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _sum(grid: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, "..."]:
    """Sums over short axes: slices added, whose gradient XLA fuses with what comes before."""
    return functools.reduce(jnp.add, _places(grid, axes))


_sum.defvjp(
    lambda grid, axes: (_sum(grid, axes), grid.shape),
    lambda axes, shape, gradient: (_spread(gradient, shape, axes),),
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max(grid: Float[Array, "..."], axes: tuple[int, ...]) -> Float[Array, "..."]:
    """Takes the maximum over short axes; the first of equal values gets the gradient."""
    return functools.reduce(jnp.maximum, _places(grid, axes))


def _max_forward(grid: Array, axes: tuple[int, ...]) -> tuple[Array, tuple[Array, Array]]:
    highest = _max(grid, axes)
    return highest, (grid, highest)


def _max_backward(
    axes: tuple[int, ...], saved: tuple[Array, Array], gradient: Array
) -> tuple[Array]:
    grid, highest = saved
    places = _places(grid, axes)
    first = jnp.full(highest.shape, len(places) - 1, jnp.int32)
    for number in reversed(range(len(places) - 1)):
        first = jnp.where(places[number] == highest, number, first)
    gradient = materialise(gradient)
    parts = [jnp.where(first == number, gradient, 0) for number in range(len(places))]
    return (_joined(parts, grid.shape, axes),)


_max.defvjp(_max_forward, _max_backward)
