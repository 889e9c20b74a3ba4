"""Files that are whole or not there: atomic writing, reading what others wrote, and digests."""

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections import Counter
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any

from flaxmill.errors import BadInput, quoted

JSON_BYTES = 8 * 2**20
"""A JSON file of ours is no larger: 100,000 names of classes fill half of it."""
UNPACKED, UNPACKED_ANYWAY = 100, 256 * 2**20
"""How many times its size a file may take once it is unpacked, and the bytes that any one may."""
ROWS_ANYWAY, ROW_BYTES = 1_000_000, 10
"""How many rows any table may have, and the bytes that each row of a larger one takes at least."""
_DEEPEST = 50  # lists and objects within one another; our own files have six
_TEMPORARY = re.compile(r"(^|/)\.([^/]+)\.[0-9a-f]{8}(?=/|$)")


def beside(path: Path) -> Path:
    """Returns a temporary path beside one, for what replaces that once it is complete."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def create_beside(path: Path, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Creates something at a temporary path beside one, and holds it; see `clear_leftovers`.

    Args:
        path: See `beside`.
        make: Creates it at a path; returns a descriptor of it.

    Returns:
        Its path, and the descriptor: it counts as in use as long as that is open.
    """
    while True:
        place = beside(path)
        handle = make(place)
        hold(handle)
        if os.path.lexists(place):  # else it was taken for left behind before it was held
            return place, handle
        os.close(handle)


def hold(handle: int) -> None:
    """Marks a file or folder as in use while a descriptor is open; see `clear_leftovers`."""
    with contextlib.suppress(OSError):  # without locks nothing counts as left behind either
        fcntl.flock(handle, fcntl.LOCK_SH)


def clear_leftovers(path: Path) -> None:
    """Removes temporary files beside a path whose process was killed.

    Only what `create_beside` named, this user owns, and is not in use; in doubt it stays.
    """
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}")
    with contextlib.suppress(OSError):
        for entry in [*os.scandir(path.parent)]:
            if name.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_leftover(path.parent / entry.name)


def _remove_leftover(place: Path) -> None:
    """Removes something unless it is in use, or was renamed meanwhile.

    Raises:
        OSError: It is held, gone, or cannot be removed.
    """
    handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        about = os.fstat(handle)
        if about.st_uid != os.geteuid():
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(about.st_mode):
            remove(place)
        else:
            place.unlink()
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Removes a folder and what is in it; what cannot be removed, or is too deep, stays."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)


def final_name(place: str) -> str:
    """Returns a temporary path under the name that it will have, for messages; see `beside`.

    >>> final_name("runs/one/.export.0f3a9c21/model.onnx")
    'runs/one/export/model.onnx'
    """
    return _TEMPORARY.sub(r"\1\2", place)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Writes a file so that a reader, or a restart after a power cut, sees the old or the new one.

    Args:
        path: Where to write; its folder is made if need be.
        content: Text (stored as UTF-8; of a file's name that is none, as escapes) or bytes.

    Raises:
        OSError: The disk is full or the folder cannot be written; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    temporary, handle = create_beside(path, _new_file)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)  # while it is held
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    sync_folder(path.parent)
    clear_leftovers(path)


def _new_file(place: Path) -> int:
    return os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)


def sync_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as readable JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def open_regular(path: str | Path, *, links: bool = True) -> BufferedReader:
    """Opens a file that somebody else may have written: one that can be read to its end.

    Reading a named pipe would wait, and a device may have no end, or do something.

    Args:
        path: The file.
        links: Whether a link to a file will do; not for what is shown to strangers.

    Raises:
        BadInput: It is something else; the message names it.
        OSError: It cannot be opened.
    """
    check_regular(path, links=links)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW))
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # it was replaced at this moment
        os.close(handle)
        raise BadInput(f"{path} is no regular file any more: put the file itself there.")
    return os.fdopen(handle, "rb")


