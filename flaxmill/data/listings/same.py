"""One file under several names: links, hard links, and paths that are spelt otherwise."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flaxmill.data.listings.account import Account
from flaxmill.errors import BadInput

_SHOWN = 2  # pairs of names that a message shows


class File(NamedTuple):
    """A picture, and what tells its file from most others: see `once`."""

    path: Path
    guess: int


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
    """Says whether two paths lead to one file that is there."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def once(
    place: Path, found: Mapping[str, Mapping[str, Sequence[File]]], account: Account
) -> dict[str, dict[str, list[Path]]]:
    """Leaves out files that lie there again, by a link or a hard link, in the same class.

    Looking up which file a path leads to costs a call of the system for each. The inodes that a
    folder lists cost none; but some file systems make them up, so where two are equal, it is asked.

    Raises:
        BadInput: One is in two splits, or in two classes.
    """
    first: dict[int, tuple[str, str, Path]] = {}
    kept: dict[str, dict[str, list[Path]]] = {name: {} for name in found}
    apart: dict[tuple[str, str], list[tuple[Path, Path]]] = {}
    for split, labels in found.items():
        for label, files in labels.items():
            some = kept[split].setdefault(label, [])
            for path, guess in files:
                here = split, label, path
                before = first.setdefault(guess, here)
                if before is here or guess < 0 or not _one_file(before[2], path):
                    some.append(path)
                elif before[0] != split:
                    apart.setdefault((split, before[0]), []).append((path, before[2]))
                elif before[1] != label:
                    classes = f"class {label}", f"class {before[1]}"
                    apart.setdefault(classes, []).append((path, before[2]))
                else:
                    account.leave(path, reason=f"the same file as {before[2].name}")
    for (here, there), pairs in apart.items():
        raise BadInput(_apart(place, pairs, here, there))
    return kept


def _apart(place: Path, pairs: Sequence[tuple[Path, Path]], here: str, there: str) -> str:
    """Says that files are in two splits, or in two classes."""
    names = [" = ".join(os.path.relpath(path, place) for path in pair) for pair in pairs[:_SHOWN]]
    more = f" and {len(pairs) - _SHOWN:,} more" if len(pairs) > _SHOWN else ""
    count = "1 picture" if len(pairs) == 1 else f"{len(pairs):,} pictures"
    same = "is the same file as one" if len(pairs) == 1 else "are the same files as some"
    return (
        f"in {place}, {count} of {here} {same} of {there} ({', '.join(names)}{more}): what is "
        "trained on must not be tested on, and a picture has one class. Leave each in one place."
    )
