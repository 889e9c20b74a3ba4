"""Finds the layout of a person's pictures: folders, tables or arrays."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

from flaxmill.data import prepared
from flaxmill.data.listings import class_folders, numpy_files, parquet, tables
from flaxmill.data.listings.choosing import TABLES, choose, like_splits, split_of_table
from flaxmill.data.listings.listing import Listing, split_of
from flaxmill.data.listings.unused import Tree, UnusedFiles
from flaxmill.errors import BadInput

_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_KINDS = "a folder, a CSV or Parquet file, or an .npz file"


_Scans = dict[tuple[Path, str], dict[str, Listing]]
_CACHE: ContextVar[_Scans | None] = ContextVar("scans", default=None)


@contextlib.contextmanager
def cached_scans() -> Iterator[None]:
    """Caches scans: within, every place is scanned once, however often it is asked for.

    So a recipe trains on what it chose by, even if files come and go meanwhile.
    """
    if _CACHE.get() is not None:
        yield
        return
    token = _CACHE.set({})
    try:
        yield
    finally:
        _CACHE.reset(token)


def scan(place: Path, *, sign: str = "") -> dict[str, Listing]:
    """Finds the pictures of a data set and their labels, without decoding the pictures.

    Args:
        place: One of

            - a folder with a folder for each class;
            - a folder with ``train`` and maybe ``val`` (``valid``, ``validation``) and ``test``,
              each with a folder for each class, as ImageNet's;
            - a CSV or Parquet file with a column for the path, one for the label, and maybe one
              called split; or a folder with such files, called train, val and test;
            - Parquet files that hold the pictures, as Hugging Face's do, or a folder of them;
            - an ``.npz`` file, or a folder of ``.npy`` files, with arrays of pictures and labels.
        sign: What stands between the labels of a picture that has several, in a table.

    Returns:
        "train", and where they are given "validation" and "test"; all with the same classes.

    Raises:
        BadInput: There is nothing of the kind; the message says what was found and expected.
    """
    cache = _CACHE.get()
    if cache is None:
        return _scan(place, sign)
    if (place, sign) not in cache:
        cache[place, sign] = _scan(place, sign)
    return dict(cache[place, sign])


def _scan(place: Path, sign: str) -> dict[str, Listing]:
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"there is no {place}: give {_KINDS}.") from None
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise BadInput(f"{place} cannot be read: {words}.") from None
    if place.is_dir():
        return _read_folder(place, sign)
    if place.suffix.lower() == ".npz":
        return numpy_files.read_npz(place, sign=sign)
    if place.suffix.lower() in TABLES:
        listings = _read_tables({"train": [place]}, sign)
        unused = UnusedFiles(place.parent)
        _add_unused(place.parent, listings, unused)
        return _with_notes(listings, [unused.describe()])
    if place.suffix.lower() in _PACKED:
        raise BadInput(f"{place} is packed: unpack it, and give its folder.")
    raise BadInput(f"{place} is a file of a kind that is not known: give {_KINDS}.")


def _read_folder(place: Path, sign: str) -> dict[str, Listing]:
    if prepared.is_prepared(place):
        return prepared.read_prepared(place)
    unused = UnusedFiles(place)
    if arrays := numpy_files.npy_files(place):
        listings = numpy_files.read_npy(place, arrays, sign=sign)
        _add_unused(place, {}, unused, also_used=arrays.values(), below=True)
        return _with_notes(listings, [unused.describe()])
    choice = choose(place, sign=sign)
    for table, reason in choice.unused.items():
        unused.add(table, reason=reason)
    if choice.tables:
        listings = _read_tables(choice.tables, sign)
        table_paths = [table for paths in choice.tables.values() for table in paths]
        _add_unused(place, listings, unused, also_used=table_paths, below=True)
        return _with_notes(listings, [choice.note, unused.describe()])
    listings = class_folders.read_folders(place, unused)
    doubt = doubtful_splits(place, listings["train"].classes) if len(listings) == 1 else ""
    return _with_notes(listings, [doubt, unused.describe()])


def _with_notes(listings: dict[str, Listing], words: Sequence[str]) -> dict[str, Listing]:
    """Returns the listings with more notes."""
    note = " ".join(part for part in (listings["train"].note, *words) if part)
    return {**listings, "train": replace(listings["train"], note=note)}


def _add_unused(
    root: Path,
    listings: Mapping[str, Listing],
    unused: UnusedFiles,
    *,
    also_used: Iterable[Path] = (),
    below: bool = False,
) -> None:
    """Notes what lies beside the pictures of tables or arrays, and is not used.

    Args:
        root: The folder.
        listings: What is used.
        unused: Collects what is not.
        also_used: Other files that are used.
        below: Whether the folder was given, and all below it is meant. Where a table was, it may
            lie in one's home: then only pictures beside those that it lists are.
    """
    above = f"{root}{os.sep}"
    groups = (listing.files for listing in listings.values() if isinstance(listing.files, tuple))
    used = {os.path.normpath(file).removeprefix(above) for files in groups for file in files}
    tree = Tree(root, None if below else map(os.path.dirname, used))
    for path in also_used:
        unused.mark_used(path)
    for name in sorted([*tree.pictures, *(tree.others if below else ())]):
        if name not in used:
            unused.add(name)


def doubtful_splits(place: Path, names: Sequence[str]) -> str:
    """Returns a note on class folders that may be splits, if some may.

    Args:
        place: The folder that they lie in.
        names: Of all of them.

    Raises:
        BadInput: All may.
    """
    like = like_splits(names)
    if not like:
        return ""
    if len(like) == len(names):
        raise BadInput(
            f"in {place} the folders are called {' and '.join(sorted(like))}, as splits are, and "
            "would count as classes. If they are splits, call them train, val and test, with a "
            "folder for each class in each, or list their pictures in a table with the columns "
            "path, label and split. If they are classes, call them otherwise."
        )
    return (
        f"{' and '.join(like)} count as classes here: if they are splits, call them train, val "
        "and test, with a folder for each class in them."
    )


def _read_tables(paths: dict[str, list[Path]], sign: str) -> dict[str, Listing]:
    by_split: dict[str, tables.Table] = {}
    for name, group in paths.items():
        parquet_files = [place for place in group if place.suffix.lower() == ".parquet"]
        if parquet_files and len(parquet_files) == len(group):
            by_split[name] = parquet.read_parquet(parquet_files)
        else:
            by_split[name] = tables.read_table(group[0])
    splits, note = {}, ""
    table = next(iter(by_split.values()))
    if len(by_split) == 1 and table.splits is None and isinstance(table.files, tuple):
        splits = splits_by_folder(table.place, table.files)
    if splits:
        by_split = {
            "train": replace(
                table, splits=[splits[top_of(table.place, file)] for file in table.files]
            )
        }
        note = f"Splits: as the folders of the pictures are called ({', '.join(splits)})."
    return _with_notes(tables.listings(by_split, sign=sign), [note])


def splits_by_folder(place: Path, files: Iterable[Path]) -> dict[str, str]:
    """Returns the splits that the folders of a table's pictures are named after, by folder.

    Args:
        place: The table, which lists all pictures and does not name their splits.
        files: The pictures.

    Returns:
        Nothing where the folders are not named so.

    Raises:
        BadInput: Some are named so, and others not.
    """
    splits = {top: split_of(top) for top in dict.fromkeys(top_of(place, file) for file in files)}
    distinct = set(splits.values()) - {""}
    if split_of_table(place) or "train" not in distinct or len(distinct) < 2:
        return {}
    if others := [top for top, split in splits.items() if not split]:
        raise BadInput(
            f"{place} lists pictures in {' and '.join(sorted(set(splits) - set(others)))}, which "
            f"are called as splits are, and in {others[0] or 'no folder'}, which is not: add a "
            "column split that says train, validation or test in each row."
        )
    return splits


def top_of(place: Path, file: Path) -> str:
    """Returns the folder beside a table that one of its pictures is in; nothing for none."""
    top, inside, _ = (
        os.path.normpath(file).removeprefix(f"{place.parent}{os.sep}").partition(os.sep)
    )
    return top if inside else ""
