"""Pictures of any shape, brought to the one that a model takes."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from flaxmill.data.pictures.pixels import as_picture
from flaxmill.data.pictures.plain import Upright, strips
from flaxmill.errors import BadInput, nearest

Fit = Literal["crop", "pad", "squash"]
FITS: tuple[Fit, ...] = get_args(Fit)
"""The ways there are."""

_SMALL = 64  # pixels a side
_THIN = 16  # times as high as wide, from which on a picture's padding is not computed
_LARGE = 13_000_000  # pixels of a picture, beyond which it is converted a band at a time
_MOST = 2**26  # pixels of a resized picture, beyond which only what is cut out is computed


def fit(
    picture: Image.Image | Upright,
    size: tuple[int, int],
    how: str,
    *,
    share: float = 1.0,
    channels: int = 0,
) -> UInt8[np.ndarray, "height width channel"]:
    """Brings a picture to a size, with Pillow's antialiased bilinear filter.

    Args:
        picture: Of mode L or RGB. Of one that is made so as it is read, a large one is never whole.
        size: Height and width, in pixels.
        how: "crop" resizes it until it just covers the size divided by ``share``, and cuts out the
            centre; "pad" puts it on a square of its border's colour, and resizes that; "squash"
            does not keep its proportions.
        share: Share of the sides that a crop leaves: 224 pixels and 0.875 cut from 256.
        channels: Of the pixels, where a grey picture is to have several equal ones; 0 for its own.

    Returns:
        Its pixels. Those of a crop to a square are bit for bit what torchvision's ``Resize`` and
        ``CenterCrop`` make of a Pillow picture.

    Raises:
        BadInput: There is no such way, or the share is not above 0 and at most 1.
    """
    height, width = size
    picture = _as_upright(picture)
    if not 0 < share <= 1:
        raise BadInput(f"a crop leaves a share above 0 and at most 1, not {share}.")
    if how == "crop":
        fitted = _crop(picture, size, share)
    elif how == "pad":
        fitted = _pad(picture, (width, height))
    elif how == "squash":
        fitted = _resize(picture, (width, height))
    else:
        raise BadInput(f"no way to fit a picture is called {how!r}.{nearest(how, FITS)}")
    bands = picture.bands
    pixels = np.asarray(fitted).reshape(height, width, bands)
    return np.repeat(pixels, channels // bands, axis=2) if bands < channels else pixels


def usual_share(size: int, how: str = "crop") -> float:
    """Returns the usual share of the sides that a crop leaves: all of small pictures.

    >>> usual_share(224), usual_share(64), usual_share(224, "pad")
    (0.875, 1.0, 1.0)
    """
    return 0.875 if size > _SMALL and how == "crop" else 1.0


def covering_size(size: tuple[int, int], share: float) -> tuple[int, int]:
    """Returns the least height and width of a picture that a crop is cut from."""
    height, width = (int(side / share + 1e-6) for side in size)  # not 255 for 255.9999999
    return height, width


def _as_upright(picture: Image.Image | Upright) -> Upright:
    return picture if isinstance(picture, Upright) else Upright(picture, picture.mode)


def _resize(
    picture: Upright,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Resizes a picture or a part of it; a large one band by band, to save memory."""
    box, how = box or picture.extent, Image.Resampling.BILINEAR
    if picture.is_stored or picture.width * picture.height <= _LARGE:
        return picture.whole().resize(size, how, box=box)
    bands = [picture.band(index).resize(size, how, box=box) for index in range(picture.bands)]
    return Image.merge(picture.mode, bands)


def _crop(picture: Upright, size: tuple[int, int], share: float) -> Image.Image:
    """Cuts the centre out of a resized picture; lengths are rounded as torchvision rounds them."""
    height, width = covering_size(size, share)
    left, top, right, bottom = picture.extent
    if (right - left) * height >= (bottom - top) * width:  # wider than the size, or as wide
        width = int(height * (right - left) / (bottom - top))
    else:
        height = int(width * (bottom - top) / (right - left))
    left, top = round((width - size[1]) / 2), round((height - size[0]) / 2)
    if width * height > _MOST:
        return _resize_part(picture, (width, height), (left, top, left + size[1], top + size[0]))
    resized = _resize(picture, (width, height))
    return resized.crop((left, top, left + size[1], top + size[0]))


