"""The browser makes of a picture what Python makes of it."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from visiting import Visit

from flaxmill.tasks.inputs.picture import preprocess
from flaxmill.tasks.signature import Signature, Tensor

DARK = {"background": "dark: pictures with a light border are inverted"}


def signature(height: int, width: int, channels: int, preprocess: dict[str, Any]) -> Signature:
    shape = (-1, height, width, channels)
    return Signature(
        "any", "picture", "one_class", (Tensor("image", "uint8", shape),), (), ("a",), preprocess
    )


PHOTOGRAPHS: tuple[dict[str, Any], ...] = (
    {"fit": "crop"},
    {"fit": "crop", "share": 0.875},
    {"fit": "squash"},
)


def described(asked: Signature) -> dict[str, Any]:
    """Returns what the page reads of a signature."""
    return {"inputs": [{"shape": asked.inputs[0].shape}], "preprocess": dict(asked.preprocess)}


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


PREPARE = """
const [cases] = arguments;
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
return import("./page/inputs/picture/prepare.js").then(({ prepare }) =>
  cases.map(([width, height, rgba, signature]) =>
    btoa(String.fromCharCode(...prepare({ width, height, data: bytes(rgba) }, signature)))));
"""

DECODE = """
const [cases, signature] = arguments;
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const files = ["prepare.js", "pixels.js"].map((name) => import(`./page/inputs/picture/${name}`));
return Promise.all(files).then(
  ([{ prepare }, { decoded }]) => Promise.all(cases.map(async ([type, content]) =>
    btoa(String.fromCharCode(
      ...prepare(await decoded(new Blob([bytes(content)], { type })), signature))))));
"""


def numbers(answer: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer), np.uint8).astype(int)


def test_the_same_pixels_become_the_same_bytes(served_page: Visit) -> None:
    random = np.random.default_rng(0)
    cases, expected = [], []
    for i in range(240):
        height, width = random.integers(1, 90, 2)
        rgba = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
        if i % 3 == 0:
            rgba[..., 3] = 255
        if i % 4 == 0:
            rgba[..., :3] = rgba[..., :3] // 4 + 190  # a light border, to be inverted
        if i % 5 == 0:
            rgba[..., 1] = rgba[..., 2] = rgba[..., 0]
        size = (28, 28) if i % 2 else (32, 20)
        how = PHOTOGRAPHS[i % 3] if i % 4 > 1 else DARK if i % 8 < 6 else {}
        asked = signature(*size, 3 if i % 7 < 3 else 1, how)
        cases.append([int(width), int(height), text(rgba.tobytes()), described(asked)])
        expected.append(preprocess(Image.fromarray(rgba), asked).reshape(-1))
    answers = served_page.js(PREPARE, cases)
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(numbers(answer), wanted)


def drawn(waves: bool) -> Image.Image:
    """Returns a picture with transparency: smooth waves, or noise."""
    if not waves:
        noise = np.random.default_rng(1).integers(0, 256, (61, 97, 4))
        return Image.fromarray(noise.astype(np.uint8))
    row, column = np.mgrid[:61, :97]
    parts = [127 + 100 * np.sin(column / 9 + i) * np.cos(row / 13 - i) for i in range(4)]
    return Image.fromarray(np.stack(parts, -1).astype(np.uint8))


def deep(grey: Image.Image) -> Image.Image:
    """Returns a grey picture in 16 bits, whose lower ones are not zero."""
    return Image.fromarray(np.asarray(grey).astype(np.uint16) * 251 + 77)


def turned(how: int) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = how
    return {"exif": exif}


def picture_files(waves: bool) -> dict[str, bytes]:
    """Returns files of every format and mode that a person may have."""
    rgba = drawn(waves)
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    palette = rgb.convert("P")
    first = int(np.asarray(palette)[3, 3])
    moving = {"save_all": True, "append_images": [rgb.rotate(180)], "duration": 100}
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        **{f"png {mode}": (rgb.convert(mode), "PNG", {}) for mode in ("L", "RGB", "P", "1")},
        "png RGBA": (rgba, "PNG", {}),
        "png LA": (rgba.convert("LA"), "PNG", {}),
        "png 16 bits": (deep(grey), "PNG", {}),
        "png P transparent": (palette, "PNG", {"transparency": first}),
        "png turned": (rgb, "PNG", turned(6)),
        "png moving": (rgb, "PNG", moving),
        "jpeg L": (grey, "JPEG", {}),
        "jpeg RGB": (rgb, "JPEG", {"quality": 90}),
        "jpeg progressive": (rgb, "JPEG", {"progressive": True}),
        "jpeg CMYK": (rgb.convert("CMYK"), "JPEG", {}),
        **{f"jpeg turned {how}": (rgb, "JPEG", turned(how)) for how in range(1, 9)},
        "webp": (rgb, "WEBP", {}),
        "webp RGBA": (rgba, "WEBP", {"lossless": True, "exact": True}),
        "bmp": (rgb, "BMP", {}),
        "bmp P": (palette, "BMP", {}),
        "gif": (palette, "GIF", {}),
        "gif transparent": (palette, "GIF", {"transparency": first}),
        "gif moving": (palette, "GIF", moving),
    }
    files = {}
    for name, (picture, kind, options) in kinds.items():
        content = io.BytesIO()
        picture.save(content, kind, **options)
        files[name] = content.getvalue()
    return files


# The browser's decoders and Pillow's are different programs. Those of Chromium 150 gave the same
# pixels for every file here; another version may round a JPEG's colours the other way, and a
# canvas keeps colours multiplied by alpha: both move a prepared pixel by at most this much.
BOUND = 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("waves", [True, False])
def test_files_become_the_same_within_a_grey_level(
    served_page: Visit, channels: int, waves: bool
) -> None:
    asked = signature(28, 28, channels, DARK)
    files = picture_files(waves)
    cases = [[f"image/{name.split()[0]}", text(content)] for name, content in files.items()]
    answers = served_page.js(DECODE, cases, described(asked))
    for (name, content), answer in zip(files.items(), answers, strict=True):
        with Image.open(io.BytesIO(content)) as picture:
            wanted = preprocess(picture, asked).reshape(-1).astype(int)
        assert np.abs(numbers(answer) - wanted).max() <= BOUND, name
