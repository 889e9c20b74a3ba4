"""Picture files of every kind, and those that are none."""

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest
from forbidding import forbidden
from picture_files import bomb, encoded, save, textured
from PIL import Image

from flaxmill.data.pictures.decode import extent, open_picture, plain
from flaxmill.data.pictures.fit import fit
from flaxmill.errors import BadInput


def pixels(given: Path | bytes, channels: int = 3) -> np.ndarray:
    return np.asarray(plain(open_picture(given), channels)).astype(int)


def test_a_jpeg_is_decoded_no_smaller_than_asked_for() -> None:
    """Every reduction that libjpeg has, and both ways of lying."""
    seen = set()
    for width, height, least in itertools.product((97, 640, 801), (64, 333, 640), (32, 64, 80)):
        content = encoded(textured((width, height)))
        drafted = open_picture(content, least=least)
        assert min(drafted.size) >= min(least, width, height)
        factor = round(width / drafted.width)
        assert drafted.size == (-(-width // factor), -(-height // factor))
        further = min(width, height) // (2 * factor)  # the next reduction would be too small
        assert factor == 8 or further < least
        seen.add(factor)
    assert seen == {1, 2, 4, 8}


def test_a_draft_looks_like_the_whole_picture() -> None:
    content = encoded(textured((800, 600)), quality=95)
    size = (100, 75)
    whole, draft = (
        np.asarray(open_picture(content, least=least).resize(size, Image.Resampling.BILINEAR))
        for least in (None, 75)
    )
    difference = np.abs(whole.astype(int) - draft.astype(int))
    assert 0 < difference.max() < 40  # of 255, at the edges; another filter made it
    assert difference.mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_a_draft_adds_at_its_edges_is_left_out(orientation: int) -> None:
    """An eighth of 57 × 41 pixels is 7.125 × 5.125, of 8 × 6, wherever turning puts them."""
    across, down = np.meshgrid(np.linspace(0, 250, 57), np.linspace(0, 250, 41))
    ramps = np.stack([across, down, 250 - across], axis=-1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(ramps), quality=100, exif=exif)
    draft, whole = (plain(open_picture(content, least=least), 3) for least in (5, None))
    assert sorted(draft.size) == [6, 8]
    left, top, right, bottom = extent(draft)
    assert (right - left) / (bottom - top) == whole.width / whole.height
    expected = fit(whole, (5, 5), "squash").astype(int)
    assert np.abs(fit(draft, (5, 5), "squash") - expected).max() <= 6
    del draft.info["extent"]
    assert np.abs(fit(draft, (5, 5), "squash") - expected).max() > 12  # as if there were more


def test_only_jpegs_have_a_draft() -> None:
    assert open_picture(encoded(textured((640, 480)), "png"), least=32).size == (640, 480)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_has_the_same_colours(mode: str) -> None:
    dark = 0 if mode == "1" else 64
    picture = Image.new("L", (16, 16), 255)
    picture.paste(dark, (0, 0, 8, 16))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    elif mode == "P":
        picture = picture.quantize(4)
    elif mode != "L":
        picture = (picture if mode == "LA" else picture.convert("RGB")).convert(mode)
    kind = {"CMYK": "tiff", "YCbCr": "jpeg"}.get(mode, "png")
    for channels in (1, 3):
        seen = pixels(encoded(picture, kind), channels).reshape(16, 16, channels)
        assert np.abs(seen[:, :8] - dark).max() <= 2  # JPEG loses a little
        assert np.abs(seen[:, 8:] - 255).max() <= 2


def test_transparency_lies_on_white_and_sixteen_bits_keep_the_upper_ones() -> None:
    for mode, clear in (("LA", (0, 0)), ("RGBA", (9, 9, 9, 0)), ("RGBA", (0, 0, 0, 127))):
        seen = pixels(encoded(Image.new(mode, (4, 4), clear), "png"))
        assert (seen == 255 - clear[-1]).all()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert (pixels(encoded(palette, "png", transparency=1)) == 255).all()
    assert (pixels(encoded(palette, "png")) == (10, 20, 30)).all()
    deep = Image.fromarray(np.full((4, 4), 0x1234, np.uint16))
    assert (pixels(encoded(deep, "png")) == 0x12).all()
    wide = Image.fromarray(np.full((4, 4), 0x1234, np.int32))  # a PGM of 16 bits is opened as such
    assert (np.asarray(plain(wide, 1)) == 0x12).all()


def test_the_first_frame_of_an_animation_counts() -> None:
    red, blue = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    for kind in ("gif", "webp", "png"):
        options = {"lossless": True} if kind == "webp" else {}
        content = encoded(red, kind, save_all=True, append_images=[blue], **options)
        assert (pixels(content) == (255, 0, 0)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_camera_was(orientation: int) -> None:
    """Each of the eight orientations, as the letter F shows them."""
    upright = np.zeros((6, 5), np.uint8)
    upright[1, 1:4] = upright[3, 1:3] = upright[1:5, 1] = 255
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), "png", exif=exif)
    np.testing.assert_array_equal(pixels(content, 1), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # as flaxmill does; pytest undoes it
def test_damaged_exif_data_does_not_hide_a_picture() -> None:
    content = encoded(textured((16, 12)), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12" * 40)
    assert pixels(content).shape == (12, 16, 3)
    garbage = encoded(textured((16, 12)), exif=b"Exif\0\0no TIFF")
    assert pixels(garbage).shape == (12, 16, 3)


def test_colours_without_a_meaning_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "height.tiff")
    with pytest.raises(BadInput, match=r"height\.tiff holds floating-point numbers, and nothing"):
        pixels(tmp_path / "height.tiff")
    with pytest.raises(BadInput, match="the picture has the colours La, which cannot be made RGB"):
        plain(Image.new("La", (4, 4)), 3)


def test_what_cannot_be_opened_is_named_and_explained(tmp_path: Path) -> None:
    whole = encoded(textured((64, 48)))
    bad = {
        "cut.jpg": (whole[: len(whole) // 2], "is a damaged picture .*: save it anew"),
        "start.png": (encoded(textured((64, 48)), "png")[:200], "is a damaged picture"),
        "empty.jpg": (b"", "is no picture that can be read: it is empty"),
        "text.png": (b"path,label\n", "is no picture that can be read: expected PNG, JPEG,"),
        "huge.png": (
            bomb(),
            r"is too large a picture to be opened safely: it has more than 178,956,970 pixels "
            r"\(such as 13,377 × 13,377\)\. Save it smaller, or leave it out",
        ),
    }
    for name, (content, words) in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=rf"{name} {words}"):
            open_picture(tmp_path / name)
        with pytest.raises(BadInput, match=rf"row 7 {words}"):
            open_picture(content, name="row 7")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadInput, match=r"folder\.png is a folder: give picture files"):
        open_picture(tmp_path / "folder.png")
    with pytest.raises(BadInput, match=r"there is no picture .*none\.png: check the path"):
        open_picture(tmp_path / "none.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(BadInput, match=r"loop\.png cannot be read: too many levels of symbolic"):
        open_picture(tmp_path / "loop.png")


def test_a_picture_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "secret.png")
    with (
        forbidden(path),
        pytest.raises(BadInput, match=r"secret\.png cannot be read: you lack the permission"),
    ):
        open_picture(path)


def test_a_large_picture_below_the_limit_gives_no_warning(tmp_path: Path, python: str) -> None:
    save(tmp_path / "large.png", (12, 9))
    code = (
        "from PIL import Image\n"
        "from flaxmill.data.pictures.decode import open_picture\n"
        "Image.MAX_IMAGE_PIXELS = 60\n"  # Pillow refuses twice as many
        "print(open_picture('large.png').size)\n"
    )
    command = [python, "-W", "error", "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("(12, 9)\n", "")
