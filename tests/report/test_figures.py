"""Sheets of pictures, and the diagrams that the report page holds."""

import base64
import functools
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flaxmill.errors import BadInput
from flaxmill.maths.statistics import binned
from flaxmill.report import figures
from flaxmill.tasks.inputs.picture import display, draw

sheet = functools.partial(figures.sheet, draw=draw)


def pictures(count: int, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 28, 28, channels), dtype=np.uint8)


def decoded(uri: str) -> np.ndarray:
    head, _, content = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def lines(*values: list[float]) -> list[figures.Line]:
    return [
        figures.Line(f"line {index}", list(range(1, len(line) + 1)), line, index, dashed=index == 1)
        for index, line in enumerate(values)
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_sheet_shows_each_picture_with_its_caption_and_colour(channels: int) -> None:
    shown = pictures(7, channels)
    captions = [f"caption {index}" for index in range(7)]
    colours = [figures.RIGHT, figures.WRONG] * 3 + [figures.RIGHT]
    drawn = sheet(shown, captions, colours, title="Drawn sketches", columns=3)
    assert drawn.get_suptitle() == "Drawn sketches"
    assert len(drawn.axes) == 9  # three rows of three, the last two empty
    for index, panel in enumerate(drawn.axes[:7]):
        pixels = np.asarray(panel.images[0].get_array())
        np.testing.assert_array_equal(pixels.reshape(28, 28, channels), shown[index])
        assert panel.get_xlabel() == captions[index]
        assert panel.xaxis.label.get_color() == colours[index]
    assert not any(panel.images or panel.axison for panel in drawn.axes[7:])


def test_grey_pictures_are_drawn_with_black_as_0_and_white_as_255() -> None:
    # A mid-grey picture must not be stretched to the full range, as imshow does unless told.
    grey = np.full((1, 4, 4, 1), 128, np.uint8)
    image = Image.open(io.BytesIO(figures.png(sheet(grey, [""], columns=1))))
    middle = image.convert("L").getpixel((image.width // 2, image.height // 2))
    assert middle == 128


def test_sheet_is_written_whole_and_the_same_each_time(tmp_path: Path) -> None:
    contents = []
    for name in ("first.png", "second.png"):
        drawn = sheet(pictures(2), ["a very long caption that would run on", "b"])
        figures.save_png(drawn, tmp_path / name)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert Image.open(io.BytesIO(contents[0])).format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.png", "second.png"]


def test_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="nothing to show: a sheet needs one example at least"):
        sheet(pictures(0), [])


def test_wrong_predictions_name_both_classes_in_the_other_colour() -> None:
    captions, colours = figures.prediction_captions(
        ["Coat", "Shirt", "Shirt"], ["Coat", "Coat", "Shirt"]
    )
    assert captions == ["Coat", "said Coat,\nis Shirt", "Shirt"]
    assert colours == [figures.RIGHT, figures.WRONG, figures.RIGHT]


def test_curves_take_colours_and_font_from_the_page_and_nothing_from_elsewhere() -> None:
    text = figures.curves(lines([0.9, 0.4, 0.3], [0.8, 0.5, 0.6]), name="loss")
    assert ElementTree.fromstring(text).tag == "svg"
    assert "var(--series-0)" in text and "var(--series-1)" in text and "var(--muted)" in text
    # No colour, font, address or style sheet of its own.
    assert not re.findall(r"#[0-9a-f]{6}\b", text)
    assert "font-family" not in text and "http" not in text and "<style" not in text
    assert text == figures.curves(lines([0.9, 0.4, 0.3], [0.8, 0.5, 0.6]), name="loss")


def test_identifiers_of_two_figures_are_apart_and_every_reference_has_its_own() -> None:
    drawn = [figures.curves(lines([1.0, 2.0]), name=name) for name in ("loss", "accuracy")]
    identifiers = [set(re.findall(r'\bid="([^"]+)"', text)) for text in drawn]
    assert identifiers[0] and not identifiers[0] & identifiers[1]
    for text, own in zip(drawn, identifiers, strict=True):
        references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
        assert references and references <= own


def test_values_that_are_not_finite_are_left_out() -> None:
    nan = float("nan")
    text = figures.curves(lines([1.0, nan, 2.0, float("inf"), 3.0]), name="loss")
    assert text.count("<use ") == figures.curves(lines([1.0, 2.0, 3.0]), name="loss").count("<use ")
    assert "nan" not in text.lower()
    assert ElementTree.fromstring(figures.curves(lines([nan]), name="loss")).tag == "svg"


@pytest.mark.parametrize("epochs", [[1], [0.1, 0.5, 1.2], [0.5, 3], [1, 2, 3, 4, 5], [10, 90]])
def test_an_axis_of_epochs_has_several_numbers_from_0_on(epochs: list[float]) -> None:
    text = figures.curves([figures.Line("loss", epochs, [0.5] * len(epochs), 0)], name="loss")
    ticks = set(re.findall(r'id="[^"]*xtick_(\d+)"', text))
    assert len(ticks) >= 3
    assert re.search(r">0(\.0+)?<", text)


def test_shares_are_written_as_percentages() -> None:
    assert ">90 %<" in figures.curves(lines([0.8, 0.9]), name="accuracy", percent=True)


def test_reliability_draws_a_bar_for_each_bin() -> None:
    rng = np.random.default_rng(0)
    bins = binned(rng.random(500), rng.random(500) < 0.5, num_bins=10)
    text = figures.reliability(bins, name="before")
    assert ElementTree.fromstring(text).tag == "svg"
    # Ten bars of accuracy in the page's first colour, ten of counts in grey.
    assert len(re.findall(r"<path[^>]*style=\"fill: var\(--series-0\)", text)) == 10
    assert len(re.findall(r"<path[^>]*style=\"fill: var\(--muted\)", text)) == 10


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_uri_holds_the_exact_pixels(channels: int) -> None:
    picture = pictures(1, channels)[0]
    np.testing.assert_array_equal(
        decoded(display.picture_uri(picture)).reshape(28, 28, -1), picture
    )


def test_a_map_lies_over_its_picture_the_brighter_the_more() -> None:
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    dark, bright = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 1), 255, np.uint8)
    lit = decoded(display.lit_uri(dark, ramp)).astype(np.int64)
    assert lit.shape == (8, 8, 3)
    assert (np.diff(lit.sum(-1).ravel()) >= 0).all()
    assert lit[0, 0].sum() == 0 and lit[-1, -1].sum() > 450  # of 765
    shown = decoded(display.lit_uri(bright, np.zeros((8, 8))))
    assert (shown == round(0.7 * 255)).all()  # nothing speaks for it: the picture alone
