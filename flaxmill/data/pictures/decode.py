"""Picture files of every kind, read and made alike: the one place that knows their differences."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from flaxmill.data.pictures import bounds, png_text
from flaxmill.errors import BadInput

_ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
    "AVIF": (".avif",),
}
FORMATS = tuple(_ENDINGS)
"""What is opened, by its content and whatever its name, as Pillow calls it.

Every one of them is fuzzed (tests/fuzz_pictures.py). Pillow opens dozens more, some with programs
of their own: PostScript starts Ghostscript.
"""
SUFFIXES = tuple(ending for endings in _ENDINGS.values() for ending in endings)
"""What the names of picture files end with, in small letters."""
READ = "PNG, JPEG, WebP, BMP, GIF, TIFF, PPM or AVIF"
"""The same in words."""

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

_WORDS = 100  # letters that a message quotes of a decoder's
_EXTENT = (-1, -1)  # in a picture's `info`, where names that are texts come from its file too

# Pillow warns of pictures from half the size on that it refuses, and of camera data it cannot read.
# What it opens is wanted here; and to silence it each time anew would not be safe among threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class TooLarge(BadInput):
    """A picture that would take too much time or memory; the message says why."""


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
    name = name or _usual(given)
    with header(given, name=name) as picture:
        return decoded(picture, least=least, name=name)


@contextlib.contextmanager
def header(given: str | Path | bytes, *, name: str = "") -> Iterator[ImageFile.ImageFile]:
    """Opens a picture as far as its header, which says its size and more; its pixels are not read.

    Args:
        given: Its path, or its file's content; the path ``-`` is standard input.
        name: What messages call it, if not by its path.

    Raises:
        BadInput: As of `open_picture`; also whatever goes wrong with the picture while it is open.
    """
    source = _readable(given)
    with naming(name or _usual(given), source):
        try:
            picture = Image.open(source, formats=FORMATS)
        except ValueError:  # also where a PNG has more text beside its pixels than Pillow reads
            if (lighter := png_text.left_out(source)) is None:
                raise
            picture = Image.open(lighter, formats=FORMATS)
        with picture:
            bounds.check(picture)
            yield picture


def decoded(
    picture: ImageFile.ImageFile, *, least: int | None = None, name: str = ""
) -> ImageFile.ImageFile:
    """Reads the pixels of a picture that is open; arguments as of `open_picture`.

    Raises:
        BadInput: It is damaged.
    """
    with naming(name):
        drafted = picture.draft(None, (least, least)) if least is not None else None
        picture = _loaded(picture)
        if drafted:
            picture.info[_EXTENT] = drafted[1]
        if isinstance(picture.info.get("transparency"), str):  # text in a PNG, of that name
            del picture.info["transparency"]
        picture.filename = name  # for messages of `plain`
    return picture


def _loaded(picture: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Returns a picture with its pixels; text that a PNG has behind them does not matter."""
    try:
        picture.load()
        return picture
    except ValueError:
        if (lighter := png_text.left_out(picture.fp)) is None:
            raise
    picture = Image.open(lighter, formats=FORMATS)
    picture.load()
    return picture


@contextlib.contextmanager
def naming(
    name: str | Callable[[], str], source: str | Path | io.BytesIO | None = None
) -> Iterator[None]:
    """Makes whatever goes wrong with a picture one message that names it.

    Decoders raise errors of all types over a file that is damaged, and not only while they decode:
    what they leave for later fails when a picture is turned, converted or resized.

    Args:
        name: What messages call the picture, or what returns that.
        source: Where it is read from, if it is.

    Raises:
        BadInput: Something went wrong.
    """
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        raise _told(name if isinstance(name, str) else name(), source, error) from None


def _told(name: str, source: str | Path | io.BytesIO | None, error: Exception) -> BadInput:
    """Returns what is said of a picture that something went wrong with."""
    match error:
        case FileNotFoundError():
            return BadInput(f"there is no picture {name}: check the path.")
        case IsADirectoryError():
            return BadInput(f"{name} is a folder: give picture files.")
        case PermissionError():
            return BadInput(f"{name} cannot be read: you lack the permission.")
        case UnidentifiedImageError():
            return BadInput(f"{name} is no picture that can be read: {_instead(source)}.")
        case Image.DecompressionBombError():
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            side = int(most**0.5)
            return TooLarge(
                f"{name} is too large a picture to be opened safely: it has more than {most:,} "
                f"pixels (such as {side:,} × {side:,}). Save it smaller, or leave it out."
            )
        case bounds.Beyond():
            return TooLarge(f"{name} is too large a picture to be opened safely: {error}")
        case MemoryError():
            return TooLarge(
                f"{name} takes more memory than there is: save it smaller, or leave it out."
            )
        case OSError(errno=int()):  # of the disk, not of the decoder
            words = (error.strerror or str(error)).lower()
            return BadInput(f"{name} cannot be read: {words}.")
        case _:
            return _damaged(name, error)


