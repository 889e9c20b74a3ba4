"""Tables that list pictures: a path and a label in each row, as CSV, JSON Lines or Parquet."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.listings import label_notes, labels, split_columns
from flaxmill.data.listings.listing import Listing, class_order, normal, subset
from flaxmill.data.listings.raw_tables import read_raw_table
from flaxmill.data.listings.same_files import identities
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
    """Reads a table that lists pictures, see `read_raw_table`.

    Args:
        place: The file. Paths in it are relative to its folder.

    Raises:
        BadInput: It is no such table; a picture is missing. Rows are named.
    """
    raw = read_raw_table(place)
    splits = None if raw.splits is None else split_columns.splits_of(place, raw.lines, raw.splits)
    files = existing_paths(place, raw.lines, raw.paths)
    return Table(place, files, raw.labels, splits, raw.lines)


def existing_paths(place: Path, lines: Sequence[int], names: Sequence[str]) -> tuple[Path, ...]:
    """Returns the paths of pictures that a table names, relative to its folder.

    Raises:
        BadInput: Some do not exist; the message counts them and names a few.
    """
    paths = [picture_path(place.parent, name.strip()) for name in names]
    missing = [row for row, path in enumerate(paths) if path is None]
    if missing:
        some = missing[:_SHOWN]
        shown = ", ".join(f"{quoted(names[row])} (line {lines[row]})" for row in some)
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        there = "is" if len(missing) == 1 else "are"
        raise BadInput(
            f"{place} lists {len(paths):,} pictures, of which {len(missing):,} {there} not there: "
            f"{shown}{more}. Their paths are taken from {place.parent}."
            f"{_suggest(place, names[missing[0]].strip())}"
        )
    return tuple(path for path in paths if path is not None)


def picture_path(folder: Path, name: str) -> Path | None:
    """Returns where a picture lies; Windows and macOS write its path in ways of their own."""
    if not name:
        return None
    for form in ("", "NFC", "NFD"):
        for written in (name, name.replace("\\", "/")):
            path = folder / (normal(written, form) if form else written)
            if os.path.lexists(path):
                return path
    return None


def picture_path_below(folder: Path, name: str) -> Path | None:
    """Returns where a file of this path lies in one of the folders of a folder."""
    try:
        inside = sorted(entry.path for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return None
    return next((path for each in inside if (path := picture_path(Path(each), name))), None)


def _suggest(place: Path, name: str) -> str:
    """Returns a hint if a picture of the name lies in another folder, or has an ending beside."""
    folder, there = place.parent, place.parent / name
    if name and (file := picture_path_below(folder, name)):
        shown = file.relative_to(folder)
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
class _SplitRows:
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
    columns = [table.labels for table in tables.values()]
    form = labels.form_of(columns, sign)
    by_split: dict[str, _SplitRows] = {}
    for name, table in tables.items():
        row_splits = np.asarray(table.splits or [name] * len(table.lines))
        names, files = form.rows(table.labels), identities(table.files)
        for split in sorted(set(row_splits.tolist())):
            if split in by_split:
                raise BadInput(
                    f"{by_split[split].table.place} and {table.place} both have rows for {split}: "
                    "leave them in one of the two."
                )
            by_split[split] = _SplitRows(table, np.flatnonzero(row_splits == split), names, files)
    place = next(iter(tables.values())).place
    if "train" not in by_split:
        raise BadInput(f"{place} has no rows for training: no split is called train.")
    total = sum(len(group.rows) for group in by_split.values())
    by_split = {name: replace(group, rows=_drop_repeats(group)) for name, group in by_split.items()}
    repeated = total - sum(len(group.rows) for group in by_split.values())
    train = by_split["train"]
    known = dict.fromkeys(normal(name) for name in train.table.labels.names)
    classes = tuple(known) or class_order(n for row in train.rows for n in train.names[row])
    lacking = ""
    if len(classes) < 2 and not form.multi_label:
        lacking = (
            f"{train.table.place} has one class only for training, {listed(classes)}: expected two "
            "or more."
        )
    many = form.multi_label
    result = {name: _listing(group, classes, name, many) for name, group in by_split.items()}
    _check_disjoint({name: by_split[name] for name in SPLITS if name in by_split})
    rows = [group.names[row] for group in by_split.values() for row in group.rows]
    notes = [label_notes.describe(columns, form, rows, classes)]
    if repeated:
        rows_repeat = "1 row repeats" if repeated == 1 else f"{repeated:,} rows repeat"
        notes.append(f"{place.name}: {rows_repeat} a picture, which counts once.")
    return {**result, "train": replace(result["train"], note=" ".join(notes), lacking=lacking)}


def _drop_repeats(group: _SplitRows) -> np.ndarray:
    """Leaves out rows that repeat a picture: held out, it would be what was trained on.

    Raises:
        BadInput: A picture stands in two rows with different labels: nobody can learn both. The
            message names the rows, and how several labels are written.
    """
    table = group.table
    if group.files is None:
        return group.rows
    first: dict[Any, int] = {}
    for row in group.rows.tolist():
        before = first.setdefault(group.files[row], row)
        names = group.names[before], group.names[row]
        if sorted(names[0]) != sorted(names[1]):
            one, other = (listed(each) or "none" for each in names)
            together = quoted("|".join(dict.fromkeys([*names[0], *names[1]])))[1:-1]
            raise BadInput(
                f"{table.place}, lines {table.lines[before]} and {table.lines[row]}: the picture "
                f"{_names_in_rows(table, before, row)} has the label {one} and the label {other}. "
                f"Leave one of them; or if both hold, call the column labels, and write them into "
                f"one row, as {together}."
            )
    return np.array(list(first.values()), dtype=group.rows.dtype)


def _check_disjoint(by_split: Mapping[str, _SplitRows]) -> None:
    """Refuses a picture that is in two splits: a test of what was trained on tells nothing.

    Raises:
        BadInput: There is one; the message names both rows.
    """
    first: dict[Any, tuple[str, str, Any]] = {}
    for split, group in by_split.items():
        table = group.table
        if group.files is None:
            continue
        for row in group.rows.tolist():
            here, file = f"{table.place}, line {table.lines[row]}", table.files[row]
            other, there, called = first.setdefault(group.files[row], (split, here, file))
            if other != split:
                name = "" if called == file else f", as {called}"
                raise BadInput(
                    f"{here}: the picture {file} is for {split}, and for {other} too "
                    f"({there}{name}). Leave it in one of them."
                )


def _names_in_rows(table: Table, row: int, other: int) -> str:
    """Returns the name of a picture in two rows, or both of its names."""
    return " = ".join(dict.fromkeys(str(table.files[each]) for each in (row, other)))


def _listing(group: _SplitRows, classes: tuple[str, ...], split: str, many: bool) -> Listing:
    index_of = {name: number for number, name in enumerate(classes)}
    table, rows = group.table, group.rows
    numbers = np.zeros((len(rows), len(classes)) if many else len(rows), _TYPES[many])
    for at, row in enumerate(rows.tolist()):
        for name in group.names[row]:
            if (number := index_of.get(name)) is None:
                raise BadInput(
                    f"{table.place}, line {table.lines[row]}: the class {quoted(name)} is in the "
                    f"rows for {split} and not in those for training, so it cannot be learnt."
                    f"{nearest(name, classes)}"
                )
            if many:
                numbers[at, number] = 1
            else:
                numbers[at] = number
    return Listing(subset(table.files, rows), numbers, classes, table.place.parent)
