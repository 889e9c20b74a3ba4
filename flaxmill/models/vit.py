"""Vision transformers (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words").

``vit_tiny``, ``vit_small`` and ``vit_base`` are sizes of one class, and take its other arguments::

    network = vit_small(3, 1000, size=(224, 224), rngs=nnx.Rngs(0))
"""

import functools
import math
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
"""Of dense layers and positions (Touvron et al. 2021, section 6)."""


class ViT(nnx.Module):
    """Square patches of a picture as tokens, a class token, transformer blocks, a dense layer.

    A block normalises before attention and before its two dense layers, and adds both to its input.
    The class token's last value is what is classified.

    Args:
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        size: Height and width of a picture, in pixels, for whose patches positions are learned.
            A picture of another size gets positions in between.
        patch: Pixels a side of a patch.
        width: Features of a token.
        depth: Blocks.
        heads: Of each block's attention.
        hidden: Units of each block's hidden dense layer, per feature.
        mean: What is taken from a picture's values, which are from 0 to 1 then: a number for each
            channel, or one for all.
        std: What they are divided by after that.
        dropout: Share that is dropped in training: of the tokens' features at first, and of the
            output of every dense layer but the one before attention.
        head_dropout: Share of the last features that is dropped in training.
        drop_path: Share of the examples for which the last block is dropped in training; earlier
            blocks are for fewer.
        dtype: Type that dense layers and attention compute in. Parameters, normalisation, softmax
            and logits are float32 whatever it is.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range, or does not divide another that it has to.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        size: Sequence[int],
        patch: int = 16,
        width: int,
        depth: int,
        heads: int,
        hidden: int = 4,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        drop_path: float = 0.0,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if min(patch, width, depth, heads, hidden) < 1:
            raise BadInput(
                f"--patch {patch}, --width {width}, --depth {depth}, --heads {heads} and --hidden "
                f"{hidden}: every one must be at least 1."
            )
        if width % heads:
            raise BadInput(f"--width {width} does not divide among --heads {heads}.")
        check_moments(in_channels, mean, std)
        for share in (dropout, head_dropout):
            check_dropout(share)
        self.mean, self.std, self.patch = tuple(mean), tuple(std), patch
        down, right = _grid(size, patch)
        self.embedding = nnx.Conv(
            in_channels, width, (patch, patch), strides=(patch, patch), padding="VALID",
            dtype=dtype, rngs=rngs,
        )  # fmt: skip
        # The class token has no place in the picture: what would be its position is part of it.
        self.class_token = nnx.Param(_SMALL(rngs.params(), (width,), jnp.float32))
        self.positions = nnx.Param(_SMALL(rngs.params(), (down, right, width), jnp.float32))
        self.dropout = nnx.Dropout(dropout)
        how = {"heads": heads, "hidden": hidden * width, "dropout": dropout, "dtype": dtype}
        self.blocks = nnx.List(
            _Block(width, drop_path=rate, rngs=rngs, **how)
            for rate in drop_path_rates(drop_path, depth)
        )
        self.norm = layer_norm(width, rngs)
        self.head_dropout = nnx.Dropout(head_dropout)
        self.head = nnx.Linear(width, num_classes, kernel_init=_SMALL, rngs=rngs)

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures.

        Args:
            pictures: uint8 as stored, or floats from 0 to 1; of any size that the patch divides.
            rngs: The ``dropout`` stream, in training only.

        Raises:
            BadInput: The patch does not divide the pictures.
        """
        grid = _grid(pictures.shape[1:3], self.patch)
        x = self.embedding(standardised(pictures, self.mean, self.std))  # [batch, down, right, …]
        x = x + resized_positions(self.positions[...], grid)[None].astype(x.dtype)
        x = x.reshape(x.shape[0], grid[0] * grid[1], x.shape[-1])  # [batch, patch, feature]
        shape = (x.shape[0], 1, x.shape[-1])
        first = jnp.broadcast_to(self.class_token[...].astype(x.dtype)[None, None], shape)
        x = self.dropout(jnp.concatenate([first, x], axis=1), rngs=rngs)  # [batch, token, feature]
        for block in self.blocks:
            x = block(x, rngs=rngs)
        return self.head(self.head_dropout(self.norm(x[:, 0]), rngs=rngs))


def resized_positions(
    positions: Float[Array, "down right feature"], grid: tuple[int, int]
) -> Float[Array, "new_down new_right feature"]:
    """Returns positions for another number of patches, in between those that were learned.

    Source: section 3.2 of the paper; cubic, as most published weights are resized.
    """
    if positions.shape[:2] == grid:
        return positions
    return jax.image.resize(positions, (*grid, positions.shape[-1]), "cubic")


def _grid(size: Sequence[int], patch: int) -> tuple[int, int]:
    """Returns how many patches a picture has, down and right."""
    height, width = size
    if height % patch or width % patch or min(size) < patch:
        near = "×".join(str(max(1, round(side / patch)) * patch) for side in size)
        raise BadInput(
            f"pictures of {height}×{width} pixels cannot be cut into patches of {patch}×{patch}: "
            f"take pictures of {near} (--size), or another size of patches."
        )
    return height // patch, width // patch


class _Block(nnx.Module):
    """Attention among tokens, and two dense layers for each, both added to their input."""

    def __init__(
        self,
        width: int,
        *,
        heads: int,
        hidden: int,
        dropout: float,
        drop_path: float,
        dtype: Any,
        rngs: nnx.Rngs,
    ) -> None:
        self.heads = heads
        dense = functools.partial(nnx.Linear, kernel_init=_SMALL, dtype=dtype, rngs=rngs)
        self.attention_norm, self.dense_norm = layer_norm(width, rngs), layer_norm(width, rngs)
        self.qkv, self.mixed = dense(width, 3 * width), dense(width, width)
        self.wide, self.narrow = dense(width, hidden), dense(hidden, width)
        self.dropout = nnx.Dropout(dropout)
        self.drop_path = DropPath(drop_path, axes=3)

    def __call__(
        self, x: Float[Array, "batch token feature"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch token feature"]:
        y = self._attention(self.attention_norm(x).astype(x.dtype))
        x = x + self.drop_path(self.dropout(y, rngs=rngs), rngs=rngs)
        y = nnx.gelu(self.wide(self.dense_norm(x).astype(x.dtype)), approximate=False)
        y = self.narrow(self.dropout(y, rngs=rngs))
        return x + self.drop_path(self.dropout(y, rngs=rngs), rngs=rngs)

    def _attention(
        self, x: Float[Array, "batch token feature"]
    ) -> Float[Array, "batch token feature"]:
        """Scaled dot-product attention, several heads beside each other (Vaswani et al. 2017)."""
        batch, tokens, features = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, features // self.heads)
        query, key, value = (qkv[:, :, part] for part in range(3))  # [batch, token, head, feature]
        scores = jnp.einsum("bqhf,bkhf->bhqk", query, key, preferred_element_type=jnp.float32)
        weights = nnx.softmax(scores / math.sqrt(query.shape[-1])).astype(x.dtype)
        mixed = jnp.einsum("bhqk,bkhf->bqhf", weights, value)  # [batch, token, head, feature]
        return self.mixed(mixed.reshape(batch, tokens, features))


vit_tiny = functools.partial(ViT, width=192, depth=12, heads=3)
vit_small = functools.partial(ViT, width=384, depth=12, heads=6)
vit_base = functools.partial(ViT, width=768, depth=12, heads=12)
