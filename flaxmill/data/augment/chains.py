"""What an augmentation is, and how several become one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from flaxmill.errors import BadInput

Transform = Callable[[Any, jax.Array], Any]
"""``transform(example, key) -> example``, for one example: ``{"image": [h, w, c], …}``.

The loop also puts the example's ``id`` and ``epoch`` in, for what alternates and is not drawn.
"""

Mixing = Callable[..., Any]
"""``mixing(batch, key=key) -> batch``, for a whole batch that was augmented."""


def chain(*transforms: Transform) -> Transform:
    """Returns a transform that does one after another, each with a key of its own."""

    def transform(example: Any, key: jax.Array) -> Any:
        for one, part in zip(transforms, jax.random.split(key, len(transforms)), strict=True):
            example = one(example, part)
        return example

    return transform


def sometimes(transform: Transform, *, probability: float) -> Transform:
    """Returns a transform that changes a share of the examples, and leaves the others.

    Args:
        transform: Must keep the picture's shape and type.
        probability: From 0, never, to 1, always.

    Raises:
        BadInput: The probability is none.
    """
    if not 0 <= probability <= 1:
        raise BadInput(f"--probability {probability} must be from 0 to 1.")

    def maybe(example: Any, key: jax.Array) -> Any:
        chosen, part = jax.random.split(key)
        transformed = transform(example, part)
        yes = jax.random.bernoulli(chosen, float(probability))
        return {**transformed, "image": jnp.where(yes, transformed["image"], example["image"])}

    return maybe
