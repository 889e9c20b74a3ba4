"""What a picture's pixels are: brighter, more colourful, inverted, blurred.

These take pictures of bytes, grey or RGB, and return such. A strength of 0 changes nothing; what
has no strength is done always, or by `sometimes` to a share of the pictures.
"""

from typing import Any

import jax
import jax.numpy as jnp

from flaxmill.data.augment import neighbours, tables
from flaxmill.errors import BadInput


def brightness(example: Any, key: jax.Array, *, most: float) -> Any:
    """Multiplies a picture by a factor, up to ``most`` from 1 (Pillow's Brightness).

    Raises:
        BadInput: ``most`` is not from 0 to 1.
    """
    image = tables.picture_of(example)
    table = tables.brightened(image.shape[-1], _factor("brightness", key, most))
    return {**example, "image": tables.look_up(image, table)}


def contrast(example: Any, key: jax.Array, *, most: float) -> Any:
    """Multiplies a picture's distance from its mean luminance likewise (Pillow's Contrast).

    Raises:
        BadInput: ``most`` is not from 0 to 1.
    """
    image = tables.picture_of(example)
    table = tables.contrasted(image, _factor("contrast", key, most))
    return {**example, "image": tables.look_up(image, table)}


def colour(example: Any, key: jax.Array, *, most: float) -> Any:
    """Multiplies each pixel's distance from its own grey likewise: its saturation.

    A grey picture stays as it is (Pillow's Color).

    Raises:
        BadInput: ``most`` is not from 0 to 1.
    """
    image = tables.picture_of(example)
    factor = _factor("colour", key, most)
    return {**example, "image": tables.blend(tables.grey(image), image, factor)}


def sharpness(example: Any, key: jax.Array, *, most: float) -> Any:
    """Multiplies a picture's distance from its smoothed self likewise (Pillow's Sharpness).

    Raises:
        BadInput: ``most`` is not from 0 to 1.
    """
    factor = _factor("sharpness", key, most)
    return {**example, "image": neighbours.sharpen(tables.picture_of(example), factor)}


def posterise(example: Any, key: jax.Array, *, most: int) -> Any:
    """Sets up to ``most`` of the lowest bits to zero, of eight.

    Raises:
        BadInput: ``most`` is not from 0 to 8.
    """
    if not 0 <= most <= 8:
        raise BadInput(f"--posterise {most} must be a number of bits from 0 to 8.")
    image = tables.picture_of(example)
    table = tables.posterised(image.shape[-1], jax.random.randint(key, (), 0, most + 1))
    return {**example, "image": tables.look_up(image, table)}


def solarise(example: Any, key: jax.Array, *, most: float) -> Any:
    """Inverts the brightest part of the range of values, of up to the share ``most``.

    Raises:
        BadInput: ``most`` is not from 0 to 1.
    """
    _check_share("solarise", most)
    image = tables.picture_of(example)
    threshold = 256 * (1 - jax.random.uniform(key, (), maxval=most))
    table = tables.solarised(image.shape[-1], threshold)
    return {**example, "image": tables.look_up(image, table)}


def equalise(example: Any, key: jax.Array) -> Any:
    """Makes the values of each channel about equally frequent."""
    image = tables.picture_of(example)
    return {**example, "image": tables.look_up(image, tables.equalised(image))}


def autocontrast(example: Any, key: jax.Array) -> Any:
    """Stretches each channel over the whole range of values."""
    image = tables.picture_of(example)
    return {**example, "image": tables.look_up(image, tables.stretched(image))}


def invert(example: Any, key: jax.Array) -> Any:
    """Makes dark what is bright."""
    image = tables.picture_of(example)
    return {**example, "image": 255 - image}


def blur(example: Any, key: jax.Array, *, most: float) -> Any:
    """Averages around each pixel with a Gaussian of up to ``most`` pixels, drawn evenly.

    Raises:
        BadInput: ``most`` is negative.
    """
    if not 0 <= most < float("inf"):
        raise BadInput(f"--blur {most} must be a number of pixels, 0 or more.")
    sigma = jax.random.uniform(key, (), maxval=most)
    return {**example, "image": neighbours.gaussian_blur(example["image"], sigma, most=most)}


def _factor(name: str, key: jax.Array, most: float) -> jax.Array:
    """Draws a factor evenly around 1."""
    _check_share(name, most)
    return 1 + jax.random.uniform(key, (), jnp.float32, -most, most)


def _check_share(name: str, most: float) -> None:
    if not 0 <= most <= 1:
        raise BadInput(f"--{name} {most} must be from 0, for none, to 1.")
