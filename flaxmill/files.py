"""Files that are whole or not there: atomic writing, and digests."""

import contextlib
import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from flaxmill.errors import BadInput

_TEMPORARY = re.compile(r"(^|/)\.([^/]+)\.[0-9a-f]{8}(?=/|$)")


def beside(path: Path) -> Path:
    """Returns a place beside a path, for what is to take its place once it is whole."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def meant(place: str) -> str:
    """Returns a place by the name that it is to have, for messages; see `beside`.

    >>> meant("runs/one/.export.0f3a9c21/model.onnx")
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
    temporary = beside(path)
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    sync_folder(path.parent)


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


def read_json(path: Path) -> Any:
    """Reads a JSON file of ours.

    Raises:
        BadInput: The file is absent or is not JSON; the message names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path} is missing.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} is not readable as JSON ({error}). It was damaged or edited by hand: "
            f"restore it from a copy, or start anew with --fresh."
        ) from None


def sha256(path: Path) -> str:
    """Returns the SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
