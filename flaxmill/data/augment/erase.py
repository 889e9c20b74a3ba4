"""Erasing parts of a picture, so that a model does not rely on any one of them."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from flaxmill.data.augment import rectangles
from flaxmill.data.augment.resampling import as_levels
from flaxmill.errors import BadInput


def cutout(example: Any, key: jax.Array, *, side: int, fill: int | tuple[int, ...] = 0) -> Any:
    """Cuts a square out, whose centre may be any pixel.

    Args:
        example: Its ``image`` is changed.
        key: What is drawn comes from it.
        side: Of the square, in pixels.
        fill: Value of the square, from 0 to 255: one level, or one of each channel. The paper cuts
            out of standardised pictures, whose zero is the mean colour of the data.

    Raises:
        BadInput: The square is smaller than nothing or larger than the picture.

    Source: DeVries and Taylor 2017, "Improved regularization of convolutional neural networks with
    cutout".
    """
    image = example["image"]
    height, width, _ = image.shape
    if not 0 <= side <= min(height, width):
        raise BadInput(
            f"--cutout {side} must be from 0 to {min(height, width)}, the picture's size."
        )
    row, column = (
        jax.random.randint(k, (), 0, size)
        for k, size in zip(jax.random.split(key), (height, width), strict=True)
    )
    rows, columns = jnp.arange(height)[:, None, None], jnp.arange(width)[None, :, None]
    top, left = row - side // 2, column - side // 2
    inside = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return {**example, "image": jnp.where(inside, as_levels(fill, image.dtype), image)}


def erase(
    example: Any,
    key: jax.Array,
    *,
    probability: float,
    scale: tuple[float, float] = (0.02, 1 / 3),
    ratio: tuple[float, float] = (0.3, 1 / 0.3),
    fill: Literal["black", "mean", "noise"] = "noise",
) -> Any:
    """Erases a rectangle of random area, shape and place (random erasing).

    Args:
        example: Its ``image`` is changed.
        key: What is drawn comes from it.
        probability: Share of the pictures that are changed.
        scale: Least and greatest share of the picture's area.
        ratio: Least and greatest width divided by height; its logarithm is drawn evenly.
        fill: Value of the rectangle: zeros, the picture's mean colour, or noise, drawn evenly for
            each value.

    Raises:
        BadInput: A range is empty or out of its bounds, or the probability is none.

    Source: Zhong et al. 2020, "Random erasing data augmentation", algorithm 1.
    """
    if not 0 <= probability <= 1:
        raise BadInput(f"--erase {probability} must be a probability, from 0 to 1.")
    rectangles.check("erase", scale, ratio)
    image = example["image"]
    height, width, _ = image.shape
    for_choice, for_place, for_noise = jax.random.split(key, 3)
    sides, place, fits = rectangles.draw(for_place, scale, ratio, aspect=width / height)
    erased = fits & jax.random.bernoulli(for_choice, float(probability))
    lengths = jnp.asarray((height, width), jnp.float32)
    extent = jnp.round(sides * lengths)
    first = jnp.floor(place * (lengths - extent + 1))
    rows, columns = (jnp.arange(length, dtype=jnp.float32) for length in (height, width))
    down = (rows >= first[0]) & (rows < first[0] + extent[0])
    right = (columns >= first[1]) & (columns < first[1] + extent[1])
    inside = down[:, None, None] & right[None, :, None] & erased
    return {**example, "image": jnp.where(inside, _filling(image, for_noise, fill), image)}


def _filling(image: jax.Array, key: jax.Array, fill: str) -> jax.Array:
    """Returns values that can replace those of a picture."""
    if fill == "black":
        return jnp.zeros_like(image)
    if fill == "mean":
        mean = image.astype(jnp.float32).mean((0, 1), keepdims=True)
        return jnp.broadcast_to(mean, image.shape).astype(image.dtype)
    if image.dtype == jnp.uint8:
        return jax.random.bits(key, image.shape, jnp.uint8)
    return jax.random.uniform(key, image.shape, image.dtype)
