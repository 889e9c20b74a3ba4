"""Batches whose examples are mixed with each other, and labelled by how much of each is in them.

A recipe's ``loss`` calls these, for they are of a batch: an example's partner depends on the step.
It is the one before it; the order of a batch is random already.
"""

from typing import Any

import jax
import jax.numpy as jnp

from flaxmill.errors import BadInput
from flaxmill.maths.losses import one_hot
from flaxmill.maths.scaling import unit_interval


def mixup(batch: Any, *, key: jax.Array, num_classes: int, alpha: float) -> Any:
    """Averages each picture and its label with another of the batch.

    Args:
        batch: ``image`` [batch, height, width, channel] and ``label``, class indices or
            distributions [batch, class].
        key: Of this step.
        num_classes: Number of classes.
        alpha: The share of the first picture follows Beta(alpha, alpha): near 0 or 1 for small
            ones, drawn for each pair anew. 0: nothing is mixed.

    Returns:
        The batch with pictures as floats from 0 to 1, and distributions as labels.

    Raises:
        BadInput: ``alpha`` is negative.

    Source: Zhang et al. 2018, "mixup: beyond empirical risk minimization".
    """
    return mix(batch, key=key, num_classes=num_classes, mixup=alpha, cutmix=0.0)


def cutmix(batch: Any, *, key: jax.Array, num_classes: int, alpha: float) -> Any:
    """Pastes into each picture a rectangle of another of the batch; labels go by the area.

    Args:
        batch: ``image`` [batch, height, width, channel] and ``label``, class indices or
            distributions [batch, class].
        key: Of this step.
        num_classes: Number of classes.
        alpha: The share of the first picture follows Beta(alpha, alpha), as long as the rectangle,
            whose centre may be anywhere, does not stick out. 0: nothing is mixed.

    Returns:
        The batch with distributions as labels; pictures keep their type.

    Raises:
        BadInput: ``alpha`` is negative.

    Source: Yun et al. 2019, "CutMix: regularization strategy to train strong classifiers".
    """
    return mix(batch, key=key, num_classes=num_classes, mixup=0.0, cutmix=alpha)


def mix(batch: Any, *, key: jax.Array, num_classes: int, mixup: float, cutmix: float) -> Any:
    """Does mixup to one half of a batch's examples and CutMix to the other, drawn for each.

    Args:
        batch: As for `mixup`.
        key: Of this step.
        num_classes: Number of classes.
        mixup: The alpha of mixup; 0: CutMix alone.
        cutmix: The alpha of CutMix; 0: mixup alone.

    Returns:
        The batch with distributions as labels, and pictures as floats from 0 to 1 unless ``mixup``
        is 0; as it is if both are 0.

    Raises:
        BadInput: An alpha is negative.
    """
    for name, alpha in (("mixup", mixup), ("cutmix", cutmix)):
        if not 0 <= alpha < float("inf"):
            raise BadInput(f"--{name} {alpha} must be 0, for none, or more.")
    if not mixup and not cutmix:
        return batch
    image, label = batch["image"], one_hot(batch["label"], num_classes)
    for_choice, for_mixup, for_cutmix = jax.random.split(key, 3)
    if not cutmix:
        mixed, share = _average(image, for_mixup, mixup)
    elif not mixup:
        mixed, share = _paste(image, for_cutmix, cutmix)
    else:
        averaged, portion = _average(image, for_mixup, mixup)
        pasted, area = _paste(unit_interval(image), for_cutmix, cutmix)
        first = jax.random.bernoulli(for_choice, shape=(len(image),))
        mixed = jnp.where(first.reshape(-1, 1, 1, 1), averaged, pasted)
        share = jnp.where(first, portion, area)
    share = share[:, None]
    return {**batch, "image": mixed, "label": share * label + (1 - share) * _partners(label)}


def _shares(key: jax.Array, alpha: float, count: int) -> jax.Array:
    """Draws from Beta(alpha, alpha), in closed form.

    ``jax.random.beta`` draws until it accepts: a loop of small kernels that, on a GPU, took a
    twelfth of a ResNet-18's step. Of two equal parameters, the variate is t / √(2 alpha + t²), from
    -1 to 1 and brought to 0 to 1, where t has Student's distribution of 2 alpha degrees of freedom.

    Source: Bailey 1994, "Polar generation of random variates with the t-distribution".
    """
    radius, angle = jax.random.uniform(key, (2, count))
    power = jnp.log(radius) / alpha
    cosine = jnp.cos(2 * jnp.pi * angle)
    far = -jnp.expm1(power) * cosine * cosine
    return 0.5 + 0.5 * jnp.sign(cosine) * jnp.sqrt(far / (jnp.exp(power) + far))


def _partners(values: jax.Array) -> jax.Array:
    """Returns the values of each example's partner: the one before it."""
    return jnp.roll(values, 1, axis=0)


def _average(image: jax.Array, key: jax.Array, alpha: float) -> tuple[jax.Array, jax.Array]:
    """Returns pictures averaged with their partners, and their own shares."""
    image = unit_interval(image)
    share = _shares(key, alpha, len(image))
    weight = share.astype(image.dtype).reshape(-1, 1, 1, 1)
    return weight * image + (1 - weight) * _partners(image), share


def _paste(image: jax.Array, key: jax.Array, alpha: float) -> tuple[jax.Array, jax.Array]:
    """Returns pictures with a rectangle of their partners', and their own shares of the area."""
    size, height, width, _ = image.shape
    for_area, for_place = jax.random.split(key)
    side = jnp.sqrt(1 - _shares(for_area, alpha, size))
    centres = jax.random.uniform(for_place, (2, size))
    inside = []
    for length, centre in zip((height, width), centres, strict=True):
        extent, middle = jnp.floor(side * length), jnp.floor(centre * length)
        first = middle - jnp.floor(extent / 2)
        places = jnp.arange(length, dtype=jnp.float32)[None, :]
        inside.append((places >= first[:, None]) & (places < (first + extent)[:, None]))
    outside = ~(inside[0][:, :, None] & inside[1][:, None, :])
    mixed = jnp.where(outside[..., None], image, _partners(image))
    return mixed, outside.astype(jnp.float32).mean((1, 2))
