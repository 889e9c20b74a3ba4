"""What the drawn garments are cut from: throws of dice, and four-sided pieces with curved edges."""

import numpy as np
from jaxtyping import Bool, Num, UInt64

from flaxmill.data.permutation import GOLDEN, scramble

Value = float | Num[np.ndarray, " picture"] | Bool[np.ndarray, " picture"]
"""A number for all pictures, or one for each."""
Point = tuple[Value, Value]
"""Across and down; a picture reaches from -1 to 1 both ways."""
Corners = tuple[Point, Point, Point, Point]
Bulge = tuple[Value, Value, Value, Value]
Part = tuple[Value, ...]
"""The ``FIELDS`` numbers that ``part`` gives and ``sketches.lay`` reads."""

FIELDS = 20
THROWS = 72
"""The most throws that a garment and its manner take; more raise ``StopIteration``."""


class Dice:
    """Throws for a row of pictures; each depends on the picture's key and the throw's number alone.

    Only operations that every machine rounds alike are used on them: + - * / and square roots.

    Args:
        keys: One key a picture.
    """

    def __init__(self, keys: UInt64[np.ndarray, " picture"]) -> None:
        throws = np.arange(1, THROWS + 1, dtype=np.uint64)[:, None]
        bits = scramble(keys + GOLDEN * throws) >> np.uint64(40)
        self.units = iter(bits.astype(np.float32) * np.float32(2**-24))

    def between(self, low: Value, high: Value) -> np.ndarray:
        """Throws one number a picture, uniform from ``low`` to ``high``."""
        return low + (high - low) * next(self.units)

    def chance(self, share: float) -> np.ndarray:
        """Throws a boolean a picture, true for about this share of them."""
        return self.between(0.0, 1.0) < share

    def tone(self, darkest: float = 0.25) -> np.ndarray:
        """Throws the brightness of a garment: light ones are more frequent than dark ones."""
        return np.maximum(self.between(darkest, 0.92), self.between(darkest, 0.92))


def part(
    corners: Corners,
    tone: Value,
    *,
    bulge: Bulge = (0.0, 0.0, 0.0, 0.0),
    rim: Value = 0.3,
    weave: float = 1.0,
    line: Value = 0.0,
    dashes: Point = (0.0, 0.0),
    twin: bool = False,
    shown: Value = 1.0,
) -> Part:
    """Cuts one part of a garment: a four-sided piece of cloth whose edges may be curved.

    Args:
        corners: In order round the part.
        tone: Brightness, from 0, which cuts a hole, to 1.
        bulge: How far the middle of each edge bends out; edge i runs from corner i to the next.
        rim: How much darker the part is at its edge, as a share.
        weave: How much of the garment's pattern the part shows.
        line: Half the width of an outline, drawn instead of the filled part; 0 fills it.
        dashes: Dashes a unit, across and down, for buttons, laces and ribs; 0 for none.
        twin: Drawn a second time, mirrored left and right.
        shown: Opacity, or in which pictures the part is there.
    """
    shape = (*(value for corner in corners for value in corner), *bulge)
    return (*shape, tone, rim, weave, line, *dashes, float(twin), shown)


def panel(top: Value, bottom: Value, half_top: Value, half_bottom: Value) -> Corners:
    """Gives the corners of an upright piece, the same left and right of the middle."""
    return (-half_top, top), (half_top, top), (half_bottom, bottom), (-half_bottom, bottom)


def limb(start: Point, end: Point, half_start: Value, half_end: Value) -> Corners:
    """Gives the corners of a piece from one point to another: a sleeve, a strap, a leg."""
    across, down = end[0] - start[0], end[1] - start[1]
    length = np.sqrt(across * across + down * down) + 1e-6
    x, y = -down / length, across / length
    return (
        (start[0] + x * half_start, start[1] + y * half_start),
        (end[0] + x * half_end, end[1] + y * half_end),
        (end[0] - x * half_end, end[1] - y * half_end),
        (start[0] - x * half_start, start[1] - y * half_start),
    )


def oval(
    middle: Point,
    half_width: Value,
    half_height: Value,
    tone: Value,
    *,
    rim: float = 0.3,
    weave: float = 1.0,
    line: Value = 0.0,
    shown: Value = 1.0,
) -> Part:
    """Cuts an ellipse: a box inside it, whose edges bulge as far as the ellipse does."""
    (x, y), a, b = middle, half_width * 0.7071, half_height * 0.7071
    corners = (x - a, y - b), (x + a, y - b), (x + a, y + b), (x - a, y + b)
    high, wide = half_height - b, half_width - a
    bulge = (high, wide, high, wide)
    return part(corners, tone, bulge=bulge, rim=rim, weave=weave, line=line, shown=shown)
