"""Picture files of every kind, read and made alike: the one place that knows their differences."""

import io
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from flaxmill.errors import BadInput

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jfif",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
)
"""What the names of picture files end with, in small letters."""

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

# Pillow warns of pictures from half the size on that it refuses, and of camera data it cannot read.
# What it opens is wanted here; and to silence it each time anew would not be safe among threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def open_picture(
    given: str | Path | bytes, *, least: int | None = None, name: str = ""
) -> Image.Image:
    """Reads a picture whole; of an animation, its first frame.

    Args:
        given: Its path, or its file's content; the path ``-`` is standard input.
        least: Where a JPEG is larger than needed, it may be decoded to a half, a quarter or an
            eighth of its size, which is faster, as long as neither side gets shorter than this. Its
            last row and column then lie partly outside of it; see `extent`.
        name: What messages call it, if not by its path.

    Raises:
        BadInput: It is absent, unreadable, no picture, damaged, or too large to be opened safely.
    """
    name = name or str(given)
    try:
        with Image.open(_readable(given)) as picture:
            drafted = picture.draft(None, (least, least)) if least is not None else None
            picture.load()
            if drafted:
                picture.info["extent"] = drafted[1]
            picture.filename = name  # for messages of `plain`
        return picture
    except FileNotFoundError:
        raise BadInput(f"there is no picture {name}: check the path.") from None
    except IsADirectoryError:
        raise BadInput(f"{name} is a folder: give picture files.") from None
    except PermissionError:
        raise BadInput(f"{name} cannot be read: you lack the permission.") from None
    except UnidentifiedImageError:
        raise BadInput(f"{name} is no picture that can be read: {_instead(given)}.") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise BadInput(
            f"{name} is too large a picture to be opened safely: it has more than {most:,} pixels "
            f"(such as {int(most**0.5):,} × {int(most**0.5):,}). Save it smaller, or leave it out."
        ) from None
    except OSError as error:
        if error.errno is not None:  # of the disk, not of the decoder
            words = (error.strerror or str(error)).lower()
            raise BadInput(f"{name} cannot be read: {words}.") from None
        raise _damaged(name, error) from None
    except (SyntaxError, ValueError, struct.error, EOFError) as error:
        raise _damaged(name, error) from None


def _readable(given: str | Path | bytes) -> str | Path | io.BytesIO:
    if isinstance(given, bytes):
        return io.BytesIO(given)
    return io.BytesIO(sys.stdin.buffer.read()) if given == "-" else given


def _damaged(name: str, error: Exception) -> BadInput:
    return BadInput(f"{name} is a damaged picture ({str(error) or 'it ends early'}): save it anew.")


def _instead(given: str | Path | bytes) -> str:
    """Says what a file that is no picture holds, or what was expected of it."""
    empty = (
        not given if isinstance(given, bytes) else given != "-" and not Path(given).stat().st_size
    )
    return "it is empty" if empty else "expected PNG, JPEG, WebP, BMP or GIF"


def plain(picture: Image.Image, channels: int) -> Image.Image:
    """Makes any picture an upright one of 8 bits, grey or RGB.

    It is turned as its EXIF data says and put on white where it is transparent; 16 bits become the
    upper 8 of them.

    Args:
        picture: Of any mode.
        channels: 1 for grey, 3 for RGB.

    Raises:
        BadInput: It has a mode that has no meaning as colours, such as floating-point numbers.
    """
    mode = "L" if channels == 1 else "RGB"
    turn = _orientation(picture)
    if turn in _TURNS:
        box = _turned(extent(picture), picture.size, turn)
        picture = picture.transpose(_TURNS[turn])
        picture.info["extent"] = box
    if picture.mode.startswith("I"):
        picture = _shallow(picture)
    if picture.mode == "F":
        raise BadInput(
            f"{_called(picture)} holds floating-point numbers, and nothing says which of them is "
            "white: save it with 8 or 16 bits."
        )
    try:
        if picture.has_transparency_data:
            layers = picture.convert("RGBA")
            picture = Image.new("RGBA", layers.size, "white")
            picture.alpha_composite(layers)
        return picture if picture.mode == mode else picture.convert(mode)
    except ValueError:
        raise BadInput(
            f"{_called(picture)} has the colours {picture.mode}, which cannot be made {mode}: save "
            "it as RGB."
        ) from None


def extent(picture: Image.Image) -> tuple[float, float, float, float]:
    """Returns where a picture lies in its pixels: left, top, right and bottom.

    That is all of them, but for a JPEG that was decoded to a part of its size: an eighth of 2,001
    pixels is 250.125 pixels of 251.
    """
    return picture.info.get("extent", (0, 0, *picture.size))


def _turned(box: tuple[float, ...], size: tuple[int, int], turn: int) -> tuple[float, ...]:
    """Returns where a picture lies after it was turned; before, it lay at the left and the top."""
    (width, height), (right, bottom) = box[2:], (size[0] - box[2], size[1] - box[3])
    if turn >= 5:  # rows become columns
        width, height, right, bottom = height, width, bottom, right
    left = right if turn in (2, 3, 6, 7) else 0
    top = bottom if turn in (3, 4, 7, 8) else 0
    return left, top, left + width, top + height


def _called(picture: Image.Image) -> str:
    return str(getattr(picture, "filename", "")) or "the picture"


def _orientation(picture: Image.Image) -> int:
    """Returns how the camera was held; a picture whose EXIF data is damaged counts as upright."""
    try:
        return picture.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, LookupError, OSError, struct.error):
        return 1


def _shallow(picture: Image.Image) -> Image.Image:
    """Returns a grey picture of 16 bits in 8; the value that means transparent becomes white."""
    deep = np.asarray(picture)
    clear = deep == picture.info.get("transparency", -1)
    return Image.fromarray(np.where(clear, 255, np.clip(deep >> 8, 0, 255)).astype(np.uint8))
