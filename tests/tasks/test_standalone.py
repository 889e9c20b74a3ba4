"""A picture that is prepared without flaxmill is what `predict` sees, to the bit."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image

from flaxmill.data.source import Arrays, Splits
from flaxmill.tasks.inputs.picture import picture_signature, preprocess, standalone
from flaxmill.tasks.signature import Signature

ROOT = Path(__file__).parents[2]
SIZES = ((31, 47), (90, 13))


def signature(channels: int, **how: Any) -> Signature:
    some = Arrays({"image": np.zeros((1, 20, 34, channels), np.uint8), "label": np.zeros(1, int)})
    return picture_signature("x", Splits("x", some, some, some, ("a", "b")), **how)


def pictures(size: tuple[int, int]) -> dict[str, bytes]:
    """Returns files of every mode, some of them turned."""
    whole, other = textured(size), textured(size, seed=1).convert("L")
    files = {mode: encoded(whole.convert(mode), "png") for mode in ("1", "L", "RGB")}
    for mode in ("LA", "RGBA"):
        clear = whole.convert(mode)
        clear.putalpha(other)
        files[mode] = encoded(clear, "png")
    files["P"] = encoded(whole.quantize(9), "png", transparency=bytes([0, 90]))
    files["L, one clear"] = encoded(other, "png", transparency=90)
    files["CMYK"] = encoded(whole.convert("CMYK"), "tiff")
    files["YCbCr"] = encoded(whole, "jpeg")
    deep = Image.fromarray(np.asarray(other).astype(np.uint16) * 16 + 7)
    files["I;16"] = encoded(deep, "png", transparency=int(np.asarray(deep)[0, 0]))
    files["I"] = encoded(deep.convert("I"), "tiff")
    for turn in (3, 6):
        exif = Image.Exif()
        exif[0x0112] = turn
        files[f"turned {turn}"] = encoded(whole, "png", exif=exif)
    files["light"] = encoded(Image.new("L", size, 250), "png")
    return files


@pytest.mark.parametrize("how", ["crop", "pad to a square", "squash"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_function_of_the_docs_makes_the_pixels_that_predict_sees(
    how: str, channels: int, tmp_path: Path
) -> None:
    ways = ({"share": 0.875}, {"white": 4095}, {"dark_ground": True, "white": 1023})
    for size in SIZES:
        for name, content in pictures(size).items():
            (tmp_path / name).write_bytes(content)
            for way in ways:
                model = signature(channels, fit=how, **way)
                seen = standalone.preprocess(tmp_path / name, dataclasses.asdict(model))
                np.testing.assert_array_equal(
                    seen, preprocess(tmp_path / name, model), err_msg=name
                )


def test_docs_print_the_function_as_it_is() -> None:
    text = inspect.getsource(standalone.preprocess).partition("\n")[2]
    assert f"def preprocess(file, signature):\n{text}" in (ROOT / "docs/export.md").read_text()
    assert len(text.splitlines()) < 40


def test_an_older_signature_means_that_white_fills_sixteen_bits() -> None:
    model = signature(1, fit="squash")
    older = {name: value for name, value in model.preprocess.items() if name != "white"}
    deep = Image.fromarray(np.full((20, 34), 0x1234, np.uint16))
    assert (preprocess(deep, dataclasses.replace(model, preprocess=older)) == 0x12).all()
