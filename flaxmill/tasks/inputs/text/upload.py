"""Texts from clients: read within limits."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Int32
from numpy import ndarray

from flaxmill.errors import BadInput, TooLarge
from flaxmill.tasks.kinds import Large

MOST_LETTERS = 1_000_000
"""Letters of a request's texts: cut into tokens in some seconds."""
_SMALL_LETTERS = 20_000
"""Letters that a request may bring to count as small: cut in some 30 ms."""


def from_json(text: Any, name: str) -> bytes:
    """Returns the content of the file that a text in JSON stands for.

    Raises:
        BadInput: It is no text.
    """
    if not isinstance(text, str):
        raise BadInput(f"{name} must be a string.")
    return text.encode(errors="replace")  # half of a pair of surrogates is no letter


def preprocess_uploads(
    files: Sequence[tuple[str, bytes]], signature: Any, limits: Any, *, small: bool
) -> list[Int32[ndarray, " time"]]:
    """Preprocesses texts.

    Args:
        files: Name and content of each, in UTF-8.
        signature: Of the model.
        limits: Of the server, which has none for texts.
        small: Whether small ones are expected.

    Raises:
        BadInput: One is no text; the message names it.
        TooLarge: With it, there are too many letters.
        Large: Small ones were expected, and these are not.
    """
    letters, examples = 0, []
    for name, content in files:
        letters += len(content)  # which are no more than that
        if small and letters > _SMALL_LETTERS:
            raise Large
        if letters > MOST_LETTERS:
            raise TooLarge(f"{name}: with it, the request has {letters:,} bytes of text.")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadInput(f"{name} is no text in UTF-8.") from None
        if not text.strip():
            raise BadInput(f"{name} is empty.")
        examples.append(signature.input_kind.preprocess(text, signature))
    return examples


def limits_message(limits: Any) -> str:
    """Describes how much a client may send."""
    return f"send at most {MOST_LETTERS:,} bytes of text in a request"
