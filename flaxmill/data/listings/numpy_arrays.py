"""Arrays in NumPy's files: what their headers say is checked before memory is taken for them."""

import math
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.machine import files

_MEMBERS = 1000  # arrays of a file, at most
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as NumPy writes them
_HEADERS: dict[tuple[int, int], Callable[[Any], Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_Form = tuple[tuple[int, ...], bool, np.dtype]
"""A shape, whether its first axis is the one that changes fastest, and a type."""


def mapped(path: Path) -> np.ndarray:
    """Maps the array of an ``.npy`` file into memory: what is asked for is read from the disk.

    Raises:
        BadInput: It is damaged, or no file of an array of numbers or text.
    """
    try:
        with files.open_regular(path) as file:
            shape, fortran, kind = form = _form(file)
            start, size = file.tell(), os.fstat(file.fileno()).st_size
        if start + _bytes(form) > size:
            raise ValueError(f"it is cut short: {_bytes(form):,} bytes are said to follow")
        if shape:
            files.check_rows(path, shape[0], size)
        if not _bytes(form):  # nothing can be mapped of nothing
            return np.zeros(shape, kind)
        return np.memmap(path, kind, "r", start, shape, "F" if fortran else "C")
    except BadInput:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} cannot be read as an .npy file: {_words(error)}.") from None


def unpacked(place: Path, wanted: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Reads arrays of an ``.npz`` file.

    Args:
        place: The file.
        wanted: Says of a name whether its array is read.

    Returns:
        The arrays by name; in the place of one that is not wanted, one of that shape without
        numbers of its own.

    Raises:
        BadInput: It is damaged, or its arrays are far larger than the file.
    """
    try:
        with files.open_regular(place) as file:
            if file.peek(6)[:6] == np.lib.format.MAGIC_PREFIX:
                raise BadInput(f"{place} is an .npy file: give the folder of such files.")
            size = os.fstat(file.fileno()).st_size
            with zipfile.ZipFile(file) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
                if len(members) > _MEMBERS:
                    raise ValueError(f"it has {len(members):,} arrays, more than {_MEMBERS:,}")
                forms = {name: _member(archive, info) for name, info in members.items()}
                total = sum(_bytes(form) for name, form in forms.items() if wanted(name))
                files.check_unpacked(place, total, size)
                for shape, *_ in (form for name, form in forms.items() if wanted(name)):
                    files.check_rows(place, max(shape[:1], default=0), size)
                return {
                    name: _read(archive, members[name])
                    if wanted(name)
                    else np.broadcast_to(np.zeros((), kind), shape)
                    for name, (shape, _, kind) in forms.items()
                }
    except BadInput:
        raise
    except _TROUBLES as error:
        raise BadInput(f"{place} cannot be read as an .npz file: {_words(error)}.") from None


_TROUBLES = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Form:
    if info.compress_type not in _PACKED:
        raise ValueError(f"{info.filename[:80]!r} is packed in a way that NumPy does not write")
    with archive.open(info) as file:
        return _form(file)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _form(file: Any) -> _Form:
    """Reads the header of an array.

    Raises:
        ValueError: It is none.
    """
    try:
        version = np.lib.format.read_magic(file)
        found: _Form = _HEADERS[version](file)
    except Exception as error:  # also of Python's own tokenizer and parser, which read it
        raise ValueError(str(error) or "its header is damaged") from None
    shape, _, kind = found
    if kind.hasobject:
        raise ValueError("it holds Python objects; save arrays of numbers or of text")
    if any(axis < 0 for axis in shape) or _bytes(found) > 2**62:
        raise ValueError(f"its header says that it has the shape {str(shape)[:80]}")
    return found


def _bytes(form: _Form) -> int:
    shape, _, kind = form
    return math.prod(shape) * kind.itemsize


def _words(error: Exception) -> str:
    text = "it is cut short" if isinstance(error, EOFError) else str(error)
    return text.rstrip(".")
