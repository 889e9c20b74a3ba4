"""Policies: one or a few changes to a picture, drawn from many.

All are computed at once, for on the device there is no branch for each picture: a table of values,
a blend with the grey picture and one with the smoothed, and an affine map can be any of them, and
what is not drawn leaves the picture as it is.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flaxmill.data.augment import neighbours, tables
from flaxmill.data.augment.resampling import warp
from flaxmill.errors import BadInput

CHANGES = (
    "nothing",
    "autocontrast",
    "equalise",
    "rotate",
    "solarise",
    "colour",
    "posterise",
    "contrast",
    "brightness",
    "sharpness",
    "shear right",
    "shear down",
    "move right",
    "move down",
)
"""What is drawn from; both policies have the same fourteen."""


class Range(NamedTuple):
    """How far the changes go at full strength.

    Attributes:
        rotate: Degrees.
        shear: Pixels that a row, or column, is moved further than the last.
        move: Share of height or width, or pixels if above 1.
        factor: Distance from 1 of the factors of colour, contrast, brightness and sharpness.
        bits: That posterising sets to zero.
    """

    rotate: float
    shear: float
    move: float
    factor: float
    bits: int


PUBLISHED = Range(rotate=30, shear=0.3, move=150 / 331, factor=0.9, bits=4)
WIDE = Range(rotate=135, shear=0.99, move=32, factor=0.99, bits=6)


def rand_augment(
    example: Any, key: jax.Array, *, count: int = 2, magnitude: float = 9.0, fill: int = 128
) -> Any:
    """Does ``count`` changes drawn from fourteen, all of one strength (RandAugment).

    Args:
        example: Its ``image``, bytes, is changed.
        key: What is drawn comes from it.
        count: Changes, one after another, which may be the same; 0 leaves the picture as it is.
        magnitude: From 0 to 10, as in the paper. Autocontrast and equalising have no strength; all
            others do nothing at 0. Brightness and its like go either way from 1, which is what most
            implementations made of the paper's scale that runs from dark to bright.
        fill: What comes in from outside the picture.

    Raises:
        BadInput: A number is out of its range, or the picture is not of bytes.

    Source: Cubuk et al. 2020, "RandAugment: practical automated data augmentation with a reduced
    search space".
    """
    if count < 0:
        raise BadInput(f"--rand-augment-count {count} must be 0, for none, or more.")
    if not 0 <= magnitude <= 10:
        raise BadInput(f"--rand-augment {magnitude} must be a magnitude from 0 to 10.")
    image = tables.picture_of(example)
    if not count:
        return example
    numbers = jax.random.uniform(key, (count, 2))

    def change(index: Any, image: Any) -> Any:
        number, side = numbers[index]
        far = jnp.where(side < 0.5, 1.0, -1.0) * (magnitude / 10)
        return apply_change(image, _one_of(number, len(CHANGES)), far, PUBLISHED, fill)

    # A loop is compiled once, whatever the count.
    return {**example, "image": jax.lax.fori_loop(0, count, change, image)}


def trivial_augment(example: Any, key: jax.Array, *, fill: int = 128) -> Any:
    """Does one change drawn from fourteen, of a strength that is drawn too (TrivialAugment, wide).

    Args:
        example: Its ``image``, bytes, is changed.
        key: What is drawn comes from it.
        fill: What comes in from outside the picture.

    Raises:
        BadInput: The filling is out of its range, or the picture is not of bytes.

    Source: Müller and Hutter 2021, "TrivialAugment: tuning-free yet state-of-the-art data
    augmentation", the "wide" space of table 1; strengths are 31 even steps.
    """
    number, side, strength = jax.random.uniform(key, (3,))
    far = jnp.where(side < 0.5, 1.0, -1.0) * _one_of(strength, 31).astype(jnp.float32) / 30
    image = tables.picture_of(example)
    image = apply_change(image, _one_of(number, len(CHANGES)), far, WIDE, fill)
    return {**example, "image": image}


def _one_of(number: jax.Array, count: int) -> jax.Array:
    """Maps a number between 0 and 1 to a whole number below ``count``."""
    return jnp.floor(number * count).astype(jnp.int32)


def apply_change(
    image: tables.Picture, change: Any, far: Any, most: Range, fill: int
) -> tables.Picture:
    """Does one change.

    Args:
        image: Bytes.
        change: Its place in `CHANGES`; may be drawn.
        far: The strength, from 0 to 1, or to -1 where factors are to be below 1, and turns and
            moves to the other side; may be drawn.
        most: How far a change of strength 1 goes.
        fill: What comes in from outside the picture.
    """
    if not 0 <= fill <= 255:
        raise BadInput(f"--fill {fill} must be a brightness from 0 to 255.")
    height, width, channels = image.shape
    factor, strength = 1 + far * most.factor, jnp.abs(far)

    def pick(otherwise: Any, by_name: Mapping[str, Any]) -> Any:
        """Returns the value of the change, if it has one."""
        for name, one in by_name.items():
            otherwise = jnp.where(change == CHANGES.index(name), one, otherwise)
        return otherwise

    table = pick(
        tables.levels(channels),
        {
            "autocontrast": tables.stretched(image),
            "equalise": tables.equalised(image),
            "solarise": tables.solarised(channels, 256 * (1 - strength)),
            "posterise": tables.posterised(channels, jnp.round(strength * most.bits)),
            "contrast": tables.contrasted(image, factor),
            "brightness": tables.brightened(channels, factor),
        },
    )
    image = tables.look_up(image, table)
    image = tables.blend(tables.grey(image), image, pick(1.0, {"colour": factor}))
    image = neighbours.sharpen(image, pick(1.0, {"sharpness": factor}))
    angle = pick(0.0, {"rotate": jnp.deg2rad(far * most.rotate)})
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    right = pick(0.0, {"shear right": far * most.shear})
    down = pick(0.0, {"shear down": far * most.shear})
    # A turn is about the middle; the published shears begin in the upper left corner.
    middle = (width - cos * width + sin * height) / 2, (height - sin * width - cos * height) / 2
    x = pick(middle[0], {"move right": far * _pixels(most.move, width)})
    y = pick(middle[1], {"move down": far * _pixels(most.move, height)})
    return warp(image, (cos, right - sin, x, down + sin, cos, y), fill=fill)


def _pixels(move: float, length: int) -> float:
    return move if move > 1 else move * length
