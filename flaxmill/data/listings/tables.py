"""Tables that list pictures: a path and a label in each row, as CSV or Parquet."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings import label_words, labels
from flaxmill.data.listings.label_columns import column_of
from flaxmill.data.listings.listing import PARTS, Listing, chosen, class_order, normal
from flaxmill.data.source import SPLITS
from flaxmill.errors import BadInput, listed, nearest, quoted

PATHS = ("path", "file", "filename", "file_name", "image", "picture", "img")
SPLIT = "split"
_TYPES = (np.int32, np.float32)  # of single labels, and of rows of zeros and ones
_SHOWN = 3  # missing files that a message names


@dataclass(frozen=True)
class Table:
    """What the rows of a table say.

    Attributes:
        place: The file, for messages.
        files: A path, or something that gives a picture file's content, for each row.
        labels: The cells that say what they show.
        splits: "train", "validation" or "test" for each row; None if there is no such column.
        lines: The number of each row, as a person counts them.
    """

    place: Path
    files: Sequence[Any]
    labels: labels.Column
    splits: Sequence[str] | None
    lines: Sequence[int]


@dataclass(frozen=True)
class Written:
    """What is written in a table, before it is asked whether it is so.

    Attributes:
        place: The file.
        paths: Of pictures, relative to the file's folder.
        labels: The cells that say what they show.
        splits: The cells that say which split each is in; None if there is no such column.
        lines: The number of each row, as a person counts them.
    """

    place: Path
    paths: Sequence[str]
    labels: labels.Column
    splits: Sequence[str] | None
    lines: Sequence[int]


def open_csv(place: Path) -> Written:
    """Reads a CSV file with a header, between whose cells are commas, semicolons or tabs.

    Args:
        place: The file.

    Raises:
        BadInput: It is no such table, or has no columns of paths and labels.
    """
    lines, header, rows = cells(place)
    at = columns(place, header)

    def column(number: int) -> list[str]:
        return [row[number] for row in rows]

    found = column_of(place, header, at, column, lines)
    splits = column(at["split"]) if "split" in at else None
    return Written(place, column(at["path"]), found, splits, lines)


def read_csv(place: Path) -> Table:
    """Reads a CSV file that lists pictures, see `open_csv`.

    Args:
        place: The file. Paths in it are relative to its folder.

    Raises:
        BadInput: It is no such table; a picture is missing. Rows are named.
    """
    said = open_csv(place)
    splits = None if said.splits is None else named_splits(place, said.lines, said.splits)
    files = existing(place, said.lines, said.paths)
    return Table(place, files, said.labels, splits, said.lines)


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
    """Returns which column holds "path", and which may hold "label" and "split".

    Raises:
        BadInput: There is none of paths.
    """
    names = [name.strip().lower() for name in header]
    known = {"path": PATHS, "label": labels.TITLES, "split": (SPLIT,)}
    found = {
        what: names.index(name)
        for what, wanted in known.items()
        if (name := next((name for name in wanted if name in names), None))
    }
    if "path" not in found:
        raise BadInput(
            f"{place} has no column of paths: its columns are {listed(header)}; expected one "
            f"called {' or '.join(PATHS)} (in the first row of a CSV file)."
        )
    return found


def named_splits(place: Path, lines: Sequence[int], column: Sequence[str]) -> list[str]:
    """Returns the splits that a column names, as flaxmill calls them."""
    known = {cell: PARTS.get(cell.strip().lower(), "") for cell in set(column)}
    for line, cell in zip(lines, column, strict=True):
        if not known[cell]:
            raise BadInput(
                f"{place}, line {line}: no split is called {quoted(cell)}.{nearest(cell, PARTS)}"
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
        some = missing[:_SHOWN]
        shown = ", ".join(f"{quoted(names[row])} (line {lines[row]})" for row in some)
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


@dataclass(frozen=True)
class _Part:
    """The rows of a table that are of one split, and the class names of all rows of it."""

    table: Table
    rows: np.ndarray
    names: Sequence[Sequence[str]]


def listings(tables: Mapping[str, Table], *, sign: str = "") -> dict[str, Listing]:
    """Makes listings with the same classes of the tables of the splits.

    Args:
        tables: "train" and maybe "validation" and "test"; or one for all, under "train", that has a
            column for the split.
        sign: What stands between several labels of a picture. Where the column is called "labels",
            the first of ``| ; ,`` that occurs in it, if one does.

    Raises:
        BadInput: There is nothing to train on, or only one class; another split has a class that
            training lacks; labels cannot be understood.
    """
    given = [table.labels for table in tables.values()]
    form = labels.form_of(given, sign)
    parts: dict[str, _Part] = {}
    for name, table in tables.items():
        splits = np.asarray(table.splits or [name] * len(table.lines))
        names = form.rows(table.labels)
        for split in sorted(set(splits.tolist())):
            if split in parts:
                raise BadInput(
                    f"{parts[split].table.place} and {table.place} both have rows for {split}: "
                    "leave them in one of the two."
                )
            parts[split] = _Part(table, np.flatnonzero(splits == split), names)
    place = next(iter(tables.values())).place
    if "train" not in parts:
        raise BadInput(f"{place} has no rows for training: no split is called train.")
    total = sum(len(part.rows) for part in parts.values())
    parts = {name: replace(part, rows=_once(part)) for name, part in parts.items()}
    repeated = total - sum(len(part.rows) for part in parts.values())
    train = parts["train"]
    known = dict.fromkeys(normal(name) for name in train.table.labels.names)
    classes = tuple(known) or class_order(n for row in train.rows for n in train.names[row])
    if len(classes) < (1 if form.many else 2):
        raise BadInput(
            f"{train.table.place} has one class only for training, {listed(classes)}: expected two "
            "or more."
        )
    found = {name: _listing(part, classes, name, form.many) for name, part in parts.items()}
    _check_apart({name: parts[name] for name in SPLITS if name in parts})
    rows = [names for part in parts.values() for names in (part.names[row] for row in part.rows)]
    notes = [label_words.said(given, form, rows, classes)]
    if repeated:
        rows_repeat = "1 row repeats" if repeated == 1 else f"{repeated:,} rows repeat"
        notes.append(f"{place.name}: {rows_repeat} a picture, which counts once.")
    return {**found, "train": replace(found["train"], note=" ".join(notes))}


def _once(part: _Part) -> np.ndarray:
    """Leaves out rows that repeat a picture: held out, it would be what was trained on.

    Raises:
        BadInput: A picture stands in two rows with different labels: nobody can learn both. The
            message names the rows, and how several labels are written.
    """
    table = part.table
    if not isinstance(table.files, tuple):
        return part.rows
    first: dict[Any, int] = {}
    for row in part.rows.tolist():
        before = first.setdefault(table.files[row], row)
        names = part.names[before], part.names[row]
        if sorted(names[0]) != sorted(names[1]):
            one, other = (listed(each) or "none" for each in names)
            together = quoted("|".join(dict.fromkeys([*names[0], *names[1]])))[1:-1]
            raise BadInput(
                f"{table.place}, lines {table.lines[before]} and {table.lines[row]}: the picture "
                f"{table.files[row]} has the label {one} and the label {other}. "
                f"Leave one of them; or if both hold, call the column labels, and write them into "
                f"one row, as {together}."
            )
    return np.array(list(first.values()), dtype=part.rows.dtype)


def _check_apart(parts: Mapping[str, _Part]) -> None:
    """Refuses a picture in two splits: a test of what was trained on tells nothing.

    Raises:
        BadInput: There is one; the message names both rows.
    """
    first: dict[Any, tuple[str, str]] = {}
    for split, part in parts.items():
        table = part.table
        if not isinstance(table.files, tuple):
            continue
        for row in part.rows.tolist():
            here = f"{table.place}, line {table.lines[row]}"
            other, there = first.setdefault(table.files[row], (split, here))
            if other != split:
                raise BadInput(
                    f"{here}: the picture {table.files[row]} is for {split}, and for {other} too "
                    f"({there}). Leave it in one of them."
                )


def _listing(part: _Part, classes: tuple[str, ...], split: str, many: bool) -> Listing:
    known = {name: number for number, name in enumerate(classes)}
    table, rows = part.table, part.rows
    numbers = np.zeros((len(rows), len(classes)) if many else len(rows), _TYPES[many])
    for place, row in enumerate(rows.tolist()):
        for name in part.names[row]:
            if (number := known.get(name)) is None:
                raise BadInput(
                    f"{table.place}, line {table.lines[row]}: the class {quoted(name)} is in the "
                    f"rows for {split} and not in those for training, so it cannot be learnt."
                    f"{nearest(name, classes)}"
                )
            if many:
                numbers[place, number] = 1
            else:
                numbers[place] = number
    return Listing(chosen(table.files, rows), numbers, classes, table.place.parent)