def _resize_part(
    picture: Upright, whole: tuple[int, int], cut: tuple[int, int, int, int]
) -> Image.Image:
    """Resizes no more of a picture than is cut out: the rest of a thin one takes gigabytes.

    At the edges of the cut, pixels beyond it are not averaged in.
    """
    left, top, right, bottom = picture.extent
    across, down = (right - left) / whole[0], (bottom - top) / whole[1]
    box = (left + cut[0] * across, top + cut[1] * down, left + cut[2] * across, top + cut[3] * down)
    size = (cut[2] - cut[0], cut[3] - cut[1])
    return _resize(picture, size, box)


def _pad(picture: Upright, size: tuple[int, int]) -> Image.Image:
    """Pads a picture to a square with the median of its border, and resizes it.

    Rows before columns, and some rows at a time: the square of a long panorama need not fit into
    memory.
    """
    ground = tuple(int(value) for value in np.atleast_1d(np.median(border(picture), axis=0)))
    colour = ground if len(ground) > 1 else ground[0]
    side = max(picture.size)
    left, top = (side - picture.width) // 2, (side - picture.height) // 2
    narrow = Image.new(picture.mode, (size[0], side), colour)
    if picture.height > _THIN * picture.width:
        _paste_thin(picture, narrow, ground)
    else:
        for first, last in strips((side, picture.height)):
            strip = picture.crop((0, first, picture.width, last))
            padded = Image.new(picture.mode, (side, strip.height), colour)
            padded.paste(strip, (left, 0))
            narrower = padded.resize((size[0], strip.height), Image.Resampling.BILINEAR)
            narrow.paste(narrower, (0, top + first))
    return narrow.resize(size, Image.Resampling.BILINEAR)


def _paste_thin(picture: Upright, narrow: Image.Image, ground: tuple[int, ...]) -> None:
    """Does for a tall and thin picture what the strips do for others, to the bit.

    Nearly all of its square is padding, whose share of each sum is known: a picture of 24 × 65,000
    pixels would take half a minute. The arithmetic is Pillow's (Resample.c): weights in fixed point
    of 22 bits, rounded once.
    """
    left, bands = (picture.height - picture.width) // 2, len(ground)
    shares, beside = _pillow_weights(picture.height, narrow.width, left, picture.width)
    touched = np.flatnonzero(shares.any(axis=0))
    if not len(touched):
        return
    first, shares = int(touched[0]), shares[:, touched[0] : touched[-1] + 1]
    padding = np.multiply.outer(beside[first : first + shares.shape[1]], ground) + 2**21
    for first_row, last_row in strips(picture.size):
        strip = picture.crop((0, first_row, picture.width, last_row))
        planes = np.asarray(strip).reshape(strip.height, strip.width, bands)
        planes = np.moveaxis(planes, 2, 0).astype(np.float64)  # which holds such sums exactly
        sums = np.stack([plane @ shares for plane in planes], axis=-1) + padding
        pixels = np.clip(sums // 2**22, 0, 255).astype(np.uint8)
        narrow.paste(as_picture(pixels), (first, first_row))


def _pillow_weights(side: int, size: int, left: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns Pillow's weights where a row is resized, for a triangle as wide as a new pixel.

    Args:
        side: Pixels of the row.
        size: Pixels that it gets.
        left: Where a part of it begins.
        width: Pixels of the part.

    Returns:
        The weight of each pixel of the part in each new pixel, and that of all others together.
    """
    shares, beside, scale = np.zeros((width, size)), np.zeros(size), side / size
    support = max(scale, 1.0)
    for column in range(size):
        centre = (column + 0.5) * scale
        start = max(0, int(centre - support + 0.5))
        stop = min(side, int(centre + support + 0.5))
        first, last = max(start, left), min(stop, left + width)
        if first >= last:
            continue  # of padding alone
        sides = ((x - centre + 0.5) * (1 / support) for x in range(start, stop))
        weights = [max(0.0, 1 - abs(distance)) for distance in sides]
        total = sum(weights)
        fixed = np.array([int(0.5 + weight * (1 / total) * 2**22) for weight in weights])
        shares[first - left : last - left, column] = fixed[first - start : last - start]
        beside[column] = fixed.sum() - shares[:, column].sum()
    return shares, beside


def border(picture: Image.Image | Upright) -> UInt8[np.ndarray, "pixel ..."]:
    """Returns the outermost pixels of a picture: the corners twice."""
    picture = _as_upright(picture)
    right, bottom = picture.size
    lines = ((0, 0, right, 1), (0, bottom - 1, right, bottom))
    lines += ((0, 0, 1, bottom), (right - 1, 0, right, bottom))
    pixels = [np.asarray(picture.crop(line)).reshape(-1, picture.bands) for line in lines]
    return np.concatenate(pixels)
