"""A person's own pictures, made into what a model takes, as its signature says."""

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from flaxmill.data.pictures.decode import SUFFIXES, called, naming, open_picture
from flaxmill.data.pictures.fit import border, fit
from flaxmill.data.pictures.plain import WHITES, upright
from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature

CHANNELS = (1, 3, 4)
"""Grey, colours, or colours with transparency."""
_BORDER_IS_LIGHT = 128  # mean of the border's pixels, from 0 to 255, where no signature says


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
            inside = sorted(str(p) for p in pictures if p.is_file() and p.name[0] != ".")
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


def prepare(picture: Any, signature: Signature) -> UInt8[np.ndarray, "height width channel"]:
    """Makes a picture into what a model takes.

    Files and Pillow pictures are made plain (see `flaxmill.data.pictures.plain.upright`), inverted
    if their border is light and the model knows things on a dark ground, and fitted as the
    signature says: padded to a square, cropped or squashed. So are arrays of another shape; one of
    the right shape goes in as it is.

    Args:
        picture: A path, a Pillow picture, or an array.
        signature: Of the model.

    Raises:
        BadInput: It is no picture, or an array of another shape or type.
    """
    height, width, channels = signature.inputs[0].shape[1:]
    if isinstance(picture, str | Path):
        picture = open_picture(picture)
    if not isinstance(picture, Image.Image):
        array = _checked(np.asarray(picture), (height, width, channels))
        if array.shape == (height, width, channels):
            return array
        picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    wanted, name = signature.preprocess, called(picture)
    white = int(wanted.get("white", WHITES[-1]))
    picture = upright(picture, channels, white=white, lean=True, name=name)
    dark_ground = str(wanted.get("background", "")).startswith("dark")
    how = str(wanted.get("fit", "pad")).partition(" ")[0]  # "pad to a square"
    with naming(name):
        light = float(wanted.get("light", _BORDER_IS_LIGHT))
        if dark_ground and border(picture).mean() >= light:
            picture = picture.inverted()
        share = float(wanted.get("share", 1))
        return fit(picture, (height, width), how, share=share, channels=channels)


def _checked(
    array: np.ndarray, shape: tuple[int, ...]
) -> UInt8[np.ndarray, "height width channel"]:
    """Returns the pixels of a picture with an axis for channels.

    Raises:
        BadInput: They are none.
    """
    pixels = array[..., None] if array.ndim == 2 else array
    known = pixels.ndim == 3 and pixels.size and pixels.shape[2] in CHANNELS
    if not known and pixels.shape != shape:
        raise BadInput(
            f"expected a picture [height, width], or with 1, 3 or 4 channels as its last axis, not "
            f"an array of shape {array.shape}."
        )
    if array.dtype != np.uint8:
        scaled = array.dtype.kind == "f" and float(np.nanmax(array)) <= 1
        way = "(255 * picture).round()" if scaled else "picture"
        raise BadInput(
            f"expected a picture of type uint8 (0 to 255), not {array.dtype}: give "
            f"{way}.astype(np.uint8)."
        )
    return pixels
