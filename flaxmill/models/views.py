"""Test-time augmentation: several views of a picture, mirrored, moved, and closer.

Any network for pictures can be wrapped in it, and is exported with it.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from flaxmill.data.augment.resampling import EXACT, tents
from flaxmill.errors import BadInput
from flaxmill.maths.scaling import unit_interval


class View(NamedTuple):
    """One view of a picture.

    Attributes:
        down: Pixels that the picture is moved by; up if negative.
        right: The same to the right, or to the left.
        part: Share of height and width, in the middle, that is enlarged to the whole.
        weight: How much its logits count.
    """

    down: int = 0
    right: int = 0
    part: float = 1.0
    weight: float = 1.0


AS_IT_IS = (View(),)
STRAIGHT = (
    View(),
    View(down=1, weight=0.5),
    View(down=-1, weight=0.5),
    View(right=1, weight=0.5),
    View(right=-1, weight=0.5),
)
"""As it is, and moved by one pixel each way, which counts half."""
DIAGONAL = (View(), View(down=1, right=1, weight=0.5), View(down=-1, right=-1, weight=0.5))
"""As it is, and moved by one pixel along a diagonal (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds
on a single GPU", section 3.5, which reflects the border)."""
CLOSER = (View(), View(part=0.875), View(part=0.75))
"""As it is, and two crops of its middle."""


class Views(nnx.Module):
    """In evaluation, averages a network's logits over views of a picture.

    In training the network is called as it is.

    Args:
        network: Takes raw pictures and returns logits.
        views: Of each picture.
        mirrored: Whether to add the mirror image of each view.
        border: What comes in where a picture is moved: zeros, or the picture as in a mirror that
            stands in its outermost pixels.

    Raises:
        BadInput: There is no view, or a part or a weight is out of its range.
    """

    def __init__(
        self,
        network: nnx.Module,
        views: Sequence[View] = AS_IT_IS,
        *,
        mirrored: bool = True,
        border: Literal["zero", "reflect"] = "zero",
    ) -> None:
        if not views:
            raise BadInput("a model needs a view or more to look at.")
        for view in views:
            if not (0 < view.part <= 1 and view.weight > 0):
                raise BadInput(f"{view}: its part must be above 0 and up to 1, its weight above 0.")
        self.network = network
        self.views, self.mirrored, self.border = tuple(views), mirrored, border
        self.deterministic = False  # nnx's eval() sets it

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], *, rngs: nnx.Rngs | None = None
    ) -> Float[Array, "batch class"]:
        """Returns the logits of raw pictures, as the network does."""
        if not self.deterministic:
            return self.network(pictures, rngs=rngs)
        logits = [weight * self.network(view) for view, weight in self._applied(pictures)]
        sides = 1 + self.mirrored
        return sum(logits[1:], logits[0]) / (sides * sum(view.weight for view in self.views))

    def _applied(self, pictures: Array) -> Iterator[tuple[Array, float]]:
        """Yields the pictures under each view, and how much their logits count."""
        for view in self.views:
            moved = _moved(_closer(pictures, view.part), view.down, view.right, self.border)
            yield moved, view.weight
            if self.mirrored:
                yield moved[:, :, ::-1], view.weight


def _moved(pictures: Array, down: int, right: int, border: str) -> Array:
    """Moves pictures by whole pixels."""
    if border == "zero":
        zero = jnp.zeros((), pictures.dtype)
        sides = ((0, 0, 0), (down, -down, 0), (right, -right, 0), (0, 0, 0))
        return jax.lax.pad(pictures, zero, sides)
    _, height, width, _ = pictures.shape
    most = max(abs(down), abs(right))
    padded = jnp.pad(pictures, ((0, 0), (most, most), (most, most), (0, 0)), mode="reflect")
    top, left = most - down, most - right
    return padded[:, top : top + height, left : left + width]


def _closer(pictures: Array, part: float) -> Array:
    """Enlarges the middle of pictures to the whole; the result is floats from 0 to 1."""
    if part == 1:
        return pictures
    values = unit_interval(pictures)
    for axis, equation in ((1, "yh,bhwc->bywc"), (2, "xw,bhwc->bhxc")):
        length = pictures.shape[axis]
        with jax.ensure_compile_time_eval():  # constants of the graph, also of an exported one
            weights = tents(length, length, (1 - part) / 2 * length, part * length)
        values = jnp.einsum(equation, weights.astype(values.dtype), values, precision=EXACT)
    return values
