"""Picture files of every kind, and those that are none."""

import ast
import inspect
import itertools
import zlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image, PngImagePlugin

import flaxmill
from flaxmill.data.pictures.decode import FORMATS, READ, extent, header, open_picture
from flaxmill.data.pictures.fit import fit
from flaxmill.data.pictures.plain import plain
from flaxmill.errors import BadInput
from flaxmill.tasks.inputs.picture import standalone


def pixels(file: Path | bytes, channels: int = 3) -> np.ndarray:
    return np.asarray(plain(open_picture(file), channels)).astype(int)


def test_a_jpeg_is_decoded_no_smaller_than_asked_for() -> None:
    """Every reduction that libjpeg has, and both ways of lying."""
    factors = set()
    for width, height, least in itertools.product((97, 640, 801), (64, 333, 640), (32, 64, 80)):
        content = encoded(textured((width, height)))
        drafted = open_picture(content, least=least)
        assert min(drafted.size) >= min(least, width, height)
        factor = round(width / drafted.width)
        assert drafted.size == (-(-width // factor), -(-height // factor))
        further = min(width, height) // (2 * factor)  # the next reduction would be too small
        assert factor == 8 or further < least
        factors.add(factor)
    assert factors == {1, 2, 4, 8}


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
    del draft.info[(-1, -1)]
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
        values = pixels(encoded(picture, kind), channels).reshape(16, 16, channels)
        assert np.abs(values[:, :8] - dark).max() <= 2  # JPEG loses a little
        assert np.abs(values[:, 8:] - 255).max() <= 2


def test_transparency_lies_on_white_and_sixteen_bits_keep_the_upper_ones() -> None:
    for mode, clear in (("LA", (0, 0)), ("RGBA", (9, 9, 9, 0)), ("RGBA", (0, 0, 0, 127))):
        values = pixels(encoded(Image.new(mode, (4, 4), clear), "png"))
        assert (values == 255 - clear[-1]).all()
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


def test_only_the_formats_that_are_named_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may start a program: PostScript is for Ghostscript."""
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("started"))
    words = f"figure is no picture that can be read: expected {READ}"
    for kind in ("EPS", "ICO", "PCX", "TGA", "JPEG2000"):
        with pytest.raises(BadInput, match=words):
            open_picture(encoded(textured((16, 12)), kind), name="figure")
    for kind in FORMATS:
        content = encoded(textured((16, 12)), kind)
        assert open_picture(content).size == (16, 12)
    assert {word.upper() for word in READ.replace(" or", ",").split(", ")} == set(FORMATS)
    frames = encoded(textured((16, 12)), "MPO", save_all=True, append_images=[textured((16, 12))])
    assert open_picture(frames).size == (16, 12)  # JPEGs in one file, as some cameras write them


def test_every_place_that_opens_pictures_names_the_formats() -> None:
    calls = []
    for file in sorted(Path(flaxmill.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open"):
                named = {word.arg: ast.unparse(word.value) for word in node.keywords}
                calls.append((file.name, named.get("formats")))
            imported = node.names if isinstance(node, ast.ImportFrom) else []
            assert "open" not in [name.name for name in imported], file
    assert ("decode.py", "FORMATS") in calls
    assert set(calls) == {("decode.py", "FORMATS"), ("standalone.py", "known")}
    listed = inspect.getsource(standalone.preprocess).partition("known = ")[2].partition("  #")[0]
    assert ast.literal_eval(listed) == FORMATS


def test_an_avif_with_a_byte_changed_is_read_or_named() -> None:
    content = encoded(textured((16, 12)), "avif")
    refused = 0
    for place in range(0, len(content), 3):
        damaged = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        try:
            pixels(damaged)
        except BadInput as error:
            assert str(error).startswith("the picture is ")
            refused += 1
    assert refused > len(content) / 3 / 4


@pytest.mark.parametrize("packed", [True, False])
def test_text_and_profiles_of_a_png_may_have_any_size(
    packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow reads 1 MB of one, and 64 MB, here 3, in all."""
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_MEMORY", 3 << 20)
    picture = textured((16, 12))
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "ant " * 2**19, zip=packed)  # 2 MB
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>', zip=packed)
    info.add_text("more", "bee " * 2**19)
    profile = b"icc" * 2**20
    content = encoded(picture, "png", pnginfo=info, icc_profile=profile)
    upright = np.rot90(np.asarray(picture), -1)
    np.testing.assert_array_equal(pixels(content), upright)
    with header(content) as opened:
        assert opened.size == (16, 12)
    text = b"zTXtlate\0\0" + zlib.compress(bytes(2**22))  # behind the pixels
    late = encoded(picture, "png")
    chunk = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    np.testing.assert_array_equal(pixels(late[:-12] + chunk + late[-12:]), np.asarray(picture))


def test_text_of_a_png_is_taken_for_nothing_else() -> None:
    info = PngImagePlugin.PngInfo()
    for name in ("extent", "transparency", "exif", "Raw profile type exif"):
        info.add_text(name, "words")
    picture = textured((16, 12))
    reread = open_picture(encoded(picture, "png", pnginfo=info))
    assert extent(reread) == (0, 0, 16, 12)
    np.testing.assert_array_equal(plain(reread, 3), picture)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("how", ["crop", "pad", "squash"])
def test_a_grey_picture_that_stays_grey_has_the_same_pixels(mode: str, how: str) -> None:
    picture = textured((37, 61))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200)
    elif mode == "P":
        picture = picture.quantize(8)
    else:
        picture = picture.convert(mode)
        if mode in ("LA", "RGBA"):
            picture.putalpha(textured((37, 61), seed=1).convert("L"))
    lean, whole = plain(picture, 3, lean=True), plain(picture, 3)
    assert (lean.mode, whole.mode) == ("RGB" if mode in ("P", "RGB", "RGBA") else "L", "RGB")
    np.testing.assert_array_equal(
        fit(lean, (20, 20), how, share=0.9, channels=3), fit(whole, (20, 20), how, share=0.9)
    )
