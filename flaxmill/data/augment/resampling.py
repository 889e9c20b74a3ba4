"""A picture at other places than its pixels' own: rectangles of it, resized."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

EXACT = jax.lax.Precision.HIGHEST  # else accelerators multiply with 8 or 10 bits, less than a pixel


def as_bytes(values: Float[Array, "*dims"]) -> Shaped[Array, "*dims"]:
    """Rounds values to bytes, halves up as Pillow does; what is out of range becomes 0 or 255."""
    return jnp.clip(jnp.floor(values + 0.5), 0, 255).astype(jnp.uint8)


def resized(
    image: Shaped[Array, "height width channel"],
    size: tuple[int, int],
    box: tuple[Any, Any, Any, Any],
) -> Shaped[Array, "rows columns channel"]:
    """Resizes a rectangle of a picture linearly, with antialiasing, as Pillow's ``resize`` does.

    Two matrix products, one for each side: a place between pixels costs no look-up.

    Args:
        image: Bytes, or floats.
        size: Height and width of the result.
        box: Top, left, height and width of the rectangle, in pixels and parts of them.

    Returns:
        Of the picture's type; bytes are computed in float32 and rounded.
    """
    top, left, height, width = box
    down = tents(size[0], image.shape[0], top, height)
    right = tents(size[1], image.shape[1], left, width)
    values = image.astype(jnp.float32)
    values = jnp.einsum("yh,hwc->ywc", down, values, precision=EXACT)
    values = jnp.einsum("xw,ywc->yxc", right, values, precision=EXACT)
    return as_bytes(values) if image.dtype == jnp.uint8 else values.astype(image.dtype)


def tents(count: int, length: int, start: Any, extent: Any) -> Float[Array, "count length"]:
    """Returns how much each pixel of a side counts in each of the result's: tents, sum 1.

    A tent is as wide as the result's pixels are apart, so that all pixels count in a smaller
    picture; in a larger one, as wide as the picture's own.
    """
    step = jnp.asarray(extent, jnp.float32) / count
    centres = start + (jnp.arange(count, dtype=jnp.float32) + 0.5) * step
    places = jnp.arange(length, dtype=jnp.float32) + 0.5
    far = jnp.abs(places[None, :] - centres[:, None]) / jnp.maximum(step, 1)
    tents = jnp.maximum(1 - far, 0)
    return tents / tents.sum(1, keepdims=True)
