"""Lists that were written into a cell of text: by Python, as JSON, by NumPy, or by hand.

>>> read("['cat', 'dog']"), read('["cat"]'), read("['cat' 'dog']"), read("cat, dog")
(['cat', 'dog'], ['cat'], ['cat', 'dog'], None)
>>> read("[cat, dog]"), read("[cat, polar bear]", bare=True), read("[0 2]", bare=True)
(None, ['cat', 'polar bear'], [0, 2])
"""

import json
import re
from typing import Any

from flaxmill.errors import BadInput, quoted

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_ITEM = re.compile(rf"\s*(?:np\.\w+\(\s*)?({_QUOTED}|[^\s,'\"()\[\]{{}}]+)\)?\s*(,?)", re.DOTALL)
_BEGINNING = re.compile(r"[\[({]\s*(?:np\.\w+\(\s*)?['\"]")
_HEXADECIMAL = re.compile(r"\\x([0-9a-fA-F]{2})")
_CLOSED = {"[": "]", "(": ")", "{": "}"}
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "nan": None}


def in_brackets(text: str) -> bool:
    """Returns whether square brackets stand around a text."""
    return text.startswith("[") and text.endswith("]")


def is_list(text: str, *, bare: bool = False) -> bool:
    """Returns whether a text is a list, or begins as one."""
    try:
        return read(text, bare=bare) is not None
    except BadInput:
        return True


def read(text: str, *, bare: bool = False) -> list[Any] | None:
    """Returns what is in a list that was written as text; None if it is no list.

    Args:
        text: Without spaces around it.
        bare: Whether words in square brackets are a list although nothing puts them into quotation
            marks, as a name such as ``[unknown]`` is none.

    Raises:
        BadInput: It begins as a list does, and does not end as one.
    """
    if text == "[]":
        return []
    if _BEGINNING.match(text):
        items = _items(text[1:-1]) if text.endswith(_CLOSED[text[0]]) else None
        if items is None and text[0] == "[":
            raise BadInput(
                f"the label {quoted(text)} begins as a list, and does not go on as one: expected "
                '["one", "two"].'
            )
        return items
    if not bare or not in_brackets(text):
        return None
    inside = text[1:-1]
    if "," in inside:
        return [_value(part.strip()) for part in inside.split(",") if part.strip()]
    numbers = [_value(part) for part in inside.split()]
    apart = all(isinstance(value, int | float) for value in numbers)
    return numbers if apart else [inside.strip()]


def _items(inside: str) -> list[Any] | None:
    """Returns the items of a list in which some are in quotation marks; None if it is no such."""
    items, at = [], 0
    while at < len(inside.rstrip()):
        item = _ITEM.match(inside, at)
        if item is None:
            return None
        items.append(_value(item[1]))
        at = item.end()
    return items


def _value(text: str) -> Any:
    """Returns what one item is: text in quotation marks, a number, a constant, or a bare word."""
    if text[:1] in ("'", '"'):
        inside = _HEXADECIMAL.sub(r"\\u00\1", text[1:-1])  # as JSON writes what Python wrote
        if text[0] == "'":
            inside = inside.replace("\\'", "'").replace('"', '\\"')
        try:
            return json.loads(f'"{inside}"', strict=False)
        except ValueError:
            return text[1:-1]
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
