"""Requests for predictions: read within limits, preprocessed by the model's input kind."""

import base64
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flaxmill.errors import BadInput, TooLarge
from flaxmill.serve import forms
from flaxmill.serve.json_values import check_values, mapping, parse
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.signature import Signature, padded_batch

_NAME_LENGTH = 200
_MOST_FIELDS = 16  # of a form, besides its files


@dataclass(frozen=True)
class PredictionRequest:
    """A request for predictions, parsed.

    Attributes:
        files: Name and content of each file.
        top: How many classes to name.
        seen: Whether to return what the model saw.
    """

    files: list[tuple[str, bytes]]
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
    """Reads and preprocesses a request for predictions.

    Args:
        body: Its content.
        signature: Of the model.
        limits: Of the server.
        kind: The content type.
        query: Options that came with the path.
        small: Whether to give up as soon as it takes longer than small ones do.

    Returns:
        The ``names`` of the examples, ``top``, and as bytes the examples as the model takes them,
        one after the other. Where it asks for what the model saw, also a data: URL of each, and
        their lengths as ``seen``.

    Raises:
        Refused: It does not say what it should, or takes too much.
        Large: It is not small.
    """
    request = read(body, kind, query, signature, limits)
    examples = preprocess(request, signature, limits, small=small)
    urls = [_data_url(one, signature) for one in examples] if request.seen else []
    facts = {"names": [name for name, _ in request.files], "top": request.top}
    return {**facts, "seen": [*map(len, urls)]}, [examples.tobytes(), *urls]


def read(
    body: bytes, kind: str, query: Mapping[str, str], signature: Signature, limits: Limits
) -> PredictionRequest:
    """Reads a request for predictions: a form with files, or JSON.

    Raises:
        Refused: It is neither, or brings nothing or too much.
    """
    plain = kind.partition(";")[0].strip().lower()
    thing, things = signature.input_kind.THING
    if plain == "multipart/form-data":
        files, fields = _form(body, kind, thing, limits)
    elif plain == "application/json":
        files, fields = _json(body, signature, limits)
    else:
        raise Refused(
            415,
            f"the content type is {plain[:80] or 'missing'!r}; expected multipart/form-data with "
            f"{thing} files, or application/json with '{things}'.",
        )
    options: dict[str, Any] = fields | dict(query)
    if not files:
        raise Refused(400, f"there are no {things} in the request: send one or more.")
    return PredictionRequest(files, _top(options.get("top", 5)), _seen(options.get("seen", False)))


def _check_count(count: int, things: str, limits: Limits) -> None:
    if count > limits.max_pictures:
        raise Refused(413, f"{count:,} {things} are too many: send at most {limits.max_pictures}.")


def _form(
    body: bytes, kind: str, thing: str, limits: Limits
) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    files: list[tuple[str, bytes]] = []
    options: dict[str, Any] = {}
    count = 0
    for name, file, content in forms.fields(body, kind, limits.max_pictures + _MOST_FIELDS):
        if file is None:
            options[name] = forms.text(content[:_NAME_LENGTH])
            continue
        count += 1
        _check_count(count, f"{thing}s", limits)
        if file or content:  # a form's empty field is no file
            files.append(((file or f"{thing} {len(files)}")[:_NAME_LENGTH], content))
    return files, options


def _json(
    body: bytes, signature: Signature, limits: Limits
) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    kind = signature.input_kind
    thing, things = kind.THING
    check_values(body, limits.max_json_values)
    fields = mapping(parse(body), "the request")
    listed = fields.get(things)
    if not isinstance(listed, list):
        raise Refused(400, f"expected a JSON object with '{things}', {kind.IN_JSON}.")
    _check_count(len(listed), things, limits)
    try:
        names = [f"{thing} {index}" for index in range(len(listed))]
        files = [(n, kind.from_json(one, n)) for n, one in zip(names, listed, strict=True)]
    except BadInput as trouble:
        raise Refused(400, str(trouble)) from None
    return files, {name: fields[name] for name in ("top", "seen") if name in fields}


def _top(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Refused(400, "'top' must be a number of classes, 1 or more.")
    if not int(text):
        raise Refused(400, "'top' must be a number of classes, 1 or more.")
    return int(text)


def _seen(value: Any) -> bool:
    known = {"1": True, "true": True, "0": False, "false": False}
    if (seen := known.get(str(value).lower())) is None:
        raise Refused(400, "'seen' must be 1 or 0.")
    return seen


def preprocess(
    request: PredictionRequest, signature: Signature, limits: Limits, *, small: bool
) -> np.ndarray:
    """Returns the examples of a request as the model takes them, in a batch.

    Raises:
        Refused: One cannot be read, or takes too much; the message names it.
        Large: Small ones were expected, and these are not.
    """
    kind = signature.input_kind
    try:
        examples = kind.preprocess_uploads(request.files, signature, limits, small=small)
    except TooLarge as trouble:
        raise Refused(
            413, f"{str(trouble).removesuffix('.')}; {kind.limits_message(limits)}."
        ) from None
    except BadInput as trouble:
        raise Refused(400, str(trouble)) from None
    return padded_batch(examples, signature)


def _data_url(example: np.ndarray, signature: Signature) -> bytes:
    """Returns a preprocessed example as the data: URL of a file that can be looked at."""
    suffix, content = signature.input_kind.to_file(example, signature)
    kind = mimetypes.types_map[suffix].encode()
    return b"data:%b;base64,%b" % (kind, base64.b64encode(content))
