"""What suits pictures: how large they are, how many there are, and how long to train on them."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flaxmill.data.listings.held_out import complete_splits
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.data.pictures import plain
from flaxmill.data.pictures.decode import header
from flaxmill.data.pictures.plain import WHITES, white_of
from flaxmill.data.prepared import prepared_how
from flaxmill.errors import BadInput

SIZES = (32, 48, 64, 96, 128, 160, 192, 224)
"""Pixels a side that a network may be given."""
MANY = 20_000
"""From so many training pictures on, a larger network than the small one pays."""
SMALL_SIDE = 128
"""Pixels a side that the small network is given at most."""
LONG = 2.0
"""Times as long as wide, from which on a crop to a square shows less than half of a picture."""
MANY_LONG = 0.25
"""Share of the pictures that are long, from which on all are padded instead of cropped."""
_LOOKED_AT = 400  # pictures whose size is looked up
_READ = 100  # of those that have more than 8 bits, which are read for their greatest value


@dataclass(frozen=True)
class PictureFacts:
    """What is known of a person's pictures without reading them.

    Attributes:
        train: How many there are to train on.
        seen: How many of them are, where ``--overfit`` says so.
        side: Median of their shorter sides, in pixels; 0 where no file says.
        smallest: The shortest side, in pixels.
        largest: The longest side.
        prepared: Pixels a side that they were prepared to be evaluated at; 0 if they were not.
        fit: How they were prepared to be evaluated; empty if they were not.
        long: Share of them that are `LONG`.
        greatest: Value in their grey pictures of more than 8 bits; 0 if there are none.
        white: What is white in these: so prepared, or what such values fill.
    """

    train: int
    seen: int
    side: int
    smallest: int
    largest: int
    prepared: int = 0
    fit: str = ""
    long: float = 0.0
    greatest: int = 0
    white: int = WHITES[-1]


def picture_facts(
    data: str, *, validation: int | float, test: int | float, sign: str = "", overfit: int = 0
) -> PictureFacts:
    """Returns how many pictures there are, and the sizes of some.

    Args:
        data: What `flaxmill.data.listings.layouts.scan` finds pictures in.
        validation: How many pictures are held out, or which share of them.
        test: The same for the test, where no pictures are given for it.
        sign: What stands between several labels of a picture, in a table.
        overfit: How many are trained on, if not all.

    Raises:
        BadInput: There are none as expected.
    """
    listings = scan(Path(data).expanduser().absolute(), sign=sign)
    train = complete_splits(listings, validation, test)[0]["train"]
    sides, greatest = _sides(train)
    how = prepared_how(listings["test"].files) if "test" in listings else {}
    white = white_of(greatest) if greatest else WHITES[-1]
    shorter = [min(size) for size in sides]
    return PictureFacts(
        train=len(train),
        seen=overfit or len(train),
        side=round(float(np.median(shorter))) if shorter else 0,
        smallest=min(shorter, default=0),
        largest=max((max(size) for size in sides), default=0),
        prepared=how["size"][0] if how else 0,
        fit=how.get("fit", ""),
        long=sum(max(size) >= LONG * min(size) for size in sides) / max(1, len(sides)),
        greatest=greatest,
        white=how.get("white", white),
    )


def _sides(listing: Listing) -> tuple[list[tuple[int, int]], int]:
    """Looks at some pictures, spread over all; those that cannot be opened are left out.

    Returns:
        Their sizes, and the greatest value in those of more than 8 bits, of which some are read.
    """
    count = min(_LOOKED_AT, len(listing))
    sizes, greatest, left = [], 0, _READ
    for index in np.linspace(0, len(listing) - 1, count).astype(int):
        try:
            size, value = _size(listing.files[int(index)], read=left > 0)
        except BadInput:  # whoever reads it whole says what is wrong
            continue
        sizes.append(size)
        greatest, left = max(greatest, value), left - (value > 0)
    return sizes, greatest


def _size(file: Any, *, read: bool) -> tuple[tuple[int, int], int]:
    if isinstance(file, np.ndarray):
        return (file.shape[1], file.shape[0]), 0
    with contextlib.nullcontext(file) if isinstance(file, Image.Image) else header(file) as picture:
        return picture.size, plain.greatest(picture) if read and plain.is_deep(picture) else 0


def fitting_size(side: int, *, most: int = SIZES[-1], sizes: Sequence[int] = SIZES) -> int:
    """Returns the largest size that pictures fill without being enlarged much.

    >>> fitting_size(33), fitting_size(100), fitting_size(600), fitting_size(600, most=128)
    (32, 96, 224, 128)
    """
    allowed = [size for size in sizes if size <= most]
    return max((size for size in allowed if size <= 1.1 * side), default=allowed[0])


def usual_size(facts: PictureFacts) -> int:
    """Returns the pixels a side for a network that begins with random weights."""
    return fitting_size(facts.side, most=SMALL_SIDE if facts.train < MANY else SIZES[-1])


def fitting_way(facts: PictureFacts, fit: str = "auto") -> tuple[str, str]:
    """Returns how pictures are to be brought to a square, and why."""
    if fit != "auto":
        return fit, "as was said"
    if facts.fit:
        return facts.fit, "the pictures were prepared so"
    share = f"{facts.long:.0%} of the pictures are {LONG:g} times as long as wide, or more"
    if facts.long >= MANY_LONG:
        return "pad", f"{share}, and a crop would cut off their ends"
    return "crop", share if facts.long else f"no picture is {LONG:g} times as long as wide"


def fitting_batch(facts: PictureFacts) -> int:
    """Returns how many pictures a step is to see: more where there are many."""
    usual = 16 if facts.train < 1000 else 32 if facts.train < 10_000 else 64
    return max(1, min(usual, facts.seen))


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
