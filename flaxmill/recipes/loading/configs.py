"""Checks the values of a config, as they come from JSON, against the types of its fields."""

import types
import typing
from collections.abc import Mapping
from typing import Any, Literal


def unfit(kind: type, fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """Returns the first field whose value is not of its type, and that type in words.

    Args:
        kind: The dataclass.
        fields: Values by names; those of no field are passed over.
    """
    hints = typing.get_type_hints(kind)
    known = (name for name in fields if name in hints)
    name = next((name for name in known if not _fits(fields[name], hints[name])), None)
    return None if name is None else (name, _describe(hints[name]))


def with_tuples(value: Any) -> Any:
    """Returns a value from JSON as a config has it, with tuples for lists."""
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


def _fits(value: Any, hint: Any) -> bool:
    """Returns whether a value is of a field's type; an int will do where a float is expected."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is Literal:
        return value in parts
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        parts = parts[:1] * len(value) if parts[-1] is ... else parts
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if isinstance(value, bool) or hint is bool:
        return hint is type(value)
    return isinstance(value, int | float if hint is float else hint)


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    return hint.__name__ if isinstance(hint, type) else str(hint)
