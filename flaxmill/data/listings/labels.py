"""Labels in tables: what the cells of a column, however they are written, say of each picture.

Readers of CSV, Parquet and NumPy's files and of Hugging Face's data sets pass the cells on as they
lie there. What they mean is decided here alone, so equal rows have equal classes everywhere.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings import written_lists
from flaxmill.data.listings.listing import normal
from flaxmill.errors import BadInput, quoted

TITLES = ("label", "labels", "class")
SIGNS = ("|", ";", ",")
"""What may stand between the labels of a picture, if the column is called labels."""
PLURAL = "labels"  # the title of a column that may hold several
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{,18})\.0+")  # a whole number as one with decimals
_GAPS = ("nan", "<na>", "nat", "#n/a")  # what programs write where there is nothing
TRUTHS = ("true", "false")


@dataclass(frozen=True)
class Column:
    """The cells of a table that label its pictures, as they lie there.

    Attributes:
        title: Of the column: one that is called "labels" may hold several in a cell.
        cells: Text, numbers, truth values, lists of these, or nothing, for each row.
        place: The file, for messages.
        lines: The number of each row, as a person counts them.
        names: What whole numbers in the cells mean, in their order; without them, they are names.
        flags: Whether each cell lists the columns that held a 1, see `label_column`.
        source: What messages call it; empty for the column of its title.
        unit: What messages call a row.
    """

    title: str
    cells: Sequence[Any]
    place: Path
    lines: Sequence[int]
    names: tuple[str, ...] = ()
    flags: bool = False
    source: str = ""
    unit: str = "line"

    @property
    def multi_label(self) -> bool:
        """Whether a cell may hold several labels, by the column's title."""
        return self.title.strip().lower() == PLURAL

    def at(self, row: int) -> str:
        """Returns where a cell stands, for messages."""
        return f"{self.place}, {self.unit} {self.lines[row]}"


@dataclass(frozen=True)
class Form:
    """How the cells of a data set's columns are written.

    Attributes:
        sign: What stands between several labels in a cell; empty if nothing does.
        explicit: Whether a person gave the sign; an inferred one is for columns called labels.
        bare: Whether words in brackets are lists although they are in no quotation marks.
        truths: Whether all words are true or false, in whatever letters.
        lists: Whether there are lists.
        multi_label: Whether any number of labels may hold of a picture.
    """

    sign: str = ""
    explicit: bool = False
    bare: bool = False
    truths: bool = False
    lists: bool = False
    multi_label: bool = False

    def rows(self, column: Column) -> list[list[str]]:
        """Returns the class names of every row; equal cells are read once.

        Raises:
            BadInput: One cannot be read.
        """
        cache: dict[tuple[type, Any], list[str]] = {}
        names = []
        for row, cell in enumerate(column.cells):
            if not isinstance(cell, str | int | float):
                names.append(self.read(column, row))
                continue
            key = type(cell), cell
            if key not in cache:
                cache[key] = self.read(column, row)
            names.append(cache[key])
        return names

    def read(self, column: Column, row: int) -> list[str]:
        """Returns the class names in a cell, each once; none where none holds.

        Raises:
            BadInput: It is empty in a table of one class a picture, or no label; the message names
                the row.
        """
        try:
            cell = column.cells[row]
            parts = cell if column.flags else self._parts(column, cell)
            names = parts if column.flags else [self._name(each, column.names) for each in parts]
        except BadInput as error:
            raise BadInput(f"{column.at(row)}: {error}") from None
        if not names and not self.multi_label:
            none = f"; if pictures may have none, call the column {PLURAL}" if column.title else ""
            raise BadInput(
                f"{column.at(row)}: the label is empty. Write one, or take the row out{none}."
            )
        return list(dict.fromkeys(names))

    def _parts(self, column: Column, cell: Any) -> Sequence[Any]:
        """Returns the labels in a cell, as they are."""
        cell = plain(cell)
        if cell is None:
            return []
        if isinstance(cell, list) or not isinstance(cell, str):
            return cell if isinstance(cell, list) else [cell]
        if column.names and cell in column.names:
            return [cell]
        if (items := written_lists.read(cell, bare=self.bare)) is not None:
            return items
        if self.sign and (self.explicit or column.multi_label):
            return [part for each in cell.split(self.sign) if (part := each.strip())]
        return [cell]

    def _name(self, value: Any, names: tuple[str, ...]) -> str:
        """Returns the class name that one label is."""
        value = plain(value)
        if value is None or isinstance(value, list):
            kind = "a list in a list" if value else "empty"
            raise BadInput(f"a label in the list is {kind}: expected names, or numbers.")
        name = word(value)
        if isinstance(value, str):
            if value in names:
                return normal(value)
            if value.lower() in _GAPS:
                raise BadInput(
                    f"the label is {value!r}, which programs write where there is none. Leave the "
                    "cell empty, or take the row out; if a class is called so, call it otherwise."
                )
            return name.capitalize() if self.truths else normal(name)
        if not names:
            return name
        if name == "-1":
            raise BadInput(
                f"the label is -1, which is none of {len(names)} classes, and often says that "
                "there is none: take such rows out, or give them the number of a class."
            )
        if not (isinstance(value, Real) and name.isdecimal() and int(name) < len(names)):
            raise BadInput(
                f"the label {quoted(value)} is none of {len(names)} classes, numbered from 0 to "
                f"{len(names) - 1}."
            )
        return normal(names[int(name)])


