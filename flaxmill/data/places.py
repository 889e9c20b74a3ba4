"""Where data lies: in a folder of the user's, or where a known data set is looked for.

Read by commands that must answer at once, so it imports nothing heavy.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from flaxmill.data.known.published import DATA_SETS, DataFile, DataSet
from flaxmill.errors import BadInput, nearest
from flaxmill.machine.program import command_line, quote

DRAWN = ("sketches", "sentences")
"""What the built-in data is called, which is nowhere."""
Progress = Callable[[str, int, int], None]
"""Called as (file name, bytes that are here, bytes of the whole file) while a file arrives."""


def data_set(name: str) -> DataSet:
    """Returns the description of a data set.

    Args:
        name: Such as ``fashion-mnist``.

    Raises:
        BadInput: No data set is called so; the nearest name is offered.
    """
    if name not in DATA_SETS:
        raise BadInput(f"there is no data set {name!r}.{nearest(name, DATA_SETS)}")
    return DATA_SETS[name]


def path_of(data: object) -> Path | None:
    """Returns the absolute path that a choice of data means, relative to this folder.

    Args:
        data: As a recipe's field has it: a path, or a word for a set.

    Returns:
        The path; None where it is a word, or nothing is there.
    """
    if not isinstance(data, str) or data in (*DATA_SETS, *DRAWN, "auto"):
        return None
    path = absolute(data)
    return path if path.exists() else None


def cache_folder(name: str) -> Path:
    """Returns the folder that a data set is downloaded to.

    Args:
        name: Such as ``fashion-mnist``.

    Returns:
        A folder in ``$FLAXMILL_CACHE``, else in ``$XDG_CACHE_HOME/flaxmill``, else where the
        platform keeps a user's caches.

    Raises:
        BadInput: The user has no home directory and neither variable is set.
    """
    if root := os.environ.get("FLAXMILL_CACHE"):
        return absolute(root) / name
    if root := os.environ.get("XDG_CACHE_HOME"):
        return absolute(root) / "flaxmill" / name
    caches = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    root = os.path.expanduser(caches)
    if root == caches:
        raise BadInput(
            "there is no home directory to keep downloads in: set FLAXMILL_CACHE to a folder."
        )
    return Path(root) / "flaxmill" / name


def places(name: str) -> Iterator[Path]:
    """Yields the folders that a data set is looked for in, in order."""
    if root := os.environ.get("FLAXMILL_DATA"):
        yield absolute(root) / name
    yield absolute("data") / name
    yield cache_folder(name)


def stored_path(folder: Path, file: DataFile) -> Path | None:
    """Returns where a file lies in a folder, as published or else unpacked; nothing if absent.

    Of an archive that was unpacked, it is the folder with what the archive holds.
    """
    packed = folder / file.name
    # os.path and not Path: an unreadable folder is one without the file, not an exception
    if file.holds and not os.path.isfile(packed):
        return next((at for at in _unpacked(folder, file) if not _lacking(at, file)), None)
    unpacked = folder / file.name.removesuffix(".gz")
    return next((path for path in (packed, unpacked) if os.path.isfile(path)), None)


def _unpacked(folder: Path, file: DataFile) -> tuple[Path, Path]:
    """Returns where an archive may have been unpacked to: the folder, or the one inside."""
    return folder, folder / file.inside


def _lacking(folder: Path, file: DataFile) -> list[str]:
    """Returns the names of the files in an archive that a folder lacks."""
    return [name for name in file.holds if not os.path.isfile(folder / name)]


def missing_files(folder: Path, data_set: DataSet) -> list[str]:
    """Returns the names of a data set's files that a folder lacks.

    Of an archive that was unpacked in part, it is what is not there.
    """
    names = []
    for file in data_set.files:
        if stored_path(folder, file) is None:
            contents = [_lacking(at, file) for at in _unpacked(folder, file)] if file.holds else []
            fewest = min(contents, key=len, default=[])
            names += fewest if 0 < len(fewest) < len(file.holds) else [file.name]
    return names


def require(folder: Path, data_set: DataSet) -> None:
    """Checks that a folder has all the files of a data set.

    Args:
        folder: The folder itself, not one that it is in.
        data_set: The data set.

    Raises:
        BadInput: It has not; the message names the folder, what it lacks and what it holds.
    """
    absent = missing_files(folder, data_set)
    if not absent:
        return
    try:
        content = sorted(os.listdir(folder))
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be used as the folder of {data_set.title} "
            f"({(error.strerror or str(error)).lower()}): "
            f"give a folder with {listed_files(absent)}."
        ) from None
    if data_set.name in content and not missing_files(folder / data_set.name, data_set):
        raise BadInput(
            f"{folder} does not hold {data_set.title} itself, but its folder {data_set.name} does: "
            f"give {folder / data_set.name}."
        )
    if way := strips_hint(folder, content):
        raise BadInput(f"{folder} {way}.")
    lacking = f"lacks {listed_files(absent)}"
    holds = f"{lacking}; it holds {listed_files(content)}"
    what = holds if content else f"is an empty directory: it {lacking}"
    raise BadInput(f"{folder} {what}. Put them there, or {download_hint(data_set.name, folder)}.")


def download_hint(name: str, folder: Path) -> str:
    """Returns how to get a data set whole, where a folder does not hold it so.

    Nothing is put into a folder that may hold something else, such as the set of a relative, whose
    files have the same names: only into one that is empty, or a place of the set itself.

    Args:
        name: Of the data set.
        folder: The folder.
    """
    if _is_for(name, folder):
        return f"let {fetch_command(name, folder)} download what is wrong or missing"
    return (
        f"let {fetch_command(name)} download the set into your cache, where --data {name} finds it"
    )


def _is_for(name: str, folder: Path) -> bool:
    """Returns whether a folder is there for a data set alone."""
    if folder.is_dir() and not any(folder.iterdir()):
        return True
    try:
        return folder in places(name)
    except BadInput:  # there is no home, and so no cache
        return False


def strips_hint(folder: Path, content: list[str]) -> str:
    """Returns how to go on with a folder of pictures in strips, which are smaller and as exact."""
    if "unpack.py" not in content or not any(name.endswith(".webp") for name in content):
        return ""
    command = f"python {quote(str(folder / 'unpack.py'))} TARGET"
    return f"holds the pictures as WebP strips: unpack them with `{command}`, then --data TARGET"


def find(name: str, folder: str | Path | None = None) -> Path | None:
    """Finds a data set on this machine.

    Args:
        name: Such as ``fashion-mnist``.
        folder: The very folder that holds it; without it, `places` is searched.

    Returns:
        The folder as an absolute path, or nothing if no place has all the files.

    Raises:
        BadInput: The name is unknown, or the given folder does not hold the files.
    """
    description = data_set(name)
    if folder is not None:
        require(absolute(folder), description)
        return absolute(folder)
    return next((place for place in places(name) if not missing_files(place, description)), None)


def absolute(path: str | Path) -> Path:
    """Returns the absolute path, relative to this folder or the user's home."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def listed_files(names: list[str], most: int = 5) -> str:
    """Returns the first names of files, and how many more there are."""
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)


def fetch_command(name: str, folder: Path | None = None) -> str:
    """Returns the command that downloads a data set, as it is to be typed."""
    to = f" --to {quote(folder)}" if folder else ""
    return f"`{command_line(f'fetch {name}{to}')}`"
