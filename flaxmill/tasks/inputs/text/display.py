"""Texts as people see them: put together from tokens, in a page of HTML, and on a sheet."""

import html
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from flaxmill.data.text.tokens import PADDING, UNKNOWN, byte_characters

_UNKNOWN = "\N{WHITE SQUARE}"  # stands where a token is in no vocabulary
_FOR = "color-mix(in srgb, #0f8290 {:.0f}%, transparent)"  # readable on white and on black
_AGAINST = "color-mix(in srgb, #c8501e {:.0f}%, transparent)"
_LETTERS = 110  # of a line on a sheet
_LINES = 3  # on a sheet


def pieces(tokens: Int[np.ndarray, " time"], description: Mapping[str, Any]) -> list[str]:
    """Returns the piece of text that each token stands for: joined, they are the text.

    Args:
        tokens: Numbers, which padding may follow.
        description: Of the tokens; see `flaxmill.data.text.tokens`.
    """
    vocabulary, kind = description["vocabulary"], description["kind"]
    texts = [
        _UNKNOWN if number == UNKNOWN else vocabulary[number]
        for number in np.asarray(tokens).tolist()
        if number != PADDING
    ]
    if kind == "bpe":
        return _of_bytes(texts)
    if kind == "words":
        return [f" {one}" if place else one for place, one in enumerate(texts)]
    return texts


def _of_bytes(tokens: Sequence[str]) -> list[str]:
    """Returns the letters of tokens of bytes; those of a letter in two tokens are of the latter."""
    table = {character: byte for byte, character in enumerate(byte_characters())}
    letters, waiting = [], b""
    for token in tokens:
        if token == _UNKNOWN:
            letters.append(token)
            continue
        waiting += bytes(table[character] for character in token)
        try:
            letters.append(waiting.decode())
            waiting = b""
        except UnicodeDecodeError:
            letters.append("")
    if waiting:
        letters[-1] += waiting.decode(errors="replace")
    return letters


def text_of(tokens: Int[np.ndarray, " time"], description: Mapping[str, Any]) -> str:
    """Returns the text of tokens, as far as they keep it.

    >>> words = {"kind": "words", "vocabulary": ["<padding>", "<unknown>", "a", "film"]}
    >>> text_of(np.array([2, 1, 3, 0, 0]), words)
    'a □ film'
    """
    return "".join(pieces(tokens, description)).strip()


def highlighted(
    tokens: Int[np.ndarray, " time"],
    weights: Float[np.ndarray, " time"],
    description: Mapping[str, Any],
) -> str:
    """Returns a text as HTML, each token the more marked the higher its weight.

    Args:
        tokens: Numbers, which padding may follow.
        weights: From 0, not marked, to 1; below 0 it is underlined: it speaks against.
        description: Of the tokens.
    """
    parts: list[str] = []
    for piece, weight in zip(pieces(tokens, description), weights, strict=False):
        body = piece.lstrip(" ")
        parts.append(" " * (len(piece) - len(body)))
        shown = html.escape(body)
        if weight >= 0.05:
            shade = _FOR.format(60 * min(1.0, weight))
            shown = f'<mark style="background:{shade}">{shown}</mark>'
        elif weight <= -0.05:
            shade = _AGAINST.format(30 + 70 * min(1.0, -weight))
            shown = f'<s style="text-decoration-color:{shade}">{shown}</s>'
        parts.append(shown)
    return f'<p class="text">{"".join(parts)}</p>'


def draw(panel: Any, text: str) -> None:
    """Writes a text on the axes of a sheet, as much of it as there is room for."""
    lines = textwrap.wrap(text, _LETTERS, max_lines=_LINES, placeholder=" …") or [""]
    panel.set(xlim=(0, 1), ylim=(0, 1))
    panel.text(0.5, 0.5, "\n".join(lines), ha="center", va="center", fontsize=9, parse_math=False)
