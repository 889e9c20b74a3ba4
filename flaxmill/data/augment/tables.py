"""What a pixel becomes whatever its neighbours: a table of 256 entries for each channel.

Tables are made from numbers that may be drawn, and applied to pictures of bytes by one look-up.
Pillow's ImageOps and ImageEnhance say what each does; its whole numbers are computed as there.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Shaped, UInt8

from flaxmill.errors import BadInput

Picture = UInt8[Array, "height width channel"]
Table = UInt8[Array, "256 channel"]


def picture_of(example: Any) -> Picture:
    """Returns an example's picture, if it is of bytes: the range of floats is not known.

    Raises:
        BadInput: It is of floats.
    """
    image = example["image"]
    if image.dtype != jnp.uint8:
        raise BadInput(
            f"colours are changed in pictures of bytes (uint8), and this one is of {image.dtype}: "
            f"put the change before whatever makes floats."
        )
    return image


def look_up(image: Picture, table: Table) -> Picture:
    """Replaces each value of a picture by the entry of its channel's table."""
    # XLA would compute an entry anew for every pixel that has it, were the table not made first.
    image, table = jax.lax.optimization_barrier((image, table))
    channels = jnp.arange(image.shape[-1])[None, None, :]
    return table.at[image.astype(jnp.int32), channels].get(mode="promise_in_bounds")


def blend(
    without: Shaped[Array, "..."], image: UInt8[Array, "*dims"], factor: Any
) -> UInt8[Array, "*dims"]:
    """Goes from a picture that lacks something (factor 0) to one that has it (1), or beyond.

    Args:
        without: Its values, whole numbers; axes of length 1 are broadcast.
        image: The picture, or a table.
        factor: 1 gives the picture itself. A fraction of a level is cut off, as Pillow does.
    """
    base = without.astype(jnp.float32)
    blended = base + factor * (image.astype(jnp.float32) - base)
    return jnp.clip(blended, 0, 255).astype(jnp.uint8)


def grey(image: Picture) -> Int[Array, "height width 1"]:
    """Returns the luminance of each pixel (ITU-R 601), rounded; a grey picture's own value.

    Raises:
        BadInput: The picture has neither 1 channel nor 3.
    """
    values = image.astype(jnp.int32)
    if image.shape[-1] == 1:
        return values
    if image.shape[-1] != 3:
        raise BadInput(
            f"a picture of {image.shape[-1]} channels has no luminance: 1, grey, or 3, RGB, have."
        )
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    return ((red * 19595 + green * 38470 + blue * 7471 + 2**15) >> 16)[..., None]


def levels(channels: int) -> Table:
    """Returns the table that changes nothing."""
    every = jnp.arange(256, dtype=jnp.uint8)[:, None]
    return jnp.broadcast_to(every, (256, channels))


def brightened(channels: int, factor: Any) -> Table:
    """Returns the table that multiplies by a factor: 0 makes all black."""
    return blend(jnp.zeros((1, 1), jnp.int32), levels(channels), factor)


def contrasted(image: Picture, factor: Any) -> Table:
    """Returns the table that draws values away from a picture's mean luminance, or to it."""
    mean = jnp.floor(grey(image).astype(jnp.float32).mean() + 0.5)
    return blend(mean.reshape(1, 1), levels(image.shape[-1]), factor)


def posterised(channels: int, dropped: Any) -> Table:
    """Returns the table that sets so many of the lowest bits to zero."""
    bits = jnp.asarray(dropped, jnp.uint8)
    return levels(channels) >> bits << bits


def solarised(channels: int, threshold: Any) -> Table:
    """Returns the table that inverts what is not below a threshold, from 0 to 256."""
    every = levels(channels)
    return jnp.where(every.astype(jnp.float32) < threshold, every, 255 - every)


def stretched(image: Picture) -> Table:
    """Returns the table that makes a channel's darkest value 0, and its brightest 255."""
    low, high = (
        value.astype(jnp.float32).reshape(1, -1) for value in (image.min((0, 1)), image.max((0, 1)))
    )
    every = levels(image.shape[-1])
    far = (every.astype(jnp.float32) - low) * 255 / jnp.maximum(high - low, 1)
    return jnp.where(high > low, jnp.clip(far, 0, 255).astype(jnp.uint8), every)


def equalised(image: Picture) -> Table:
    """Returns the table that makes a channel's values about equally frequent."""
    channels = image.shape[-1]
    values = image.reshape(-1, channels).astype(jnp.int32)
    counts = jnp.zeros((256, channels), jnp.int32).at[values, jnp.arange(channels)[None]].add(1)
    brightest = jnp.take_along_axis(counts, image.max((0, 1))[None].astype(jnp.int32), axis=0)
    step = (len(values) - brightest) // 255  # pixels a level: those of the brightest do not count
    below = jnp.cumsum(counts, axis=0) - counts
    table = (step // 2 + below) // jnp.maximum(step, 1)
    return jnp.where(step > 0, jnp.clip(table, 0, 255).astype(jnp.uint8), levels(channels))
