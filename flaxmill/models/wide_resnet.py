"""Wide residual networks for small pictures (Zagoruyko and Komodakis 2016).

``wrn_16_4``, ``wrn_28_10`` and ``wrn_40_4`` are sizes of one class, and take its other arguments::

    network = wrn_28_10(3, 10, dropout=0.3, rngs=nnx.Rngs(0))
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from flaxmill.errors import BadInput
from flaxmill.maths.scaling import check_moments, standardised
from flaxmill.models.cnn import check_dropout
from flaxmill.models.layers import batch_norm, convolution

WIDTHS = (16, 32, 64)
"""Channels of each stage's convolutions, before they are widened (table 1)."""


class WideResNet(nnx.Module):
    """A 3×3 convolution, three stages of pre-activated residual blocks, and one dense layer.

    Every stage but the first halves height and width. In a block, normalisation and relu come
    before each of its two 3×3 convolutions (He et al. 2016, "Identity Mappings in Deep Residual
    Networks"), and dropout between the two (section 2.4).

    Args:
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        depth: Convolutions one after another: 6 times the blocks of a stage, and 4.
        widening: What the channels of every stage are multiplied by.
        mean: What is taken from a picture's values, which are from 0 to 1 then: a number for each
            channel, or one for all.
        std: What they are divided by after that.
        dropout: Share of each block's features that is dropped in training.
        dtype: Type that convolutions compute in. Parameters, batch statistics and logits are
            float32 whatever it is.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range, or there is no network of this depth.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        depth: int,
        widening: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        dropout: float = 0.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        count, rest = divmod(depth - 4, 6)
        if rest or count < 1:
            fitting = 6 * max(1, round((depth - 4) / 6)) + 4
            raise BadInput(
                f"--depth {depth}: it is 4 more than a multiple of 6, such as {fitting}."
            )
        if widening < 1:
            raise BadInput(f"--widening {widening} must be at least 1.")
        check_moments(in_channels, mean, std)
        check_dropout(dropout)
        self.mean, self.std = tuple(mean), tuple(std)
        how = {"dtype": dtype, "rngs": rngs}
        self.stem = convolution(in_channels, WIDTHS[0], 3, 1, **how)
        channels = WIDTHS[0]
        self.stages = nnx.List()
        for stage, width in enumerate(WIDTHS):
            blocks = nnx.List()
            for block in range(count):
                stride = 2 if stage and not block else 1
                blocks.append(_Block(channels, width * widening, stride, dropout, **how))
                channels = width * widening
            self.stages.append(blocks)
        self.norm = batch_norm(channels, rngs)
        self.head = nnx.Linear(channels, num_classes, rngs=rngs)

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures.

        Args:
            pictures: uint8 as stored, or floats from 0 to 1.
            rngs: The ``dropout`` stream, in training only.
        """
        x = self.stem(standardised(pictures, self.mean, self.std))  # [batch, height, width, 16]
        for block in itertools.chain.from_iterable(self.stages):
            x = block(x, rngs=rngs)
        x = nnx.relu(self.norm(x)).mean((1, 2))  # [batch, channel]
        return self.head(x)


class _Block(nnx.Module):
    """A branch of two 3×3 convolutions beside a shortcut, which is a 1×1 one if sizes differ."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, dropout: float, **how: Any
    ) -> None:
        self.norms = nnx.List(batch_norm(count, how["rngs"]) for count in (in_channels, channels))
        self.convolutions = nnx.List(
            [
                convolution(in_channels, channels, 3, stride, **how),
                convolution(channels, channels, 3, 1, **how),
            ]
        )
        self.dropout = nnx.Dropout(dropout)
        same = in_channels == channels and stride == 1
        self.shortcut = None if same else convolution(in_channels, channels, 1, stride, **how)

    def __call__(
        self, x: Float[Array, "..."], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "..."]:
        (first_norm, second_norm), (first, second) = self.norms, self.convolutions
        active = nnx.relu(first_norm(x)).astype(x.dtype)
        shortcut = x if self.shortcut is None else self.shortcut(active)
        y = first(active)
        y = self.dropout(nnx.relu(second_norm(y)).astype(x.dtype), rngs=rngs)
        return second(y) + shortcut


wrn_16_4 = functools.partial(WideResNet, depth=16, widening=4)
wrn_28_10 = functools.partial(WideResNet, depth=28, widening=10)
wrn_40_4 = functools.partial(WideResNet, depth=40, widening=4)
