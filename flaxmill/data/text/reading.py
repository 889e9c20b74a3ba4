"""Texts and their labels from files: tables of rows, or folders of text files."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flaxmill.data.listings.listing import Listing, class_order, normal, split_of
from flaxmill.errors import BadInput, listed, nearest, quoted
from flaxmill.machine.files import open_regular

TEXT_COLUMNS = (
    *("text", "sentence", "review", "document", "utterance", "content", "comment", "question"),
    *("message", "title", "body", "description", "headline", "tweet", "query", "문장", "본문"),
)
LABEL_COLUMNS = ("label", "class", "intent", "category", "sentiment", "target", "labels", "topic")
LABEL_COLUMNS += ("emotion", "rating", "stars", "라벨", "분류")
"""Usual names of the columns; capitals do not matter."""
TABLES = (".tsv", ".csv", ".jsonl", ".txt")
_SHOWN = 8  # columns, or files, that a message names


@dataclass(frozen=True)
class LabelledTexts:
    """Texts and their labels, as they are written.

    Attributes:
        place: The file or folder that they are from.
        texts: The texts.
        labels: Their labels.
        splits: The split of each; empty if the table has no column of splits.
    """

    place: Path
    texts: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str] = ()


def read(place: Path, *, text: str = "", label: str = "") -> dict[str, Listing]:
    """Reads labelled texts.

    Args:
        place: A table (``.tsv``, ``.csv``, ``.jsonl``, or ``.txt`` with tabs), or a folder: of
            tables called train, dev (valid, val, validation) and test; of a folder for each class
            with ``.txt`` files; or of train, dev and test with such folders.
        text: The column of the texts: its name, or its number from 1 on. By default the one with a
            usual name; in a table of two columns without names, the one that repeats less.
        label: The column of the labels, likewise.

    Returns:
        "train", and if there are any "validation" and "test"; all with the same classes. The
        ``files`` of a listing are the texts themselves.

    Raises:
        BadInput: There is nothing of the kind, or it is not right; the message names file and line.
    """
    if not place.exists():
        raise BadInput(
            f"--data {place}: there is no such file or folder. Give a table ({', '.join(TABLES)}), "
            f"or a folder of them or of class folders."
        )
    splits = _in_folder(place, text, label) if place.is_dir() else _one_table(place, text, label)
    if "train" not in splits:
        raise BadInput(f"{place} has {listed(splits)} and nothing to train on: name a file train.")
    classes = class_order(normal(name) for rows in splits.values() for name in rows.labels)
    numbers = {name: number for number, name in enumerate(classes)}
    lacking = ""
    if len(classes) < 2:
        lacking = f"all texts of {place} have the label {quoted(classes[0])}: nothing can be learnt"
    return {
        split: Listing(
            files=tuple(rows.texts),
            labels=np.array([numbers[normal(name)] for name in rows.labels], np.int32),
            classes=classes,
            root=place,
            lacking=lacking,
            things="texts",
        )
        for split, rows in splits.items()
    }


def _by_split(rows: LabelledTexts) -> dict[str, LabelledTexts]:
    """Divides a table by its column of splits."""
    splits = {}
    for split in ("train", "validation", "test"):
        if at := [row for row, name in enumerate(rows.splits) if name == split]:
            texts, labels = ([every[row] for row in at] for every in (rows.texts, rows.labels))
            splits[split] = LabelledTexts(rows.place, texts, labels)
    return splits


def _in_folder(place: Path, text: str, label: str) -> dict[str, LabelledTexts]:
    inside = sorted(path for path in place.iterdir() if path.name[0] not in "._")
    tables = [path for path in inside if path.is_file() and path.suffix.lower() in TABLES]
    tables = [path for path in tables if path.suffix.lower() != ".txt" or split_of(path.stem)]
    if tables:
        return _tables(place, tables, text, label)
    folders = [path for path in inside if path.is_dir()]
    named = {split_of(path.name): path for path in folders if split_of(path.name)}
    if "train" in named:
        return {split: read_class_folders(path) for split, path in named.items()}
    if not folders:
        what = listed((path.name for path in inside), _SHOWN) or "nothing"
        raise BadInput(
            f"{place} holds {what}: expected tables ({', '.join(TABLES)}) called train, dev and "
            f"test, or a folder for each class with .txt files."
        )
    return {"train": read_class_folders(place)}


def _tables(place: Path, tables: Sequence[Path], text: str, label: str) -> dict[str, LabelledTexts]:
    """Reads the tables of a folder, each for the split in its name."""
    if len(tables) == 1:
        return _one_table(tables[0], text, label)
    named: dict[str, Path] = {}
    for path in tables:
        if not (split := split_of(path.stem)):
            raise BadInput(
                f"{place} holds {listed((path.name for path in tables), _SHOWN)}: call them train, "
                f"dev and test, or give one of them as --data."
            )
        if split in named:
            raise BadInput(f"{named[split]} and {path} are both named for {split}: keep one.")
        named[split] = path
    return {split: read_table(path, text=text, label=label) for split, path in named.items()}


def _one_table(path: Path, text: str, label: str) -> dict[str, LabelledTexts]:
    """Reads a single table: for all splits if it has a column of them, else for training."""
    rows = read_table(path, text=text, label=label)
    return _by_split(rows) if any(rows.splits) else {"train": rows}


def read_class_folders(place: Path) -> LabelledTexts:
    """Reads a folder with a folder for each class; each ``.txt`` file in these is a text."""
    texts, labels = [], []
    for folder in sorted(path for path in place.iterdir() if path.is_dir()):
        files = sorted(path for path in folder.rglob("*.txt") if path.name[0] not in "._")
        for path in files:
            if not (content := read_utf8(path).strip()):
                raise BadInput(f"{path} is empty: take it away, or write its text.")
            texts.append(content)
            labels.append(folder.name)
    if not texts:
        raise BadInput(f"{place} has no folder with .txt files in it, one for each class.")
    return LabelledTexts(place, texts, labels)


def read_utf8(path: Path) -> str:
    """Reads a text file as UTF-8, without a byte order mark.

    Raises:
        BadInput: It is not UTF-8, or cannot be read; the message names the line.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInput(
            f"{path}, line {line:,}: byte 0x{content[error.start]:02x} is no UTF-8. Save the file "
            f"as UTF-8 (`iconv -f CP949 -t UTF-8` does so for Korean of old)."
        ) from None


