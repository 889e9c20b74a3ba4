"""The text and the colour profile of a PNG, left out where they are too large for Pillow.

Pillow refuses a PNG whose text or profile unpacks to more than 1 MB, or whose text takes 64 MB in
all, and takes the picture down with it. No pixel depends on any of them.
"""

import contextlib
import io
import zlib
from pathlib import Path
from typing import Any

from PIL import PngImagePlugin

_MAGIC = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_ORIENTATION = (b"XML:com.adobe.xmp", b"Raw profile type exif")  # text that may hold it


def without_text(source: Any) -> io.BytesIO | None:
    """Returns a PNG without its text and profile, but for text that says how it is turned.

    Args:
        source: Its path, or its file, wherever that stands.

    Returns:
        None where it is no PNG, or has none of these.
    """
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            return without_text(file)
    source.seek(0)
    if source.read(len(_MAGIC)) != _MAGIC:
        return None
    output, dropped = io.BytesIO(), False
    output.write(_MAGIC)
    while len(head := source.read(8)) == 8:
        length, kind = int.from_bytes(head[:4]), head[4:]
        content = source.read(length + 4)  # and the checksum
        if kind in _TEXT and not _is_orientation(kind, content[:length]):
            dropped = True
        else:
            output.write(head + content)
    output.seek(0)
    return output if dropped else None


def _is_orientation(kind: bytes, content: bytes) -> bool:
    """Whether text may say how the picture is turned, and is small, as such text is."""
    keyword, _, rest = content.partition(b"\0")
    if keyword not in _ORIENTATION or len(content) > PngImagePlugin.MAX_TEXT_CHUNK:
        return False
    if kind == b"zTXt":
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] != b"\0":
        packed = rest[2:].split(b"\0", 2)[-1]
    else:
        return True
    unpacking = zlib.decompressobj()
    with contextlib.suppress(zlib.error):  # damaged text is ignored
        unpacking.decompress(packed, PngImagePlugin.MAX_TEXT_CHUNK)
    return not unpacking.unconsumed_tail
