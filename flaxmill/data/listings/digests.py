"""What tells the content of a data set from any other, for resuming."""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from flaxmill.data.listings.listing import Listing, Rows, normal
from flaxmill.errors import BadInput
from flaxmill.machine.files import open_regular

WHOLE = 256 * 2**20
"""Bytes of a set, up to which all of it is read."""
SOME = 1000
"""Pictures of a larger set that are read."""
_MANY = 20_000  # files, from which on a set is large whatever its bytes
_BEGINNING = 64 * 2**10  # bytes of a file that are read of a large set
_UNREADABLE = -1  # in the place of a size
_NOTHING = str(_UNREADABLE).encode()  # in the place of a digest


def digests(
    splits: Mapping[str, Listing], told: Callable[[str, int, bytes], object] | None = None
) -> dict[str, str]:
    """Returns a digest of each split: of its classes, and each picture's name, label and content.

    Reading a large set again at every start would take too long. So of more than 256 MiB, or of
    more than 20,000 files, the digest takes the size of every file and the first 64 KiB of a
    thousand of them, spread evenly: a picture that was added, removed, renamed or moved to another
    class always changes it, and so does one that was edited, unless its size stayed what it was
    (`stamps` then tells that something was written). It does not depend on where the data lies, nor
    on when its files were written. A file that cannot be read counts as such: whoever reads the
    pictures says so, or skips it.

    Args:
        splits: The listings.
        told: Is given the split, the place and a digest of the content of each file that is read
            whole.
    """
    found = {}
    for name in sorted(splits, key=lambda name: name != "train"):
        listing = splits[name]
        found[name] = _digest(listing, None if told is None else functools.partial(told, name))
    return {name: found[name] for name in splits}


def stamps(splits: Mapping[str, Listing]) -> dict[str, str]:
    """Returns what tells when the files of a split were written, of splits that are not read whole.

    It says nothing of their content, and is another where they were copied. But files of a large
    set that were edited between two attempts, each keeping its size, show by it.

    Args:
        splits: The listings.
    """
    found = {name: _stamp(listing) for name, listing in splits.items()}
    return {name: stamp for name, stamp in found.items() if stamp}


def _stamp(listing: Listing) -> str:
    files = listing.files
    whole = files.whole if isinstance(files, Rows) else files
    if hasattr(type(whole), "digest"):
        return getattr(whole, "stamp", "")
    paths = [str(file) for file in files]
    return "" if _is_small([_size(path) for path in paths]) else stamp(paths)


def stamp(paths: Iterable[str]) -> str:
    """Returns a digest of the times at which files were written."""
    summed = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError):
            summed.update(os.stat(path).st_mtime_ns.to_bytes(16, "little", signed=True))
    return summed.hexdigest()


def _digest(listing: Listing, told: Callable[[int, bytes], object] | None) -> str:
    files = listing.files
    own = getattr(files.whole if isinstance(files, Rows) else files, "digest", None)
    summed = hashlib.sha256(repr(listing.classes).encode())
    summed.update(listing.labels.tobytes())
    if own is not None:
        if isinstance(files, Rows):
            summed.update(files.indices.astype("<i8").tobytes())
        summed.update(own.encode())
        return summed.hexdigest()
    root = len(str(listing.root)) + 1
    paths = [str(file) for file in files]
    sizes = [_size(path) for path in paths]
    for path, size in zip(paths, sizes, strict=True):
        inside = path[root:] if path.startswith(f"{listing.root}{os.sep}") else path
        summed.update(f"{normal(inside)}\0{size}\0".encode(errors="surrogateescape"))
    whole = _is_small(sizes)
    read = paths if whole else paths[:: max(1, len(paths) // SOME)]
    for index, content in enumerate(contents(read, whole=whole)):
        summed.update(content)
        if whole and told is not None and content != _NOTHING:
            told(index, content)
    return summed.hexdigest()


def _is_small(sizes: Sequence[int]) -> bool:
    """Says whether files of these sizes are all read."""
    return sum(sizes) <= WHOLE and len(sizes) <= _MANY


def contents(paths: Sequence[str], *, whole: bool | None = None) -> Iterator[bytes]:
    """Yields a digest of each file, or of its beginning; a mark where it cannot be read.

    Args:
        paths: The files.
        whole: Whether all of each is read; None for that where it takes not too long.
    """
    whole = _is_small([_size(path) for path in paths]) if whole is None else whole
    with ThreadPoolExecutor() as pool:
        yield from pool.map(lambda path: _content(path, whole=whole), paths)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return _UNREADABLE


def _content(path: str, *, whole: bool) -> bytes:
    try:
        with open_regular(path) as file:
            if whole:
                return hashlib.file_digest(file, "sha256").digest()
            return hashlib.sha256(file.read(_BEGINNING)).digest()
    except (OSError, BadInput):
        return _NOTHING
