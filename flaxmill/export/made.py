"""Inputs that are made, to check an export on where the run's data is not at hand."""

import numpy as np
from PIL import Image

from flaxmill.data.source import Arrays, Splits
from flaxmill.tasks.signature import Signature

COUNT = 200
"""How many inputs are made."""


def made_splits(title: str, *, drawn: bool, signature: Signature) -> Splits:
    """Returns what stands in the place of data that is not at hand: made pictures as its test.

    They are random spots of every coarseness, from one colour to a colour a pixel, the same at each
    call, so that whatever a network looks for, some of it is there. Their labels mean nothing.

    Args:
        title: Of the data that is not at hand.
        drawn: Whether flaxmill drew it.
        signature: Says how large pictures are, and how many channels they have.
    """
    _, height, width, channels = signature.inputs[0].shape
    rng = np.random.default_rng(0)
    sides = [1, *(2**power for power in range(1, 12) if 2**power < 2 * max(height, width))]
    pictures = np.empty((COUNT, height, width, channels), np.uint8)
    for number, picture in enumerate(pictures):
        side = sides[number % len(sides)]
        for channel in range(channels):
            spots = Image.fromarray(rng.integers(0, 256, (side, side), np.uint8))
            sharp = number // len(sides) % 2
            how = Image.Resampling.NEAREST if sharp else Image.Resampling.BILINEAR
            picture[..., channel] = np.asarray(spots.resize((width, height), how))
    test = Arrays({"image": pictures, "label": np.zeros(COUNT, np.int32)})
    nothing = Arrays({name: array[:0] for name, array in test.arrays.items()})
    return Splits(title, nothing, nothing, test, signature.labels, drawn=drawn)
