"""Parts of a picture that are taken away, so that a model does not rely on any one of them."""

from typing import Any

import jax
import jax.numpy as jnp

from flaxmill.errors import BadInput


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
