"""Rectangles of random area, shape and place, drawn with no loop and no branch."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from flaxmill.errors import BadInput

_TRIES = 10  # as many are drawn, and the first that lies within the picture is taken


def draw(
    key: jax.Array, scale: tuple[float, float], ratio: tuple[float, float], *, aspect: Any = 1.0
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Draws a rectangle that lies within a picture.

    Args:
        key: What is drawn comes from it.
        scale: Least and greatest share of the picture's area; drawn evenly.
        ratio: Least and greatest width divided by height; its logarithm is drawn evenly.
        aspect: Width of the picture divided by its height.

    Returns:
        Its height and width as shares of the picture's; its place, two numbers from 0 (top, left)
        to 1; and whether there is any: of ten that were drawn, none may lie within.
    """
    numbers = jax.random.uniform(key, (2 * _TRIES + 2,))
    area = scale[0] + (scale[1] - scale[0]) * numbers[:_TRIES]
    low, high = (math.log(bound) for bound in ratio)
    shape = jnp.exp(low + (high - low) * numbers[_TRIES:-2])
    # Where both sides of the picture count as 1, shapes are divided by the picture's own.
    shape = shape / aspect
    sides = jnp.stack([jnp.sqrt(area / shape), jnp.sqrt(area * shape)])
    fits = (sides <= 1).all(0)
    return sides[:, fits.argmax()], numbers[-2:], fits.any()


def check(name: str, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Refuses ranges that are empty or out of bounds.

    Args:
        name: Of what is done with the rectangle: the beginning of its flags.
        scale: Of shares.
        ratio: Of shapes.

    Raises:
        BadInput: The message names the flag.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise BadInput(
            f"--{name}-scale {scale[0]} {scale[1]} must be two shares of the area, above 0 and up "
            f"to 1, the smaller one first."
        )
    if not 0 < ratio[0] <= ratio[1] < float("inf"):
        raise BadInput(
            f"--{name}-ratio {ratio[0]} {ratio[1]} must be two widths divided by heights, above 0, "
            f"the smaller one first."
        )
