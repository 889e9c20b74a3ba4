"""A picture at other places than its pixels' own: rectangles of it resized, and affine maps."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

EXACT = jax.lax.Precision.HIGHEST  # else accelerators multiply with 8 or 10 bits, less than a pixel


def as_bytes(values: Float[Array, "*dims"]) -> Shaped[Array, "*dims"]:
    """Rounds values to bytes, halves up as Pillow does; what is out of range becomes 0 or 255."""
    return jnp.clip(jnp.floor(values + 0.5), 0, 255).astype(jnp.uint8)


def as_levels(fill: int | Sequence[int], kind: Any) -> Array:
    """Converts a level of 0 to 255, or one of each channel, to the type of a picture."""
    levels = jnp.asarray(fill)
    return (levels if kind == jnp.uint8 else levels / 255).astype(kind)


def resize(
    image: Shaped[Array, "height width channel"],
    size: tuple[int, int],
    box: tuple[Any, Any, Any, Any],
) -> Shaped[Array, "rows columns channel"]:
    """Resizes a rectangle of a picture linearly, with antialiasing, as Pillow's ``resize`` does.

    Two matrix products, one for each side.

    Args:
        image: Bytes, which are computed in float32 and rounded, or floats.
        size: Height and width of the result.
        box: Top, left, height and width of the rectangle, in pixels and parts of them; may be
            drawn.
    """
    top, left, height, width = box
    down = tents(size[0], image.shape[0], top, height)
    right = tents(size[1], image.shape[1], left, width)
    values = image.astype(jnp.float32)
    values = jnp.einsum("yh,hwc->ywc", down, values, precision=EXACT)
    values = jnp.einsum("xw,ywc->yxc", right, values, precision=EXACT)
    return as_bytes(values) if image.dtype == jnp.uint8 else values.astype(image.dtype)


def tents(count: int, length: int, start: Any, extent: Any) -> Float[Array, "count length"]:
    """Returns the weight of each pixel of a side in each pixel of the result: tents, of sum 1.

    A tent is as wide as the result's pixels are apart, so that all pixels count in a smaller
    picture; in a larger one, as wide as the picture's own.
    """
    step = jnp.asarray(extent, jnp.float32) / count
    centres = start + (jnp.arange(count, dtype=jnp.float32) + 0.5) * step
    places = jnp.arange(length, dtype=jnp.float32) + 0.5
    far = jnp.abs(places[None, :] - centres[:, None]) / jnp.maximum(step, 1)
    weights = jnp.maximum(1 - far, 0)
    return weights / weights.sum(1, keepdims=True)


def warp(
    image: Shaped[Array, "height width channel"],
    matrix: Sequence[Any],
    *,
    fill: int = 0,
    linear: bool = False,
) -> Shaped[Array, "height width channel"]:
    """Moves a picture's pixels by an affine map, as Pillow's ``transform`` does.

    Args:
        image: Bytes, which are computed in float32 and rounded, or floats.
        matrix: Six numbers, which may be drawn: what is at ``x`` and ``y`` of the result is at
            ``a·x + b·y + c`` and ``d·x + e·y + f`` of the picture, where 0.5 is a pixel's middle.
        fill: What lies outside the picture, from 0 to 255.
        linear: Whether to go evenly from a pixel to the next one; else the nearest is taken.
    """
    height, width, channels = image.shape
    a, b, c, d, e, f = (jnp.asarray(number, jnp.float32) for number in matrix)
    down = jnp.arange(height, dtype=jnp.float32)[:, None] + 0.5
    right = jnp.arange(width, dtype=jnp.float32)[None, :] + 0.5
    columns, rows = a * right + (b * down + c), d * right + (e * down + f)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    # XLA would compute a pixel anew wherever it is seen, were the picture not made first.
    pixels = jax.lax.optimization_barrier(image).reshape(height * width, channels)

    def at(row: Array, column: Array) -> Array:
        """Looks pixels up; those beyond the border are the outermost ones."""
        row, column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)
        places = (row * width + column).astype(jnp.int32)
        return pixels.at[places].get(mode="promise_in_bounds")

    if linear:
        rows, columns = rows - 0.5, columns - 0.5
        top, left = jnp.floor(rows), jnp.floor(columns)
        below, beside = (rows - top)[..., None], (columns - left)[..., None]
        values = [
            at(top + y, left + x).astype(jnp.float32) for y, x in ((0, 0), (0, 1), (1, 0), (1, 1))
        ]
        upper = values[0] + beside * (values[1] - values[0])
        lower = values[2] + beside * (values[3] - values[2])
        moved = upper + below * (lower - upper)
        moved = as_bytes(moved) if image.dtype == jnp.uint8 else moved.astype(image.dtype)
    else:
        moved = at(jnp.floor(rows), jnp.floor(columns))
    return jnp.where(inside[..., None], moved, as_levels(fill, image.dtype))
