"""What suits pictures: how large they are, how many there are, and how long to train on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flaxmill.data.folder import divided
from flaxmill.data.listings.listing import Listing, scan
from flaxmill.data.pictures.decode import header
from flaxmill.data.prepared import prepared_size
from flaxmill.errors import BadInput

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""Pixels a side that a network may be given."""
MANY = 20_000
"""From so many training pictures on, a larger network than the small one pays."""
SMALL_SIDE = 128
"""Pixels a side that the small network is given at most."""
_LOOKED_AT = 400  # pictures whose size is looked up


@dataclass(frozen=True)
class Found:
    """What was found of a person's pictures without reading them.

    Attributes:
        train: How many there are to train on.
        seen: How many of them are, where ``--overfit`` says so.
        side: Median of their shorter sides, in pixels; 0 where no file says.
        smallest: The shortest side, in pixels.
        largest: The longest side.
        prepared: Pixels a side that they were prepared to be evaluated at; 0 if they were not.
    """

    train: int
    seen: int
    side: int
    smallest: int
    largest: int
    prepared: int = 0


def look(
    data: str, *, validation: int | float, test: int | float, sign: str = "", overfit: int = 0
) -> Found:
    """Counts pictures and looks up the sizes of some.

    Args:
        data: What `flaxmill.data.listings.listing.scan` finds pictures in.
        validation: How many pictures are held out, or which share of them.
        test: The same for the test, where no pictures are given for it.
        sign: What stands between several labels of a picture, in a table.
        overfit: How many are trained on, if not all.

    Raises:
        BadInput: There are none as expected.
    """
    listings = scan(Path(data).expanduser().absolute(), sign=sign)
    train = divided(listings, validation, test)[0]["train"]
    sides = _sides(train)
    shorter = [min(size) for size in sides]
    return Found(
        train=len(train),
        seen=overfit or len(train),
        side=round(float(np.median(shorter))) if shorter else 0,
        smallest=min(shorter, default=0),
        largest=max((max(size) for size in sides), default=0),
        prepared=prepared_size(listings["test"].files) if "test" in listings else 0,
    )


def _sides(listing: Listing) -> list[tuple[int, int]]:
    """Returns the sizes of some pictures, spread over all; those that do not say are left out."""
    count = min(_LOOKED_AT, len(listing))
    sizes = []
    for index in np.linspace(0, len(listing) - 1, count).astype(int):
        try:
            size = _size(listing.files[int(index)])
        except BadInput:  # whoever reads it whole says what is wrong
            continue
        sizes.append(size)
    return sizes


def _size(file: Any) -> tuple[int, int]:
    if isinstance(file, np.ndarray):
        return file.shape[1], file.shape[0]
    if isinstance(file, Image.Image):
        return file.size
    with header(file) as picture:
        return picture.size


def fitting_size(side: int, *, most: int = SIZES[-1], sizes: Sequence[int] = SIZES) -> int:
    """Returns the largest size that pictures fill without being enlarged much.

    >>> fitting_size(33), fitting_size(100), fitting_size(600), fitting_size(600, most=128)
    (32, 96, 224, 128)
    """
    allowed = [size for size in sizes if size <= most]
    return max((size for size in allowed if size <= 1.1 * side), default=allowed[0])


def usual_size(found: Found) -> int:
    """Returns the pixels a side that a network gets which begins with weights of its own."""
    return fitting_size(found.side, most=SMALL_SIDE if found.train < MANY else SIZES[-1])


def fitting_batch(found: Found) -> int:
    """Returns how many pictures a step is to see: more where there are many."""
    usual = 16 if found.train < 1000 else 32 if found.train < 10_000 else 64
    return max(1, min(usual, found.seen))


def fitting_epochs(seconds: float, each: float, examples: int, *, least: int, most: int) -> int:
    """Returns how often pictures can be seen in a time.

    Args:
        seconds: The time.
        each: Seconds that a picture takes in a training step.
        examples: Number of training pictures.
        least: Epochs, however long they take.
        most: Epochs, however short they are.
    """
    return max(least, min(most, math.floor(seconds / (each * examples))))
