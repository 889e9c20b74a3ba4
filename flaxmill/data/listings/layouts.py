"""Finds out how a person's pictures lie there: in folders, tables or arrays."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

from flaxmill.data import prepared
from flaxmill.data.listings import class_folders, numpy_files, parquet, tables
from flaxmill.data.listings.account import Account, Tree
from flaxmill.data.listings.choosing import TABLES, choose, like_splits, named
from flaxmill.data.listings.listing import Listing, split_of
from flaxmill.errors import BadInput

_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_KINDS = "a folder, a CSV or Parquet file, or an .npz file"


_Scanned = dict[tuple[Path, str], dict[str, Listing]]
_SCANNED: ContextVar[_Scanned | None] = ContextVar("scanned", default=None)


@contextlib.contextmanager
def scanned_once() -> Iterator[None]:
    """Has every place scanned once, however often it is asked for within.

    What a recipe chooses by is then what it is trained on, also where files come and go meanwhile.
    """
    if _SCANNED.get() is not None:
        yield
        return
    token = _SCANNED.set({})
    try:
        yield
    finally:
        _SCANNED.reset(token)


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
    scanned = _SCANNED.get()
    if scanned is None:
        return _scan(place, sign)
    if (place, sign) not in scanned:
        scanned[place, sign] = _scan(place, sign)
    return dict(scanned[place, sign])


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
        found = _read_tables({"train": [place]}, sign)
        account = Account(place.parent)
        _leave_rest(place.parent, found, account)
        return _noted(found, [account.words()])
    if place.suffix.lower() in _PACKED:
        raise BadInput(f"{place} is packed: unpack it, and give its folder.")
    raise BadInput(f"{place} is a file of a kind that is not known: give {_KINDS}.")


def _read_folder(place: Path, sign: str) -> dict[str, Listing]:
    if prepared.is_prepared(place):
        return prepared.read_prepared(place)
    account = Account(place)
    if arrays := numpy_files.in_folder(place):
        found = numpy_files.read_npy(place, arrays, sign=sign)
        _leave_rest(place, {}, account, read=arrays.values(), below=True)
        return _noted(found, [account.words()])
    choice = choose(place, sign=sign)
    for table, reason in choice.unused.items():
        account.leave(table, reason=reason)
    if choice.tables:
        found = _read_tables(choice.tables, sign)
        read = [table for some in choice.tables.values() for table in some]
        _leave_rest(place, found, account, read=read, below=True)
        return _noted(found, [choice.note, account.words()])
    found = class_folders.read_folders(place, account)
    doubt = mistaken(place, found["train"].classes) if len(found) == 1 else ""
    return _noted(found, [doubt, account.words()])


def _noted(found: dict[str, Listing], words: Sequence[str]) -> dict[str, Listing]:
    """Adds to what the person is told."""
    note = " ".join(part for part in (found["train"].note, *words) if part)
    return {**found, "train": replace(found["train"], note=note)}


def _leave_rest(
    root: Path,
    found: Mapping[str, Listing],
    account: Account,
    *,
    read: Iterable[Path] = (),
    below: bool = False,
) -> None:
    """Notes down what lies beside the pictures of tables or arrays, and is not used.

    Args:
        root: The folder.
        found: What is used.
        account: Is told what is not.
        read: Other files that are used.
        below: Whether the folder was given, and all below it is meant. Where a table was, it may
            lie in one's home: then only pictures beside those that it lists are.
    """
    above = f"{root}{os.sep}"
    files = (part.files for part in found.values() if isinstance(part.files, tuple))
    used = {os.path.normpath(file).removeprefix(above) for some in files for file in some}
    tree = Tree(root, None if below else map(os.path.dirname, used))
    for path in read:
        account.use(path)
    for name in sorted([*tree.pictures, *(tree.others if below else ())]):
        if name not in used:
            account.leave(name)


def mistaken(place: Path, names: Sequence[str]) -> str:
    """Says which class folders may be splits, if some may.

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


def _read_tables(found: dict[str, list[Path]], sign: str) -> dict[str, Listing]:
    read: dict[str, tables.Table] = {}
    for name, places in found.items():
        packed = [place for place in places if place.suffix.lower() == ".parquet"]
        if packed and len(packed) == len(places):
            read[name] = parquet.read_parquet(packed)
        else:
            read[name] = tables.read_table(places[0])
    splits, note = {}, ""
    table = next(iter(read.values()))
    if len(read) == 1 and table.splits is None and isinstance(table.files, tuple):
        splits = by_folder(table.place, table.files)
    if splits:
        read = {
            "train": replace(
                table, splits=[splits[top_of(table.place, file)] for file in table.files]
            )
        }
        note = f"Splits: as the folders of the pictures are called ({', '.join(splits)})."
    return _noted(tables.listings(read, sign=sign), [note])


def by_folder(place: Path, files: Iterable[Path]) -> dict[str, str]:
    """Returns the splits that the folders of a table's pictures are called as, by folder.

    Args:
        place: The table, which lists all pictures and does not say which are for what.
        files: The pictures.

    Returns:
        Nothing where the folders are not called so.

    Raises:
        BadInput: Some are called so, and others not.
    """
    splits = {top: split_of(top) for top in dict.fromkeys(top_of(place, file) for file in files)}
    meant = set(splits.values()) - {""}
    if named(place) or "train" not in meant or len(meant) < 2:
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
