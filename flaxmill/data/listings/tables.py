"""Tables that list pictures: a path and a label in each row, as CSV or Parquet."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings.listing import PARTS, Listing, chosen, class_order, normal
from flaxmill.data.source import SPLITS
from flaxmill.errors import BadInput, nearest

PATHS = ("path", "file", "filename", "file_name", "image")
LABELS = ("label", "labels", "class")
SPLIT = "split"
SIGNS = ("|", ";", ",")
"""What may stand between the labels of a picture, if the column is called labels."""
_TYPES = (np.int32, np.float32)  # of single labels, and of rows of zeros and ones
_SHOWN = 3  # missing files that a message names


@dataclass(frozen=True)
class Table:
    """What the rows of a table say.

    Attributes:
        place: The file, for messages.
        files: A path, or something that gives a picture file's content, for each row.
        labels: A class name for each row, or several of them.
        splits: "train", "validation" or "test" for each row; None if there is no such column.
        lines: The number of each row, as a person counts them.
        classes: All class names in an order that was given; empty if it was not.
    """

    place: Path
    files: Sequence[Any]
    labels: Sequence[str] | Sequence[Sequence[str]]
    splits: Sequence[str] | None
    lines: Sequence[int]
    classes: tuple[str, ...] = ()

    @property
    def multi_label(self) -> bool:
        """Whether rows have several labels."""
        return bool(len(self.labels)) and not isinstance(self.labels[0], str)


def sign_of(title: str, cells: Sequence[str]) -> str:
    """Returns what stands between several labels, in a column of this title; nothing, if in none.

    Args:
        title: Of the column: one that is called "labels" may hold several.
        cells: Of the column.
    """
    if title.strip().lower() != "labels":
        return ""
    none_holds = SIGNS[0] if any(not cell.strip() for cell in cells) else ""  # of some pictures
    return next((sign for sign in SIGNS if any(sign in cell for cell in cells)), none_holds)


def read_csv(place: Path, *, sign: str = "") -> Table:
    """Reads a CSV file with a header, between whose cells are commas, semicolons or tabs.

    Args:
        place: The file. Paths in it are relative to its folder.
        sign: What stands between several labels of a picture. Where the column is called "labels",
            the first of ``| ; ,`` that occurs in it, if one does.

    Raises:
        BadInput: It is no such table; a picture is missing; a row has no label. Rows are named.
    """
    lines, header, rows = cells(place)
    at = columns(place, header)
    column = [row[at["label"]].strip() for row in rows]
    labels: list[Any] = column
    if sign := sign or sign_of(header[at["label"]], column):
        parts = ([part.strip() for part in cell.split(sign)] for cell in column)
        labels = [[part for part in row if part] for row in parts]
    elif "" in column:
        raise BadInput(f"{place}, line {lines[column.index('')]}: the label is empty.")
    splits = None
    if "split" in at:
        splits = named_splits(place, lines, [row[at["split"]] for row in rows])
    files = existing(place, lines, [row[at["path"]] for row in rows])
    return Table(place, files, labels, splits, lines)


def cells(place: Path) -> tuple[list[int], list[str], list[list[str]]]:
    """Returns the line numbers, the header and the rows of a CSV file."""
    line, read, delimiter = 0, [], ","
    try:
        with place.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                line = reader.line_num
                if any(map(str.strip, row)):
                    read.append((line, row))
    except OSError as error:
        raise BadInput(
            f"{place} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from None
    except UnicodeDecodeError:
        raise BadInput(
            f"{place} is not written in UTF-8: save it anew so (Excel: CSV UTF-8)."
        ) from None
    except csv.Error as error:
        raise BadInput(f"{place}, line {line + 1}: it is no CSV ({error}).") from None
    if len(read) < 2:
        raise BadInput(f"{place} has no rows below its header: expected one for each picture.")
    (_, header), *rows = read
    for line, row in rows:
        if len(row) != len(header):
            raise BadInput(
                f"{place}, line {line}: there are {len(row)} cells, but the header has "
                f"{len(header)}. Put a cell with {delimiter!r} in it into quotation marks."
            )
    return [line for line, _ in rows], header, [row for _, row in rows]


def columns(place: Path, header: Sequence[str]) -> dict[str, int]:
    """Returns which columns hold "path" and "label", and maybe "split".

    Raises:
        BadInput: One of the first two is missing.
    """
    names = [name.strip().lower() for name in header]
    known = {"path": PATHS, "label": LABELS, "split": (SPLIT,)}
    found = {
        what: names.index(name)
        for what, wanted in known.items()
        if (name := next((name for name in wanted if name in names), None))
    }
    for what in ("path", "label"):
        if what not in found:
            raise BadInput(
                f"{place} has no column of {what}s: its columns are "
                f"{', '.join(map(repr, header))}; expected one called {' or '.join(known[what])} "
                "(in the first row of a CSV file)."
            )
    return found


def named(
    values: Sequence[Any], names: Sequence[str] | None, place: Path, *, start: int = 0
) -> list[Any]:
    """Returns each row's class name, or names, of a column that may hold numbers of them.

    Args:
        values: The column.
        names: What the numbers mean; without it, they are names themselves.
        place: The file, for messages.
        start: The number of the first row.

    Raises:
        BadInput: A row is empty, or holds a number without a name.
    """

    def word(value: Any, row: int) -> str:
        if names is None or isinstance(value, str):
            whole = isinstance(value, float) and value.is_integer()  # as pandas writes 3: 3.0
            return str(int(value) if whole else value)
        if not 0 <= value < len(names):
            raise BadInput(
                f"{place}, line {row}: the label {value} is none of {len(names)} classes."
            )
        return names[int(value)]

    labels: list[Any] = []
    for row, value in enumerate(values, start=start):
        if value is None or value == "" or value != value:  # not a number: pandas's gap
            raise BadInput(f"{place}, line {row}: the label is empty.")
        many = isinstance(value, list)
        labels.append([word(each, row) for each in value] if many else word(value, row))
    return labels


def named_splits(place: Path, lines: Sequence[int], column: Sequence[str]) -> list[str]:
    """Returns the splits that a column names, as flaxmill calls them."""
    known = {cell: PARTS.get(cell.strip().lower(), "") for cell in set(column)}
    for line, cell in zip(lines, column, strict=True):
        if not known[cell]:
            raise BadInput(
                f"{place}, line {line}: no split is called {cell!r}.{nearest(cell, PARTS)}"
            )
    return [known[cell] for cell in column]


def existing(place: Path, lines: Sequence[int], names: Sequence[str]) -> tuple[Path, ...]:
    """Returns the paths of pictures that a table names, relative to its folder.

    Raises:
        BadInput: Some do not exist; the message counts them and names a few.
    """
    paths = [path_of(place.parent, name.strip()) for name in names]
    missing = [row for row, path in enumerate(paths) if path is None]
    if missing:
        shown = ", ".join(f"{names[row]!r} (line {lines[row]})" for row in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        there = "is" if len(missing) == 1 else "are"
        raise BadInput(
            f"{place} lists {len(paths):,} pictures, of which {len(missing):,} {there} not there: "
            f"{shown}{more}. Their paths are taken from {place.parent}."
            f"{_ending(place.parent, names[missing[0]])}"
        )
    return tuple(path for path in paths if path is not None)


def path_of(folder: Path, name: str) -> Path | None:
    """Returns where a picture lies; Windows and macOS write its path in ways of their own."""
    if not name:
        return None
    for form in ("", "NFC", "NFD"):
        for written in (name, name.replace("\\", "/")):
            path = folder / (normal(written, form) if form else written)
            if os.path.lexists(path):
                return path
    return None


def _ending(folder: Path, name: str) -> str:
    """Says so if there is a picture of the name but for its ending."""
    there = folder / name.strip()
    if there.name and not there.suffix and there.parent.is_dir():
        for path in sorted(there.parent.glob("*")):
            if path.stem == there.name:
                return f" There is a {path.name}: write the names with their endings."
    return ""


def listings(tables: Mapping[str, Table]) -> dict[str, Listing]:
    """Makes listings with the same classes of the tables of the splits.

    Args:
        tables: "train" and maybe "validation" and "test"; or one for all, under "train", that has a
            column for the split.

    Raises:
        BadInput: There is nothing to train on, or only one class; another split has a class that
            training lacks.
    """
    parts: dict[str, tuple[Table, np.ndarray]] = {}
    for name, table in tables.items():
        splits = np.asarray(table.splits or [name] * len(table.labels))
        for split in sorted(set(splits.tolist())):
            if split in parts:
                raise BadInput(
                    f"{parts[split][0].place} and {table.place} both have rows for {split}: leave "
                    f"them in one of the two."
                )
            parts[split] = table, np.flatnonzero(splits == split)
    place = next(iter(tables.values())).place
    if "train" not in parts:
        raise BadInput(f"{place} has no rows for training: no split is called train.")
    many = any(table.multi_label for table, _ in parts.values())
    listed = sum(len(rows) for _, rows in parts.values())
    parts = {name: (table, _once(table, rows)) for name, (table, rows) in parts.items()}
    repeated = listed - sum(len(rows) for _, rows in parts.values())
    table, rows = parts["train"]
    classes = table.classes or class_order(n for row in rows.tolist() for n in _row(table, row))
    if len(classes) < (1 if many else 2):
        raise BadInput(
            f"{table.place} has one class only for training, {', '.join(map(repr, classes))}: "
            "expected two or more."
        )
    found = {
        name: _listing(table, rows, classes, name, many) for name, (table, rows) in parts.items()
    }
    _check_apart({name: parts[name] for name in SPLITS if name in parts})
    if repeated:
        rows_repeat = "1 row repeats" if repeated == 1 else f"{repeated:,} rows repeat"
        note = f"{place.name}: {rows_repeat} a picture, which counts once."
        found["train"] = replace(found["train"], note=note)
    return found


def _once(table: Table, rows: np.ndarray) -> np.ndarray:
    """Leaves out rows that repeat a picture: held out, it would be what was trained on.

    Raises:
        BadInput: A picture stands in two rows with different labels: nobody can learn both. The
            message names the rows, and how several labels are written.
    """
    if not isinstance(table.files, tuple):
        return rows
    first: dict[Any, int] = {}
    for row in rows.tolist():
        before = first.setdefault(table.files[row], row)
        names = _row(table, before), _row(table, row)
        if sorted(names[0]) != sorted(names[1]):
            one, other = (", ".join(map(repr, each)) or "none" for each in names)
            together = "|".join(dict.fromkeys([*names[0], *names[1]]))
            raise BadInput(
                f"{table.place}, lines {table.lines[before]} and {table.lines[row]}: the picture "
                f"{table.files[row]} has the label {one} and the label {other}. "
                f"Leave one of them; or if both hold, call the column labels, and write them into "
                f"one row, as {together}."
            )
    return np.array(list(first.values()), dtype=rows.dtype)


def _check_apart(parts: Mapping[str, tuple[Table, np.ndarray]]) -> None:
    """Refuses a picture in two splits: a test of what was trained on tells nothing.

    Raises:
        BadInput: There is one; the message names both rows.
    """
    first: dict[Any, tuple[str, str]] = {}
    for split, (table, rows) in parts.items():
        if not isinstance(table.files, tuple):
            continue
        for row in rows.tolist():
            here = f"{table.place}, line {table.lines[row]}"
            other, there = first.setdefault(table.files[row], (split, here))
            if other != split:
                raise BadInput(
                    f"{here}: the picture {table.files[row]} is for {split}, and for {other} too "
                    f"({there}). Leave it in one of them."
                )


def _row(table: Table, row: int) -> Sequence[str]:
    labels = table.labels[row]
    return [normal(labels)] if isinstance(labels, str) else [normal(name) for name in labels]


def _listing(
    table: Table, rows: np.ndarray, classes: tuple[str, ...], split: str, many: bool
) -> Listing:
    known = {name: number for number, name in enumerate(classes)}
    labels = np.zeros((len(rows), len(classes)) if many else len(rows), _TYPES[many])
    for place, row in enumerate(rows.tolist()):
        for name in _row(table, row):
            if (number := known.get(name)) is None:
                raise BadInput(
                    f"{table.place}, line {table.lines[row]}: the class {name!r} is in the rows "
                    f"for {split} and not in those for training, so it cannot be learnt."
                    f"{nearest(name, classes)}"
                )
            if many:
                labels[place, number] = 1
            else:
                labels[place] = number
    return Listing(chosen(table.files, rows), labels, classes, table.place.parent)
