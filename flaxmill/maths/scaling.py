"""From pictures as they are stored to the numbers that a network computes with."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped, UInt8

from flaxmill.errors import BadInput

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
"""Of ImageNet's training pictures, RGB: what most published weights were trained with."""


def unit_interval(
    pictures: UInt8[Array, "*dims"] | Float[Array, "*dims"],
) -> Float[Array, "*dims"]:
    """Scales pictures as stored (bytes, 0 to 255) to 0 to 1; floating pictures are so already.

    Models do this themselves, so that an exported one takes raw pictures; floats pass so that
    gradients can be taken with respect to a picture.
    """
    if pictures.dtype == jnp.uint8:
        return pictures.astype(jnp.float32) / 255
    return pictures


def standardised(
    pictures: Shaped[Array, "batch height width channel"],
    mean: Sequence[float],
    std: Sequence[float],
) -> Float[Array, "batch height width channel"]:
    """Scales pictures to 0 to 1, takes ``mean`` from them and divides by ``std``.

    Args:
        pictures: uint8 as stored, or floats from 0 to 1.
        mean: A number for each channel, or one for all.
        std: The same.
    """
    x = unit_interval(pictures)
    centre, spread = (jnp.asarray(values, x.dtype).reshape(1, 1, 1, -1) for values in (mean, std))
    return (x - centre) / spread


def check_moments(channels: int, mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuses moments that do not fit so many channels.

    Raises:
        BadInput: They are too few or too many, or ``std`` has one that is not above 0.
    """
    if {len(mean), len(std)} - {1, channels}:
        raise BadInput(
            f"mean {tuple(mean)} and std {tuple(std)}: give each a number for every one of the "
            f"{channels} channels, or one for all."
        )
    if min(std) <= 0:
        raise BadInput(f"std {tuple(std)}: every one must be above 0.")
