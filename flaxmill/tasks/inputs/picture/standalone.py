"""What is done to a picture before an export sees it, for a program without flaxmill.

The model card and docs/export.md print this function, and a test holds it to what `predict` does.
"""

from typing import Any

import numpy as np
from PIL import Image, ImageOps


def preprocess(file: Any, signature: Any) -> Any:
    """Returns a picture as the model takes it, with NumPy and Pillow alone."""
    how, (_, height, width, channels) = signature["preprocess"], signature["inputs"][0]["shape"]
    known = "PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF"  # none that runs programs
    picture = ImageOps.exif_transpose(Image.open(file, formats=known))
    if picture.mode.startswith("I"):  # grey, of more than 8 bits
        values = np.asarray(picture)
        upper = np.clip(values >> (how["white"].bit_length() - 8), 0, 255)
        clear = values == picture.info.get("transparency", -1)
        picture = Image.fromarray(np.where(clear, 255, upper).astype(np.uint8))
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
    picture = picture.convert(how["mode"])
    pixels = np.asarray(picture).reshape(*picture.size[::-1], channels)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if "background" in how and border.mean() >= how["light"]:
        picture, border = ImageOps.invert(picture), 255 - border
    (across, down), box = picture.size, None
    size = width, height
    if how["fit"] == "crop":
        tall, wide = (int(side / how["share"] + 1e-6) for side in (height, width))
        longer = across * tall >= down * wide
        size = (int(tall * across / down), tall) if longer else (wide, int(wide * down / across))
        left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
        box = left, top, left + width, top + height
    elif how["fit"] == "pad to a square":
        side, ground = max(picture.size), tuple(map(int, np.median(border, axis=0)))
        square = Image.new(how["mode"], (side, side), ground if channels > 1 else ground[0])
        square.paste(picture, ((side - across) // 2, (side - down) // 2))
        picture = square.resize((width, side), Image.Resampling.BILINEAR)  # rows before columns
    picture = picture.resize(size, Image.Resampling.BILINEAR).crop(box)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)
