"""What is written in tables that list pictures, before it is asked whether it is so."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flaxmill.data.listings import labels, split_columns
from flaxmill.data.listings.label_columns import column_of
from flaxmill.errors import BadInput, listed
from flaxmill.machine.files import check_regular

_COLUMNS = 1000  # of a table of JSON, at most
PATHS = ("path", "file", "filename", "file_name", "image", "picture", "img")


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


def open_table(place: Path) -> Written:
    """Reads a CSV file with a header, or a file with an object of JSON in each line.

    Between the cells of a CSV file are commas, semicolons or tabs.

    Args:
        place: The file.

    Raises:
        BadInput: It is no such table, or has no columns of paths and labels.
    """
    read = objects if place.suffix.lower() == ".jsonl" else cells
    lines, header, rows = read(place)

    def column(number: int) -> list[Any]:
        return [row[number] for row in rows]

    at = columns(place, header)
    by_split, splits = split_columns.find(place, header, column, lines)
    meant = at | {f"split {number}": number for number in by_split}
    found = column_of(place, header, meant, column, lines)
    paths = [path if isinstance(path, str) else "" for path in column(at["path"])]
    return Written(place, paths, found, splits, lines)


def objects(place: Path) -> tuple[list[int], list[str], list[list[Any]]]:
    """Returns the line numbers, the names and the rows of a file with JSON in each line."""
    lines, read = [], []
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
        read.append(row)
    if not read:
        raise BadInput(f"{place} has no rows: expected one for each picture.")
    header = list(dict.fromkeys(name for row in read for name in row))
    if len(header) > _COLUMNS:  # of which each row would have a cell
        raise BadInput(
            f"{place} has {len(header):,} names in its rows, and up to {_COLUMNS:,} columns are "
            f"read: give all rows the same names."
        )
    return lines, header, [[row.get(name) for name in header] for row in read]


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


def cells(place: Path) -> tuple[list[int], list[str], list[list[str]]]:
    """Returns the line numbers, the header and the rows of a CSV file."""
    line, read, delimiter = 0, [], ","
    try:
        check_regular(place)
        with place.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t", key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                line = reader.line_num
                if any(map(str.strip, row)):
                    read.append((line, row))
    except OSError as error:
        raise _closed(place, error) from None
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
    """Returns which column holds "path", and which may hold "label".

    Raises:
        BadInput: There is none of paths.
    """
    names = [name.strip().lower() for name in header]
    known = {"path": PATHS, "label": labels.TITLES}
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
