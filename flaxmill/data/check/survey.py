"""What a folder or table of pictures says it holds, taken as it is: nothing is refused here.

Training refuses what it cannot use, with one message (`flaxmill.data.listings.listing.scan`). To
check data means to see all that is wrong with it at once.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from flaxmill.data import prepared
from flaxmill.data.listings import class_folders, labels, layouts, numpy_files, tables
from flaxmill.data.listings.label_words import said
from flaxmill.data.listings.listing import PARTS, normal, scan
from flaxmill.data.pictures.decode import SUFFIXES
from flaxmill.errors import BadInput

_TABLES = (".csv", ".tsv")


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
        tables: Names of tables beside class folders, which are not read.
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
    tables: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    labels: str = ""
    refusal: str = ""
    given: Callable[[str], Any] | None = None


def tables_of(place: Path) -> dict[str, list[Path]] | None:
    """Returns the CSV files that list pictures, by split; none for a folder of class folders.

    Args:
        place: A folder or a file.

    Returns:
        None where pictures have no files of their own, or the kind of place is not known.
    """
    if not place.is_dir():
        return {"train": [place]} if place.suffix.lower() in _TABLES else None
    if prepared.is_prepared(place) or numpy_files.in_folder(place):
        return None
    if _has_class_folders(place):
        return {}
    found = layouts.tables_in(place)
    kinds = {table.suffix.lower() for part in found.values() for table in part}
    return found if kinds.issubset(_TABLES) else None


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
    try:
        scan(place, sign=sign)
    except BadInput as refusal:
        found.refusal = str(refusal)
    return found


def _of_folder(place: Path) -> Survey:
    found, tree = Survey(place, place), _Tree(place)
    found.closed = sorted(tree.closed)
    found.others = sorted(name for name in tree.others if "/" in name)
    try:
        parts = {folder: split for split, folder in class_folders.splits(place).items()}
    except BadInput:  # which is told as what training refuses
        parts = {}
    tops = {folder for folder in tree.folders if "/" not in folder}
    if not parts:
        named = {top for top in tops if top.lower() in PARTS}
        found.mistaken = sorted(named.union(layouts.like_splits(tops)))
    if _has_class_folders(place):
        found.tables = sorted(table.name for table in layouts.tables_beside(place))
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
    for folder in sorted({os.path.dirname(name) for name in known}):
        try:
            names = os.listdir(found.root / folder)
        except OSError:
            found.closed.append(folder or ".")
            continue
        beside = (os.path.join(folder, name) for name in names if not name.startswith("."))
        pictures = (name for name in beside if name.lower().endswith(SUFFIXES))
        found.rows += [Row(name, "", ()) for name in pictures if name not in known]
    found.rows.sort(key=lambda row: row.name)
    return found


def _add_tables(found: Survey, listed: Mapping[str, Sequence[Path]], sign: str) -> None:
    """Adds what CSV files list; their rows are of a split, unless they have a column for it."""
    read = [(split, tables.open_csv(table)) for split, places in listed.items() for table in places]
    given = [table.labels for _, table in read]
    try:
        form = labels.form_of(given, sign)
    except BadInput:  # as all else that is refused below: it is told as what training refuses
        form = labels.Form()
    for split, table in read:
        for row, cell in enumerate(table.paths):
            path = tables.path_of(table.place.parent, cell.strip())
            if path is None:
                found.absent.append(cell.strip())
                continue
            part = PARTS.get(table.splits[row].strip().lower(), "") if table.splits else split
            try:
                names = form.read(table.labels, row)
            except BadInput:
                names = []
            name = os.path.relpath(path, found.root)
            found.rows.append(Row(name, part, tuple(sorted(names))))
    every = [row.labels for row in found.rows]
    if every:
        found.labels = said(given, form, every, sorted(set(chain.from_iterable(every))))


class _Tree:
    """All that lies below a folder but what is hidden; links are followed, never round and round.

    Names are below the folder, with slashes.
    """

    def __init__(self, root: Path) -> None:
        self.pictures: list[str] = []
        self.others: list[str] = []
        self.folders: list[str] = []
        self.closed: list[str] = []
        above: dict[str, tuple[tuple[int, int], ...]] = {"": ()}
        while above:
            self._look(root, *above.popitem(), above)

    def _look(
        self,
        root: Path,
        folder: str,
        above: tuple[tuple[int, int], ...],
        waiting: dict[str, tuple[tuple[int, int], ...]],
    ) -> None:
        try:
            status = os.stat(root / folder)
            entries = list(os.scandir(root / folder))
        except OSError:
            self.closed.append(folder or ".")
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            self.closed.append(folder)
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name in class_folders.NOT_OURS:
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _is(entry.is_dir):
                self.folders.append(name)
                waiting[name] = (*above, here)
            elif name.lower().endswith(SUFFIXES) and (_is(entry.is_file) or entry.is_symlink()):
                self.pictures.append(name)
            else:
                self.others.append(name)


def _is(what: Callable[[], bool]) -> bool:
    try:
        return what()
    except OSError:  # a link that leads to itself
        return False
