"""Pictures from clients: read within limits, as little of each as can be.

A file of a few bytes may stand for any number of pixels, and of passes over them.
"""

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from jaxtyping import UInt8
from numpy import ndarray
from PIL import ImageFile, JpegImagePlugin

from flaxmill.data.pictures import bounds
from flaxmill.data.pictures.decode import header, read_pixels
from flaxmill.errors import BadInput, TooLarge
from flaxmill.tasks.kinds import Large

_AS_BASE64 = str.maketrans("-_", "+/", " \t\r\n")
"""Undoes what many encoders write: lines of 76 (RFC 2045), the alphabet for URLs (RFC 4648)."""
_USUAL_SCANS = 10  # of a JPEG that comes in passes
_SMALL_PIXELS = 1_500_000
"""Pixels that a request may bring to count as small: read in some 30 ms."""
_FAST = ("PNG", "JPEG", "MPO", "WEBP")  # formats; others may be ten times slower
_LONG = 8  # times as long as wide: may be resized to many more pixels than it has


@runtime_checkable
class Bounds(Protocol):
    """How much a request may bring; see `flaxmill.serve.limits.Limits`."""

    max_pixels: int
    max_request_pixels: int
    max_side: int
    read_bytes: int


def from_json(text: Any, name: str) -> bytes:
    """Decodes a file that came in JSON: base64, or a data: URL of it.

    Raises:
        BadInput: It is neither.
    """
    if not isinstance(text, str):
        raise BadInput(f"{name} must be a string: base64, or a data: URL.")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise BadInput(f"{name}: the data: URL must be of base64.")
    try:
        plain = text.translate(_AS_BASE64).rstrip("=")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(f"{name} is not base64.") from None


def preprocess_uploads(
    files: Sequence[tuple[str, bytes]], signature: Any, limits: Any, *, small: bool
) -> list[UInt8[ndarray, "height width channel"]]:
    """Preprocesses pictures.

    Args:
        files: Name and content of each.
        signature: Of the model.
        limits: `Bounds` of what they may take.
        small: Whether small ones are expected.

    Raises:
        BadInput: One is no picture, or is damaged; the message names it.
        TooLarge: It has too many pixels, alone or with those before it.
        Large: Small ones were expected, and these are not.
    """
    passed, weight, examples = 0.0, 0.0, []
    for name, content in files:
        with header(content, name=name) as picture:
            _check_size(picture, name, len(content), limits)
            width, height = picture.size
            passes = max(1.0, _scans(picture, content) / _USUAL_SCANS)
            passed += passes * width * height
            weight += passes * _weight(picture)
            if small and weight > _SMALL_PIXELS:
                raise Large
            if passed > limits.max_request_pixels:
                raise TooLarge(
                    f"{name}: with it, the request has {passed:,.0f} pixels to read, more than "
                    f"{limits.max_request_pixels:,}."
                )
            examples.append(
                signature.input_kind.preprocess(read_pixels(picture, name=name), signature)
            )
    return examples


def limits_message(limits: Bounds) -> str:
    """Describes how much a client may send."""
    return f"send at most {limits.max_pixels:,} pixels, and {limits.max_side:,} along either side"


def _check_size(picture: ImageFile.ImageFile, name: str, length: int, limits: Bounds) -> None:
    width, height = picture.size
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise TooLarge(f"{name}: {width:,} × {height:,} pixels are too many.")
    each = _bytes_at_once(picture)
    if each and width * height * each + 2 * length > limits.read_bytes:  # it is in the request, too
        kind = (
            f"progressive {picture.format}" if picture.info.get("progressive") else picture.format
        )
        raise TooLarge(f"{name}: {width:,} × {height:,} pixels are too many of a {kind}.")


def _bytes_at_once(picture: ImageFile.ImageFile) -> float:
    """Returns what a decoder takes for each pixel, at least, where it takes all at once.

    Where there is not so much, such a decoder says that the picture is damaged.
    """
    if isinstance(picture, JpegImagePlugin.JpegImageFile) and "progressive" in picture.info:
        areas = [across * down for _, across, down, _ in picture.layer]
        return 4 + 2 * sum(areas) / max(areas)  # coefficients of 16 bits
    return {"WEBP": 16, "AVIF": 12}.get(picture.format or "", 0)


def _scans(picture: ImageFile.ImageFile, content: bytes) -> int:
    """Returns how many passes are made over a JPEG, at most; 1 for others."""
    return content.count(bounds.START_OF_SCAN) if picture.format in ("JPEG", "MPO") else 1


def _weight(picture: ImageFile.ImageFile) -> float:
    """Returns how many pixels of a usual picture take as long as one pass over this one."""
    short, long = sorted(picture.size)
    if long > _LONG * short:
        return math.inf
    return long * long * (1 if picture.format in _FAST else 10)
