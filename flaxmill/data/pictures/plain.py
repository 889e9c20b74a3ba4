"""Pictures of every kind, made alike: upright, opaque, of 8 bits, grey or RGB."""

from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image

from flaxmill.data.pictures.decode import EXTENT, called, extent, naming
from flaxmill.errors import BadInput

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation that a camera may write (Exif 2.3, section 4.6.4, tag 274)."""

WHITES = (255, 1023, 4095, 16383, 65535)
"""What may be white in pictures of 16 bits: instruments fill 8, 10, 12, 14 or all of them."""
_GREY = ("1", "L", "LA")
_STRIP = 256  # rows of a picture that are converted at a time


def plain(
    picture: Image.Image,
    channels: int,
    *,
    white: int = WHITES[-1],
    lean: bool = False,
    name: str | Callable[[], str] = "",
) -> Image.Image:
    """Makes any picture an upright one of 8 bits, grey or RGB.

    It is turned as its EXIF data says and put on white where it is transparent; 16 bits become the
    upper 8 of those that the data set fills.

    Args:
        picture: Of any mode.
        channels: 1 for grey, 3 for RGB.
        white: The value that is white in a grey picture of more than 8 bits, one of `WHITES`; what
            lies above is white as well.
        lean: Whether a grey picture may stay grey where RGB is wanted, in a fourth of the memory.
        name: What messages call it, or what returns that; empty for its ``filename``.

    Raises:
        BadInput: It has a mode that has no meaning as colours, such as floating-point numbers, or
            it cannot be turned or converted.
    """
    name = name or called(picture)
    with naming(name):
        try:
            grey = channels == 1 or (lean and (picture.mode in _GREY or is_deep(picture)))
            return _plain(picture, "L" if grey else "RGB", white)
        except _Meaningless as error:
            raise BadInput(f"{name if isinstance(name, str) else name()} {error}") from None


class _Meaningless(Exception):
    """The numbers of a picture are no colours; the message says why, and what to do."""


def _plain(picture: Image.Image, mode: str, white: int) -> Image.Image:
    turn = _orientation(picture)
    if picture.mode == "F":
        raise _Meaningless(
            "holds floating-point numbers, and nothing says which of them is white: save it with 8 "
            "or 16 bits."
        )
    try:
        if is_deep(picture):
            return _by_strips(picture, mode, turn, lambda strip: _shallow(strip, white))
        if picture.has_transparency_data:
            return _by_strips(picture, mode, turn, _on_white)
        if turn in _TURNS:
            return _by_strips(picture, mode, turn, lambda strip: strip)
        return picture if picture.mode == mode else picture.convert(mode)
    except ValueError:
        raise _Meaningless(
            f"has the colours {picture.mode}, which cannot be made {mode}: save it as RGB."
        ) from None


def _by_strips(
    picture: Image.Image, mode: str, turn: int, made: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Turns and converts some rows after others: a whole picture in between fills memory."""
    width, height = picture.size
    whole = Image.new(mode, (height, width) if turn in (5, 6, 7, 8) else (width, height))
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        strip = made(picture.crop((0, top, width, bottom))).convert(mode)
        if turn in _TURNS:
            strip = strip.transpose(_TURNS[turn])
        at = height - bottom if turn in (3, 4, 6, 7) else top  # from the other end
        whole.paste(strip, (at, 0) if turn in (5, 6, 7, 8) else (0, at))
    whole.info[EXTENT] = _turned(extent(picture), picture.size, turn)
    return whole


def _on_white(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", picture.size, "white")
    ground.alpha_composite(picture.convert("RGBA"))
    return ground


def is_deep(picture: Image.Image) -> bool:
    """Says whether a picture is a grey one of more than 8 bits."""
    return picture.mode.startswith("I")


def _shallow(picture: Image.Image, white: int) -> Image.Image:
    """Returns a grey picture of 16 bits in 8; the value that means transparent becomes white."""
    deep = np.asarray(picture)
    clear = deep == picture.info.get("transparency", -1)
    upper = np.clip(deep >> (white.bit_length() - 8), 0, 255)
    return Image.fromarray(np.where(clear, 255, upper).astype(np.uint8))


def greatest(picture: Image.Image) -> int:
    """Returns the greatest value in a grey picture of more than 8 bits, which is read for it."""
    return int(np.asarray(picture).max())


def own_white(picture: Image.Image) -> int:
    """Returns what is white in a picture by itself, where no data set says it."""
    return white_of(greatest(picture)) if is_deep(picture) else WHITES[-1]


def white_of(greatest: int) -> int:
    """Returns what is white where no picture has a value above one.

    >>> white_of(3071), white_of(4096), white_of(70_000)
    (4095, 16383, 65535)
    """
    return next((white for white in WHITES if greatest <= white), WHITES[-1])


def _turned(box: tuple[float, ...], size: tuple[int, int], turn: int) -> tuple[float, ...]:
    """Returns where a picture lies after it was turned; before, it lay at the left and the top."""
    (width, height), (right, bottom) = box[2:], (size[0] - box[2], size[1] - box[3])
    if turn in (5, 6, 7, 8):  # rows become columns
        width, height, right, bottom = height, width, bottom, right
    left = right if turn in (2, 3, 6, 7) else 0
    top = bottom if turn in (3, 4, 7, 8) else 0
    return left, top, left + width, top + height


def _orientation(picture: Image.Image) -> int:
    """Returns how the camera was held; a picture whose EXIF data is damaged counts as upright."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # it may be anything: bytes that say nothing, text where numbers belong
        return 1
