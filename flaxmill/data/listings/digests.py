"""Digests that tell the content of a data set from any other, for resuming."""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from flaxmill.data.listings.listing import Listing, Subset, normal
from flaxmill.errors import BadInput
from flaxmill.machine.files import open_regular

WHOLE = 256 * 2**20
"""Bytes of a set, up to which all of it is read."""
SAMPLED = 1000
"""Pictures of a larger set that are read."""
_MANY = 20_000  # files, from which on a set is large whatever its bytes
_BEGINNING = 64 * 2**10  # bytes of a file that are read of a large set
_UNREADABLE = -1  # in the place of a size
_NOTHING = str(_UNREADABLE).encode()  # in the place of a digest


def digests(
    splits: Mapping[str, Listing], on_read: Callable[[str, int, bytes], object] | None = None
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
        on_read: Called with the split, the index and a digest of the content of each file that is
            read whole.
    """
    by_split = {}
    for split in sorted(splits, key=lambda split: split != "train"):
        callback = None if on_read is None else functools.partial(on_read, split)
        by_split[split] = _digest(splits[split], callback)
    return {split: by_split[split] for split in splits}


def stamps(splits: Mapping[str, Listing]) -> dict[str, str]:
    """Returns a digest of when its files were written, for each split that is not read whole.

    It does not depend on their content, and changes where they are copied. But it shows that files
    of a large set were edited between two attempts, even if each kept its size.

    Args:
        splits: The listings.
    """
    by_split = {split: _stamp(listing) for split, listing in splits.items()}
    return {split: stamp for split, stamp in by_split.items() if stamp}


def _stamp(listing: Listing) -> str:
    files = listing.files
    whole = files.whole if isinstance(files, Subset) else files
    if hasattr(type(whole), "digest"):
        return getattr(whole, "stamp", "")
    paths = [str(file) for file in files]
    return "" if _read_whole([_size(path) for path in paths]) else stamp(paths)


def stamp(paths: Iterable[str]) -> str:
    """Returns a digest of the times at which files were written."""
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError):
            digest.update(os.stat(path).st_mtime_ns.to_bytes(16, "little", signed=True))
    return digest.hexdigest()


def _digest(listing: Listing, on_read: Callable[[int, bytes], object] | None) -> str:
    files = listing.files
    files_digest = getattr(files.whole if isinstance(files, Subset) else files, "digest", None)
    digest = hashlib.sha256(repr(listing.classes).encode())
    digest.update(listing.labels.tobytes())
    if files_digest is not None:
        if isinstance(files, Subset):
            digest.update(files.indices.astype("<i8").tobytes())
        digest.update(files_digest.encode())
        return digest.hexdigest()
    root = len(str(listing.root)) + 1
    paths = [str(file) for file in files]
    sizes = [_size(path) for path in paths]
    for path, size in zip(paths, sizes, strict=True):
        inside = path[root:] if path.startswith(f"{listing.root}{os.sep}") else path
        digest.update(f"{normal(inside)}\0{size}\0".encode(errors="surrogateescape"))
    whole = _read_whole(sizes)
    read = paths if whole else paths[:: max(1, len(paths) // SAMPLED)]
    for index, content in enumerate(contents(read, whole=whole)):
        digest.update(content)
        if whole and on_read is not None and content != _NOTHING:
            on_read(index, content)
    return digest.hexdigest()


def _read_whole(sizes: Sequence[int]) -> bool:
    """Returns whether files of these sizes are all read."""
    return sum(sizes) <= WHOLE and len(sizes) <= _MANY


def contents(paths: Sequence[str], *, whole: bool | None = None) -> Iterator[bytes]:
    """Yields a digest of each file, or of its beginning; a mark where it cannot be read.

    Args:
        paths: The files.
        whole: Whether all of each is read; None for that where it takes not too long.
    """
    whole = _read_whole([_size(path) for path in paths]) if whole is None else whole
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
