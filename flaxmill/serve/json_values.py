"""Clients' JSON, checked as it is parsed."""

import json
from typing import Any

from flaxmill.serve.refusal import Refused


def parse(text: bytes) -> Any:
    """Parses JSON.

    Raises:
        Refused: It is no JSON, or nests too deeply.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise Refused(400, f"the request is not JSON: {reason}.") from None


def check_values(text: bytes, most: int) -> None:
    """Refuses JSON of more values than it may have, before one of them takes its memory.

    Raises:
        Refused: The message says how else to send many numbers.
    """
    if (count := text.count(b",")) >= most:
        raise Refused(
            413,
            f"the request's JSON holds some {count + 1:,} values: send at most {most:,}, or the "
            f"tensor as bytes after the JSON (the extension binary_tensor_data).",
        )


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Returns a value that must be an object, without members that are null.

    Clients whose fields are optional send them so where nothing is meant.

    Raises:
        Refused: It is something else.
    """
    if not isinstance(value, dict):
        raise Refused(400, f"{what} must be a JSON object, not {brief(value)}.")
    return {name: member for name, member in value.items() if member is not None}


def flag(options: dict[str, Any], name: str, default: bool) -> bool:
    """Returns a parameter that must be true or false.

    Raises:
        Refused: It is something else.
    """
    value = options.get(name, default)
    if not isinstance(value, bool):
        raise Refused(400, f"parameter {name!r} must be true or false, not {brief(value)}.")
    return value


def is_whole(value: Any) -> bool:
    """Returns whether a value is a whole number, of a size that counts something."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53


def brief(value: Any) -> str:
    """Returns a client's value, short enough for a message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        text = type(value).__name__
    return text if len(text) <= 80 else text[:77] + "…"
