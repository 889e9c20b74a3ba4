"""Cutting text into tokens: rules that are the same in every language, by a description alone.

A description is a dictionary of JSON, made by `flaxmill.data.text.vocabulary` and saved in a
signature, so that a server or a browser does the same as training did::

    {"kind": "words", "lower": true, "normal": "NFC", "longest": 48,
     "vocabulary": ["<padding>", "<unknown>", "the", …], "merges": []}

The rules, in this order; all of them go by code points (in JavaScript ``Array.from(text)``, or a
regular expression with the flag ``u``), none by a locale:

1. A surrogate that has no partner becomes U+FFFD.
2. If ``lower``, each code point is lower-cased by itself, as Unicode's full case mapping has it
   without conditions (``toLowerCase()`` of that code point alone: Σ is always σ).
3. The text is brought to the normal form NFC.
4. Every run of white space becomes one space (U+0020), and those at both ends are dropped. White
   space is U+0009 to U+000D, U+0020, U+0085, U+00A0, U+1680, U+2000 to U+200B, U+2028, U+2029,
   U+202F, U+205F, U+3000 and U+FEFF, nothing else.
5. It is cut into tokens, according to ``kind``:

   - ``characters``: each code point is a token, the space too.
   - ``words``: at each space, which is dropped, and around each mark, which is a token of its own.
     Marks are the code points of `MARKS`: ASCII's punctuation without the apostrophe, and that of
     a few blocks, by their numbers. All that lies between is one token: ``don't``, ``3d``.
   - ``bpe``: into pieces as words are, but a space begins the piece after it. Each piece's UTF-8
     bytes become characters, one each: bytes 33 to 126, 161 to 172 and 174 to 255 the code point of
     their number, the others, in ascending order, U+0100, U+0101 and so on (a space is U+0120).
     Then, as long as two neighbours are a merge, those are joined that are earliest in ``merges``,
     of several places the leftmost. What remains are the tokens.

6. A token's number is its place in ``vocabulary``, or 1, ``<unknown>``, where it has none. A text
   without any token has one, the unknown. Of more than ``longest``, those after that are dropped.

Number 0 is padding, and never comes from a text.
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

PADDING, UNKNOWN = 0, 1
"""The numbers of padding, and of tokens that are not in the vocabulary."""
SPECIAL = ("<padding>", "<unknown>")
"""What a vocabulary begins with. No token is spelt so, for both have marks and letters."""
KINDS = ("characters", "words", "bpe")

SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
"""White space, as the inside of a regular expression's brackets."""
MARKS = (
    "!-&(-/:-@\\[-`{-~"  # ASCII's, without the apostrophe
    "\xa1-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb-\xbf\xd7\xf7"
    "\u2010-\u2018\u201a-\u2027\u2030-\u205e"  # general punctuation, without the apostrophe U+2019
    "\u20a0-\u20cf\u2100-\u214f\u2190-\u2bff"  # currencies, letterlike, arrows to pictures
    "\u3001-\u3003\u3008-\u3020\u30fb"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # of full width
    "\U0001f000-\U0001faff"  # pictures
)
"""Code points that are tokens of their own, as the inside of a regular expression's brackets."""
_SPACE = re.compile(f"[{SPACES}]+")
WORD = f"[{MARKS}]|[^ {MARKS}]+"
"""A word or a mark in text of single spaces."""
PIECE = f" ?(?:{WORD})"
"""The same with the space before it: byte-pair encoding joins nothing beyond its ends."""
_WORD, _PIECE = re.compile(WORD), re.compile(PIECE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CACHED_PIECES = 2**16


def normal(text: str, *, lower: bool) -> str:
    """Normalises text before it is cut: steps 1 to 4 of the rules above.

    >>> normal("  A fine   FILM ", lower=True)
    'a fine film'
    """
    text = _SURROGATE.sub("\ufffd", text)
    if lower:
        text = text.lower() if text.isascii() else "".join(map(str.lower, text))
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")


@functools.cache
def byte_characters() -> tuple[str, ...]:
    """Returns the character that stands for each byte in byte-pair encoding.

    Source: ``bytes_to_unicode`` of GPT-2 (Radford et al. 2019), which others follow.
    """
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in shown else next(others)) for byte in range(256))


class Encoder:
    """Cuts texts into tokens by a description: see the top of this file.

    Args:
        description: Of the tokens.
    """

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._kind, self._lower = description["kind"], bool(description["lower"])
        self._longest = int(description["longest"])
        self._numbers = {token: n for n, token in enumerate(description["vocabulary"])}
        merges = (tuple(merge.split(" ")) for merge in description.get("merges", ()))
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._joined = functools.lru_cache(_CACHED_PIECES)(self._merged)

    def tokens(self, text: str) -> list[str]:
        """Returns all the tokens of a text."""
        text = normal(text, lower=self._lower)
        if self._kind == "characters":
            return list(text)
        if self._kind == "words":
            return _WORD.findall(text)
        return [token for piece in _PIECE.findall(text) for token in self._joined(piece)]

    def __call__(self, text: str) -> list[int]:
        """Returns the numbers of a text's tokens: at least one, and no more than the longest."""
        find = self._numbers.get
        numbers = [find(token, UNKNOWN) for token in self.tokens(text)[: self._longest]]
        return numbers or [UNKNOWN]

    def _merged(self, piece: str) -> tuple[str, ...]:
        """Merges the bytes of a piece as far as the merges go."""
        table, never = byte_characters(), len(self._ranks)
        parts = [table[byte] for byte in piece.encode()]
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, never) for pair in itertools.pairwise(parts)]
            if (best := min(ranks)) == never:
                break
            at = ranks.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return tuple(parts)


_LAST: list[tuple[Mapping[str, Any], Encoder]] = []


def encode(text: str, description: Mapping[str, Any]) -> list[int]:
    """Returns the numbers of a text's tokens, by a description alone.

    Args:
        text: Any text.
        description: As at the top of this file; it is not to be changed afterwards.

    >>> words = ["<padding>", "<unknown>", "a", "film", "!"]
    >>> about = {"kind": "words", "lower": True, "normal": "NFC", "longest": 9}
    >>> encode("A fine film!", {**about, "vocabulary": words, "merges": []})
    [2, 1, 3, 4]
    """
    last = _LAST[-1] if _LAST else None
    if last is None or last[0] is not description:  # tables of thousands are made once
        last = (description, Encoder(description))
        _LAST[:] = [last]
    return last[1](text)
