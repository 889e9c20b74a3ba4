"""Picture files of every format, decoded: the one place that knows their differences."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from flaxmill.data.pictures import bounds, png_text
from flaxmill.errors import BadInput, TooLarge
from flaxmill.machine.files import check_regular

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
"""The formats that are opened, by content and whatever the name, as Pillow calls them.

Every one of them is fuzzed (tests/fuzz_pictures.py). Pillow opens dozens more, some with programs
of their own: PostScript starts Ghostscript.
"""
SUFFIXES = tuple(ending for endings in _ENDINGS.values() for ending in endings)
"""Endings of the names of picture files, in small letters."""
READ = "PNG, JPEG, WebP, BMP, GIF, TIFF, PPM or AVIF"
"""The same in words."""

_WORDS = 100  # letters that a message quotes of a decoder's
EXTENT = (-1, -1)
"""Key of a picture's extent in its ``info``; keys that are texts come from its file."""

# Pillow warns of pictures from half the size on that it refuses, and of camera data it cannot read.
# What it opens is wanted here; and to silence it each time anew would not be safe among threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def open_picture(
    file: str | Path | bytes, *, least: int | None = None, name: str = ""
) -> Image.Image:
    """Reads a picture whole; of an animation, its first frame.

    Args:
        file: Its path, or its file's content; the path ``-`` is standard input.
        least: Where a JPEG is larger than needed, it may be decoded to a half, a quarter or an
            eighth of its size, which is faster, as long as neither side gets shorter than this. Its
            last row and column then lie partly outside of it; see `extent`.
        name: What messages call it, if not by its path.

    Raises:
        BadInput: It is absent, unreadable, no picture, damaged, or too large to be opened safely.
    """
    name = name or _default_name(file)
    with header(file, name=name) as picture:
        return read_pixels(picture, least=least, name=name)


@contextlib.contextmanager
def header(file: str | Path | bytes, *, name: str = "") -> Iterator[ImageFile.ImageFile]:
    """Opens a picture and reads its header, with its size; its pixels are not read.

    Args:
        file: Its path, or its file's content; the path ``-`` is standard input.
        name: What messages call it, if not by its path.

    Raises:
        BadInput: As of `open_picture`; also whatever goes wrong with the picture while it is open.
    """
    source = _readable(file)
    with naming(name or _default_name(file), source):
        if not isinstance(source, io.BytesIO):
            check_regular(source)
        try:
            picture = Image.open(source, formats=FORMATS)
        except ValueError:  # also where a PNG has more text beside its pixels than Pillow reads
            if (lighter := png_text.without_text(source)) is None:
                raise
            picture = Image.open(lighter, formats=FORMATS)
        with picture:
            bounds.check(picture)
            yield picture


def read_pixels(
    picture: ImageFile.ImageFile, *, least: int | None = None, name: str = ""
) -> ImageFile.ImageFile:
    """Reads the pixels of a picture that is open; arguments as of `open_picture`.

    Raises:
        BadInput: It is damaged.
    """
    with naming(name):
        drafted = picture.draft(None, (least, least)) if least is not None else None
        picture = _load(picture)
        if drafted:
            picture.info[EXTENT] = drafted[1]
        if isinstance(picture.info.get("transparency"), str):  # text in a PNG, of that name
            del picture.info["transparency"]
        picture.filename = name  # for messages to come
    return picture


def _load(picture: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Loads a picture's pixels; text that a PNG has behind them does not matter."""
    try:
        picture.load()
        return picture
    except ValueError:
        if (lighter := png_text.without_text(picture.fp)) is None:
            raise
    picture = Image.open(lighter, formats=FORMATS)
    picture.load()
    return picture


@contextlib.contextmanager
def naming(
    name: str | Callable[[], str], source: str | Path | io.BytesIO | None = None
) -> Iterator[None]:
    """Turns whatever goes wrong with a picture into one message that names it.

    Decoders raise errors of all types over a file that is damaged, and not only while they decode:
    what they leave for later fails when a picture is turned, converted or resized.

    Args:
        name: What messages call the picture, or a function that returns that.
        source: Where it is read from, if it is.

    Raises:
        BadInput: Something went wrong.
    """
    try:
        yield
    except BadInput:
        raise
    except Exception as error:
        raise _as_bad_input(name if isinstance(name, str) else name(), source, error) from None


def _as_bad_input(name: str, source: str | Path | io.BytesIO | None, error: Exception) -> BadInput:
    """Returns the message for an error with a picture."""
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
        case bounds.BeyondBounds():
            return TooLarge(f"{name} is too large a picture to be opened safely: {error}")
        case MemoryError():
            return TooLarge(
                f"{name} takes more memory than there is: save it smaller, or leave it out."
            )
        case OSError(args=("could not create decoder object",)):  # of WebP, for either reason
            return BadInput(
                f"{name} is a damaged picture, or takes more memory than there is: save it anew, "
                f"and smaller."
            )
        case OSError(errno=int()):  # of the disk, not of the decoder
            words = (error.strerror or str(error)).lower()
            return BadInput(f"{name} cannot be read: {words}.")
        case _:
            return _damaged(name, error)


def _default_name(file: str | Path | bytes) -> str:
    return "the picture" if isinstance(file, bytes) else str(file)


def _readable(file: str | Path | bytes) -> str | Path | io.BytesIO:
    if isinstance(file, bytes):
        return io.BytesIO(file)
    return io.BytesIO(sys.stdin.buffer.read()) if file == "-" else file


def _damaged(name: str, error: Exception) -> BadInput:
    words = " ".join(str(error).split())[:_WORDS]
    if not words.strip("-0123456789"):  # the number of an error in a library, or nothing
        words = "it cannot be decoded" if words else "it ends early"
    return BadInput(f"{name} is a damaged picture ({words}): save it anew.")


def _instead(source: str | Path | io.BytesIO | None) -> str:
    """Describes what is wrong with a file that is no picture."""
    if isinstance(source, io.BytesIO):
        empty = not source.getbuffer().nbytes
    else:
        empty = source is not None and not os.stat(source).st_size
    return "it is empty" if empty else f"expected {READ}"


def extent(picture: Image.Image) -> tuple[float, float, float, float]:
    """Returns where a picture lies in its array of pixels: left, top, right and bottom.

    That is all of it, but for a JPEG that was decoded to a part of its size: an eighth of 2,001
    pixels is 250.125 pixels of 251.
    """
    return picture.info.get(EXTENT, (0, 0, *picture.size))


def name_of(picture: Image.Image) -> str:
    """Returns the name of a picture, for messages."""
    return str(getattr(picture, "filename", "")) or "the picture"
