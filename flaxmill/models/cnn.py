"""Convolutional networks for small pictures."""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped, UInt8

from flaxmill.errors import BadInput


def unit_interval(
    pictures: UInt8[Array, "*dims"] | Float[Array, "*dims"],
) -> Float[Array, "*dims"]:
    """Scales pictures as stored (bytes, 0 to 255) to 0 to 1; floating pictures are so already.

    Models do this themselves, so that an exported one takes raw pictures; floats pass so that
    gradients can be taken with respect to a picture.
    """
    if pictures.dtype == jnp.uint8:
        return pictures.astype(jnp.float32) / 255
    return pictures


class CNN(nnx.Module):
    """The tutorial's network: two blocks of convolution, relu and pooling, then two dense layers.

    Args:
        size: Height and width of a picture, in pixels.
        in_channels: 1 for grey, 3 for RGB.
        num_classes: Number of logits.
        channels: Output channels of each 3×3 convolution; each block halves height and width.
        hidden: Units of the hidden dense layer.
        dropout: Share of the hidden units that is dropped in training.
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
        rngs: nnx.Rngs,
    ) -> None:
        if hidden < 1 or min(channels, default=0) < 1:
            raise BadInput(
                f"--channels {channels} and --hidden {hidden}: every one must be at least 1."
            )
        if not 0 <= dropout < 1:
            raise BadInput(f"--dropout {dropout} must be from 0 up to, but not, 1.")
        if min(size) < 2 ** len(channels):
            height, width = size
            raise BadInput(
                f"pictures of {height}×{width} pixels are too small: each of the {len(channels)} "
                f"blocks halves them, which takes {2 ** len(channels)} pixels or more a side."
            )
        widths = [in_channels, *channels]
        self.convolutions = nnx.List(
            nnx.Conv(before, after, (3, 3), rngs=rngs)
            for before, after in itertools.pairwise(widths)
        )
        height, width = (side // 2 ** len(channels) for side in size)
        self.hidden = nnx.Linear(height * width * widths[-1], hidden, rngs=rngs)
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
        x = x.reshape(x.shape[0], -1)
        x = nnx.relu(self.hidden(x))
        x = self.dropout(x, rngs=rngs)
        return self.head(x)