def plain(cell: Any) -> Any:
    """Returns a cell as text without spaces around it, a value, a list, or None for nothing."""
    if isinstance(cell, np.generic | np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, bytes):
        try:
            cell = cell.decode()
        except UnicodeDecodeError:
            raise BadInput(
                f"the label is {quoted(cell)}, and no text in UTF-8: expected a name, or a number."
            ) from None
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, tuple | set | frozenset):
        return list(cell)
    if isinstance(cell, list):
        return cell
    return None if cell is None or cell != cell else cell  # not a number: pandas's gap


def word(value: Any) -> str:
    """Returns what one label is called: a whole number is so, however it is written.

    >>> word(3.0), word("3.0"), word(3), word("v3.0"), word(2.5)
    ('3', '3', '3', 'v3.0', '2.5')

    Raises:
        BadInput: It is no label.
    """
    if isinstance(value, str):
        return str(int(value.partition(".")[0])) if _WHOLE.fullmatch(value) else value
    if isinstance(value, Decimal) and value.is_finite():
        return str(int(value)) if value == int(value) else format(value.normalize(), "f")
    if isinstance(value, bool | Integral | date | time | timedelta | Decimal):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    raise BadInput(f"the label is {quoted(value)}: expected a name, a number, or a list of such.")


def form_of(columns: Sequence[Column], sign: str = "") -> Form:
    """Infers how the cells of all the columns of a data set are written.

    Args:
        columns: Of its tables.
        sign: What a person says stands between several labels.

    Raises:
        BadInput: It is open whether a comma stands between labels, or in their names.
    """
    cells = [(column, plain_or_zero(cell)) for column in columns for cell in column.cells]
    texts = {cell for _, cell in cells if isinstance(cell, str)}
    bare = bool(texts) and all(written_lists.in_brackets(text) for text in texts)
    lists = {text for text in texts if written_lists.is_list(text, bare=bare)}
    words = texts - lists
    explicit, sign = bool(sign), sign or _separator(columns, words)
    gaps = any(
        cell is None and column.multi_label and not column.names and not column.flags
        for column, cell in cells
    )
    has_lists = bool(lists) or any(
        isinstance(cell, list) and not column.flags for column, cell in cells
    )
    has_flags = any(
        column.flags and any(len(cell) != 1 for cell in column.cells) for column in columns
    )
    truths = bool(words) and all(text.lower() in TRUTHS for text in words)
    multi_label = bool(sign) or has_lists or gaps or has_flags
    return Form(sign, explicit, bare, truths, has_lists, multi_label)


def plain_or_zero(cell: Any) -> Any:
    """Returns a cell as `plain` does; 0, which tells nothing, where that raises."""
    try:
        return plain(cell)
    except BadInput:  # which is raised anew where the row is read
        return 0


def _separator(columns: Sequence[Column], words: set[str]) -> str:
    """Returns the sign that stands between labels in columns whose title says that it may.

    Raises:
        BadInput: It is a comma, and may as well stand in names.
    """
    for column in columns:
        if not column.multi_label:
            continue
        texts: dict[str, int] = {}
        for row, cell in enumerate(column.cells):
            if isinstance(cell, str) and (text := cell.strip()) in words:
                texts.setdefault(text, row)
        for sign in SIGNS:
            joined = next((text for text in texts if sign in text), None)
            if joined is None:
                continue
            if sign == "," and not _commas_separate(list(texts)):
                raise BadInput(
                    f"{column.at(texts[joined])}: the label {quoted(joined)} may be one name, or "
                    f"several with commas between them. If it is one, call the column "
                    f"{TITLES[0]}, and not {column.title.strip()}; if several, say so with "
                    "--separator ','."
                )
            return sign
    return ""


def _commas_separate(texts: Sequence[str]) -> bool:
    """Returns whether commas stand between labels, and not in names such as "tench, Tinca tinca".

    Labels come together with one and with another; the parts of a name are always together. Where
    a comma has no space behind it, one part that recurs is enough.
    """
    parts = {text: {part.strip() for part in text.split(",")} - {""} for text in texts}
    counts: dict[str, int] = {}
    for each in parts.values():
        for part in each:
            counts[part] = counts.get(part, 0) + 1
    joined = [text for text in texts if "," in text]
    inside = {part for text in joined for part in parts[text]}
    recurring = sum(counts[part] > 1 for part in inside)
    if any(", " in text for text in joined):
        return 2 * recurring >= len(inside)
    return recurring > 0 or len(joined) == 1
