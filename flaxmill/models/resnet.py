"""Residual networks for pictures (He et al. 2016, "Deep Residual Learning for Image Recognition").

``resnet18``, ``resnet34``, ``resnet50``, ``resnet101`` and ``resnet152`` are sizes of one class,
and take its other arguments::

    network = resnet18(3, 10, stem="cifar", rngs=nnx.Rngs(0))
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from flaxmill.errors import BadInput, nearest
from flaxmill.maths.scaling import check_moments, standardised
from flaxmill.models.cnn import check_dropout
from flaxmill.models.drop_path import DropPath, drop_path_rates
from flaxmill.models.layers import batch_norm, convolution

STEMS = ("cifar", "imagenet")
"""How a network begins: as is usual for small pictures, or for those of some 224 pixels a side."""


class Layer(NamedTuple):
    """A convolution of a block's branch: its output channels, side of its kernel, and stride."""

    channels: int
    side: int
    stride: int


def basic(width: int, stride: int) -> tuple[Layer, ...]:
    """Returns the branch of a block of two 3×3 convolutions."""
    return Layer(width, 3, stride), Layer(width, 3, 1)


def bottleneck(width: int, stride: int) -> tuple[Layer, ...]:
    """Returns the branch of a block that narrows, convolves 3×3, and widens to four times.

    The stride is the 3×3 convolution's, which loses nothing, and not the first one's as in the
    paper: most published weights have it so.
    """
    return Layer(width, 1, 1), Layer(width, 3, stride), Layer(4 * width, 1, 1)


class ResNet(nnx.Module):
    """A stem, stages of residual blocks that halve height and width, and one dense layer.

    Every convolution has no bias and is followed at once by batch normalisation, so that the two
    can be folded into one for inference. Padding is symmetric, also where the stride is 2, as in
    the frameworks that most published weights come from. The last scale of each branch begins at
    0, so that a block begins as its shortcut (Goyal et al. 2017, section 5.1).

    Args:
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        block: The layers of a branch, from a stage's width and a stride: ``basic`` or
            ``bottleneck``.
        stages: Number of blocks in each stage.
        width: Channels of the first stage's 3×3 convolutions; each further stage has twice as many.
        stem: "imagenet" begins with a 7×7 convolution and a maximum pool, of stride 2 both;
            "cifar" with a 3×3 convolution, for pictures of few pixels.
        mean: What is taken from a picture's values, which are from 0 to 1 then: a number for each
            channel, or one for all.
        std: What they are divided by after that.
        dropout: Share of the pooled features that is dropped in training.
        drop_path: Share of the examples for which the last block is dropped in training; earlier
            blocks are for fewer.
        dtype: Type that convolutions compute in. Parameters, batch statistics and logits are
            float32 whatever it is.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range, or there is no such stem.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        block: Callable[[int, int], tuple[Layer, ...]],
        stages: Sequence[int],
        width: int = 64,
        stem: str = "imagenet",
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        dropout: float = 0.0,
        drop_path: float = 0.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if width < 1 or min(stages, default=0) < 1:
            raise BadInput(f"--stages {stages} and --width {width}: every one must be at least 1.")
        if stem not in STEMS:
            raise BadInput(f"there is no stem {stem!r}.{nearest(stem, STEMS)}")
        check_moments(in_channels, mean, std)
        check_dropout(dropout)
        self.mean, self.std, self.pooled = tuple(mean), tuple(std), stem == "imagenet"
        first = Layer(width, 7, 2) if self.pooled else Layer(width, 3, 1)
        how = {"dtype": dtype, "rngs": rngs}
        self.stem = _ConvNorm(in_channels, first, **how)
        channels = width
        rates = iter(drop_path_rates(drop_path, sum(stages)))
        self.stages = nnx.List()
        for stage, count in enumerate(stages):
            strides = [1 if stage == 0 else 2, *itertools.repeat(1, count - 1)]
            blocks = nnx.List()
            for stride in strides:
                layers = block(width * 2**stage, stride)
                blocks.append(_Block(channels, layers, drop_path=next(rates), **how))
                channels = blocks[-1].branch[-1].channels
            self.stages.append(blocks)
        self.dropout = nnx.Dropout(dropout)
        small = jax.nn.initializers.normal(0.01)  # Goyal et al. 2017, section 5.1
        self.head = nnx.Linear(channels, num_classes, kernel_init=small, rngs=rngs)

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures.

        Args:
            pictures: uint8 as stored, or floats from 0 to 1.
            rngs: The ``dropout`` stream, in training only.
        """
        x = nnx.relu(self.stem(standardised(pictures, self.mean, self.std)))
        if self.pooled:
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))  # after a relu, 0 is never the maximum
            x = nnx.max_pool(x, window_shape=(3, 3), strides=(2, 2))
        for block in itertools.chain.from_iterable(self.stages):
            x = block(x, rngs=rngs)
        x = x.astype(jnp.float32).mean((1, 2))  # [batch, channel]
        return self.head(self.dropout(x, rngs=rngs))


class _ConvNorm(nnx.Module):
    """A convolution without bias, and the batch normalisation of its output, in float32."""

    def __init__(
        self,
        in_channels: int,
        layer: Layer,
        *,
        scale: float = 1.0,
        dtype: Any,
        rngs: nnx.Rngs,
    ) -> None:
        self.channels = layer.channels
        self.convolution = convolution(
            in_channels, layer.channels, layer.side, layer.stride, dtype=dtype, rngs=rngs
        )
        self.norm = batch_norm(layer.channels, rngs, scale=scale)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x = self.convolution(x)
        return self.norm(x).astype(x.dtype)


class _Block(nnx.Module):
    """A branch of convolutions beside a shortcut, which is a 1×1 convolution if sizes differ."""

    def __init__(
        self, in_channels: int, layers: Sequence[Layer], *, drop_path: float, **how: Any
    ) -> None:
        widths = [in_channels, *(layer.channels for layer in layers)]
        self.branch = nnx.List(
            _ConvNorm(before, layer, scale=float(layer is not layers[-1]), **how)
            for before, layer in zip(widths, layers, strict=False)
        )
        stride = max(layer.stride for layer in layers)
        same = stride == 1 and in_channels == widths[-1]
        fitting = Layer(widths[-1], 1, stride)
        self.shortcut = None if same else _ConvNorm(in_channels, fitting, **how)
        self.drop_path = DropPath(drop_path, axes=4)

    def __call__(
        self, x: Float[Array, "..."], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "..."]:
        shortcut = x if self.shortcut is None else self.shortcut(x)
        first, *others = self.branch
        x = first(x)
        for layer in others:
            x = layer(nnx.relu(x))
        return nnx.relu(self.drop_path(x, rngs=rngs) + shortcut)


resnet18 = functools.partial(ResNet, block=basic, stages=(2, 2, 2, 2))
resnet34 = functools.partial(ResNet, block=basic, stages=(3, 4, 6, 3))
resnet50 = functools.partial(ResNet, block=bottleneck, stages=(3, 4, 6, 3))
resnet101 = functools.partial(ResNet, block=bottleneck, stages=(3, 4, 23, 3))
resnet152 = functools.partial(ResNet, block=bottleneck, stages=(3, 8, 36, 3))
