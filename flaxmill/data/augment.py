"""Augmentation: plain functions of one example and a key, run on the device in the compiled chunk.

The key belongs to the example and its epoch, so that what is drawn depends on neither the batch
nor the gear that brought the example.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Transform = Callable[[Any, jax.Array], Any]
"""``transform(example, key) -> example``, for one example: ``{"image": [h, w, c], …}``."""


def flip(example: Any, key: jax.Array) -> Any:
    """Mirrors a picture left to right, with probability one half."""
    image = example["image"]
    mirrored = jax.random.bernoulli(key)
    return {**example, "image": jnp.where(mirrored, image[:, ::-1], image)}
