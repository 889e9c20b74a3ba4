"""Which tables of a folder list its pictures, and whether they or the names of folders count."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flaxmill.data.listings import class_folders, labels, parquet, tables
from flaxmill.data.listings.account import Account, hidden
from flaxmill.data.listings.listing import PARTS, Listing, normal, split_of
from flaxmill.data.listings.written_tables import Written, open_table
from flaxmill.errors import BadInput, quoted

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_BROKEN = "it cannot be read as a list"
_TRIED = 20  # rows whose pictures are looked for


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
    """Finds out what lists the pictures of a folder.

    A table that has columns of paths and labels, and whose pictures are below the folder, is the
    truth. Names of class folders beside it count only where both say the same, and where they say
    otherwise it is not guessed which was meant.

    Args:
        place: The folder.
        sign: What stands between several labels in a cell.

    Raises:
        BadInput: It is open what lists the pictures; the message says how to tell.
    """
    found, unused, folders = tables_in(place), dict[Path, str](), class_folders.present(place)
    opened: dict[Path, Written] = {}
    if folders or sum(map(len, found.values())) > 1:
        found, unused = _that_list(found, opened, broken=folders)
    if unused and not found and not folders:
        open_table(next(iter(unused)))  # which says what it lacks
    if folders:
        lost = [path for path, written in opened.items() if not _about(written)]
        unused |= dict.fromkeys(lost, "none of its pictures is here")
        found = _without(found, lost)
    for split, places in found.items():
        _check_one(place, split, places)
    return (
        _compared(place, found, opened, unused, sign)
        if folders and found
        else Choice(found, unused)
    )


def tables_in(place: Path) -> dict[str, list[Path]]:
    """Returns the tables in a folder by split: by their own names, or those of their folders."""
    found: dict[str, list[Path]] = {}
    folders, inside = _listed(place)
    for path in inside:
        found.setdefault(named(path) or "train", []).append(path)
    for folder in folders:
        if folder.name.lower() == "data":  # Hugging Face keeps train-00000-of-00001.parquet there
            for path in _listed(folder)[1]:
                found.setdefault(named(path) or "train", []).append(path)
        elif split := split_of(folder.name):
            found.setdefault(split, []).extend(_listed(folder)[1])
    return {split: places for split, places in found.items() if places}


def _listed(place: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the tables that lie in a folder, by their names; none if closed."""
    try:
        with os.scandir(place) as entries:
            some = [entry for entry in entries if not hidden(entry.name)]
    except OSError:
        return [], []
    folders = [entry.name for entry in some if entry.is_dir()]
    listing = [entry.name for entry in some if entry.name.lower().endswith(TABLES)]
    return [place / name for name in sorted(folders)], [place / name for name in sorted(listing)]


def named(table: Path) -> str:
    """Returns the split that the name of a table means; nothing if it means none, or several."""
    words = re.split(r"[^a-z]+", table.stem.lower())
    splits = [split for word in words if (split := split_of(word))]
    return splits[0] if len(set(splits)) == 1 or (splits and split_of(words[0])) else ""


def _that_list(
    found: Mapping[str, Sequence[Path]], opened: dict[Path, Written], *, broken: bool
) -> tuple[dict[str, list[Path]], dict[Path, str]]:
    """Returns the tables that have columns of paths and labels, and why others do not count.

    Args:
        found: From `tables_in`.
        opened: Is given what is written in the former, but for Parquet's.
        broken: Whether one that cannot be read is not used, and no error.

    Raises:
        BadInput: One cannot be read.
    """
    unused: dict[Path, str] = {}
    every = [path for places in found.values() for path in places]
    for path in every:
        if path.suffix.lower() == ".parquet":
            if broken and not parquet.lists_pictures(path):
                unused[path] = _BROKEN
        else:
            try:
                opened[path] = open_table(path)
            except BadInput as trouble:
                unused[path] = _reason(str(trouble))
                if unused[path] == _BROKEN and not broken:
                    raise
    forms = [path for path in every if path not in unused and "submission" in path.stem.lower()]
    if len(forms) + len(unused) < len(every):
        unused |= dict.fromkeys(forms, "a form for answers, by its name")
    for path in unused:
        opened.pop(path, None)
    return _without(found, unused), unused


def _reason(trouble: str) -> str:
    known = ("no column of paths", "no column of labels", "no rows")
    return next((words for words in known if words in trouble), _BROKEN)


def _without(found: Mapping[str, Sequence[Path]], away: Collection[Path]) -> dict[str, list[Path]]:
    kept = {name: [path for path in some if path not in away] for name, some in found.items()}
    return {name: some for name, some in kept.items() if some}


