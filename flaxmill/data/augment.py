"""Augmentation: plain functions of one example and a key, run on the device in the compiled chunk.

The key belongs to the example and its epoch, so that what is drawn depends on neither the batch
nor the gear that brought the example.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from flaxmill.errors import BadInput

Transform = Callable[[Any, jax.Array], Any]
"""``transform(example, key) -> example``, for one example: ``{"image": [h, w, c], …}``."""


def flip(example: Any, key: jax.Array) -> Any:
    """Mirrors a picture left to right, with probability one half."""
    image = example["image"]
    mirrored = jax.random.bernoulli(key)
    return {**example, "image": jnp.where(mirrored, image[:, ::-1], image)}


def shift(example: Any, key: jax.Array, *, most: int) -> Any:
    """Moves a picture by up to ``most`` pixels down and right, or up and left; zeros come in.

    Raises:
        BadInput: The distance is negative or larger than the picture.
    """
    image = example["image"]
    height, width, channels = image.shape
    if not 0 <= most <= min(height, width):
        raise BadInput(
            f"--shift {most} must be from 0 to {min(height, width)}, the picture's size."
        )
    padded = jnp.pad(image, ((most, most), (most, most), (0, 0)))
    down, right = jax.random.randint(key, (2,), 0, 2 * most + 1)
    moved = jax.lax.dynamic_slice(padded, (down, right, 0), (height, width, channels))
    return {**example, "image": moved}


def cutout(example: Any, key: jax.Array, *, side: int) -> Any:
    """Sets a square to zero, whose centre may be any pixel (DeVries and Taylor 2017).

    Raises:
        BadInput: The square is smaller than nothing or larger than the picture.
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
    return {**example, "image": jnp.where(inside, 0, image).astype(image.dtype)}


def chain(*transforms: Transform) -> Transform:
    """Returns what does one transform after another, each with a key of its own."""

    def transform(example: Any, key: jax.Array) -> Any:
        for one, part in zip(transforms, jax.random.split(key, len(transforms)), strict=True):
            example = one(example, part)
        return example

    return transform
