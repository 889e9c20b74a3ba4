"""What tells the content of a data set from any other, for resuming."""

import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from flaxmill.data.listings.listing import Listing, Rows, normal

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
    class always changes it, and so does one that was edited, unless its size stayed what it was. It
    does not depend on where the data lies, nor on when its files were written. A file that cannot
    be read counts as such: whoever reads the pictures says so, or skips it.

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
    whole = sum(sizes) <= WHOLE and len(paths) <= _MANY
    read = paths if whole else paths[:: max(1, len(paths) // SOME)]
    with ThreadPoolExecutor() as pool:
        contents = pool.map(lambda path: beginning(path, whole=whole), read)
        for index, content in enumerate(contents):
            summed.update(content)
            if whole and told is not None and content != _NOTHING:
                told(index, content)
    return summed.hexdigest()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return _UNREADABLE


def beginning(path: str, *, whole: bool = False) -> bytes:
    """Returns a digest of a file's beginning, or of all of it; a mark if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read(-1 if whole else _BEGINNING)).digest()
    except OSError:
        return _NOTHING