def _check_one(place: Path, split: str, places: Sequence[Path]) -> None:
    """Refuses several tables for one split; of Parquet's, several are one.

    Raises:
        BadInput: There are such.
    """
    if len(places) < 2 or all(path.suffix.lower() == ".parquet" for path in places):
        return
    shown = ", ".join(os.path.relpath(path, place) for path in places)
    raise BadInput(
        f"in {place} there are several tables for {split}, {shown}: give the one that lists the "
        f"pictures ({places[0]}), or move the others away; those of other splits are called "
        "train, val and test."
    )


def _about(written: Written) -> bool:
    """Says whether a table lists pictures that are in its folder, or in one of the folders there.

    Some rows tell: where only some pictures are missing, it is said when the table is read.
    """
    paths, folder = [path.strip() for path in written.paths], written.place.parent
    some = paths[:: max(1, len(paths) // _TRIED)]
    return any(tables.path_of(folder, path) or tables.elsewhere(folder, path) for path in some)


def _compared(
    place: Path,
    found: dict[str, list[Path]],
    opened: Mapping[Path, Written],
    unused: dict[Path, str],
    sign: str,
) -> Choice:
    """Decides between tables whose pictures are here and the names of class folders.

    Raises:
        BadInput: It is open which count.
    """
    first = next(path for places in found.values() for path in places)
    ways = f"Give {first}, or move it away, to train on the names of the folders."
    if first.suffix.lower() == ".parquet":
        raise BadInput(
            f"{place} has class folders and {first.name}: it is open which count. {ways}"
        )
    written, every = opened[first], [path.name for places in found.values() for path in places]
    note = f"Listed by {' and '.join(every)}: the names of the folders do not count."
    if len(found) > 1 or written.splits is not None:
        return Choice(found, unused, note)
    tables.existing(first, written.lines, written.paths)  # or it says what is not there
    try:
        names = _by_folder(class_folders.read_folders(place, Account(place)))
    except BadInput:  # so they are none
        return Choice(found, unused, note)
    said = _said(written, sign)
    pairs = {(names.get(path, ""), label) for path, label in said.items()}
    left, folders = len(names.keys() - said.keys()), {folder for folder, _ in pairs}
    same = "" not in folders and len(pairs) == len(folders) == len({label for _, label in pairs})
    if same and not left:
        words = "" if all(folder == label for folder, label in pairs) else ", in other words"
        return Choice({}, {first: f"it says what the names of folders do{words}", **unused})
    if like_parts(folders - {""}) or like_splits(folders):
        return Choice(found, unused, note)
    if same:
        what = f"only {len(said):,} of {len(said) + left:,} pictures that are in class folders"
    else:
        path = next(path for path, label in said.items() if names.get(path) != label)
        folder = quoted(names[path]) if path in names else "none"
        what = (
            f"other classes than the folders have: of {os.path.basename(path)} it says "
            f"{quoted(said[path])}, and the folder {folder}"
        )
    raise BadInput(f"{first} lists {what}. So it is open which count. {ways}")


def _said(written: Written, sign: str) -> dict[str, str]:
    """Returns the labels that a table gives each picture, as one word."""
    rows = labels.form_of([written.labels], sign).rows(written.labels)
    folder = written.place.parent
    paths = (os.path.normpath(tables.path_of(folder, name.strip()) or "") for name in written.paths)
    return {path: "|".join(names) for path, names in zip(paths, rows, strict=True)}


def _by_folder(listings: Mapping[str, Listing]) -> dict[str, str]:
    """Returns the class of each picture in class folders."""
    return {
        os.path.normpath(file): part.classes[label]
        for part in listings.values()
        for file, label in zip(part.files, part.labels.tolist(), strict=True)
    }


def like_splits(names: Iterable[str]) -> list[str]:
    """Returns names of folders that tell splits apart and not classes, as far as names can tell.

    >>> like_splits(["train_images", "test_images"]), like_splits(["test tube", "flask"])
    (['train_images', 'test_images'], [])
    """
    parts = {
        name: PARTS[word]
        for name in names
        for word in re.split(r"[^a-z]+", name.lower())
        if word in PARTS
    }
    return list(parts) if {"train"} < set(parts.values()) else []


def like_parts(names: Iterable[str]) -> bool:
    """Says whether names of folders are those of parts, which differ in their numbers alone.

    >>> like_parts(["images_001", "images_002"]), like_parts(["1", "2"]), like_parts(["a", "b1"])
    (True, False, False)
    """
    bare = {re.sub(r"[0-9]+", "", normal(name).lower()) for name in names}
    return len(bare) == 1 and any(re.search("[a-z]", name) for name in bare)