def _usual(given: str | Path | bytes) -> str:
    return "the picture" if isinstance(given, bytes) else str(given)


def _readable(given: str | Path | bytes) -> str | Path | io.BytesIO:
    if isinstance(given, bytes):
        return io.BytesIO(given)
    return io.BytesIO(sys.stdin.buffer.read()) if given == "-" else given


def _damaged(name: str, error: Exception) -> BadInput:
    words = " ".join(str(error).split())[:_WORDS]
    if not words.strip("-0123456789"):  # the number of an error in a library, or nothing
        words = "it cannot be decoded" if words else "it ends early"
    return BadInput(f"{name} is a damaged picture ({words}): save it anew.")


def _instead(source: str | Path | io.BytesIO | None) -> str:
    """Says what a file that is no picture holds, or what was expected of it."""
    if isinstance(source, io.BytesIO):
        empty = not source.getbuffer().nbytes
    else:
        empty = source is not None and not os.stat(source).st_size
    return "it is empty" if empty else f"expected {READ}"


def plain(
    picture: Image.Image, channels: int, *, name: str | Callable[[], str] = ""
) -> Image.Image:
    """Makes any picture an upright one of 8 bits, grey or RGB.

    It is turned as its EXIF data says and put on white where it is transparent; 16 bits become the
    upper 8 of them.

    Args:
        picture: Of any mode.
        channels: 1 for grey, 3 for RGB.
        name: What messages call it, or what returns that; empty for its ``filename``.

    Raises:
        BadInput: It has a mode that has no meaning as colours, such as floating-point numbers, or
            it cannot be turned or converted.
    """
    name = name or called(picture)
    with naming(name):
        try:
            return _plain(picture, "L" if channels == 1 else "RGB")
        except _Meaningless as error:
            raise BadInput(f"{name if isinstance(name, str) else name()} {error}") from None


class _Meaningless(Exception):
    """The numbers of a picture are no colours; the message says why, and what to do."""


def _plain(picture: Image.Image, mode: str) -> Image.Image:
    turn = _orientation(picture)
    if turn in _TURNS:
        box = _turned(extent(picture), picture.size, turn)
        picture = picture.transpose(_TURNS[turn])
        picture.info[_EXTENT] = box
    if picture.mode.startswith("I"):
        picture = _shallow(picture)
    if picture.mode == "F":
        raise _Meaningless(
            "holds floating-point numbers, and nothing says which of them is white: save it with 8 "
            "or 16 bits."
        )
    try:
        if picture.has_transparency_data:
            layers = picture.convert("RGBA")
            picture = Image.new("RGBA", layers.size, "white")
            picture.alpha_composite(layers)
        return picture if picture.mode == mode else picture.convert(mode)
    except ValueError:
        raise _Meaningless(
            f"has the colours {picture.mode}, which cannot be made {mode}: save it as RGB."
        ) from None


def extent(picture: Image.Image) -> tuple[float, float, float, float]:
    """Returns where a picture lies in its pixels: left, top, right and bottom.

    That is all of them, but for a JPEG that was decoded to a part of its size: an eighth of 2,001
    pixels is 250.125 pixels of 251.
    """
    return picture.info.get(_EXTENT, (0, 0, *picture.size))


def _turned(box: tuple[float, ...], size: tuple[int, int], turn: int) -> tuple[float, ...]:
    """Returns where a picture lies after it was turned; before, it lay at the left and the top."""
    (width, height), (right, bottom) = box[2:], (size[0] - box[2], size[1] - box[3])
    if turn >= 5:  # rows become columns
        width, height, right, bottom = height, width, bottom, right
    left = right if turn in (2, 3, 6, 7) else 0
    top = bottom if turn in (3, 4, 7, 8) else 0
    return left, top, left + width, top + height


def called(picture: Image.Image) -> str:
    """Returns what messages call a picture."""
    return str(getattr(picture, "filename", "")) or "the picture"


def _orientation(picture: Image.Image) -> int:
    """Returns how the camera was held; a picture whose EXIF data is damaged counts as upright."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # it may be anything: bytes that say nothing, text where numbers belong
        return 1


def _shallow(picture: Image.Image) -> Image.Image:
    """Returns a grey picture of 16 bits in 8; the value that means transparent becomes white."""
    deep = np.asarray(picture)
    clear = deep == picture.info.get("transparency", -1)
    return Image.fromarray(np.where(clear, 255, np.clip(deep >> 8, 0, 255)).astype(np.uint8))
