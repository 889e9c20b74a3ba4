"""Which tables of a folder list its pictures, and whether they or the names of folders count."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flaxmill.data.listings import class_folders, labels, parquet, tables
from flaxmill.data.listings.listing import SPLIT_NAMES, Listing, normal, split_of
from flaxmill.data.listings.raw_tables import RawTable, read_raw_table
from flaxmill.data.listings.unused import UnusedFiles, is_hidden
from flaxmill.errors import BadInput, quoted

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_BROKEN = "it cannot be read as a list"
_PROBED = 20  # rows whose pictures are looked for


@dataclass(frozen=True)
class Choice:
    """What lists the pictures of a folder.

    Attributes:
        tables: The tables by split; none where the names of folders do.
        unused: Why other tables are not used, by table.
        note: What to tell the person; empty if nothing.
    """

    tables: dict[str, list[Path]] = field(default_factory=dict)
    unused: dict[Path, str] = field(default_factory=dict)
    note: str = ""


def choose(place: Path, *, sign: str = "") -> Choice:
    """Returns what lists the pictures of a folder.

    A table that has columns of paths and labels, and whose pictures are below the folder, is the
    truth. Names of class folders beside it count only where both say the same, and where they say
    otherwise it is not guessed which was meant.

    Args:
        place: The folder.
        sign: What stands between several labels in a cell.

    Raises:
        BadInput: It is open what lists the pictures; the message says how to tell.
    """
    by_split, unused = tables_in(place), dict[Path, str]()
    has_folders = class_folders.exist_in(place)
    raw: dict[Path, RawTable] = {}
    if has_folders or sum(map(len, by_split.values())) > 1:
        by_split, unused = _listing_tables(by_split, raw, skip_broken=has_folders)
    if unused and not by_split and not has_folders:
        read_raw_table(next(iter(unused)))  # which says what it lacks
    if has_folders:
        strangers = [path for path, table in raw.items() if not _has_pictures(table)]
        unused |= dict.fromkeys(strangers, "none of its pictures is here")
        by_split = _without(by_split, strangers)
    for split, paths in by_split.items():
        _check_single(place, split, paths)
    return (
        _compare_with_folders(place, by_split, raw, unused, sign)
        if has_folders and by_split
        else Choice(by_split, unused)
    )


def tables_in(place: Path) -> dict[str, list[Path]]:
    """Returns the tables in a folder by split: by their own names, or those of their folders."""
    by_split: dict[str, list[Path]] = {}
    folders, inside = _scan_folder(place)
    for path in inside:
        by_split.setdefault(split_of_table(path) or "train", []).append(path)
    for folder in folders:
        if folder.name.lower() == "data":  # Hugging Face keeps train-00000-of-00001.parquet there
            for path in _scan_folder(folder)[1]:
                by_split.setdefault(split_of_table(path) or "train", []).append(path)
        elif split := split_of(folder.name):
            by_split.setdefault(split, []).extend(_scan_folder(folder)[1])
    return {split: paths for split, paths in by_split.items() if paths}


def _scan_folder(place: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the tables that lie in a folder, by their names; none if closed."""
    try:
        with os.scandir(place) as entries:
            visible = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError:
        return [], []
    folders = [entry.name for entry in visible if entry.is_dir()]
    files = [entry.name for entry in visible if entry.name.lower().endswith(TABLES)]
    return [place / name for name in sorted(folders)], [place / name for name in sorted(files)]


def split_of_table(table: Path) -> str:
    """Returns the split that the name of a table means; nothing if it means none, or several."""
    words = re.split(r"[^a-z]+", table.stem.lower())
    splits = [split for word in words if (split := split_of(word))]
    return splits[0] if len(set(splits)) == 1 or (splits and split_of(words[0])) else ""


def _listing_tables(
    by_split: Mapping[str, Sequence[Path]], raw: dict[Path, RawTable], *, skip_broken: bool
) -> tuple[dict[str, list[Path]], dict[Path, str]]:
    """Returns the tables that have columns of paths and labels, and why others do not count.

    Args:
        by_split: From `tables_in`.
        raw: Filled with what those tables hold, but for Parquet's.
        skip_broken: Whether to leave out one that cannot be read, and not to raise.

    Raises:
        BadInput: One cannot be read.
    """
    unused: dict[Path, str] = {}
    paths = [path for group in by_split.values() for path in group]
    for path in paths:
        if path.suffix.lower() == ".parquet":
            if skip_broken and not parquet.lists_pictures(path):
                unused[path] = _BROKEN
        else:
            try:
                raw[path] = read_raw_table(path)
            except BadInput as error:
                unused[path] = _unused_reason(str(error))
                if unused[path] == _BROKEN and not skip_broken:
                    raise
    forms = [path for path in paths if path not in unused and "submission" in path.stem.lower()]
    if len(forms) + len(unused) < len(paths):
        unused |= dict.fromkeys(forms, "a form for answers, by its name")
    for path in unused:
        raw.pop(path, None)
    return _without(by_split, unused), unused


def _unused_reason(message: str) -> str:
    reasons = ("no column of paths", "no column of labels", "no rows")
    return next((reason for reason in reasons if reason in message), _BROKEN)


