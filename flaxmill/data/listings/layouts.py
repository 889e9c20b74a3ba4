"""Finds out how a person's pictures lie there: in folders, tables or arrays."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from flaxmill.data import prepared
from flaxmill.data.listings import class_folders, numpy_files, parquet, tables
from flaxmill.data.listings.listing import PARTS, Listing
from flaxmill.errors import BadInput

_TABLES = (".csv", ".tsv", ".parquet")
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_KINDS = "a folder, a CSV or Parquet file, or an .npz file"


def read_layout(place: Path, *, sign: str = "") -> dict[str, Listing]:
    """Does what `flaxmill.data.listings.listing.scan` says."""
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"there is no {place}: give {_KINDS} with --data.") from None
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise BadInput(f"{place} cannot be read: {words}.") from None
    if place.is_dir():
        if prepared.is_prepared(place):
            return prepared.read_prepared(place)
        if arrays := numpy_files.in_folder(place):
            return numpy_files.read_npy(place, arrays, sign=sign)
        if not class_folders.present(place) and (found := tables_in(place)):
            return _read_tables(found, sign)
        return _doubted(place, class_folders.read_folders(place))
    if place.suffix.lower() == ".npz":
        return numpy_files.read_npz(place, sign=sign)
    if place.suffix.lower() in _TABLES:
        return _read_tables({"train": [place]}, sign)
    if place.suffix.lower() in _PACKED:
        raise BadInput(f"{place} is packed: unpack it, and give its folder.")
    raise BadInput(f"{place} is a file of a kind that is not known: give {_KINDS}.")


def _doubted(place: Path, found: dict[str, Listing]) -> dict[str, Listing]:
    """Adds to the note what may have been meant otherwise than as class folders."""
    doubts = [found["train"].note]
    if len(found) == 1 and (like := like_splits(found["train"].classes)):
        doubts.append(
            f"{' and '.join(like)} count as classes here: if they are splits, call them train, val "
            "and test, with a folder for each class in them."
        )
    if beside := sorted(table.name for table in tables_beside(place)):
        doubts.append(
            f"Not used: {', '.join(beside)}. If that lists the pictures, give it with --data."
        )
    train = replace(found["train"], note=" ".join(filter(None, doubts)))
    return {**found, "train": train}


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


def tables_beside(place: Path) -> list[Path]:
    """Returns the tables that lie in a folder itself."""
    return [
        path
        for path in place.glob("*")
        if path.suffix.lower() in _TABLES and not path.name.startswith(".")
    ]


def _read_tables(found: dict[str, list[Path]], sign: str) -> dict[str, Listing]:
    read: dict[str, tables.Table] = {}
    for name, places in found.items():
        packed = [place for place in places if place.suffix.lower() == ".parquet"]
        if packed and len(packed) == len(places):
            read[name] = parquet.read_parquet(packed)
        elif len(places) == 1:
            read[name] = tables.read_csv(places[0])
        else:
            shown = ", ".join(place.name for place in places)
            raise BadInput(
                f"in {places[0].parent} there are several tables, {shown}: give the one that lists "
                "the pictures, or call them train, val and test."
            )
    return tables.listings(read, sign=sign)


def tables_in(place: Path) -> dict[str, list[Path]]:
    """Returns the tables in a folder by split: by their own names, or those of their folders."""
    found: dict[str, list[Path]] = {}
    inside = [path for name in ("*", "*/*") for path in sorted(place.glob(name))]
    for path in inside:
        folder = path.parent.name.lower() if path.parent != place else ""
        if path.suffix.lower() not in _TABLES or path.name.startswith("."):
            continue
        if folder in ("", "data"):  # Hugging Face keeps train-00000-of-00001.parquet in data/
            word = re.split(r"[^a-z]", path.stem.lower())[0]
            found.setdefault(PARTS.get(word, "train"), []).append(path)
        elif folder in PARTS:
            found.setdefault(PARTS[folder], []).append(path)
    return found
