"""Pictures whose places lie tile by tile, as fast convolutions give them.

Putting the places in order costs a copy of the picture. What treats all places alike (a bias, relu,
batch statistics) does not need it, and a pool whose windows are such tiles undoes it for nothing.
"""

from dataclasses import dataclass
from typing import Any

from jax import lax
from jaxtyping import Array, Float

materialise = lax.optimization_barrier
"""Marks what is worth keeping in memory: XLA would compute it anew for each of its readers."""


@dataclass(frozen=True)
class Tiled:
    """A batch of pictures, cut into square tiles.

    Attributes:
        values: ``[batch, height, width, channel]`` in shape alone: the places lie in another order.
        tile: Places across a tile; height and width are multiples of it.
        outside: Whether the places of a tile are the outermost axes of memory, which makes every
            place of all tiles one block, or else the innermost but the channel.
    """

    values: Array
    tile: int
    outside: bool

    def like(self, values: Array) -> "Tiled":
        """Returns other values whose places lie in the same order."""
        return Tiled(values, self.tile, self.outside)

    def same_order(self, other: "Tiled") -> bool:
        """Returns whether both have the same places in the same order."""
        mine = (self.values.shape[:-1], self.tile, self.outside)
        return mine == (other.values.shape[:-1], other.tile, other.outside)

    def natural(self) -> Float[Array, "batch height width channel"]:
        """Returns the pictures with their places in order."""
        batch, height, width, channels = self.values.shape
        rows, columns = height // self.tile, width // self.tile
        if self.outside:
            grid = self.values.reshape(self.tile, self.tile, batch, rows, columns, channels)
            grid = grid.transpose(2, 3, 0, 4, 1, 5)
        else:
            grid = self.values.reshape(batch, rows, columns, self.tile, self.tile, channels)
            grid = grid.transpose(0, 1, 3, 2, 4, 5)
        return grid.reshape(self.values.shape)


@dataclass(frozen=True)
class Alike:
    """An array that is the same at every place, such as a bias: it fits any order of places.

    Attributes:
        values: ``[batch, height, width, channel]``.
    """

    values: Array


def natural(value: Tiled | Alike | Any) -> Any:
    """Returns an array with its places in order."""
    if isinstance(value, Tiled):
        return value.natural()
    return value.values if isinstance(value, Alike) else value
