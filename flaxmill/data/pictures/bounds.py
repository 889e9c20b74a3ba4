"""What is refused by the header of a picture, before it takes the time or the memory."""

import re
from typing import Any

from PIL import Image

MOST_SCANS = 100
"""Passes over a JPEG. A progressive one has about ten, and each may take as long as all others: a
file of 100 KB has room for ten thousand, which take minutes."""

_START_OF_SCAN = b"\xff\xda"
_SCAN_OR_END = re.compile(rb"\xff([\xda\xd9])")


class Beyond(ValueError):
    """A picture would take too long, or too much memory; the message says why."""


def check(picture: Image.Image) -> None:
    """Refuses a picture that is open, and of which only the header was read.

    Beyond this, Pillow refuses pictures of more than 179 million pixels.

    Raises:
        Beyond: It would take too much.
    """
    if picture.format in ("JPEG", "MPO") and (file := getattr(picture, "fp", None)) is not None:
        _check_scans(file)


def _check_scans(file: Any) -> None:
    at = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(at)
    if content.count(_START_OF_SCAN) <= MOST_SCANS:  # not exact, but fast
        return
    for count, found in enumerate(_SCAN_OR_END.finditer(content, _first_scan(content)), start=1):
        if found[1] == b"\xd9":  # other pictures and films may follow
            return
        if count > MOST_SCANS:
            raise Beyond(f"it has more than {MOST_SCANS} scans. Save it anew, or leave it out.")


def _first_scan(content: bytes) -> int:
    """Returns where the first scan begins: a small picture in the camera's data has its own."""
    at = 2
    while content[at : at + 1] == b"\xff" and content[at : at + 2] != _START_OF_SCAN:
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    return at