def _without(
    by_split: Mapping[str, Sequence[Path]], excluded: Collection[Path]
) -> dict[str, list[Path]]:
    remaining = {
        name: [path for path in paths if path not in excluded] for name, paths in by_split.items()
    }
    return {name: paths for name, paths in remaining.items() if paths}


def _check_single(place: Path, split: str, paths: Sequence[Path]) -> None:
    """Refuses several tables for one split; several Parquet files are one table.

    Raises:
        BadInput: There are several.
    """
    if len(paths) < 2 or all(path.suffix.lower() == ".parquet" for path in paths):
        return
    shown = ", ".join(os.path.relpath(path, place) for path in paths)
    raise BadInput(
        f"in {place} there are several tables for {split}, {shown}: give the one that lists the "
        f"pictures ({paths[0]}), or move the others away; those of other splits are called "
        "train, val and test."
    )


def _has_pictures(table: RawTable) -> bool:
    """Returns whether a table lists pictures that are in its folder, or in a folder there.

    A sample of rows tells: pictures missing among others are reported when the table is read.
    """
    paths, folder = [path.strip() for path in table.paths], table.place.parent
    sample = paths[:: max(1, len(paths) // _PROBED)]
    return any(
        tables.picture_path(folder, path) or tables.picture_path_below(folder, path)
        for path in sample
    )


def _compare_with_folders(
    place: Path,
    by_split: dict[str, list[Path]],
    raw: Mapping[Path, RawTable],
    unused: dict[Path, str],
    sign: str,
) -> Choice:
    """Decides between tables whose pictures are here and the names of class folders.

    Raises:
        BadInput: It is open which count.
    """
    first = next(path for paths in by_split.values() for path in paths)
    ways = f"Give {first}, or move it away, to train on the names of the folders."
    if first.suffix.lower() == ".parquet":
        raise BadInput(
            f"{place} has class folders and {first.name}: it is open which count. {ways}"
        )
    table, table_names = raw[first], [path.name for paths in by_split.values() for path in paths]
    note = f"Listed by {' and '.join(table_names)}: the names of the folders do not count."
    if len(by_split) > 1 or table.splits is not None:
        return Choice(by_split, unused, note)
    tables.existing_paths(first, table.lines, table.paths)  # or it says what is not there
    try:
        class_of = _classes_by_path(class_folders.read_folders(place, UnusedFiles(place)))
    except BadInput:  # so they are none
        return Choice(by_split, unused, note)
    labels_of = _labels_by_path(table, sign)
    pairs = {(class_of.get(path, ""), label) for path, label in labels_of.items()}
    left, folders = len(class_of.keys() - labels_of.keys()), {folder for folder, _ in pairs}
    same = "" not in folders and len(pairs) == len(folders) == len({label for _, label in pairs})
    if same and not left:
        note_end = "" if all(folder == label for folder, label in pairs) else ", in other words"
        return Choice({}, {first: f"it says what the names of folders do{note_end}", **unused})
    if are_numbered(folders - {""}) or like_splits(folders):
        return Choice(by_split, unused, note)
    if same:
        total = len(labels_of) + left
        what = f"only {len(labels_of):,} of {total:,} pictures that are in class folders"
    else:
        path = next(path for path, label in labels_of.items() if class_of.get(path) != label)
        folder = quoted(class_of[path]) if path in class_of else "none"
        what = (
            f"other classes than the folders have: of {os.path.basename(path)} it says "
            f"{quoted(labels_of[path])}, and the folder {folder}"
        )
    raise BadInput(f"{first} lists {what}. So it is open which count. {ways}")


def _labels_by_path(table: RawTable, sign: str) -> dict[str, str]:
    """Returns the labels that a table gives each picture, as one word."""
    rows = labels.form_of([table.labels], sign).rows(table.labels)
    folder = table.place.parent
    paths = (
        os.path.normpath(tables.picture_path(folder, name.strip()) or "") for name in table.paths
    )
    return {path: "|".join(names) for path, names in zip(paths, rows, strict=True)}


def _classes_by_path(listings: Mapping[str, Listing]) -> dict[str, str]:
    """Returns the class of each picture in class folders."""
    return {
        os.path.normpath(file): listing.classes[label]
        for listing in listings.values()
        for file, label in zip(listing.files, listing.labels.tolist(), strict=True)
    }


def like_splits(names: Iterable[str]) -> list[str]:
    """Returns names of folders that tell splits apart and not classes, as far as names can tell.

    >>> like_splits(["train_images", "test_images"]), like_splits(["test tube", "flask"])
    (['train_images', 'test_images'], [])
    """
    splits = {
        name: SPLIT_NAMES[word]
        for name in names
        for word in re.split(r"[^a-z]+", name.lower())
        if word in SPLIT_NAMES
    }
    return list(splits) if {"train"} < set(splits.values()) else []


def are_numbered(names: Iterable[str]) -> bool:
    """Returns whether names of folders are those of parts, which differ in their numbers alone.

    >>> [are_numbered(names) for names in (["images_001", "images_002"], ["1", "2"], ["a", "b1"])]
    [True, False, False]
    """
    bare = {re.sub(r"[0-9]+", "", normal(name).lower()) for name in names}
    return len(bare) == 1 and any(re.search("[a-z]", name) for name in bare)
