"""Where data is found: a given folder, or the places that a known data set is looked for in.

This module is read by commands that must answer at once, so it imports nothing heavy; what talks
to the network is in `flaxmill.data.download`.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from flaxmill.data.known.published import DATA_SETS, DataFile, DataSet
from flaxmill.errors import BadInput, nearest
from flaxmill.program import quote, typed

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
    """Returns the absolute path that a choice of data means from this folder on.

    Args:
        data: As a recipe's field has it: a path, or a word for a set.

    Returns:
        The path; None where it is a word, or nothing is there.
    """
    if not isinstance(data, str) or data in (*DATA_SETS, "auto", "sketches"):
        return None
    path = _absolute(data)
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
        return _absolute(root) / name
    if root := os.environ.get("XDG_CACHE_HOME"):
        return _absolute(root) / "flaxmill" / name
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
        yield _absolute(root) / name
    yield _absolute("data") / name
    yield cache_folder(name)


def stored(folder: Path, file: DataFile) -> Path | None:
    """Returns where a file lies in a folder, as published or else unpacked; nothing if absent.

    Of an archive that was unpacked, it is the folder with what the archive holds.
    """
    packed = folder / file.name
    # os.path and not Path: an unreadable folder is one without the file, not an exception
    if file.holds and not os.path.isfile(packed):
        return next((at for at in _unpacked(folder, file) if not _absent(at, file)), None)
    unpacked = folder / file.name.removesuffix(".gz")
    return next((path for path in (packed, unpacked) if os.path.isfile(path)), None)


def _unpacked(folder: Path, file: DataFile) -> tuple[Path, Path]:
    """Returns where an archive may have been unpacked to: the folder, or the one inside."""
    return folder, folder / file.inside


def _absent(folder: Path, file: DataFile) -> list[str]:
    """Returns the names of what a folder lacks of the content of an archive."""
    return [name for name in file.holds if not os.path.isfile(folder / name)]


def missing(folder: Path, wanted: DataSet) -> list[str]:
    """Returns the names of a data set's files that a folder lacks.

    Of an archive that was unpacked in part, it is what is not there.
    """
    names = []
    for file in wanted.files:
        if stored(folder, file) is None:
            parts = [_absent(at, file) for at in _unpacked(folder, file)] if file.holds else []
            fewest = min(parts, key=len, default=[])
            names += fewest if 0 < len(fewest) < len(file.holds) else [file.name]
    return names


def require(folder: Path, wanted: DataSet) -> None:
    """Checks that a folder has all the files of a data set.

    Args:
        folder: The folder itself, not one that it is in.
        wanted: The data set.

    Raises:
        BadInput: It has not; the message names the folder, what it lacks and what it holds.
    """
    absent = missing(folder, wanted)
    if not absent:
        return
    try:
        content = sorted(os.listdir(folder))
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be used as the folder of {wanted.title} "
            f"({(error.strerror or str(error)).lower()}): give a folder with {_listed(absent)}."
        ) from None
    if wanted.name in content and not missing(folder / wanted.name, wanted):
        raise BadInput(
            f"{folder} does not hold {wanted.title} itself, but its folder {wanted.name} does: "
            f"give {folder / wanted.name}."
        )
    if way := _strips(folder, content):
        raise BadInput(f"{folder} {way}.")
    what = f"lacks {_listed(absent)}; it holds {_listed(content)}"
    raise BadInput(
        f"{folder} {what if content else f'is an empty directory: it lacks {_listed(absent)}'}. "
        f"Put them there, or {whole_copy(wanted.name, folder)}."
    )


def whole_copy(name: str, folder: Path) -> str:
    """Says how to get a data set whole, where a folder does not hold it so.

    Nothing is put into a folder that may hold something else, such as the set of a relative, whose
    files have the same names: only into one that is empty, or a place of the set itself.

    Args:
        name: Of the data set.
        folder: The folder.
    """
    if _is_for(name, folder):
        return f"let {_fetch_command(name, folder)} download what is wrong or missing"
    return (
        f"let {_fetch_command(name)} download the set into your cache, where --data {name} finds it"
    )


def _is_for(name: str, folder: Path) -> bool:
    """Says whether a folder is there for a data set alone."""
    if folder.is_dir() and not any(folder.iterdir()):
        return True
    try:
        return folder in places(name)
    except BadInput:  # there is no home, and so no cache
        return False


def _strips(folder: Path, content: list[str]) -> str:
    """Says how to go on with a folder that keeps its pictures as strips, smaller and as exact."""
    if "unpack.py" not in content or not any(name.endswith(".webp") for name in content):
        return ""
    command = f"python {quote(str(folder / 'unpack.py'))} TARGET"
    return f"holds the pictures as WebP strips: unpack them with `{command}`, then --data TARGET"


def find(name: str, given: str | Path | None = None) -> Path | None:
    """Finds a data set on this machine.

    Args:
        name: Such as ``fashion-mnist``.
        given: The very folder that holds it; without it, `places` is searched.

    Returns:
        The folder as an absolute path, or nothing if no place has all the files.

    Raises:
        BadInput: The name is unknown, or the given folder does not hold the files.
    """
    wanted = data_set(name)
    if given is not None:
        folder = _absolute(given)
        require(folder, wanted)
        return folder
    return next((folder for folder in places(name) if not missing(folder, wanted)), None)


def locate(
    name: str, given: str | Path | None = None, *, on_progress: Progress | None = None
) -> Path:
    """Finds a data set on this machine or else downloads it.

    Args:
        name: Such as ``fashion-mnist``.
        given: The very folder that holds it; then nothing is downloaded.
        on_progress: Told of every piece of a download.

    Returns:
        The folder as an absolute path.

    Raises:
        BadInput: The data is not here and cannot be had; the message says where it was looked for,
            why the download failed, and what to do.
        CannotGoOn: The disk is full.
    """
    if found := find(name, given):
        return found
    wanted = data_set(name)
    lines = [f"{wanted.title} is not on this machine. Looked in:"]
    for folder in places(name):
        absent = missing(folder, wanted)
        state = f"lacks {_listed(absent)}" if folder.is_dir() else "no such folder"
        strips = _strips(folder, os.listdir(folder)) if os.access(folder, os.R_OK) else ""
        lines.append(f"  {folder}: {strips or state}")
    try:
        return fetch(name, on_progress=on_progress, hurried=True)
    except BadInput as error:
        lines += [
            *error.lines,
            "Ways out:",
            f"  {_fetch_command(name)} where there is a network",
            "  --data DIR names the folder that holds the files; FLAXMILL_DATA the one it is in",
            "  --data sketches trains on drawn garments and needs no files",
        ]
        raise BadInput(*lines) from error


def fetch(
    name: str,
    to: str | Path | None = None,
    *,
    on_progress: Progress | None = None,
    hurried: bool = False,
) -> Path:
    """Downloads what is missing of a data set, and checks it.

    Args:
        name: Such as ``fashion-mnist``.
        to: The very folder to put the files in; by default one in the user's cache.
        on_progress: Told of every piece that arrives.
        hurried: Give up within 5 seconds where there is no network.

    Returns:
        The folder as an absolute path; every file in it has the published content.

    Raises:
        BadInput: The name is unknown, the folder cannot be written, or no mirror served a file.
        CannotGoOn: The disk is full.
    """
    from flaxmill.data.download import HURRIED, PATIENT, download  # imports the network's modules

    folder = cache_folder(name) if to is None else _absolute(to)
    patience = HURRIED if hurried else PATIENT
    return download(data_set(name), folder, on_progress=on_progress, patience=patience)


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _listed(names: list[str], most: int = 5) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)


def _fetch_command(name: str, folder: Path | None = None) -> str:
    to = f" --to {quote(folder)}" if folder else ""
    return f"`{typed(f'fetch {name}{to}')}`"
