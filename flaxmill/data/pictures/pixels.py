"""Arrays of pixels as pictures of Pillow's."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def as_picture(pixels: UInt8[np.ndarray, "height width *channel"]) -> Image.Image:
    """Returns pixels as a picture: grey without channels or of one, RGB of three, RGBA of four.

    Raises:
        TypeError: There are as many channels as no picture has.

    >>> picture = as_picture(np.zeros((2, 3, 1), np.uint8))
    >>> picture.mode, picture.size
    ('L', (3, 2))
    """
    grey = pixels.ndim == 3 and pixels.shape[-1] == 1
    return Image.fromarray(pixels[..., 0] if grey else pixels)
