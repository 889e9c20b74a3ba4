"""Notes on how labels were understood, shown before a training."""

from collections.abc import Sequence

from flaxmill.data.listings.labels import SIGNS, Column, Form, plain_or_zero
from flaxmill.errors import quoted

_NONE_WORDS = ("none", "null", "na", "n/a")  # what people write for none, and call classes
_SHOWN = 3  # cells that a note quotes
_WIDE = 24  # characters of each


def describe(
    columns: Sequence[Column], form: Form, names: Sequence[Sequence[str]], classes: Sequence[str]
) -> str:
    """Returns how labels were understood, in a line or two.

    Args:
        columns: Of the tables.
        form: How their cells are written.
        names: The class names of each row.
        classes: All class names.
    """
    first = columns[0]
    counts = [len(each) for each in names]
    least, most = min(counts), max(counts)
    number = f"{least}" if least == most else f"{least} to {most}"
    which, each = ("any", f" ({number} of them)") if form.multi_label else ("one", "")
    sure = f"{which} of {len(classes):,} classes a picture{each}"
    source = first.source or f"the column {quoted(first.title.strip(), _WIDE)}"
    if form.lists:
        source += ", which holds lists"
    elif form.sign:
        source += f", with {form.sign!r} between them"
    cells = [quoted(plain_or_zero(cell) or "", _WIDE) for cell in first.cells[:_SHOWN]]
    end = ", …" if len(first.cells) > _SHOWN else "."
    doubts = _doubts(columns, form, classes) + _alone(form, counts)
    return " ".join([f"Labels: {sure}, from {source}: {', '.join(cells)}{end}", *doubts])


def _alone(form: Form, counts: Sequence[int]) -> list[str]:
    if form.multi_label and form.lists and set(counts) == {1}:
        return [
            "Each list has one label: written as plain names, one class of all would be learnt."
        ]
    return []


def _doubts(columns: Sequence[Column], form: Form, classes: Sequence[str]) -> list[str]:
    """Returns what was taken for a class, or for no separator, and may be meant otherwise."""
    doubts = []
    if perhaps := [name for name in classes if _may_mean_none(name, classes)]:
        doubts.append(
            f"{perhaps[0]!r} counts as a class: if it says that there is none, take those rows out."
        )
    if form.explicit and not any(
        form.sign in name for column in columns for name in _texts(column)
    ):
        doubts.append(f"--separator {form.sign!r} stands in no cell.")
    inside = [sign for sign in SIGNS[:2] if any(sign in name for name in classes)]
    if any(" " in name and set(name.split()) < set(classes) for name in classes):
        inside.append(" ")  # each word of a name is a class, too
    if inside and not form.multi_label:
        doubts.append(
            f"{inside[0]!r} counts as part of a name: if it separates several labels, give "
            f"--separator {inside[0]!r}."
        )
    return doubts


def _texts(column: Column) -> list[str]:
    return [cell for cell in map(plain_or_zero, column.cells) if isinstance(cell, str)]


def _may_mean_none(name: str, classes: Sequence[str]) -> bool:
    """Returns whether a class may mean none; of two classes, -1 is often one."""
    return name.lower() in _NONE_WORDS or (name == "-1" and len(classes) > 2)
