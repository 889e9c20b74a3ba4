"""Pictures of any shape, brought to the one that a model takes."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from flaxmill.data.pictures.decode import extent
from flaxmill.errors import BadInput, nearest

Fit = Literal["crop", "pad", "squash"]
FITS: tuple[Fit, ...] = get_args(Fit)
"""The ways there are."""

_SMALL = 64  # pixels a side
_STRIP = 256  # rows of a picture that are padded and resized at a time
_MOST = 2**26  # pixels of a resized picture, beyond which only what is cut out is computed


def fit(
    picture: Image.Image, size: tuple[int, int], how: str, *, share: float = 1.0
) -> UInt8[np.ndarray, "height width channel"]:
    """Brings a picture to a size, with Pillow's antialiased bilinear filter.

    Args:
        picture: Of mode L or RGB.
        size: Height and width, in pixels.
        how: "crop" resizes it until it just covers the size divided by ``share``, and cuts out the
            centre; "pad" puts it on a square of its border's colour, and resizes that; "squash"
            does not keep its proportions.
        share: Share of the sides that a crop leaves: 224 pixels and 0.875 cut from 256.

    Returns:
        Its pixels. Those of a crop to a square are bit for bit what torchvision's ``Resize`` and
        ``CenterCrop`` make of a Pillow picture.

    Raises:
        BadInput: There is no such way, or the share is not above 0 and at most 1.
    """
    height, width = size
    if not 0 < share <= 1:
        raise BadInput(f"a crop leaves a share above 0 and at most 1, not {share}.")
    if how == "crop":
        fitted = _cropped(picture, size, share)
    elif how == "pad":
        fitted = _padded(picture, (width, height))
    elif how == "squash":
        fitted = _resized(picture, (width, height))
    else:
        raise BadInput(f"no way to fit a picture is called {how!r}.{nearest(how, FITS)}")
    return np.asarray(fitted).reshape(height, width, len(picture.getbands()))


def usual_share(size: int) -> float:
    """Returns the share of the sides that a crop usually leaves: all of a small picture.

    >>> usual_share(224), usual_share(64)
    (0.875, 1.0)
    """
    return 0.875 if size > _SMALL else 1.0


def covering(size: tuple[int, int], share: float) -> tuple[int, int]:
    """Returns the height and width of what a crop is cut from, at least."""
    height, width = (int(side / share + 1e-6) for side in size)  # not 255 for 255.9999999
    return height, width


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.BILINEAR, box=extent(picture))


def _cropped(picture: Image.Image, size: tuple[int, int], share: float) -> Image.Image:
    """Cuts the centre out of a resized picture; lengths are rounded as torchvision rounds them."""
    height, width = covering(size, share)
    left, top, right, bottom = extent(picture)
    if (right - left) * height >= (bottom - top) * width:  # wider than the size, or as wide
        width = int(height * (right - left) / (bottom - top))
    else:
        height = int(width * (bottom - top) / (right - left))
    left, top = round((width - size[1]) / 2), round((height - size[0]) / 2)
    if width * height > _MOST:
        return _part(picture, (width, height), (left, top, left + size[1], top + size[0]))
    resized = _resized(picture, (width, height))
    return resized.crop((left, top, left + size[1], top + size[0]))


def _part(
    picture: Image.Image, whole: tuple[int, int], cut: tuple[int, int, int, int]
) -> Image.Image:
    """Resizes no more of a picture than is cut out: of a thin one, the rest fills gigabytes.

    At the edges of the cut, pixels beyond it have no part in the average.
    """
    left, top, right, bottom = extent(picture)
    across, down = (right - left) / whole[0], (bottom - top) / whole[1]
    box = (left + cut[0] * across, top + cut[1] * down, left + cut[2] * across, top + cut[3] * down)
    size = (cut[2] - cut[0], cut[3] - cut[1])
    return picture.resize(size, Image.Resampling.BILINEAR, box=box)


def _padded(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Pads a picture to a square with the median of its border, and resizes it.

    Some rows at a time: the square of a long panorama need not fit into memory. Pillow resizes
    rows before columns, so the answer is the same to the bit.
    """
    ground = tuple(int(value) for value in np.atleast_1d(np.median(border(picture), axis=0)))
    colour = ground if len(ground) > 1 else ground[0]
    side = max(picture.size)
    left, top = (side - picture.width) // 2, (side - picture.height) // 2
    narrow = Image.new(picture.mode, (size[0], side), colour)
    for row in range(0, picture.height, _STRIP):
        strip = picture.crop((0, row, picture.width, min(row + _STRIP, picture.height)))
        padded = Image.new(picture.mode, (side, strip.height), colour)
        padded.paste(strip, (left, 0))
        narrow.paste(_resized(padded, (size[0], strip.height)), (0, top + row))
    return _resized(narrow, size)


def border(picture: Image.Image) -> UInt8[np.ndarray, "pixel ..."]:
    """Returns the pixels around a picture: the corners twice."""
    right, bottom = picture.size
    lines = ((0, 0, right, 1), (0, bottom - 1, right, bottom))
    lines += ((0, 0, 1, bottom), (right - 1, 0, right, bottom))
    bands = len(picture.getbands())
    pixels = [np.asarray(picture.crop(line)).reshape(-1, bands) for line in lines]
    return np.concatenate(pixels)
