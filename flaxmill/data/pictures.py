"""A person's own pictures, made into what a model takes, as its signature says."""

import glob
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from flaxmill.errors import BadInput
from flaxmill.signature import Signature

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_BORDER_IS_LIGHT = 128  # mean of the border's pixels, from 0 to 255
_STRIP = 256  # rows of a picture that are padded and resized at a time


def find_pictures(names: Sequence[str]) -> list[str]:
    """Returns the picture files that a person means.

    Args:
        names: Files, folders (the pictures in them, in the order of their names), patterns such as
            ``shoes/*.png`` that a shell has left as they are, or ``-`` for standard input.

    Returns:
        Each file once.

    Raises:
        BadInput: A folder holds no pictures, or nothing matches a pattern.
    """
    found: list[str] = []
    for name in names:
        if not name:
            raise BadInput("one of the names is empty: give pictures, folders or patterns.")
        path = Path(name)
        if path.is_dir():
            pictures = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            inside = sorted(str(p) for p in pictures if p.is_file())
            if not inside:
                raise BadInput(f"the folder {name} holds no pictures ({', '.join(SUFFIXES)}).")
            found += inside
        elif glob.has_magic(name) and not path.exists():
            matching = sorted(glob.glob(name, recursive=True))
            if not matching:
                raise BadInput(f"no file matches {name}: check the pattern.")
            found += [match for match in matching if not Path(match).is_dir()]
        else:
            found.append(name)
    if found.count("-") > 1:
        raise BadInput("- stands for standard input, which holds one picture: give it once.")
    return list(dict.fromkeys(found))


def open_picture(name: str) -> Image.Image:
    """Reads a picture file whole.

    Args:
        name: Its path; ``-`` is standard input.

    Raises:
        BadInput: It is absent, unreadable, or no picture.
    """
    try:
        with Image.open(io.BytesIO(sys.stdin.buffer.read()) if name == "-" else name) as picture:
            picture.load()
        return picture
    except FileNotFoundError:
        raise BadInput(f"there is no picture {name}: check the path.") from None
    except IsADirectoryError:
        raise BadInput(f"{name} is a folder: give picture files.") from None
    except PermissionError:
        raise BadInput(f"{name} cannot be read: you lack the permission.") from None
    except UnidentifiedImageError:
        raise BadInput(
            f"{name} is no picture that can be read: expected PNG, JPEG, WebP, BMP or GIF."
        ) from None
    except Image.DecompressionBombError:
        raise BadInput(f"{name} is too large a picture to be opened safely.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(f"{name} is a damaged picture ({error}): save it anew.") from None


def prepare(picture: Any, signature: Signature) -> UInt8[np.ndarray, "height width channel"]:
    """Makes a picture into what a model takes.

    Files and Pillow pictures are turned as their EXIF data says, put on white where they are
    transparent, made grey or RGB, inverted if their border is light and the model knows things on
    a dark ground, padded to a square, and resized. Arrays of the right shape go in as they are.

    Args:
        picture: A path, a Pillow picture, or an array.
        signature: Of the model.

    Raises:
        BadInput: It is no picture, or an array of another shape or type.
    """
    height, width, channels = signature.inputs[0].shape[1:]
    if isinstance(picture, str | Path):
        picture = open_picture(str(picture))
    if not isinstance(picture, Image.Image):
        return _checked(np.asarray(picture), (height, width, channels))
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        picture = _shallow(picture)
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        picture = Image.new("RGBA", layers.size, "white")
        picture.alpha_composite(layers)
    picture = picture.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(picture)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    dark_ground = str(signature.preprocess.get("background", "")).startswith("dark")
    if dark_ground and border.mean() >= _BORDER_IS_LIGHT:
        picture = ImageOps.invert(picture)
        border = 255 - border
    ground = tuple(int(v) for v in np.atleast_1d(np.median(border, axis=0)))
    resized = _squared(picture, (width, height), ground if channels > 1 else ground[0])
    return np.asarray(resized).reshape(height, width, channels)


def _squared(
    picture: Image.Image, size: tuple[int, int], ground: int | tuple[int, ...]
) -> Image.Image:
    """Pads a picture to a square and resizes it.

    Some rows at a time: the square of a long panorama need not fit into memory. Pillow resizes
    rows before columns, so the answer is the same to the bit.
    """
    side = max(picture.size)
    left, top = (side - picture.width) // 2, (side - picture.height) // 2
    narrow = Image.new(picture.mode, (size[0], side), ground)
    for row in range(0, picture.height, _STRIP):
        strip = picture.crop((0, row, picture.width, min(row + _STRIP, picture.height)))
        padded = Image.new(picture.mode, (side, strip.height), ground)
        padded.paste(strip, (left, 0))
        resized = padded.resize((size[0], strip.height), Image.Resampling.BILINEAR)
        narrow.paste(resized, (0, top + row))
    return narrow.resize(size, Image.Resampling.BILINEAR)


def _shallow(picture: Image.Image) -> Image.Image:
    """Returns a grey picture of 16 bits in 8; the value that means transparent becomes white."""
    deep = np.asarray(picture)
    clear = deep == picture.info.get("transparency", -1)
    return Image.fromarray(np.where(clear, 255, deep >> 8).astype(np.uint8))


def _checked(array: np.ndarray, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."]:
    if array.shape == shape[:2] and shape[2] == 1:
        array = array[..., None]
    if array.shape != shape or array.dtype != np.uint8:
        raise BadInput(
            f"expected a picture of shape {shape} and type uint8 (0 to 255), not "
            f"{array.shape} and {array.dtype}."
        )
    return array
