"""Pictures that clients send: read within limits, prepared as the model's signature says."""

import base64
import binascii
import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin

from flaxmill.data.pictures import bounds
from flaxmill.data.pictures.decode import TooLarge, decoded, header
from flaxmill.errors import BadInput
from flaxmill.serve import forms
from flaxmill.serve.json_values import check_values, mapping, parsed
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.inputs.picture import prepare
from flaxmill.tasks.signature import Signature

_NAME_LENGTH = 200
_AS_BASE64 = str.maketrans("-_", "+/", " \t\r\n")
"""What many encoders write: lines of 76 (RFC 2045), and the alphabet for URLs (RFC 4648)."""
_MOST_FIELDS = 16  # of a form, besides its files
_USUAL_SCANS = 10  # of a JPEG that comes in passes
_SMALL_PIXELS = 1_500_000
"""Pixels that a request may bring to count as small: read in some 30 ms."""
_FAST = ("PNG", "JPEG", "MPO", "WEBP")  # formats; others may be ten times slower
_LONG = 8  # times as long as wide: may be resized to many more pixels than it has


class Large(BaseException):
    """A request takes longer to read than small ones; no decoder may take it for its own error."""


@dataclass(frozen=True)
class Upload:
    """What a request for predictions brings.

    Attributes:
        pictures: Name and content of each picture file.
        top: How many classes to name.
        seen: Whether to show what the model saw.
    """

    pictures: list[tuple[str, bytes]]
    top: int
    seen: bool


def reply(
    body: bytes,
    signature: Signature,
    limits: Limits,
    *,
    kind: str,
    query: Mapping[str, str],
    small: bool,
) -> tuple[dict[str, Any], list[bytes]]:
    """Returns what is made of a request for predictions.

    Args:
        body: Its content.
        signature: Of the model.
        limits: Of the server.
        kind: The content type.
        query: Options that came with the path.
        small: Whether to give up as soon as it takes longer than small ones do.

    Returns:
        The ``names`` of the pictures, ``top``, and as bytes the pictures as the model takes them,
        one after the other. Where what was seen is to be shown, also a data: URL of each, and the
        lengths of these as ``seen``.

    Raises:
        Refused: It does not say what it should, or takes too much.
        Large: It is not small.
    """
    upload = read(body, kind, query, limits)
    pictures = prepared(upload, signature, limits, small=small)
    urls = [_data_url(pixels) for pixels in pictures] if upload.seen else []
    facts = {"names": [name for name, _ in upload.pictures], "top": upload.top}
    return {**facts, "seen": [*map(len, urls)]}, [pictures.tobytes(), *urls]


def read(body: bytes, kind: str, query: Mapping[str, str], limits: Limits) -> Upload:
    """Reads a request for predictions: a form with files, or JSON.

    Raises:
        Refused: It is neither, or brings no pictures or too many.
    """
    plain = kind.partition(";")[0].strip().lower()
    if plain == "multipart/form-data":
        pictures, fields = _form(body, kind, limits)
    elif plain == "application/json":
        pictures, fields = _json(body, limits)
    else:
        raise Refused(
            415,
            f"the content type is {plain[:80] or 'missing'!r}; expected multipart/form-data with "
            f"picture files, or application/json with 'pictures'.",
        )
    options: dict[str, Any] = fields | dict(query)
    if not pictures:
        raise Refused(400, "there are no pictures in the request: send one or more.")
    return Upload(pictures, _top(options.get("top", 5)), _seen(options.get("seen", False)))


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.max_pictures:
        raise Refused(413, f"{count:,} pictures are too many: send at most {limits.max_pictures}.")


def _form(body: bytes, kind: str, limits: Limits) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    pictures: list[tuple[str, bytes]] = []
    options: dict[str, Any] = {}
    files = 0
    for name, file, content in forms.fields(body, kind, limits.max_pictures + _MOST_FIELDS):
        if file is None:
            options[name] = forms.text(content[:_NAME_LENGTH])
            continue
        files += 1
        _check_count(files, limits)
        if file or content:  # a form's empty field is no picture
            pictures.append(((file or f"picture {len(pictures)}")[:_NAME_LENGTH], content))
    return pictures, options


def _json(body: bytes, limits: Limits) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    check_values(body, limits.max_json_values)
    asked = mapping(parsed(body), "the request")
    listed = asked.get("pictures")
    if not isinstance(listed, list):
        raise Refused(
            400, "expected a JSON object with 'pictures', a list of base64 texts or data: URLs."
        )
    _check_count(len(listed), limits)
    pictures = [(f"picture {i}", _decoded(text, i)) for i, text in enumerate(listed)]
    return pictures, {name: asked[name] for name in ("top", "seen") if name in asked}


def _decoded(text: Any, index: int) -> bytes:
    if not isinstance(text, str):
        raise Refused(400, f"picture {index} must be a string: base64, or a data: URL.")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise Refused(400, f"picture {index}: the data: URL must be of base64.")
    try:
        plain = text.translate(_AS_BASE64)
        return base64.b64decode(
            plain.rstrip("=") + "=" * (-len(plain.rstrip("=")) % 4), validate=True
        )
    except (binascii.Error, ValueError):
        raise Refused(400, f"picture {index} is not base64.") from None


def _top(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Refused(400, "'top' must be a number of classes, 1 or more.")
    if not int(text):
        raise Refused(400, "'top' must be a number of classes, 1 or more.")
    return int(text)


def _seen(value: Any) -> bool:
    known = {"1": True, "true": True, "0": False, "false": False}
    if (found := known.get(str(value).lower())) is None:
        raise Refused(400, "'seen' must be 1 or 0.")
    return found


def prepared(upload: Upload, signature: Signature, limits: Limits, *, small: bool) -> np.ndarray:
    """Returns an upload's pictures as the model takes them: [picture, height, width, channel].

    Raises:
        Refused: One is no picture, is damaged, or has too many pixels; the message names it.
        Large: Small ones were expected, and these are not.
    """
    passed, weight, ready = 0.0, 0.0, []
    for name, content in upload.pictures:
        with _refusing(name, limits), header(content, name=name) as picture:
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
            ready.append(prepare(decoded(picture, name=name), signature))
    return np.stack(ready)


@contextlib.contextmanager
def _refusing(name: str, limits: Limits) -> Iterator[None]:
    """Tells a client what is wrong with a picture."""
    try:
        yield
    except TooLarge as trouble:
        raise Refused(413, f"{str(trouble).removesuffix('.')}; {_largest(limits)}.") from None
    except BadInput as trouble:
        raise Refused(400, str(trouble)) from None


def _check_size(picture: ImageFile.ImageFile, name: str, length: int, limits: Limits) -> None:
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


def _largest(limits: Limits) -> str:
    return f"send at most {limits.max_pixels:,} pixels, and {limits.max_side:,} along either side"


def _data_url(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return b"data:image/png;base64," + base64.b64encode(file.getvalue())
