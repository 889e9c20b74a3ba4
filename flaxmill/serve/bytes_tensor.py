"""Tensors of texts or files (BYTES): strings in JSON, or bytes each after their length."""

import math
import struct
from typing import Any

from flaxmill.errors import BadInput
from flaxmill.serve.json_values import brief, is_whole
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.signature import Signature

_LENGTH = struct.Struct("<I")


def contents(
    tensor: dict[str, Any], signature: Signature, most: int, following: bytes | memoryview
) -> list[bytes]:
    """Returns what a tensor holds, one for each example.

    Args:
        tensor: The tensor, as the request's JSON has it.
        signature: Of the model.
        most: Examples in one request.
        following: What comes after the JSON.

    Raises:
        Refused: It is no such tensor.
    """
    name, shape = signature.input_kind.BYTES, tensor.get("shape")
    if not isinstance(shape, list) or not all(map(is_whole, shape)) or shape[1:] not in ([], [1]):
        raise Refused(
            400, f"input {name!r} has shape {brief(shape)}; the model takes BYTES of shape [-1]."
        )
    count = math.prod(shape)
    if count < 1:
        raise Refused(400, f"input {name!r} holds nothing: send one or more.")
    if count > most:
        raise Refused(413, f"{count:,} examples are too many: send at most {most:,} at a time.")
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None:
        if "data" in tensor:
            raise Refused(400, "the input has both 'data' and 'binary_data_size': send one.")
        if not is_whole(size) or size != len(following):
            raise Refused(
                400,
                f"'binary_data_size' is {brief(size)}, and {len(following):,} bytes follow the "
                f"JSON.",
            )
        return _split_strings(bytes(following), count, name)
    if len(following):
        raise Refused(
            400,
            f"{len(following):,} bytes follow the JSON, but the input {name!r} has no parameter "
            f"'binary_data_size'.",
        )
    return _strings(tensor.get("data"), count, signature)


def _strings(data: Any, count: int, signature: Signature) -> list[bytes]:
    """Returns what strings in JSON stand for, which may each be in a list of its own."""
    kind, values = signature.input_kind, data
    if isinstance(values, list) and all(isinstance(one, list) for one in values):
        values = [one for some in values for one in some]
    if not isinstance(values, list) or len(values) != count:
        raise Refused(400, f"'data' of input {kind.BYTES!r} must be {count:,} strings.")
    try:
        return [kind.from_json(one, f"{kind.THING[0]} {i}") for i, one in enumerate(values)]
    except BadInput as trouble:
        raise Refused(400, str(trouble)) from None


def _split_strings(content: bytes, count: int, name: str) -> list[bytes]:
    """Takes apart what comes each after its length, of four bytes."""
    strings, at = [], 0
    while at + _LENGTH.size <= len(content) and len(strings) < count:
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        strings.append(content[at : at + length])
        if len(strings[-1]) < length:
            break
        at += length
    if len(strings) != count or at != len(content):
        raise Refused(
            400,
            f"the bytes of input {name!r} must be {count:,} strings, each after its length of four "
            f"bytes, and nothing else.",
        )
    return strings
