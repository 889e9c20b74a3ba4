"""Where a picture's pixels lie: mirrored, moved, cut out and enlarged."""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp

from flaxmill.data.augment.resampling import resized
from flaxmill.errors import BadInput

_TRIES = 10  # crops that are drawn before the middle is taken


def flip(example: Any, key: jax.Array) -> Any:
    """Mirrors a picture left to right, with probability one half."""
    image = example["image"]
    mirrored = jax.random.bernoulli(key)
    return {**example, "image": jnp.where(mirrored, image[:, ::-1], image)}


def shift(
    example: Any, key: jax.Array, *, most: int, border: Literal["zero", "reflect"] = "zero"
) -> Any:
    """Moves a picture by up to ``most`` pixels down and right, or up and left.

    Args:
        example: Its ``image`` is moved.
        key: What is drawn comes from it.
        most: Pixels each way.
        border: What comes in: zeros, or the picture as in a mirror that stands in its outermost
            pixels.

    Raises:
        BadInput: The distance is negative or larger than the picture.
    """
    image = example["image"]
    height, width, channels = image.shape
    reflected = border == "reflect"
    farthest = min(height, width) - reflected
    if not 0 <= most <= farthest:
        raise BadInput(
            f"--shift {most} must be from 0 to {farthest}, "
            + ("one less than the picture's size." if reflected else "the picture's size.")
        )
    sides = ((most, most), (most, most), (0, 0))
    padded = jnp.pad(image, sides, mode="reflect" if reflected else "constant")
    down, right = jax.random.randint(key, (2,), 0, 2 * most + 1)
    moved = jax.lax.dynamic_slice(padded, (down, right, 0), (height, width, channels))
    return {**example, "image": moved}


def random_resized_crop(
    example: Any,
    key: jax.Array,
    *,
    size: int | tuple[int, int],
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Any:
    """Cuts a rectangle of random area, shape and place out of a picture, and resizes it.

    Of the picture as it was before it was squashed to a square, if the example says how: its
    ``aspect`` is the width divided by the height (1 if absent), and is taken out of the example.
    Ten rectangles are drawn and the first that lies within the picture is taken; if none does, the
    largest one in the middle whose shape is allowed. With ``scale=(1, 1)`` and
    ``ratio=(1, 1)``, a square picture is only resized.

    Args:
        example: Its ``image`` is cut, and ``aspect`` is used.
        key: What is drawn comes from it.
        size: Height and width of the result, in pixels; one number for a square.
        scale: Least and greatest share of the picture's area.
        ratio: Least and greatest width divided by height; its logarithm is drawn evenly.

    Returns:
        The example, without ``aspect``; the rectangle was resized linearly with antialiasing, and
        floats were rounded to bytes again.

    Raises:
        BadInput: A range is empty or out of its bounds, or the size is.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", section 6.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise BadInput(f"--crop-size {height}×{width} must be at least 1 pixel a side.")
    if not 0 < scale[0] <= scale[1] <= 1:
        raise BadInput(
            f"--crop-scale {scale[0]} {scale[1]} must be two shares of the area, above 0 and up "
            f"to 1, the smaller one first."
        )
    if not 0 < ratio[0] <= ratio[1]:
        raise BadInput(
            f"--crop-ratio {ratio[0]} {ratio[1]} must be two widths divided by heights, above 0, "
            f"the smaller one first."
        )
    kept = dict(example)
    aspect = jnp.asarray(kept.pop("aspect", 1.0), jnp.float32)
    top, left, down, right = _rectangle(key, aspect, scale, ratio)
    image = kept["image"]
    rows, columns, _ = image.shape
    box = (top * rows, left * columns, down * rows, right * columns)
    return {**kept, "image": resized(image, (height, width), box)}


def _rectangle(
    key: jax.Array, aspect: jax.Array, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Draws a rectangle: its top, left, height and width as shares of the picture's sides."""
    for_area, for_shape, for_place = jax.random.split(key, 3)
    area = jax.random.uniform(for_area, (_TRIES,), minval=scale[0], maxval=scale[1])
    low, high = (math.log(bound) for bound in ratio)
    shape = jnp.exp(jax.random.uniform(for_shape, (_TRIES,), minval=low, maxval=high)) / aspect
    # Of a picture whose sides both count as 1, a rectangle has the shape that is asked for divided
    # by the picture's own.
    widths, heights = jnp.sqrt(area * shape), jnp.sqrt(area / shape)
    fits = (widths <= 1) & (heights <= 1)
    first = fits.argmax()
    squeezed = jnp.clip(aspect, ratio[0], ratio[1]) / aspect
    middle = jnp.minimum(squeezed, 1), jnp.minimum(1 / squeezed, 1)
    right = jnp.where(fits.any(), widths[first], middle[0])
    down = jnp.where(fits.any(), heights[first], middle[1])
    places = jnp.where(fits.any(), jax.random.uniform(for_place, (2,)), 0.5)
    return places[0] * (1 - down), places[1] * (1 - right), down, right
