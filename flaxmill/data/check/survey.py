"""What a folder or table of pictures holds by its own account: nothing is refused here.

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
from flaxmill.data.listings.label_notes import describe
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import normal, split_of
from flaxmill.data.listings.raw_tables import RawTable, read_raw_table
from flaxmill.data.listings.unused import Tree
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
    """The pictures that there are, with their splits and labels.

    Attributes:
        place: What was surveyed.
        root: The folder that names are below.
        rows: Every picture that there is, in the order of names; twice if a table has it twice.
        absent: Names in a table of which there is no file.
        others: Files beside the pictures that are none by their names.
        empty: Class folders without pictures.
        split_like: Folders that are named as splits are, and count as classes.
        tables: Why tables are not read, by their names.
        closed: Folders that could not be read, or lie in themselves.
        labels: How the labels of a table or of arrays are understood; empty for class folders.
        refusal: What training would say; empty if it would begin.
        load: Loads a picture by its name, where pictures have no files of their own.
    """

    place: Path
    root: Path
    rows: list[Row] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    split_like: list[str] = field(default_factory=list)
    tables: dict[str, str] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    labels: str = ""
    refusal: str = ""
    load: Callable[[str], Any] | None = None


def tables_of(place: Path) -> dict[str, list[Path]] | None:
    """Returns the tables that list pictures, by split; none for a folder of class folders.

    Args:
        place: A folder or a file.

    Returns:
        None where pictures have no files of their own, or the kind of place is not known.
    """
    if not place.is_dir():
        return {"train": [place]} if place.suffix.lower() in _TABLES else None
    if prepared.is_prepared(place) or numpy_files.npy_files(place):
        return None
    by_split = _choice(place).tables
    kinds = {table.suffix.lower() for paths in by_split.values() for table in paths}
    return by_split if kinds.issubset(_TABLES) else None


def _choice(place: Path) -> choosing.Choice:
    try:
        return choosing.choose(place)
    except BadInput:  # `survey` reports it as what training refuses
        return choosing.Choice({} if _has_class_folders(place) else choosing.tables_in(place))


def _has_class_folders(place: Path) -> bool:
    try:
        return class_folders.exist_in(place)
    except BadInput:  # `survey` reports it as what training refuses
        return True


def survey(place: Path, by_split: Mapping[str, Sequence[Path]], *, sign: str = "") -> Survey:
    """Looks at a folder of class folders, with splits or without, or at pictures in CSV files.

    Args:
        place: The folder or file. In a folder of another layout, all pictures are without a class.
        by_split: From `tables_of`.
        sign: What stands between the labels of a picture that has several, in a table.

    Raises:
        BadInput: A table cannot be understood.
    """
    result = _of_tables(place, by_split, sign) if by_split else _of_folder(place)
    if place.is_dir():
        unused = _choice(place).unused
        result.tables = {os.path.relpath(path, place): why for path, why in unused.items()}
        names = {os.path.relpath(path, place) for paths in by_split.values() for path in paths}
        result.others = [n for n in result.others if n not in result.tables and n not in names]
    try:
        result.refusal = scan(place, sign=sign)["train"].lacking
    except BadInput as error:
        result.refusal = str(error)
    return result


def _of_folder(place: Path) -> Survey:
    survey, tree = Survey(place, place), Tree(place)
    survey.closed = sorted(tree.closed)
    survey.others = sorted(tree.others)
    try:
        splits = {folder: split for split, folder in class_folders.split_folders(place).items()}
    except BadInput:  # which is reported as what training refuses
        splits = {}
    tops = {folder for folder in tree.folders if "/" not in folder}
    if not splits:
        survey.split_like = sorted(choosing.like_splits(tops))
    depth = 1 if splits else 0  # of the folder that names the class
    for name in sorted(tree.pictures):
        above = name.split("/")[:-1]
        split = splits.get(above[0] if above else "", "") if splits else "train"
        if len(above) <= depth:
            split = ""  # it lies in no class folder
        label = (normal(above[depth]),) if split else ()
        survey.rows.append(Row(name, split, label))
    filled = {name.rpartition("/")[0] for name in tree.pictures}
    for folder in sorted(tree.folders):
        path = folder.split("/")
        inside = any(other == folder or other.startswith(folder + "/") for other in filled)
        if len(path) == depth + 1 and not inside and (not splits or path[0] in splits):
            survey.empty.append(folder)
    return survey


def _of_tables(place: Path, by_split: Mapping[str, Sequence[Path]], sign: str) -> Survey:
    survey = Survey(place, place if place.is_dir() else place.parent)
    _add_tables(survey, by_split, sign)
    known = {row.name for row in survey.rows}
    # Beside the pictures that are listed, and not below: a table may lie in a home directory.
    tree = Tree(survey.root, None if place.is_dir() else map(os.path.dirname, known))
    survey.closed = sorted(tree.closed)
    survey.others = sorted(tree.others) if place.is_dir() else []
    survey.rows += [Row(name, "", ()) for name in tree.pictures if name not in known]
    survey.rows.sort(key=lambda row: row.name)
    return survey


def _by_folder(table: RawTable, paths: Sequence[Path | None]) -> dict[str, str]:
    if table.splits is not None:
        return {}
    try:
        return layouts.splits_by_folder(table.place, [path for path in paths if path is not None])
    except BadInput:  # which is reported as what training refuses
        return {}


def _add_tables(survey: Survey, by_split: Mapping[str, Sequence[Path]], sign: str) -> None:
    """Adds what CSV files list; their rows are of a split, unless they have a column for it."""
    raw = [(split, read_raw_table(table)) for split, paths in by_split.items() for table in paths]
    columns = [table.labels for _, table in raw]
    form, understood = labels.Form(), False
    with contextlib.suppress(BadInput):  # reported, as all else below, as what training refuses
        form, understood = labels.form_of(columns, sign), True
    for split, table in raw:
        folder = table.place.parent
        paths = [tables.picture_path(folder, cell.strip()) for cell in table.paths]
        splits = _by_folder(table, paths) if len(raw) == 1 else {}
        for row, (cell, path) in enumerate(zip(table.paths, paths, strict=True)):
            if path is None:
                survey.absent.append(cell.strip())
                continue
            row_split = split_of(table.splits[row]) if table.splits else split
            if splits:
                row_split = splits[layouts.top_of(table.place, path)]
            try:
                names = form.read(table.labels, row)
            except BadInput:
                names = []
            name = os.path.relpath(path, survey.root)
            survey.rows.append(Row(name, row_split, tuple(sorted(names))))
    every = [row.labels for row in survey.rows]
    if every and understood:
        survey.labels = describe(columns, form, every, sorted(set(chain.from_iterable(every))))