def read_table(place: Path, *, text: str = "", label: str = "") -> LabelledTexts:
    """Reads a table of texts and labels; see `read`.

    In ``.csv`` files, cells may stand in quotation marks; in ``.tsv`` and ``.txt`` files these are
    characters like all others.

    Raises:
        BadInput: The message names the file and the line.
    """
    if place.suffix.lower() == ".jsonl":
        header, lines, rows = _objects(place)
    else:
        header, lines, rows = _cells(place, (text, label))
    at = _columns(place, header, rows, text, label)
    pairs = []
    for number, row in zip(lines, rows, strict=True):
        cells = [row[column].strip() for column in at]
        for name, cell in zip(("text", "label"), cells, strict=True):
            if not cell:
                raise BadInput(f"{place}, line {number:,}: there is no {name}.")
        pairs.append(cells)
    if not pairs:
        raise BadInput(f"{place} holds no row with a text and a label.")
    splits = _splits(place, header, lines, rows)
    texts, labels = zip(*pairs, strict=True)
    return LabelledTexts(place, texts, labels, splits)


def _splits(
    place: Path, header: Sequence[str], lines: Sequence[int], rows: Sequence[Sequence[str]]
) -> list[str]:
    """Returns the split of each row by its column of splits; nothing if there is none."""
    at = next((n for n, name in enumerate(header) if name.strip().lower() == "split"), None)
    if at is None:
        return []
    splits = [split_of(row[at]) for row in rows]
    if "" in splits:
        row = splits.index("")
        raise BadInput(
            f"{place}, line {lines[row]:,}: split is {quoted(rows[row][at])}, expected train, "
            f"validation or test."
        )
    return splits


