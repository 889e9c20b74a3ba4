"""Tables that list pictures: a path and a label in each row, as CSV, JSON Lines or Parquet."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings import label_words, labels, split_columns
from flaxmill.data.listings.listing import Listing, chosen, class_order, normal
from flaxmill.data.listings.same import identities
from flaxmill.data.listings.written_tables import open_table
from flaxmill.data.source import SPLITS
from flaxmill.errors import BadInput, listed, nearest, quoted

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


def read_table(place: Path) -> Table:
    """Reads a table that lists pictures, see `open_table`.

    Args:
        place: The file. Paths in it are relative to its folder.

    Raises:
        BadInput: It is no such table; a picture is missing. Rows are named.
    """
    said = open_table(place)
    splits = None if said.splits is None else split_columns.named(place, said.lines, said.splits)
    files = existing(place, said.lines, said.paths)
    return Table(place, files, said.labels, splits, said.lines)


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
            f"{_meant(place, names[missing[0]].strip())}"
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


def elsewhere(folder: Path, name: str) -> Path | None:
    """Returns where a file of this path lies in one of the folders of a folder."""
    try:
        inside = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return None
    return next((path for each in inside if (path := path_of(Path(each), name))), None)


def _meant(place: Path, name: str) -> str:
    """Says so if a picture of the name lies in another folder, or has an ending beside."""
    folder, there = place.parent, place.parent / name
    if name and (found := elsewhere(folder, name)):
        shown = found.relative_to(folder)
        return (
            f" There is a {shown}: put the table into {folder / shown.parts[0]}, if all its "
            f"pictures are there, or write their paths so."
        )
    if name and there.name and not there.suffix and os.path.isdir(there.parent):  # of any length
        for path in sorted(there.parent.glob("*")):
            if path.stem == there.name:
                return f" There is a {path.name}: write the names with their endings."
    return ""


@dataclass(frozen=True)
class _Part:
    """The rows of a table that are of one split.

    Attributes:
        table: The table.
        rows: Which.
        names: The class names of all rows of the table.
        files: What tells the file of each row of the table from others; None if they are no files.
    """

    table: Table
    rows: np.ndarray
    names: Sequence[Sequence[str]]
    files: Sequence[Any] | None


def listings(tables: Mapping[str, Table], *, sign: str = "") -> dict[str, Listing]:
    """Makes listings with the same classes of the tables of the splits.

    Args:
        tables: "train" and maybe "validation" and "test"; or one for all, under "train", that has a
            column for the split.
        sign: What stands between several labels of a picture. Where the column is called "labels",
            the first of ``| ; ,`` that occurs in it, if one does.

    Raises:
        BadInput: There is nothing to train on; another split has a class that training lacks;
            labels cannot be understood.
    """
    given = [table.labels for table in tables.values()]
    form = labels.form_of(given, sign)
    parts: dict[str, _Part] = {}
    for name, table in tables.items():
        splits = np.asarray(table.splits or [name] * len(table.lines))
        names, files = form.rows(table.labels), identities(table.files)
        for split in sorted(set(splits.tolist())):
            if split in parts:
                raise BadInput(
                    f"{parts[split].table.place} and {table.place} both have rows for {split}: "
                    "leave them in one of the two."
                )
            parts[split] = _Part(table, np.flatnonzero(splits == split), names, files)
    place = next(iter(tables.values())).place
    if "train" not in parts:
        raise BadInput(f"{place} has no rows for training: no split is called train.")
    total = sum(len(part.rows) for part in parts.values())
    parts = {name: replace(part, rows=_once(part)) for name, part in parts.items()}
    repeated = total - sum(len(part.rows) for part in parts.values())
    train = parts["train"]
    known = dict.fromkeys(normal(name) for name in train.table.labels.names)
    classes = tuple(known) or class_order(n for row in train.rows for n in train.names[row])
    lacking = ""
    if len(classes) < 2 and not form.many:
        lacking = (
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
    return {**found, "train": replace(found["train"], note=" ".join(notes), lacking=lacking)}


def _once(part: _Part) -> np.ndarray:
    """Leaves out rows that repeat a picture: held out, it would be what was trained on.

    Raises:
        BadInput: A picture stands in two rows with different labels: nobody can learn both. The
            message names the rows, and how several labels are written.
    """
    table = part.table
    if part.files is None:
        return part.rows
    first: dict[Any, int] = {}
    for row in part.rows.tolist():
        before = first.setdefault(part.files[row], row)
        names = part.names[before], part.names[row]
        if sorted(names[0]) != sorted(names[1]):
            one, other = (listed(each) or "none" for each in names)
            together = quoted("|".join(dict.fromkeys([*names[0], *names[1]])))[1:-1]
            raise BadInput(
                f"{table.place}, lines {table.lines[before]} and {table.lines[row]}: the picture "
                f"{_called(table, before, row)} has the label {one} and the label {other}. "
                f"Leave one of them; or if both hold, call the column labels, and write them into "
                f"one row, as {together}."
            )
    return np.array(list(first.values()), dtype=part.rows.dtype)


def _check_apart(parts: Mapping[str, _Part]) -> None:
    """Refuses a picture in two splits: a test of what was trained on tells nothing.

    Raises:
        BadInput: There is one; the message names both rows.
    """
    first: dict[Any, tuple[str, str, Any]] = {}
    for split, part in parts.items():
        table = part.table
        if part.files is None:
            continue
        for row in part.rows.tolist():
            here, file = f"{table.place}, line {table.lines[row]}", table.files[row]
            other, there, called = first.setdefault(part.files[row], (split, here, file))
            if other != split:
                name = "" if called == file else f", as {called}"
                raise BadInput(
                    f"{here}: the picture {file} is for {split}, and for {other} too "
                    f"({there}{name}). Leave it in one of them."
                )


def _called(table: Table, row: int, other: int) -> str:
    """Returns the name of a picture in two rows, or both of its names."""
    return " = ".join(dict.fromkeys(str(table.files[each]) for each in (row, other)))


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
