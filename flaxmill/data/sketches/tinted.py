"""Drawn garments in colour: for recipes that take RGB pictures, where there are no files."""

import numpy as np
from jaxtyping import Integer

from flaxmill.data.permutation import GOLDEN, scramble
from flaxmill.data.sketches import Sketches

_ROWS = 2048  # tinted at a time, so that the sums of a few pictures alone lie in memory


class Tinted:
    """Sketches of coloured cloth on a coloured ground, with a border.

    The two colours are drawn from a picture's index alone: they say nothing about its class.

    Args:
        sketches: Grey pictures, light on black.
        side: Height and width of the tinted ones, at least those of the grey.

    >>> Tinted(Sketches(1), 32)[0]["image"].shape
    (32, 32, 3)
    """

    def __init__(self, sketches: Sketches, side: int) -> None:
        self.sketches, self.side = sketches, side

    def __len__(self) -> int:
        return len(self.sketches)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Draws one picture, image uint8 [side, side, 3] and label int32 []."""
        return {name: values[0] for name, values in self.take(np.array([index])).items()}

    def take(self, indices: Integer[np.ndarray, " picture"]) -> dict[str, np.ndarray]:
        """Draws some pictures, image uint8 [picture, side, side, 3] and label int32 [picture].

        Raises:
            IndexError: If one of the indices is not from 0 to the length - 1.
        """
        examples = self.sketches.take(indices)
        grey = examples["image"]
        before = (self.side - grey.shape[1]) // 2
        edges = (before, self.side - grey.shape[1] - before)
        numbers = np.asarray(indices, np.uint64) + np.uint64(self.sketches.first + 1)
        shifts = np.arange(0, 48, 8, dtype=np.uint64)
        drawn = (scramble(numbers * GOLDEN)[:, None] >> shifts & np.uint64(127)).astype(np.uint16)
        ground, cloth = drawn[:, :3], drawn[:, 3:] + 128
        image = np.empty((len(grey), self.side, self.side, 3), np.uint8)
        for start in range(0, len(grey), _ROWS):
            here = slice(start, start + _ROWS)
            light = np.pad(grey[here], ((0, 0), edges, edges, (0, 0))).astype(np.uint16)
            below, above = (colour[here][:, None, None] for colour in (ground, cloth))
            image[here] = (light * above + (255 - light) * below) >> 8
        return {**examples, "image": image}