def read_bytes(path: Path, most: int = JSON_BYTES, *, links: bool = True) -> bytes:
    """Returns the content of a file that somebody else may have written; see `open_regular`.

    Args:
        path: The file.
        most: How many bytes it may have.
        links: Whether a link to a file will do.

    Raises:
        BadInput: It has more, or is no regular file.
        OSError: It cannot be read.
    """
    with open_regular(path, links=links) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise BadInput(
            f"{path} has more than {most >> 20} MiB, which no such file of flaxmill has."
        )
    return data


def check_regular(path: str | Path, *, links: bool = True) -> None:
    """Refuses what is no regular file; see `open_regular`.

    Raises:
        BadInput: It is something else.
        OSError: It is absent, a folder, or cannot be looked at.
    """
    mode = os.stat(path, follow_symlinks=links).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        what = _OTHERS.get(stat.S_IFMT(mode), "a device")
        raise BadInput(f"{path} is {what}, and a file is expected: put the file itself there.")


def open_own(path: str | Path, flags: int) -> int:
    """Opens a file to overwrite it, as the opener of ``open``; follows no link.

    Raises:
        BadInput: There is something else of that name.
        OSError: It cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):
        check_regular(path, links=False)
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)


_OTHERS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFLNK: "a link",
}


def read_json(path: Path) -> Any:
    """Reads a JSON file of ours; `flaxmill.machine.json_forms.read` also checks its form.

    Raises:
        BadInput: The file is absent, too large, or is not JSON; the message names it.
    """
    try:
        return parse_json(read_bytes(path))
    except FileNotFoundError:
        raise BadInput(f"{path} is missing.") from None
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({(error.strerror or str(error)).lower()})."
        ) from None
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(
            f"{path} is not readable as JSON ({error}). It was damaged or edited by hand: "
            f"restore it from a copy."
        ) from None


def parse_json(content: bytes) -> Any:
    """Parses JSON that is as plain as our own files are.

    Args:
        content: UTF-8, of a bounded length: the objects made of it may take thirty times as much.

    Raises:
        ValueError: It is no JSON, is nested too deep, gives a name twice, or a number that is none.
    """
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_by_name)
        _check_plain(value, _DEEPEST)
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEEPEST} deep") from None
    return value


def _by_name(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{quoted(name)} is there twice")
    return values


def _check_plain(value: Any, most: int) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if isinstance(value, dict | list):
        if not most:
            raise RecursionError
        for one in value.values() if isinstance(value, dict) else value:
            _check_plain(one, most - 1)


def check_unpacked(path: str | Path, size: int, packed: int) -> None:
    """Refuses a file that claims to be far larger than its bytes, before memory is taken for it.

    Args:
        path: The file, for the message.
        size: Bytes that its content takes in memory, as the file says.
        packed: Bytes of the file.

    Raises:
        BadInput: No honest file unpacks to so much.
    """
    if size > max(UNPACKED_ANYWAY, UNPACKED * packed):
        raise BadInput(
            f"{path} has {packed:,} bytes and says that {size:,} are packed in it: up to "
            f"{UNPACKED} times as many are unpacked, or {UNPACKED_ANYWAY >> 20} MiB of a small "
            f"file. It is damaged, or made to fill memory."
        )


def check_rows(path: str | Path, rows: int, packed: int) -> None:
    """Refuses a file that claims more rows than its bytes can hold.

    Args:
        path: The file, for the message.
        rows: Rows, or elements of lists in them: each takes memory of its own.
        packed: Bytes of the file.

    Raises:
        BadInput: No honest file has so many.
    """
    if rows > max(ROWS_ANYWAY, packed // ROW_BYTES):
        raise BadInput(
            f"{path} has {packed:,} bytes and says to have {rows:,} rows or labels: up to "
            f"{ROWS_ANYWAY:,} are read of a small file, or one for each {ROW_BYTES} bytes. It is "
            f"damaged, or made to fill memory."
        )


def sha256(path: Path) -> str:
    """Returns the SHA-256 digest of a file, in hexadecimal."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
