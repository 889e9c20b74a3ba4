"""What the JSON of a file may hold: stated once for each file, and checked where it is read.

A form is a function of a value and its place in the file. It returns if the value is as it should
be, and raises `Misfit` if not; larger forms are composed of smaller ones.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flaxmill.errors import BadInput, listed, nearest, quoted
from flaxmill.machine import files

Form = Callable[[Any, str], None]
NEWEST = 1
"""The format of the files that this version writes, and the newest that it reads."""
LARGEST = 2**53
"""Whole numbers up to this are the same in every reader of JSON."""
_MANY = 1_000_000


class Misfit(ValueError):
    """A value does not fit its form; the message says where, what it is and what was expected."""


def read(path: Path, form: Form, *, cure: str, newest: int | None = NEWEST) -> Any:
    """Reads a JSON file of ours and checks all of it.

    Args:
        path: The file.
        form: Of its content.
        cure: What to do about a damaged one, a sentence.
        newest: The newest format that is read; None for a file that has no number of a format.

    Raises:
        BadInput: It is absent, no JSON, of a newer format, or not as expected.
    """
    value = files.read_json(path)
    if newest is not None:
        check_format(value, path, newest)
    check(value, form, path, cure)
    return value


def check(value: Any, form: Form, path: str | Path, cure: str, *, at: str = "") -> None:
    """Refuses a value that is not of a form.

    Args:
        value: The content of a file.
        form: What it should be.
        path: The file, for the message.
        cure: What to do, a sentence.
        at: Where in the file the value is.

    Raises:
        BadInput: The message names the file and the place in it.
    """
    try:
        form(value, at)
    except Misfit as misfit:
        raise BadInput(f"{path} {misfit}: it was damaged or edited by hand. {cure}") from None


def check_format(value: Any, path: Path, newest: int = NEWEST) -> None:
    """Refuses a file of ours that a newer version wrote, or that is none of ours.

    Raises:
        BadInput: The message names the file and what to do.
    """
    number = value.get("format") if isinstance(value, Mapping) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise BadInput(f"{path} was not written by flaxmill: it has no format number.")
    if number > newest:
        raise BadInput(
            f"{path} has format {quoted(number, 20)}; this flaxmill reads up to {newest}: "
            f"install a newer flaxmill."
        )


def _misfit(where: str, value: Any, expected: str) -> Misfit:
    return Misfit(f"has {quoted(value, 40)} {_at(where)}, expected {expected}")


def _at(where: str) -> str:
    return f"at {where or 'its top'}"


def anything(_: Any, __: str) -> None:
    """Accepts every value."""


def text(most: int = 10_000) -> Form:
    """Returns the form of text of so many characters at most, without any that ends a path."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise _misfit(where, value, f"text of up to {most:,} characters")

    return check


def flag(value: Any, where: str) -> None:
    """Accepts true and false."""
    if not isinstance(value, bool):
        raise _misfit(where, value, "true or false")


def whole(least: int = 0, most: int = LARGEST) -> Form:
    """Returns the form of whole numbers in a range."""

    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _misfit(where, value, f"a whole number from {least:,} to {most:,}")

    return check


def number(least: float = -1e300, most: float = 1e300) -> Form:
    """Returns the form of numbers in a range."""

    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _misfit(where, value, "a number")
        if not least <= value <= most:
            raise _misfit(where, value, f"a number from {least:g} to {most:g}")

    return check


def maybe(form: Form) -> Form:
    """Returns the form of a value that may be null."""

    def check(value: Any, where: str) -> None:
        if value is not None:
            form(value, where)

    return check


def one_of(*known: str) -> Form:
    """Returns the form of one of a few words."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, str) or value not in known:
            raise _misfit(where, value, f"one of {listed(known, len(known))}")

    return check


def each(form: Form, *, least: int = 0, most: int = _MANY) -> Form:
    """Returns the form of a list of so many values."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _misfit(where, value, "a list")
        if not least <= len(value) <= most:
            raise Misfit(f"has {len(value):,} values {_at(where)}, expected {least:,} to {most:,}")
        for index, one in enumerate(value):
            form(one, f"{where}[{index}]")

    return check


def by_name(form: Form, *, most: int = _MANY) -> Form:
    """Returns the form of an object with any names."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(where, value, "values by name")
        if len(value) > most:
            raise Misfit(f"has {len(value):,} values {_at(where)}, expected up to {most:,}")
        for name, one in value.items():
            form(one, _within(where, name))

    return check


def record(
    needed: Mapping[str, Form], more: Mapping[str, Form] | None = None, *, closed: bool = False
) -> Form:
    """Returns the form of an object with known names.

    Args:
        needed: Names that must be there.
        more: Names that may be there.
        closed: Whether other names are refused.
    """
    known = {**needed, **(more or {})}

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _misfit(where, value, f"values by name ({listed(needed)})")
        strange = [name for name in value if name not in known]
        if missing := [name for name in needed if name not in value]:
            raise Misfit(f"lacks {_all_within(where, missing)}{_instead(missing, strange)}")
        if closed and strange:
            near = nearest(strange[0], known).strip().rstrip(".")
            raise Misfit(f"has {quoted(_within(where, strange[0]))}, which is unknown ({near})")
        for name, one in value.items():
            if name in known:
                known[name](one, _within(where, name))

    return check


def _within(where: str, name: str) -> str:
    shown = name if name.isidentifier() and len(name) < 60 else quoted(name, 40)
    return f"{where}.{shown}" if where else shown


def _all_within(where: str, names: Iterable[str]) -> str:
    return ", ".join(_within(where, name) for name in names)


def _instead(missing: Iterable[str], strange: list[str]) -> str:
    """Describes the unknown name that stands instead of a missing one, if one is near."""
    for name in missing:
        hint = nearest(name, strange[:100])
        if "Did you mean" in hint:
            return f" (it has {hint.removeprefix(' Did you mean ').rstrip('?')})"
    return ""
