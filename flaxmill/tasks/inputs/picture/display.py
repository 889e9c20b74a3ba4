"""Pictures as people see them: in a page of HTML, and on a sheet."""

import base64
import io
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from flaxmill.data.pictures.pixels import as_picture

PHOTOGRAPH = 96  # pixels along a side, from which on colour pictures are kept as JPEG

Picture = UInt8[np.ndarray, "height width channel"]


def draw(panel: Any, picture: Picture) -> None:
    """Draws a picture on the axes of a sheet."""
    grey = picture.shape[-1] == 1
    panel.imshow(picture[..., 0] if grey else picture, cmap="gray", vmin=0, vmax=255)


def in_own_proportions(batch: Any, *, changed: bool = False) -> list[Picture]:
    """Returns the pictures of a batch, in their own proportions where they were squashed.

    Args:
        batch: Its ``image``, of bytes or of floats from 0 to 1, as a transformation may have made
            them; and the ``aspect`` of each, where they were squashed to a square.
        changed: Whether a transformation went over them, which saw to their proportions.
    """
    pictures = [_as_bytes(np.asarray(picture)) for picture in batch["image"]]
    if changed or "aspect" not in batch:
        return pictures
    shown = []
    for picture, aspect in zip(pictures, np.asarray(batch["aspect"]).tolist(), strict=True):
        height, width = picture.shape[:2]
        size = (
            (width, max(1, round(width / aspect)))
            if aspect > 1
            else (round(height * aspect), height)
        )
        image = as_picture(picture)
        resized = np.asarray(image.resize((max(1, size[0]), size[1])))
        shown.append(resized.reshape(*resized.shape[:2], -1))
    return shown


def _as_bytes(picture: np.ndarray) -> Picture:
    if picture.dtype == np.uint8:
        return picture
    return np.clip(picture * 255, 0, 255).astype(np.uint8)


def picture_uri(picture: Picture) -> str:
    """Encodes a picture as a data URI of its own size in pixels: PNG, or JPEG of a photograph."""
    grey = picture.shape[-1] == 1
    image = as_picture(picture)
    return _uri(image, "png" if grey or min(image.size) < PHOTOGRAPH else "jpeg")


def lit_uri(picture: Picture, heat: Float[np.ndarray, "height width"]) -> str:
    """Encodes a picture in grey, with a map over it, as a data URI.

    Args:
        picture: The picture.
        heat: From 0, where nothing is laid over it, to 1, where it is covered by light yellow.
    """
    grey = picture.astype(np.float64).mean(-1, keepdims=True) / 255
    import matplotlib  # takes its time, and a server needs none of it

    colours = matplotlib.colormaps["inferno"](heat)[..., :3]
    opaque = np.clip(heat, 0, 0.75)[..., None]
    mixed = (1 - opaque) * 0.7 * grey + opaque * colours
    image = Image.fromarray(np.round(255 * mixed).astype(np.uint8))
    return _uri(image, "png" if min(image.size) < PHOTOGRAPH else "jpeg")


def _uri(image: Image.Image, kind: str = "png") -> str:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, optimize=True, **({"quality": 85} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()
