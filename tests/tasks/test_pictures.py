"""A person's own pictures become what the model takes."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forbidding import forbidden
from PIL import Image

from flaxmill.data.pictures.decode import open_picture
from flaxmill.data.pictures.fit import fit
from flaxmill.errors import BadInput
from flaxmill.tasks.inputs.picture import find, preprocess
from flaxmill.tasks.signature import Signature, Tensor

GREY = Signature(
    name="clothes",
    takes="picture",
    gives="one_class",
    inputs=(Tensor("image", "uint8", (-1, 28, 28, 1)),),
    outputs=(Tensor("logits", "float32", (-1, 10)),),
    labels=("a", "b"),
    preprocess={"mode": "L", "background": "dark: pictures with a light border are inverted"},
)


def shoe() -> np.ndarray:
    """A light block on a dark ground."""
    picture = np.zeros((28, 28), np.uint8)
    picture[10:20, 5:25] = 200
    return picture


def test_a_picture_of_the_right_size_comes_through_unchanged(tmp_path: Path) -> None:
    Image.fromarray(shoe()).save(tmp_path / "shoe.png")
    np.testing.assert_array_equal(preprocess(tmp_path / "shoe.png", GREY)[..., 0], shoe())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P", "I;16", "1"])
def test_every_mode_becomes_grey(mode: str) -> None:
    picture = Image.fromarray(shoe())
    if mode == "I;16":
        picture = Image.fromarray(shoe().astype(np.uint16) << 8)
    elif mode == "CMYK":
        picture = picture.convert("RGB").convert("CMYK")
    else:
        picture = picture.convert(mode)
    seen = preprocess(picture, GREY)
    assert seen.shape == (28, 28, 1)
    bright = seen[10:20, 5:25].mean()
    assert bright > 150  # dithering of two colours leaves 200 of 255 as a mean
    assert seen[:8].mean() < 10


def test_a_dark_thing_on_white_is_inverted() -> None:
    seen = preprocess(Image.fromarray(255 - shoe()), GREY)
    np.testing.assert_array_equal(seen[..., 0], shoe())


def test_transparency_is_white_ground() -> None:
    layers = np.zeros((28, 28, 4), np.uint8)
    layers[10:20, 5:25] = (40, 40, 40, 255)  # a dark garment, cut out
    seen = preprocess(Image.fromarray(layers), GREY)
    assert seen[0, 0, 0] == 0
    assert seen[15, 15, 0] == 255 - 40


def test_transparency_of_sixteen_bits_is_white_ground() -> None:
    deep = shoe().astype(np.uint16) << 8  # the ground's value, 0, means transparent
    content = io.BytesIO()
    Image.fromarray(deep).save(content, "png", transparency=0)
    with Image.open(content) as picture:
        seen = preprocess(picture, GREY)
    np.testing.assert_array_equal(seen[..., 0], np.where(shoe() > 0, 255 - shoe(), 0))


def test_a_tall_picture_is_padded_not_squeezed() -> None:
    tall = np.zeros((280, 140), np.uint8)
    tall[100:180, 30:110] = 255
    seen = preprocess(Image.fromarray(tall), GREY)[..., 0]
    rows, columns = np.nonzero(seen > 127)
    assert np.ptp(rows) == np.ptp(columns)
    assert not seen[:, :7].any()


@pytest.mark.parametrize("size", [(300, 700), (700, 300), (28, 28), (5, 600), (256, 257)])
@pytest.mark.parametrize("channels", [1, 3])
def test_padding_some_rows_at_a_time_is_padding_at_once(
    size: tuple[int, int], channels: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 128, (*size, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    grounds = np.asarray(picture).reshape(*size, channels)
    border = np.concatenate([grounds[0], grounds[-1], grounds[:, 0], grounds[:, -1]])
    square = np.empty((max(size), max(size), channels), np.uint8)
    square[:] = np.median(border, axis=0).astype(np.uint8)
    top, left = ((max(size) - length) // 2 for length in size)
    square[top : top + size[0], left : left + size[1]] = grounds
    expected = Image.fromarray(square[..., 0] if channels == 1 else square)
    expected = np.asarray(expected.resize((20, 28), Image.Resampling.BILINEAR))
    taken = Tensor("image", "uint8", (-1, 28, 20, channels))
    seen = preprocess(picture, dataclasses.replace(GREY, inputs=(taken,)))
    np.testing.assert_array_equal(seen, expected.reshape(28, 20, channels))


def test_a_panorama_needs_no_square_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    panorama = Image.new("L", (60_000, 1_000))  # its square would take 3.6 GB
    made: list[int] = []
    new = Image.new

    def noted(mode: str, size: tuple[int, int], *more: Any) -> Image.Image:
        made.append(size[0] * size[1])
        return new(mode, size, *more)

    monkeypatch.setattr(Image, "new", noted)
    assert not preprocess(panorama, GREY).any()
    assert 0 < max(made) < 60_000 * 1_000


@pytest.mark.parametrize("shape", [(1, 30_000), (30_000, 1)])
def test_of_a_thin_picture_no_more_is_resized_than_is_cut_out(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    thin = Image.fromarray((np.arange(30_000) * 255 // 30_000).astype(np.uint8).reshape(shape))
    made: list[int] = []
    resize = Image.Image.resize

    def noted(picture: Image.Image, size: tuple[int, int], *more: Any, **how: Any) -> Image.Image:
        made.append(size[0] * size[1])  # resized as a whole, it would take 2 GB
        return resize(picture, size, *more, **how)

    monkeypatch.setattr(Image.Image, "resize", noted)
    seen = fit(thin, (224, 224), "crop", share=0.875)
    assert seen.shape == (224, 224, 1)
    assert abs(int(seen[112, 112, 0]) - 127) <= 1
    assert max(made) <= 224 * 224


def test_what_is_cut_of_a_thin_picture_is_what_the_whole_would_have_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noise = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 300, 3)).astype(np.uint8)
    )
    whole = fit(noise, (64, 64), "crop", share=0.875)
    monkeypatch.setattr("flaxmill.data.pictures.fit._MOST", 0)
    part = fit(noise, (64, 64), "crop", share=0.875)
    np.testing.assert_allclose(part[2:-2, 2:-2].astype(int), whole[2:-2, 2:-2].astype(int), atol=8)


@pytest.mark.parametrize(("channels", "size"), [(1, (28, 28)), (3, (20, 9)), (3, (7, 64))])
def test_the_padding_of_a_thin_picture_is_what_it_would_be(
    channels: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for width, height in ((1, 30), (3, 700), (20, 521), (21, 1200)):
        noise = np.random.default_rng(height).integers(0, 256, (height, width, channels))
        thin = Image.fromarray(
            noise.astype(np.uint8).squeeze(2) if channels == 1 else noise.astype(np.uint8)
        )
        seen = fit(thin, size, "pad")
        with monkeypatch.context() as patch:
            patch.setattr("flaxmill.data.pictures.fit._THIN", height)
            np.testing.assert_array_equal(seen, fit(thin, size, "pad"))


def test_exif_rotation_is_followed(tmp_path: Path) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[:5] = 255
    picture[:5, 14:] = 0
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    Image.fromarray(picture).save(tmp_path / "turned.png", exif=exif)
    seen = preprocess(tmp_path / "turned.png", GREY)[..., 0]
    np.testing.assert_array_equal(seen, picture[::-1, ::-1])


def test_arrays_go_in_as_they_are_or_are_refused() -> None:
    np.testing.assert_array_equal(preprocess(shoe(), GREY)[..., 0], shoe())
    assert preprocess(np.zeros((3, 4), np.uint8), GREY).shape == (28, 28, 1)  # as a picture of that
    with pytest.raises(BadInput, match=r"1, 3 or 4 channels .* not an array of shape \(3, 4, 5\)"):
        preprocess(np.zeros((3, 4, 5), np.uint8), GREY)
    with pytest.raises(BadInput, match="float64"):
        preprocess(np.zeros((28, 28)), GREY)


def test_what_is_no_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(BadInput, match=r"text\.png is no picture that can be read: expected PNG"):
        preprocess(tmp_path / "text.png", GREY)
    with pytest.raises(BadInput, match=r"there is no picture .*none\.png"):
        preprocess(tmp_path / "none.png", GREY)
    with pytest.raises(BadInput, match="is a folder"):
        preprocess(tmp_path, GREY)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"words")))
    with pytest.raises(BadInput, match="- is no picture"):
        open_picture("-")


def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    Image.fromarray(shoe()).save(tmp_path / "shoe.png")
    with (
        forbidden(tmp_path / "shoe.png"),
        pytest.raises(BadInput, match=r"shoe\.png cannot be read: you lack the permission"),
    ):
        open_picture(str(tmp_path / "shoe.png"))


def test_a_picture_that_would_fill_the_memory_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(shoe()).save(tmp_path / "shoe.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 28 * 28 // 2 - 1)  # Pillow refuses twice as many
    with pytest.raises(BadInput, match=r"shoe\.png is too large a picture to be opened safely"):
        open_picture(str(tmp_path / "shoe.png"))


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(
        content, "png"
    )
    (tmp_path / "cut.png").write_bytes(content.getvalue()[:1000])
    with pytest.raises(BadInput, match=r"cut\.png is a damaged picture"):
        preprocess(tmp_path / "cut.png", GREY)


def test_a_folder_means_the_pictures_in_it(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    expected = [str(tmp_path / "a.jpg"), str(tmp_path / "b.PNG")]
    assert find([str(tmp_path)]) == expected
    assert find([expected[1], str(tmp_path), "-"]) == [expected[1], expected[0], "-"]
    assert find([str(tmp_path / "*.jpg")]) == expected[:1]
    with pytest.raises(BadInput, match=r"the folder .*folder\.png holds no pictures \(\.png, "):
        find([str(tmp_path / "folder.png")])
    with pytest.raises(BadInput, match=r"no file matches .*\*\.bmp: check the pattern"):
        find([str(tmp_path / "*.bmp")])
    with pytest.raises(BadInput, match="one of the names is empty"):
        find([""])
