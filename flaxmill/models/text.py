"""Networks for texts: convolutions over words or characters, beside counts of their neighbours."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Shaped

from flaxmill.errors import BadInput
from flaxmill.models.cnn import check_dropout

_FACTOR = 8191  # of the hash, small enough that int32 never overflows
_BUCKETS = 2**18
_TOKENS = 2**18


class Grams(nnx.Module):
    """The mean of a learnt vector for each run of neighbouring tokens, found by its hash.

    A run counts once for a text, however often it is repeated ("!!!!"), as the features of a linear
    model do. Runs of several tokens that fall into one bucket share a vector. All of it is
    arithmetic of int32 that does not overflow, so that it is the same wherever the model is run.

    Args:
        sizes: Tokens of a run; (1, 2) for tokens and pairs.
        buckets: Number of vectors.
        width: Of a vector.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range.

    Source: Joulin et al. 2016, "Bag of tricks for efficient text classification", section 2.2.
    """

    def __init__(self, sizes: Sequence[int], buckets: int, width: int, *, rngs: nnx.Rngs) -> None:
        if not 1 <= buckets <= _BUCKETS or width < 1 or min(sizes, default=1) < 1:
            raise BadInput(
                f"--grams {tuple(sizes)}, --buckets {buckets} and --gram-width {width}: every one "
                f"must be at least 1, and the buckets at most {_BUCKETS:,}."
            )
        self.sizes, self.buckets = tuple(sizes), buckets
        small = jax.nn.initializers.normal(0.01)
        self.table = nnx.Embed(buckets, width, embedding_init=small, rngs=rngs)

    def __call__(
        self, tokens: Int[Array, "batch time"], keep: Float[Array, "batch time"]
    ) -> Float[Array, "batch feature"]:
        """Returns the mean over the runs of each text; where ``keep`` is 0, none begins."""
        total = jnp.zeros((tokens.shape[0], self.table.features))
        count = jnp.zeros((tokens.shape[0], 1))
        for size in self.sizes:
            code = jnp.full_like(tokens, size)
            for place in range(size):
                later = shifted(tokens, place)
                code = self._bucket(code * _FACTOR + later)
            weight = jnp.where(shifted(tokens, size - 1) != 0, keep, 0.0)
            weight = weight / _repeated(code, weight)
            total = total + jnp.einsum("btf,bt->bf", self.table(code), weight)
            count = count + weight.sum(1, keepdims=True)
        return total / jnp.sqrt(jnp.maximum(count, 1.0))

    def _bucket(self, code: Int[Array, "batch time"]) -> Int[Array, "batch time"]:
        """Returns the rest of a division, which ONNX's converter cannot write at any length."""
        return code - lax.div(code, jnp.full_like(code, self.buckets)) * self.buckets


def _repeated(
    codes: Int[Array, "batch time"], weights: Float[Array, "batch time"]
) -> Float[Array, "batch time"]:
    """Returns how many of a text's codes with a weight are the same as each; at least 1."""
    same = codes[:, :, None] == codes[:, None, :]  # [batch, time, time]
    counts = jnp.where(same & (weights > 0)[:, None, :], 1.0, 0.0).sum(-1)  # [batch, time]
    return jnp.maximum(counts, 1.0)


def shifted(values: Shaped[Array, "batch time *rest"], by: int) -> Shaped[Array, "..."]:
    """Returns what comes so many places later, and zeros beyond the end."""
    if not by:
        return values
    rest = ((0, 0),) * (values.ndim - 2)  # filled up first, so that any length will do
    return jnp.pad(values, ((0, 0), (0, by), *rest))[:, by:]


class TextCNN(nnx.Module):
    """Convolutions of several widths over embedded tokens, each pooled over time (Kim 2014).

    Beside them, the mean of learnt vectors for tokens and their neighbours, which is what a linear
    model knows. What fills a text up, the token 0, changes nothing.

    Args:
        vocabulary: Number of tokens.
        num_classes: Number of logits.
        width: Of a token's vector.
        windows: Tokens that each convolution sees at once.
        channels: Outputs of each convolution.
        grams: Tokens of the runs that have vectors of their own; empty for none.
        buckets: Number of those vectors.
        gram_width: Of one of them.
        dropout: Share of the features before the last layer that is dropped in training.
        token_dropout: Share of the tokens that is dropped in training.
        dtype: Type that convolutions compute in. Parameters and logits are float32.
        rngs: Where the initial parameters are drawn from.

    Raises:
        BadInput: A number is out of its range.
    """

    def __init__(
        self,
        vocabulary: int,
        num_classes: int,
        *,
        width: int = 96,
        windows: Sequence[int] = (1, 2, 3, 4),
        channels: int = 96,
        grams: Sequence[int] = (1, 2),
        buckets: int = 2**16,
        gram_width: int = 16,
        dropout: float = 0.5,
        token_dropout: float = 0.1,
        dtype: Any = jnp.float32,
        rngs: nnx.Rngs,
    ) -> None:
        if width < 1 or channels < 1 or min(windows, default=0) < 1:
            raise BadInput(
                f"--width {width}, --channels {channels} and --windows {tuple(windows)}: every one "
                f"must be at least 1."
            )
        if grams and vocabulary > _TOKENS:
            raise BadInput(f"--vocabulary {vocabulary:,}: give at most {_TOKENS:,}, or no --grams.")
        check_dropout(dropout)
        check_dropout(token_dropout)
        self.windows, self.dtype = tuple(windows), dtype
        normal = jax.nn.initializers.normal(0.1)
        self.embed = nnx.Embed(vocabulary, width, embedding_init=normal, rngs=rngs)
        self.convolutions = nnx.List(
            [nnx.Linear(size * width, channels, dtype=dtype, rngs=rngs) for size in windows]
        )
        self.grams = Grams(grams, buckets, gram_width, rngs=rngs) if grams else None
        features = 2 * channels * len(windows)
        self.head = nnx.Linear(features, num_classes, rngs=rngs)
        self.side = nnx.Linear(gram_width, num_classes, rngs=rngs) if grams else None
        self.dropout = nnx.Dropout(dropout)
        self.token_dropout = nnx.Dropout(token_dropout)

    def __call__(
        self, tokens: Int[Array, "batch time"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits; ``rngs`` holds the key ``dropout`` in training."""
        there = tokens != 0  # [batch, time]
        keep = self.token_dropout(there.astype(jnp.float32), rngs=rngs)  # [batch, time]
        features = self.pooled(tokens, there, keep)  # [batch, feature]
        logits = self.head(self.dropout(features, rngs=rngs))
        if self.grams is None or self.side is None:
            return logits
        return logits + self.side(self.grams(tokens, keep))

    def pooled(
        self,
        tokens: Int[Array, "batch time"],
        there: Bool[Array, "batch time"],
        keep: Float[Array, "batch time"],
    ) -> Float[Array, "batch feature"]:
        """Returns the highest and the mean of each convolution's outputs over a text."""
        vectors = (self.embed(tokens) * keep[..., None]).astype(self.dtype)
        mask, found = there[..., None], []
        count = jnp.maximum(there.sum(1, keepdims=True), 1).astype(jnp.float32)
        for size, convolution in zip(self.windows, self.convolutions, strict=True):
            near = [shifted(vectors, place) for place in range(size)]
            out = jax.nn.relu(convolution(jnp.concatenate(near, -1))).astype(jnp.float32)
            out = jnp.where(mask, out, 0.0)  # relu leaves nothing below 0, so 0 is no highest
            found += [out.max(1), out.sum(1) / count]
        return jnp.concatenate(found, -1)