def _objects(place: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Reads column names, line numbers and rows of a file with a JSON object in each line."""
    lines, objects = [], []
    for number, line in enumerate(read_utf8(place).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{place}, line {number:,}: it is no JSON ({error}).") from None
        if not isinstance(row, Mapping):
            raise BadInput(f'{place}, line {number:,}: expected {{"text": "…", "label": "…"}}.')
        lines.append(number)
        objects.append(row)
    header = list(dict.fromkeys(name for row in objects for name in row))
    return header, lines, [[_cell(row.get(name, "")) for name in header] for row in objects]


def _cell(value: object) -> str:
    """Returns a JSON value as a cell, which is empty for all but texts, numbers and booleans."""
    return str(value) if isinstance(value, str | int | float) else ""


def _cells(place: Path, options: Sequence[str]) -> tuple[list[str], list[int], list[list[str]]]:
    """Reads column names (empty if the first line has none), line numbers and rows."""
    content = read_utf8(place)
    plain = place.suffix.lower() != ".csv"
    first = content.partition("\n")[0]
    sign = "\t" if plain else max(",;\t", key=first.count)
    if sign not in first:
        raise BadInput(
            f"{place}, line 1: expected a text and a label with a {'tab' if plain else 'comma'} "
            f"between them."
        )
    lines, rows = [], []
    if plain:  # at line ends alone: texts may have other characters that end lines elsewhere
        for number, line in enumerate(content.split("\n"), start=1):
            if line.strip("\r"):
                lines.append(number)
                rows.append(line.removesuffix("\r").split(sign))
    else:
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=sign)
        try:
            for row in reader:
                if row:
                    lines.append(reader.line_num)
                    rows.append(row)
        except csv.Error as error:
            raise BadInput(f"{place}, line {reader.line_num:,}: {error}.") from None
    for number, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
            tip = "" if plain else ": put what holds a comma into quotation marks"
            raise BadInput(
                f"{place}, line {number:,}: it has {cells}, and the first line {len(rows[0])}{tip}."
            )
    names = [name.strip() for name in rows[0]]
    by_option = {name.lower() for name in options if not name.isdecimal()}
    usual = {*TEXT_COLUMNS, *LABEL_COLUMNS, *by_option}
    for at, name in enumerate(names):  # a label of rows may be a usual name too, and comes again
        if name.lower() in usual and all(row[at].strip() != name for row in rows[1:]):
            return names, lines[1:], rows[1:]
    return [""] * len(names), lines, rows


def _columns(
    place: Path, header: Sequence[str], rows: Sequence[Sequence[str]], text: str, label: str
) -> tuple[int, int]:
    """Returns the indices of the columns of texts and labels."""
    if not (any(header) or text or label):
        return _unnamed_columns(place, rows)
    columns = []
    for option, value, usual in (("text", text, TEXT_COLUMNS), ("label", label, LABEL_COLUMNS)):
        if value:
            columns.append(_option_column(place, header, option, value))
            continue
        if not any(header) and len(header) == 2:  # the one that the other is not
            other = _option_column(place, header, "text" if label == "" else "label", text or label)
            columns.append(1 - other)
            continue
        lower = [name.lower() for name in header]
        known = [lower.index(name) for name in usual if name in lower]
        if len(known) != 1:
            which = "none" if not known else "more than one"
            raise BadInput(
                f"{place} has the columns {listed(header, _SHOWN)}, and {which} of them is called "
                f"as the {option}s usually are: --{option} NAME says which it is."
            )
        columns.append(known[0])
    if columns[0] == columns[1]:
        raise BadInput(f"--text and --label are the same column, {quoted(header[columns[0]])}.")
    return columns[0], columns[1]


def _option_column(place: Path, header: Sequence[str], option: str, value: str) -> int:
    """Returns the index of the column that an option names, or gives the number of."""
    if value in header:
        return header.index(value)
    if value.isdecimal() and 1 <= int(value) <= len(header):
        return int(value) - 1
    if any(header):
        raise BadInput(f"{place} has no column {value!r}.{nearest(value, header)}")
    raise BadInput(
        f"--{option} {value}: {place} has {len(header)} columns without names: give a number."
    )


def _unnamed_columns(place: Path, rows: Sequence[Sequence[str]]) -> tuple[int, int]:
    """Returns the indices of texts and labels in a table of two columns without names."""
    first = listed(rows[0], _SHOWN) if rows else "nothing"
    if not rows or len(rows[0]) != 2:
        raise BadInput(
            f"{place} has {len(rows[0]) if rows else 0} columns, and none has a usual name (its "
            f"first line is {first}): --text and --label say which, by name or by number from 1."
        )
    counts = [Counter(row[column].strip() for row in rows) for column in (0, 1)]
    if len(counts[0]) == len(counts[1]):
        raise BadInput(
            f"{place} has two columns without names, and either may be the label (its first line "
            f"is {first}): --text 1 --label 2 says which they are, or the other way round."
        )
    label = int(len(counts[1]) < len(counts[0]))
    alone = counts[label][rows[0][label].strip()] == 1
    if alone and len(rows) > 4 and len(counts[label]) < len(rows) // 2:
        raise BadInput(
            f"{place}: its first line ({first}) seems to name the columns: say with --text and "
            f"--label which they are."
        )
    return 1 - label, label
