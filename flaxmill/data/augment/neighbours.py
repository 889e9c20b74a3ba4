"""What a pixel becomes by its neighbours: sharper, or blurred."""

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from flaxmill.data.augment.resampling import EXACT, as_bytes
from flaxmill.data.augment.tables import Picture, blend

_WIDTHS = 4  # standard deviations after which a pixel counts no more


def sharpen(image: Picture, factor: Any) -> Picture:
    """Goes from a smoothed picture (factor 0) to the picture (1), or beyond; Pillow's Sharpness.

    A smoothed pixel is the mean of the nine around it, of which it counts five times itself; the
    picture's outermost ones stay.
    """
    height, width, _ = image.shape
    if min(height, width) < 3:
        return image
    values = image.astype(jnp.int32)
    rows = values[:-2] + values[1:-1] + values[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4 * values[1:-1, 1:-1]
    smooth = (2 * around + 13) // 26
    return image.at[1:-1, 1:-1].set(blend(smooth, image[1:-1, 1:-1], factor))


def gaussian_blur(
    image: Shaped[Array, "height width channel"], sigma: Any, *, most: float
) -> Shaped[Array, "height width channel"]:
    """Averages around each pixel with a Gaussian; the outermost pixels go on beyond the border.

    Args:
        image: Bytes, which are computed in float32 and rounded, or floats.
        sigma: Standard deviation, in pixels; may be drawn.
        most: What it cannot be greater than.
    """
    reach = math.ceil(_WIDTHS * most)
    sides = ((reach, reach), (reach, reach), (0, 0))
    values = jnp.pad(image.astype(jnp.float32), sides, mode="edge")
    down, right = (_gaussians(length, reach, sigma) for length in image.shape[:2])
    values = jnp.einsum("yh,hwc->ywc", down, values, precision=EXACT)
    values = jnp.einsum("xw,ywc->yxc", right, values, precision=EXACT)
    return as_bytes(values) if image.dtype == jnp.uint8 else values.astype(image.dtype)


def _gaussians(length: int, reach: int, sigma: Any) -> Array:
    """Returns the weight of each pixel of a side and its border in each pixel of the result."""
    places = jnp.arange(length + 2 * reach)[None, :] - reach - jnp.arange(length)[:, None]
    far = places.astype(jnp.float32) / jnp.maximum(sigma, 1e-3)  # 0 leaves the pixel alone
    bells = jnp.exp(-(far**2) / 2)
    return bells / bells.sum(1, keepdims=True)
