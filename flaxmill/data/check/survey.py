"""What a folder or table of pictures says it holds, taken as it is: nothing is refused here.

Training refuses what it cannot use, with one message (`flaxmill.data.listings.layouts.scan`). To
check data means to see all that is wrong with it at once.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from flaxmill.data import prepared
from flaxmill.data.listings import choosing, class_folders, labels, layouts, numpy_files, tables
from flaxmill.data.listings.account import Tree
from flaxmill.data.listings.label_words import said
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import normal, split_of
from flaxmill.data.listings.written_tables import Written, open_table
from flaxmill.errors import BadInput

_TABLES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True)
class Row:
    """A picture's place in a data set.

    Attributes:
        name: Of its file, below the survey's root.
        split: train, validation or test; empty for a picture that no split has.
        labels: Its class, or several, sorted; none for a picture that has none.
    """

    name: str
    split: str
    labels: tuple[str, ...]


@dataclass
class Survey:
    """What there is and what it is said to be.

    Attributes:
        place: What was surveyed.
        root: The folder that names are below.
        rows: Every picture that there is, in the order of names; twice if a table has it twice.
        absent: Names in a table of which there is no file.
        others: Files beside the pictures that are none by their names.
        empty: Class folders without pictures.
        mistaken: Folders that are called as splits are, and count as classes.
        tables: Why tables are not read, by their names.
        closed: Folders that could not be read, or lie in themselves.
        labels: How the labels of a table or of arrays are understood; empty for class folders.
        refusal: What training would say; empty if it would begin.
        given: What gives each picture by its name, where they have no files of their own.
    """

    place: Path
    root: Path
    rows: list[Row] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    mistaken: list[str] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    labels: str = ""
    refusal: str = ""
    given: Callable[[str], Any] | None = None


def tables_of(place: Path) -> dict[str, list[Path]] | None:
    """Returns the tables that list pictures, by split; none for a folder of class folders.

    Args:
        place: A folder or a file.

    Returns:
        None where pictures have no files of their own, or the kind of place is not known.
    """
    if not place.is_dir():
        return {"train": [place]} if place.suffix.lower() in _TABLES else None
    if prepared.is_prepared(place) or numpy_files.in_folder(place):
        return None
    found = _chosen(place).tables
    kinds = {table.suffix.lower() for part in found.values() for table in part}
    return found if kinds.issubset(_TABLES) else None


def _chosen(place: Path) -> choosing.Choice:
    try:
        return choosing.choose(place)
    except BadInput:  # `survey` tells it, as what training refuses
        return choosing.Choice({} if _has_class_folders(place) else choosing.tables_in(place))


def _has_class_folders(place: Path) -> bool:
    try:
        return class_folders.present(place)
    except BadInput:  # `survey` tells it, as what training refuses
        return True


def survey(place: Path, listed: Mapping[str, Sequence[Path]], *, sign: str = "") -> Survey:
    """Looks at a folder of class folders, with splits or without, or at pictures in CSV files.

    Args:
        place: The folder or file. In a folder of another layout, all pictures are without a class.
        listed: From `tables_of`.
        sign: What stands between the labels of a picture that has several, in a table.

    Raises:
        BadInput: A table cannot be understood.
    """
    found = _of_tables(place, listed, sign) if listed else _of_folder(place)
    if place.is_dir():
        unused = _chosen(place).unused
        found.tables = {os.path.relpath(path, place): why for path, why in unused.items()}
        read = {os.path.relpath(path, place) for part in listed.values() for path in part}
        found.others = [n for n in found.others if n not in found.tables and n not in read]
    try:
        found.refusal = scan(place, sign=sign)["train"].lacking
    except BadInput as refusal:
        found.refusal = str(refusal)
    return found


def _of_folder(place: Path) -> Survey:
    found, tree = Survey(place, place), Tree(place)
    found.closed = sorted(tree.closed)
    found.others = sorted(tree.others)
    try:
        parts = {folder: split for split, folder in class_folders.splits(place).items()}
    except BadInput:  # which is told as what training refuses
        parts = {}
    tops = {folder for folder in tree.folders if "/" not in folder}
    if not parts:
        found.mistaken = sorted(choosing.like_splits(tops))
    depth = 1 if parts else 0  # of the folder that names the class
    for name in sorted(tree.pictures):
        above = name.split("/")[:-1]
        split = parts.get(above[0] if above else "", "") if parts else "train"
        if len(above) <= depth:
            split = ""  # it lies in no class folder
        label = (normal(above[depth]),) if split else ()
        found.rows.append(Row(name, split, label))
    filled = {name.rpartition("/")[0] for name in tree.pictures}
    for folder in sorted(tree.folders):
        path = folder.split("/")
        inside = any(other == folder or other.startswith(folder + "/") for other in filled)
        if len(path) == depth + 1 and not inside and (not parts or path[0] in parts):
            found.empty.append(folder)
    return found


def _of_tables(place: Path, listed: Mapping[str, Sequence[Path]], sign: str) -> Survey:
    found = Survey(place, place if place.is_dir() else place.parent)
    _add_tables(found, listed, sign)
    known = {row.name for row in found.rows}
    # Beside the pictures that are listed, and not below: a table may lie in a home directory.
    tree = Tree(found.root, None if place.is_dir() else map(os.path.dirname, known))
    found.closed = sorted(tree.closed)
    found.others = sorted(tree.others) if place.is_dir() else []
    found.rows += [Row(name, "", ()) for name in tree.pictures if name not in known]
    found.rows.sort(key=lambda row: row.name)
    return found


def _by_folder(table: Written, paths: Sequence[Path | None]) -> dict[str, str]:
    if table.splits is not None:
        return {}
    try:
        return layouts.by_folder(table.place, [path for path in paths if path is not None])
    except BadInput:  # which is told as what training refuses
        return {}


def _add_tables(found: Survey, listed: Mapping[str, Sequence[Path]], sign: str) -> None:
    """Adds what CSV files list; their rows are of a split, unless they have a column for it."""
    read = [(split, open_table(table)) for split, places in listed.items() for table in places]
    given = [table.labels for _, table in read]
    form, understood = labels.Form(), False
    with contextlib.suppress(BadInput):  # as all else below, it is told as what training refuses
        form, understood = labels.form_of(given, sign), True
    for split, table in read:
        folder = table.place.parent
        paths = [tables.path_of(folder, cell.strip()) for cell in table.paths]
        splits = _by_folder(table, paths) if len(read) == 1 else {}
        for row, (cell, path) in enumerate(zip(table.paths, paths, strict=True)):
            if path is None:
                found.absent.append(cell.strip())
                continue
            part = split_of(table.splits[row]) if table.splits else split
            part = splits[layouts.top_of(table.place, path)] if splits else part
            try:
                names = form.read(table.labels, row)
            except BadInput:
                names = []
            name = os.path.relpath(path, found.root)
            found.rows.append(Row(name, part, tuple(sorted(names))))
    every = [row.labels for row in found.rows]
    if every and understood:
        found.labels = said(given, form, every, sorted(set(chain.from_iterable(every))))
