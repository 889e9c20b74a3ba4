"""Convolutional networks for small pictures."""

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from flaxmill.errors import BadInput
from flaxmill.maths.scaling import unit_interval


def check_dropout(dropout: float) -> None:
    """Refuses a share to drop that leaves nothing, or is no share.

    Raises:
        BadInput: It is not from 0 up to, but not, 1.
    """
    if not 0 <= dropout < 1:
        raise BadInput(f"--dropout {dropout} must be from 0 up to, but not, 1.")


class CNN(nnx.Module):
    """The tutorial's network: two blocks of convolution, relu and pooling, then two dense layers.

    Args:
        size: Height and width of a picture, in pixels.
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        channels: Output channels of each 3×3 convolution; each block halves height and width.
        hidden: Units of the hidden dense layer.
        dropout: Share of the hidden units that is dropped in training.
        dtype: Type that convolutions and dense layers compute in. Parameters, batch statistics and
            logits are float32 whatever it is.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range, or the pictures are too small for the pooling.
    """

    def __init__(
        self,
        size: tuple[int, int],
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (32, 64),
        hidden: int = 256,
        dropout: float = 0.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if hidden < 1 or min(channels, default=0) < 1:
            raise BadInput(
                f"--channels {channels} and --hidden {hidden}: every one must be at least 1."
            )
        check_dropout(dropout)
        if min(size) < 2 ** len(channels):
            height, width = size
            raise BadInput(
                f"pictures of {height}×{width} pixels are too small: each of the {len(channels)} "
                f"blocks halves them, which takes {2 ** len(channels)} pixels or more a side."
            )
        widths = [in_channels, *channels]
        self.convolutions = nnx.List(
            nnx.Conv(before, after, (3, 3), dtype=dtype, rngs=rngs)
            for before, after in itertools.pairwise(widths)
        )
        height, width = (side // 2 ** len(channels) for side in size)
        self.hidden = nnx.Linear(height * width * widths[-1], hidden, dtype=dtype, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)
        self.head = nnx.Linear(hidden, num_classes, rngs=rngs)

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures.

        Args:
            pictures: uint8 as stored, or floats from 0 to 1.
            rngs: The ``dropout`` stream, in training only.
        """
        x = unit_interval(pictures)
        for convolution in self.convolutions:
            x = nnx.relu(convolution(x))
            x = nnx.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)  # [batch, height × width × channel]
        x = nnx.relu(self.hidden(x))
        x = self.dropout(x, rngs=rngs)
        return self.head(x.astype(jnp.float32))


class FastCNN(nnx.Module):
    """A small network that learns fast, of the kind that speed records are run with.

    Blocks of 3×3 convolution, 2×2 maximum pool, batch normalisation and relu, each followed by
    residual blocks of convolution and normalisation; then one dense layer. The normalisation comes
    after the pool, where there is a quarter of the work, and has no scale, which the next layer's
    kernel has.

    Source: the network of Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", made
    smaller for two CPU cores.

    Args:
        size: Height and width of a picture, in pixels.
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        channels: Output channels of each block, which halves height and width, rounding up.
        residual: Number of residual blocks after each block; none where no number is given.
        activation: What follows a normalisation: "relu" or "gelu".
        pooled: Whether the dense layer takes each channel's maximum, and not every place.
        scale: What the logits are multiplied by; a small one keeps early predictions unsure.
        dropout: Share of the last features that is dropped in training.
        dtype: Type that convolutions and dense layers compute in. Parameters, batch statistics and
            logits are float32 whatever it is.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range.
    """

    def __init__(
        self,
        size: tuple[int, int],
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int] = (16, 32, 64),
        residual: Sequence[int] = (),
        activation: Literal["relu", "gelu"] = "relu",
        pooled: bool = False,
        scale: float = 1.0,
        dropout: float = 0.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if min(channels, default=0) < 1 or min(residual, default=0) < 0:
            raise BadInput(
                f"--channels {channels} must each be at least 1, and --residual {residual} each at "
                f"least 0."
            )
        if len(residual) > len(channels):
            raise BadInput(
                f"--residual {residual} has a number for each of {len(residual)} blocks, but "
                f"--channels {channels} makes {len(channels)}."
            )
        check_dropout(dropout)
        self.activation, self.pooled, self.scale = activation, pooled, scale
        widths = [in_channels, *channels]
        self.blocks = nnx.List(
            _ConvNorm(before, after, dtype=dtype, rngs=rngs)
            for before, after in itertools.pairwise(widths)
        )
        self.residual = nnx.List(
            nnx.List(_ConvNorm(width, width, dtype=dtype, rngs=rngs) for _ in range(count))
            for width, count in itertools.zip_longest(channels, residual, fillvalue=0)
        )
        for _ in channels:
            size = (-(-size[0] // 2), -(-size[1] // 2))
        self.dropout = nnx.Dropout(dropout)
        places = 1 if pooled else size[0] * size[1]
        self.head = nnx.Linear(places * widths[-1], num_classes, rngs=rngs)

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures.

        Args:
            pictures: uint8 as stored, or floats from 0 to 1.
            rngs: The ``dropout`` stream, in training only.
        """
        activate = nnx.relu if self.activation == "relu" else nnx.gelu
        x = unit_interval(pictures)
        for block, residual in zip(self.blocks, self.residual, strict=True):
            x = jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
            pooled = nnx.max_pool(block.convolution(x), window_shape=(2, 2), strides=(2, 2))
            x = activate(block.normalise(pooled))
            for inner in residual:
                x = activate(x + inner.normalise(inner.convolution(x)))
        x = x.max((1, 2)) if self.pooled else x.reshape(x.shape[0], -1)  # [batch, feature]
        x = self.dropout(x, rngs=rngs)
        return self.head(x.astype(jnp.float32)) * self.scale


class _ConvNorm(nnx.Module):
    """A 3×3 convolution without bias, and the batch normalisation of its output."""

    def __init__(self, in_channels: int, channels: int, *, dtype: Any, rngs: nnx.Rngs) -> None:
        self.convolution = nnx.Conv(
            in_channels, channels, (3, 3), use_bias=False, dtype=dtype, rngs=rngs
        )
        # With a half type, Flax's layer would round the running averages to it before using them.
        self.norm = nnx.BatchNorm(
            channels, use_scale=False, momentum=0.95, epsilon=1e-5, dtype=jnp.float32, rngs=rngs
        )

    def normalise(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Normalises in float32; the result has the dtype of the input."""
        return self.norm(x).astype(x.dtype)
