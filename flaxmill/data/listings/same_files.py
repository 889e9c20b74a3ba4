"""One file under several names: links, hard links, and paths that are spelt otherwise."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flaxmill.data.listings.unused import UnusedFiles
from flaxmill.errors import BadInput

_SHOWN = 2  # pairs of names that a message shows


class File(NamedTuple):
    """A picture, and what tells its file from most others: see `deduplicate`."""

    path: Path
    key: int


def identity(path: str | Path) -> Any:
    """Returns what tells a file from all others, whatever it is called."""
    try:
        status = os.stat(path)
    except OSError:  # a link to nothing: whoever reads the picture says so
        return os.path.abspath(path)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def identities(files: Iterable[Any]) -> Sequence[Any] | None:
    """Returns the identity of each file of a table; None where pictures are no files."""
    return [identity(file) for file in files] if isinstance(files, tuple) else None


def _one_file(path: Path, other: Path) -> bool:
    """Returns whether two paths lead to one file that is there."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def deduplicate(
    place: Path, pictures: Mapping[str, Mapping[str, Sequence[File]]], unused: UnusedFiles
) -> dict[str, dict[str, list[Path]]]:
    """Leaves out files that lie there again, by a link or a hard link, in the same class.

    Looking up which file a path leads to costs a call of the system for each. The inodes that a
    folder lists cost none; but some file systems make them up, so where two are equal, it is asked.

    Raises:
        BadInput: One is in two splits, or in two classes.
    """
    first: dict[int, tuple[str, str, Path]] = {}
    unique: dict[str, dict[str, list[Path]]] = {name: {} for name in pictures}
    conflicts: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
    for split, by_label in pictures.items():
        for label, files in by_label.items():
            paths = unique[split].setdefault(label, [])
            for path, key in files:
                here = split, label, path
                before = first.setdefault(key, here)
                if before is here or key < 0 or not _one_file(before[2], path):
                    paths.append(path)
                elif before[0] != split:
                    conflicts.setdefault((split, before[0]), []).append((path, before[2]))
                elif before[1] != label:
                    classes = f"class {label}", f"class {before[1]}"
                    conflicts.setdefault(classes, []).append((path, before[2]))
                else:
                    unused.add(path, reason=f"the same file as {before[2].name}")
    for (here, there), pairs in conflicts.items():
        raise BadInput(_conflict(place, pairs, here, there))
    return unique


def _conflict(place: Path, pairs: Sequence[tuple[Path, Path]], here: str, there: str) -> str:
    """Returns that files are in two splits, or in two classes, in words."""
    names = [" = ".join(os.path.relpath(path, place) for path in pair) for pair in pairs[:_SHOWN]]
    more = f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else ""
    count = "1 picture" if len(pairs) == 1 else f"{len(pairs):,} pictures"
    same = "is the same file as one" if len(pairs) == 1 else "are the same files as some"
    return (
        f"in {place}, {count} of {here} {same} of {there} ({', '.join(names)}{more}): what is "
        "trained on must not be tested on, and a picture has one class. Leave each in one place."
    )
