"""Layers that several networks are made of."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


def layer_norm(width: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    """Layer normalisation in float32; its variance in two passes, which loses no digits."""
    how = {"epsilon": 1e-6, "use_fast_variance": False, "dtype": jnp.float32}
    return nnx.LayerNorm(width, **how, rngs=rngs)


def batch_norm(channels: int, rngs: nnx.Rngs, *, scale: float = 1.0) -> nnx.BatchNorm:
    """Batch normalisation in float32, whatever the convolutions compute in.

    With a half type, Flax's layer would round the running averages to it before using them.
    """
    initial = jax.nn.initializers.constant(scale)
    how = {"momentum": 0.9, "epsilon": 1e-5, "dtype": jnp.float32, "scale_init": initial}
    return nnx.BatchNorm(channels, **how, rngs=rngs)


def convolution(
    in_channels: int, channels: int, side: int, stride: int, *, dtype: Any, rngs: nnx.Rngs
) -> nnx.Conv:
    """A convolution without bias, before a normalisation, as torchvision begins and pads it."""
    pad = side // 2
    return nnx.Conv(
        in_channels,
        channels,
        (side, side),
        strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        use_bias=False,
        kernel_init=jax.nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
        dtype=dtype,
        rngs=rngs,
    )
