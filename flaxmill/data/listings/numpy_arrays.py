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
_Header = tuple[tuple[int, ...], bool, np.dtype]
"""A shape, whether its first axis is the one that changes fastest, and a type."""


def map_npy(path: Path) -> np.ndarray:
    """Maps the array of an ``.npy`` file into memory: what is asked for is read from the disk.

    Raises:
        BadInput: It is damaged, or no file of an array of numbers or text.
    """
    try:
        with files.open_regular(path) as file:
            shape, fortran, dtype = header = _read_header(file)
            start, size = file.tell(), os.fstat(file.fileno()).st_size
        if start + _bytes(header) > size:
            raise ValueError(f"it is cut short: {_bytes(header):,} bytes are said to follow")
        if shape:
            files.check_rows(path, shape[0], size)
        if not _bytes(header):  # nothing can be mapped of nothing
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
    except BadInput:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{path} cannot be read as an .npy file: {_describe(error)}.") from None


def load_npz(place: Path, is_selected: Callable[[str], bool]) -> dict[str, np.ndarray]:
    """Reads arrays of an ``.npz`` file.

    Args:
        place: The file.
        is_selected: Whether to read the array of a name.

    Returns:
        The arrays by name; in the place of one that is not selected, one of its shape without
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
                headers = {name: _member(archive, info) for name, info in members.items()}
                total = sum(_bytes(header) for name, header in headers.items() if is_selected(name))
                files.check_unpacked(place, total, size)
                for shape, *_ in (header for name, header in headers.items() if is_selected(name)):
                    files.check_rows(place, max(shape[:1], default=0), size)
                return {
                    name: _read(archive, members[name])
                    if is_selected(name)
                    else np.broadcast_to(np.zeros((), dtype), shape)
                    for name, (shape, _, dtype) in headers.items()
                }
    except BadInput:
        raise
    except _ERRORS as error:
        raise BadInput(f"{place} cannot be read as an .npz file: {_describe(error)}.") from None


_ERRORS = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    if info.compress_type not in _PACKED:
        raise ValueError(f"{info.filename[:80]!r} is packed in a way that NumPy does not write")
    with archive.open(info) as file:
        return _read_header(file)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _read_header(file: Any) -> _Header:
    """Reads the header of an array.

    Raises:
        ValueError: It is none.
    """
    try:
        version = np.lib.format.read_magic(file)
        header: _Header = _HEADERS[version](file)
    except Exception as error:  # also of Python's own tokenizer and parser, which read it
        raise ValueError(str(error) or "its header is damaged") from None
    shape, _, dtype = header
    if dtype.hasobject:
        raise ValueError("it holds Python objects; save arrays of numbers or of text")
    if any(axis < 0 for axis in shape) or _bytes(header) > 2**62:
        raise ValueError(f"its header says that it has the shape {str(shape)[:80]}")
    return header


def _bytes(header: _Header) -> int:
    shape, _, dtype = header
    return math.prod(shape) * dtype.itemsize


def _describe(error: Exception) -> str:
    text = "it is cut short" if isinstance(error, EOFError) else str(error)
    return text.rstrip(".")
