"""Tables that list pictures as they are written, before anything in them is checked."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flaxmill.data.listings import labels, split_columns
from flaxmill.data.listings.label_columns import label_column
from flaxmill.errors import BadInput, listed
from flaxmill.machine.files import check_regular

_COLUMNS = 1000  # of a table of JSON, at most
PATHS = ("path", "file", "filename", "file_name", "image", "picture", "img")


@dataclass(frozen=True)
class RawTable:
    """A table as it is written, before anything in it is checked.

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


def read_raw_table(place: Path) -> RawTable:
    """Reads a CSV file with a header, or a file with an object of JSON in each line.

    Between the cells of a CSV file are commas, semicolons or tabs.

    Args:
        place: The file.

    Raises:
        BadInput: It is no such table, or has no columns of paths and labels.
    """
    read = read_jsonl if place.suffix.lower() == ".jsonl" else read_csv
    lines, header, rows = read(place)

    def column(number: int) -> list[Any]:
        return [row[number] for row in rows]

    at = find_columns(place, header)
    by_split, splits = split_columns.find_split_columns(place, header, column, lines)
    known = at | {f"split {number}": number for number in by_split}
    label_cells = label_column(place, header, known, column, lines)
    paths = [path if isinstance(path, str) else "" for path in column(at["path"])]
    return RawTable(place, paths, label_cells, splits, lines)


def read_jsonl(place: Path) -> tuple[list[int], list[str], list[list[Any]]]:
    """Returns the line numbers, the names and the rows of a file with JSON in each line."""
    lines, rows = [], []
    for number, line in enumerate(_text(place).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{place}, line {number}: it is no JSON ({error}).") from None
        if not isinstance(row, dict):
            raise BadInput(
                f"{place}, line {number}: expected an object of JSON, such as "
                '{"file_name": "1.png", "label": "cat"}.'
            )
        lines.append(number)
        rows.append(row)
    if not rows:
        raise BadInput(f"{place} has no rows: expected one for each picture.")
    header = list(dict.fromkeys(name for row in rows for name in row))
    if len(header) > _COLUMNS:  # of which each row would have a cell
        raise BadInput(
            f"{place} has {len(header):,} names in its rows, and up to {_COLUMNS:,} columns are "
            f"read: give all rows the same names."
        )
    return lines, header, [[row.get(name) for name in header] for row in rows]


def _text(place: Path) -> str:
    try:
        check_regular(place)
        return place.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _closed(place, error) from None
    except UnicodeDecodeError:
        raise BadInput(f"{place} is not written in UTF-8: save it anew so.") from None


def _closed(place: Path, error: OSError) -> BadInput:
    return BadInput(f"{place} cannot be read: {(error.strerror or str(error)).lower()}.")


def read_csv(place: Path) -> tuple[list[int], list[str], list[list[str]]]:
    """Returns the line numbers, the header and the rows of a CSV file."""
    line, rows, delimiter = 0, [], ","
    try:
        check_regular(place)
        with place.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                line = reader.line_num
                if any(map(str.strip, row)):
                    rows.append((line, row))
    except OSError as error:
        raise _closed(place, error) from None
    except UnicodeDecodeError:
        raise BadInput(
            f"{place} is not written in UTF-8: save it anew so (Excel: CSV UTF-8)."
        ) from None
    except csv.Error as error:
        raise BadInput(f"{place}, line {line + 1}: it is no CSV ({error}).") from None
    if len(rows) < 2:
        raise BadInput(f"{place} has no rows below its header: expected one for each picture.")
    (_, header), *numbered = rows
    for line, row in numbered:
        if len(row) != len(header):
            raise BadInput(
                f"{place}, line {line}: there are {len(row)} cells, but the header has "
                f"{len(header)}. Put a cell with {delimiter!r} in it into quotation marks."
            )
    return [line for line, _ in numbered], header, [row for _, row in numbered]


def find_columns(place: Path, header: Sequence[str]) -> dict[str, int]:
    """Returns which column holds "path", and which may hold "label".

    Raises:
        BadInput: There is none of paths.
    """
    names = [name.strip().lower() for name in header]
    known = {"path": PATHS, "label": labels.TITLES}
    meaning = {
        what: names.index(name)
        for what, titles in known.items()
        if (name := next((name for name in titles if name in names), None))
    }
    if "path" not in meaning:
        raise BadInput(
            f"{place} has no column of paths: its columns are {listed(header)}; expected one "
            f"called {' or '.join(PATHS)} (in the first row of a CSV file)."
        )
    return meaning
