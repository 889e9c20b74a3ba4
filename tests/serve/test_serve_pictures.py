"""How many pixels of how many pictures a server reads, and in how much memory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image
from serving import FORM, form, with_intake

from flaxmill.data.pictures.decode import open_picture
from flaxmill.serve import uploads
from flaxmill.serve.intake import Intake
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.inputs.picture import preprocess
from flaxmill.tasks.signature import Signature


@pytest.fixture(scope="module")
def signature(shipped: Path) -> Signature:
    return Signature.load(shipped / "signature.json")


@pytest.fixture(scope="module")
def colours(signature: Signature) -> Signature:
    """Of a model that takes pictures in colour."""
    image = replace(signature.inputs[0], shape=(-1, 32, 32, 3))
    return replace(signature, inputs=(image,), preprocess={"fit": "crop"})


def progressive(side: int, scans: int) -> bytes:
    """Returns a JPEG that comes in many passes."""
    content = encoded(Image.new("L", (side, side)), progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (scans - content.count(b"\xff\xda")) + content[-2:]


def test_pixels_of_a_request_are_limited_and_count_once_for_each_ten_scans(
    signature: Signature,
) -> None:
    def received(limits: Limits, *contents: bytes) -> np.ndarray:
        upload = uploads.PredictionRequest([(f"{i}", c) for i, c in enumerate(contents)], 1, False)
        return uploads.preprocess(upload, signature, limits, small=False)

    blank = encoded(Image.new("L", (100, 100)), "PNG")
    assert len(received(Limits(max_request_pixels=30_000), *[blank] * 3)) == 3
    with pytest.raises(Refused, match="3: with it, the request has 40,000 pixels to read, more"):
        received(Limits(max_request_pixels=30_000), *[blank] * 4)
    assert len(received(Limits(max_request_pixels=100_000), progressive(100, 100))) == 1
    with pytest.raises(Refused, match="0: with it, the request has 100,000 pixels to read, more"):
        received(Limits(max_request_pixels=99_999), progressive(100, 100))


def turned(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Returns the file of a picture that was taken with the camera on its side."""
    exif = Image.Exif()
    exif[0x112] = 6
    return encoded(picture, kind, exif=exif, **options)


def usual(mode: str) -> Image.Image:
    """Returns a picture as large as today's cameras take them."""
    return textured((5712, 4284)).convert(mode)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: turned(usual("RGB"), "jpeg"), id="turned"),
        pytest.param(lambda: turned(usual("CMYK"), "jpeg", quality=50), id="CMYK, turned"),
        pytest.param(
            lambda: turned(usual("RGB"), "jpeg", progressive=True), id="in passes, turned"
        ),
        pytest.param(lambda: encoded(usual("LA"), "png", compress_level=1), id="transparent"),
        pytest.param(lambda: encoded(usual("L").convert("P"), "png"), id="palette"),
    ],
)
def test_a_camera_s_picture_is_there_once_and_no_second_time(
    colours: Signature, content: Callable[[], bytes]
) -> None:
    """Turned, converted or put on white, whole, it would fill what a request may take."""
    file = content()

    async def body(intake: Intake) -> None:
        reply = await intake.parse_upload(colours, FORM, {}, form(file))
        expected = preprocess(open_picture(file), colours)
        np.testing.assert_array_equal(np.frombuffer(reply.content, np.uint8), expected.ravel())

    with_intake(Limits(), body)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            lambda: (
                encoded(Image.new("RGBA", (4200, 4200), (1, 2, 3, 4)), "WEBP", lossless=True)
                + bytes(70_000)
            ),
            "a.png: 4,200 × 4,200 pixels are too many of a WEBP",
        ),
        (
            lambda: (
                encoded(Image.new("RGB", (3000, 3000)), "WEBP", lossless=True) + bytes(22_000_000)
            ),
            "a.png: 3,000 × 3,000 pixels are too many of a WEBP",  # with its file
        ),
        (
            lambda: encoded(Image.new("RGB", (4990, 4990)), progressive=True, subsampling=0),
            "a.png: 4,990 × 4,990 pixels are too many of a progressive JPEG",
        ),
        (
            lambda: (
                encoded(Image.new("RGB", (4990, 4990)), "TIFF", compression="tiff_deflate")
                + bytes(60_000_000)
            ),
            "takes more memory than there is",
        ),
    ],
)
def test_a_picture_takes_no_more_memory_than_a_request_may(
    colours: Signature, content: Callable[[], bytes], words: str
) -> None:
    async def body(intake: Intake) -> None:
        with pytest.raises(Refused, match=words) as caught:
            await intake.parse_upload(colours, FORM, {}, form(content()))
        assert caught.value.status == 413

    with_intake(Limits(), body)
