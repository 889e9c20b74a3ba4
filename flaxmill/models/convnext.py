"""ConvNeXt (Liu et al. 2022, "A ConvNet for the 2020s").

``convnext_tiny`` and ``convnext_small`` are sizes of one class, and take its other arguments::

    network = convnext_tiny(3, 1000, rngs=nnx.Rngs(0))
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from flaxmill.errors import BadInput
from flaxmill.maths.scaling import check_moments, standardised
from flaxmill.models.cnn import check_dropout
from flaxmill.models.drop_path import DropPath, drop_path_rates
from flaxmill.models.layers import layer_norm

_SMALL = jax.nn.initializers.truncated_normal(0.02)
"""Of every kernel (appendix A.1)."""


class ConvNeXt(nnx.Module):
    """Patches, stages of blocks with a wide depthwise convolution, and one dense layer.

    Between stages, a 2×2 convolution halves height and width; a row or column that is left over is
    dropped. Normalisation is over the channels of each place.

    Args:
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        stages: Number of blocks in each stage.
        widths: Channels of each stage.
        patch: Pixels a side of what the first convolution takes together: 4 for pictures of some
            224 pixels a side, fewer for small ones.
        layer_scale: What each channel of a branch is multiplied by at first.
        mean: What is taken from a picture's values, which are from 0 to 1 then: a number for each
            channel, or one for all.
        std: What they are divided by after that.
        dropout: Share of the pooled features that is dropped in training.
        drop_path: Share of the examples for which the last block is dropped in training; earlier
            blocks are for fewer.
        dtype: Type that convolutions and dense layers compute in. Parameters, normalisation and
            logits are float32 whatever it is.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range, or stages and widths differ in number.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        stages: Sequence[int],
        widths: Sequence[int] = (96, 192, 384, 768),
        patch: int = 4,
        layer_scale: float = 1e-6,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        dropout: float = 0.0,
        drop_path: float = 0.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if min(*stages, *widths, patch) < 1 or len(stages) != len(widths):
            raise BadInput(
                f"--stages {stages}, --widths {widths} and --patch {patch}: every number must be "
                f"at least 1, and each stage needs one width."
            )
        check_moments(in_channels, mean, std)
        check_dropout(dropout)
        self.mean, self.std = tuple(mean), tuple(std)
        self.least = patch * 2 ** (len(stages) - 1)
        how = {"dtype": dtype, "rngs": rngs}
        self.stem = _patches(in_channels, widths[0], patch, **how)
        self.stem_norm = layer_norm(widths[0], rngs)
        self.shrinking_norms = nnx.List(layer_norm(width, rngs) for width in widths[:-1])
        self.shrinking = nnx.List(
            _patches(before, after, 2, **how) for before, after in itertools.pairwise(widths)
        )
        rates = iter(drop_path_rates(drop_path, sum(stages)))
        self.stages = nnx.List(
            nnx.List(_Block(width, layer_scale, next(rates), **how) for _ in range(count))
            for width, count in zip(widths, stages, strict=True)
        )
        self.norm = layer_norm(widths[-1], rngs)
        self.dropout = nnx.Dropout(dropout)
        self.head = nnx.Linear(widths[-1], num_classes, kernel_init=_SMALL, rngs=rngs)

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures.

        Args:
            pictures: uint8 as stored, or floats from 0 to 1.
            rngs: The ``dropout`` stream, in training only.

        Raises:
            BadInput: The pictures are too small for the stages.
        """
        height, width = pictures.shape[1:3]
        if min(height, width) < self.least:
            raise BadInput(
                f"pictures of {height}×{width} pixels are too small: {len(self.stages)} stages "
                f"need {self.least} pixels or more a side (--size)."
            )
        x = self.stem(standardised(pictures, self.mean, self.std))  # [batch, down, right, channel]
        x = _normalised(self.stem_norm, x)
        for stage, blocks in enumerate(self.stages):
            if stage:
                x = self.shrinking[stage - 1](_normalised(self.shrinking_norms[stage - 1], x))
            for block in blocks:
                x = block(x, rngs=rngs)
        x = self.norm(x.astype(jnp.float32).mean((1, 2)))  # [batch, channel]
        return self.head(self.dropout(x, rngs=rngs))


class _Block(nnx.Module):
    """A 7×7 convolution of each channel by itself, then two dense layers at each place."""

    def __init__(
        self, width: int, layer_scale: float, drop_path: float, *, dtype: Any, rngs: nnx.Rngs
    ) -> None:
        how = {"kernel_init": _SMALL, "dtype": dtype, "rngs": rngs}
        self.depthwise = nnx.Conv(
            width, width, (7, 7), padding=((3, 3), (3, 3)), feature_group_count=width, **how
        )
        self.norm = layer_norm(width, rngs)
        self.wide, self.narrow = (
            nnx.Linear(width, 4 * width, **how),
            nnx.Linear(4 * width, width, **how),
        )
        self.layer_scale = nnx.Param(jnp.full((width,), layer_scale, jnp.float32))
        self.drop_path = DropPath(drop_path, axes=4)

    def __call__(
        self, x: Float[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch height width channel"]:
        y = _normalised(self.norm, self.depthwise(x))
        y = self.narrow(nnx.gelu(self.wide(y), approximate=False))
        y = y * self.layer_scale[...].astype(y.dtype)[None, None, None]
        return x + self.drop_path(y, rngs=rngs)


def _patches(in_channels: int, channels: int, side: int, *, dtype: Any, rngs: nnx.Rngs) -> nnx.Conv:
    """A convolution whose windows touch."""
    return nnx.Conv(
        in_channels, channels, (side, side), strides=(side, side), padding="VALID",
        kernel_init=_SMALL, dtype=dtype, rngs=rngs,
    )  # fmt: skip


def _normalised(norm: nnx.LayerNorm, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Normalises in float32; the result has the dtype of the input."""
    return norm(x).astype(x.dtype)


convnext_tiny = functools.partial(ConvNeXt, stages=(3, 3, 9, 3))
convnext_small = functools.partial(ConvNeXt, stages=(3, 3, 27, 3))
