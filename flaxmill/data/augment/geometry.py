"""Where a picture's pixels lie: mirrored, moved, cut out and enlarged, turned."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from flaxmill.data.augment import rectangles
from flaxmill.data.augment.resampling import resize, warp
from flaxmill.errors import BadInput


def flip(example: Any, key: jax.Array) -> Any:
    """Mirrors a picture left to right, with probability one half."""
    image = example["image"]
    mirrored = jax.random.bernoulli(key)
    return {**example, "image": jnp.where(mirrored, image[:, ::-1], image)}


def alternating_flip(example: Any, key: jax.Array) -> Any:
    """Mirrors a picture left to right in every other epoch.

    Whether it begins so is drawn for each example, the same for every seed of a run. In any two
    epochs that follow each other each picture is so seen both ways, and not, as by chance, one way
    twice for half of them.

    Args:
        example: Its ``image`` is mirrored, by its ``id`` and ``epoch``, which the loop gives.
        key: Not used.

    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 3.6.
    """
    image = example["image"]
    begins = jax.random.bernoulli(jax.random.fold_in(jax.random.key(0), example["id"]))
    mirrored = begins ^ (example["epoch"] % 2 == 1)
    return {**example, "image": jnp.where(mirrored, image[:, ::-1], image)}


def shift(
    example: Any, key: jax.Array, *, most: int, border: Literal["zero", "reflect"] = "zero"
) -> Any:
    """Moves a picture by up to ``most`` pixels down and right, or up and left.

    Args:
        example: Its ``image`` is moved.
        key: What is drawn comes from it.
        most: Pixels each way.
        border: What comes in: zeros, or the picture as mirrored in its outermost pixels.

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


def drop_aspect(example: Any, key: jax.Array) -> Any:
    """Removes a picture's original aspect ratio, so that crops take it as it was squashed.

    Args:
        example: Its ``aspect`` is removed, if it has one.
        key: Not used.
    """
    return {name: value for name, value in example.items() if name != "aspect"}


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
    ``aspect`` is the width divided by the height (1 if absent), and is removed from the example.
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
    rectangles.check("crop", scale, ratio)
    rest = dict(example)
    aspect = jnp.asarray(rest.pop("aspect", 1.0), jnp.float32)
    sides, place, fits = rectangles.draw(key, scale, ratio, aspect=aspect)
    squeezed = jnp.clip(aspect, ratio[0], ratio[1]) / aspect
    largest = jnp.minimum(jnp.stack([1 / squeezed, squeezed]), 1)
    sides, place = jnp.where(fits, sides, largest), jnp.where(fits, place, 0.5)
    image = rest["image"]
    lengths = jnp.asarray(image.shape[:2], jnp.float32)
    (top, left), (down, right) = place * (1 - sides) * lengths, sides * lengths
    return {**rest, "image": resize(image, (height, width), (top, left, down, right))}


def rotate(example: Any, key: jax.Array, *, most: float, fill: int = 0, linear: bool = True) -> Any:
    """Turns a picture about its middle by up to ``most`` degrees, either way; see `affine`.

    Raises:
        BadInput: ``most`` is not from 0 to 180.
    """
    return affine(example, key, rotate=most, fill=fill, linear=linear)


def shear(example: Any, key: jax.Array, *, most: float, fill: int = 0, linear: bool = True) -> Any:
    """Moves each row sideways, by up to ``most`` pixels from a row to the next; see `affine`.

    Raises:
        BadInput: ``most`` is not from 0 to 1.
    """
    return affine(example, key, shear=most, fill=fill, linear=linear)


def affine(
    example: Any,
    key: jax.Array,
    *,
    rotate: float = 0.0,
    shear: float = 0.0,
    zoom: float = 0.0,
    move: float = 0.0,
    fill: int = 0,
    linear: bool = True,
) -> Any:
    """Turns, shears, zooms and moves a picture in one go; all are drawn evenly, either way.

    Args:
        example: Its ``image`` is changed.
        key: What is drawn comes from it.
        rotate: Most degrees.
        shear: Most pixels that a row is moved further than the one above it.
        zoom: How much larger or smaller it may get: 0.25 is from 1/1.25 to 1.25 times.
        move: Most of its height, and of its width, that it is moved by.
        fill: What comes in from outside, 0 to 255.
        linear: Whether to go evenly from a pixel to the next one; else the nearest is taken.

    Raises:
        BadInput: A number is out of its range.
    """
    limits = {"rotate": (rotate, 180), "shear": (shear, 1), "zoom": (zoom, 10), "move": (move, 1)}
    for name, (most, limit) in limits.items():
        if not 0 <= most <= limit:
            raise BadInput(f"--{name} {most} must be from 0, for none, to {limit}.")
    if not 0 <= fill <= 255:
        raise BadInput(f"--fill {fill} must be a brightness from 0 to 255.")
    image = example["image"]
    height, width, _ = image.shape
    turned, sheared, zoomed, down, right = jax.random.uniform(key, (5,), jnp.float32, -1, 1)
    angle, slope = jnp.deg2rad(rotate * turned), shear * sheared
    size = jnp.power(1 + zoom, zoomed)
    cos, sin = jnp.cos(angle) / size, jnp.sin(angle) / size
    a, b, d, e = cos, slope * cos - sin, sin, slope * sin + cos
    # The middle stays where it is, but for the move.
    x, y = width * (0.5 + move * right), height * (0.5 + move * down)
    c, f = width / 2 - a * x - b * y, height / 2 - d * x - e * y
    moved = warp(image, (a, b, c, d, e, f), fill=fill, linear=linear)
    return {**example, "image": moved}
