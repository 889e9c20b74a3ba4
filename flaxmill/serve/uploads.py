"""Pictures that clients send: read within limits, prepared as the model's signature says."""

import base64
import binascii
import io
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import numpy as np
from PIL import Image
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from flaxmill.data.pictures.decode import TooLarge, decoded, header
from flaxmill.data.pictures.ready import prepare
from flaxmill.errors import BadInput
from flaxmill.prediction import answer
from flaxmill.serve.json_values import mapping, parsed
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Refused
from flaxmill.signature import Signature

_NAME_LENGTH = 200
_AS_BASE64 = str.maketrans("-_", "+/", " \t\r\n")
"""What many encoders write: lines of 76 (RFC 2045), and the alphabet for URLs (RFC 4648)."""


class _InMemory(MultiPartParser):
    """Keeps files off the disk: the request's content is limited, and in memory already."""

    spool_max_size = 1 << 62

    def on_headers_finished(self) -> None:
        """Knows a file also by a name as RFC 5987 has it, which older clients write."""
        part = self._current_part
        if part.content_disposition and b"filename=" not in part.content_disposition:
            part.content_disposition = _EXTENDED.sub(_plain_name, part.content_disposition)
        super().on_headers_finished()


_EXTENDED = re.compile(rb"filename\*=utf-8'[\w-]*'([^;\s]*)", re.IGNORECASE)


def _plain_name(found: re.Match[bytes]) -> bytes:
    name = unquote_to_bytes(found[1]).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'filename="' + name + b'"'


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


async def read(request: Request, limits: Limits) -> Upload:
    """Reads a request for predictions: a form with files, or JSON.

    Raises:
        Refused: It is neither, or brings no pictures or too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    options: dict[str, Any] = dict(request.query_params)
    if kind == "multipart/form-data":
        pictures, fields = await _form(request, limits)
        options = fields | options
    elif kind == "application/json":
        pictures, fields = _json(await request.body())
        options = fields | options
    else:
        raise Refused(
            415,
            f"the content type is {kind[:80] or 'missing'!r}; expected multipart/form-data with "
            f"picture files, or application/json with 'pictures'.",
        )
    if not pictures:
        raise Refused(400, "there are no pictures in the request: send one or more.")
    if len(pictures) > limits.max_pictures:
        raise Refused(
            413, f"{len(pictures):,} pictures are too many: send at most {limits.max_pictures}."
        )
    return Upload(pictures, _top(options.get("top", 5)), _seen(options.get("seen", False)))


async def _form(request: Request, limits: Limits) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    pictures, fields = [], {}
    try:
        form = await _InMemory(
            request.headers, request.stream(), max_files=limits.max_pictures, max_fields=16
        ).parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise Refused(
                413, f"there are too many pictures: send at most {limits.max_pictures}."
            ) from None
        raise Refused(400, f"the form is damaged: {error.message}") from None
    except (KeyError, UnicodeDecodeError, ValueError) as error:
        raise Refused(400, f"the form is damaged ({type(error).__name__}).") from None
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                content = await value.read()
                if value.filename or content:  # a form's empty field is no picture
                    called = value.filename or f"picture {len(pictures)}"
                    pictures.append((called[:_NAME_LENGTH], content))
            else:
                fields[name] = value
    finally:
        await form.close()
    return pictures, fields


def _json(body: bytes) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    asked = mapping(parsed(body), "the request")
    listed = asked.get("pictures")
    if not isinstance(listed, list):
        raise Refused(
            400, "expected a JSON object with 'pictures', a list of base64 texts or data: URLs."
        )
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


def prepared(upload: Upload, signature: Signature, limits: Limits) -> np.ndarray:
    """Returns an upload's pictures as the model takes them: [picture, height, width, channel].

    Raises:
        Refused: One is no picture, is damaged, or has too many pixels; the message names it.
    """
    return np.stack([_prepared(*picture, signature, limits) for picture in upload.pictures])


def _prepared(name: str, content: bytes, signature: Signature, limits: Limits) -> np.ndarray:
    try:
        with header(content, name=name) as picture:
            width, height = picture.size
            if width * height > limits.max_pixels or max(width, height) > limits.max_side:
                raise TooLarge(f"{name}: {width:,} × {height:,} pixels are too many.")
            picture = decoded(picture, name=name)
        return prepare(picture, signature)
    except TooLarge as trouble:
        words = str(trouble).removesuffix(".")
        raise Refused(413, f"{words}; {_largest(limits)}.") from None
    except BadInput as trouble:
        raise Refused(400, str(trouble)) from None


def _largest(limits: Limits) -> str:
    return f"send at most {limits.max_pixels:,} pixels, and {limits.max_side:,} along either side"


def rows(
    upload: Upload, seen: np.ndarray, probabilities: np.ndarray, signature: Signature
) -> list[dict[str, Any]]:
    """Returns the predictions for each picture, the likeliest first.

    Args:
        upload: The request.
        seen: Its pictures as the model took them.
        probabilities: The model's, [picture, class].
        signature: Of the model.
    """
    found = []
    for (name, _), pixels, row in zip(upload.pictures, seen, probabilities, strict=True):
        said = {"picture": name, **answer(row, signature, upload.top)}
        found.append({**said, "seen": _data_url(pixels)} if upload.seen else said)
    return found


def _data_url(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
