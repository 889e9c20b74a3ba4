"""Archives of published data sets, unpacked no further than what was published."""

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flaxmill.errors import BadInput
from flaxmill.machine.files import open_regular

_MEMBERS = 100  # that are looked at; CIFAR-10's archive has nine
_BESIDE = 2**20  # bytes that other members, and all headers, may take


def read_members(place: Path, sizes: Mapping[str, int]) -> dict[str, bytes]:
    """Reads files of a tar archive, packed with gzip or not, in one pass.

    Args:
        place: The archive.
        sizes: Name in the archive -> bytes that the published file has.

    Raises:
        BadInput: It is damaged, lacks a file, or unpacks to more than was published.
    """
    contents: dict[str, bytes] = {}
    try:
        with open_regular(place) as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            unpacked = gzip.GzipFile(fileobj=file) if packed else file
            stream: Any = _Limited(unpacked, sum(sizes.values()) + _BESIDE)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for number, member in enumerate(archive):
                    needed = member.name in sizes and _is_plain(member)
                    content = archive.extractfile(member) if needed else None
                    if content:
                        path = place / Path(member.name).name
                        contents[member.name] = read_limited(path, content, sizes[member.name])
                    if number == _MEMBERS or len(contents) == len(sizes):
                        break
    except (tarfile.TarError, EOFError, zlib.error, OSError, RecursionError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{place} is damaged or cut short: {error}.") from None
    for name in sizes:
        if name not in contents:
            raise BadInput(f"{place} is not the published archive: {name} is not found in it.")
    return contents


def read_limited(path: Path, file: Any, most: int) -> bytes:
    """Returns the content of a file that is no larger than the published one.

    Raises:
        BadInput: It holds more.
    """
    content = file.read(most + 1)
    if len(content) > most:
        raise BadInput(f"{path} holds more than the {most:,} bytes of the published file.")
    return content


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Whether a member is a regular file, and not sparse."""
    return member.isreg() and not member.issparse()


class _Limited:
    """A stream that ends with an error before it gives more bytes than it may.

    Args:
        stream: What is read.
        most: How many bytes it may give.
    """

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._remaining = stream, most

    def read(self, size: int) -> bytes:
        """Returns the next bytes."""
        data = self._stream.read(size)
        self._remaining -= len(data)
        if self._remaining < 0:
            raise tarfile.ReadError("it unpacks to more than was published")
        return data
