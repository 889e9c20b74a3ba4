"""Pictures that are made plain part by part are what they are as a whole."""

import numpy as np
import pytest
from picture_files import textured
from PIL import Image, ImageOps

from flaxmill.data.pictures import plain
from flaxmill.data.pictures.fit import border, fit
from flaxmill.data.pictures.plain import upright

MODES = ("L", "RGB", "LA", "RGBA", "P", "1", "CMYK", "I;16")


def stored(mode: str, turn: int) -> Image.Image:
    """Returns a picture of a mode, as a camera held in some way stores it."""
    picture = textured((61, 37))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200)
    else:
        picture = picture.convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(textured((61, 37), seed=1).convert("L"))
    picture.getexif()[0x112] = turn
    return picture


def whole(picture: Image.Image, mode: str) -> Image.Image:
    """Returns what Pillow itself makes of it."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "I;16":
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture.convert("RGBA"))
    return picture.convert(mode)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("mode", MODES)
def test_parts_are_what_the_whole_is(mode: str, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = stored(mode, turn)
    for channels in (1, 3):
        expected = whole(picture, "L" if channels == 1 else "RGB")
        ways = [(how, size) for how in ("crop", "pad", "squash") for size in ((20, 20), (90, 50))]
        fitted = [fit(expected, size, how, share=0.9) for how, size in ways]
        monkeypatch.setattr(plain, "_STRIP", 300)  # pixels: five rows or eight
        monkeypatch.setattr("flaxmill.data.pictures.fit._LARGE", 0)
        part = upright(picture, channels)
        assert part.size == expected.size
        np.testing.assert_array_equal(part.whole(), expected)
        box = (3, 5, 30, 31)
        np.testing.assert_array_equal(part.crop(box), expected.crop(box))
        np.testing.assert_array_equal(border(part.inverted()), 255 - border(expected))
        for (how, size), pixels in zip(ways, fitted, strict=True):
            np.testing.assert_array_equal(fit(part, size, how, share=0.9), pixels)
        monkeypatch.undo()


def test_what_was_turned_is_not_turned_again() -> None:
    once = plain.plain(stored("RGB", 6), 3)
    np.testing.assert_array_equal(plain.plain(once, 3), once)
