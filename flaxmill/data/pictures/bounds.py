"""Pictures that are refused by their headers, before they take the time or the memory."""

import io
import re
from typing import Any

from PIL import ImageFile, TiffImagePlugin

MOST_SCANS = 100
"""Passes over a JPEG. A progressive one has about ten, and each may take as long as all others: a
file of 100 KB has room for ten thousand, which take minutes."""

MOST_BYTES = 300 << 20
"""Memory that a picture may take while it is read, unless its file is large enough for a photograph
of so many pixels. Large photographs take more, up to Pillow's limit of 179 million pixels; a file
of a few kilobytes that says so is damaged, or meant to do harm."""
MOST_PIXELS_A_BYTE = 256
"""Of a file, where a picture would take more than that. Blank pages have about 170 as JPEG, and
photographs fewer than ten."""
_BYTES = {"1": 2.5, "L": 2.5, "LA": 9.5, "I;16": 6.5, "P": 6.5, "RGB": 8.5}
"""A pixel, made plain: measured as the peak over every way of reading a picture; others 12.5."""
_BYTES_OF_THIN = 1.5
"""More, where one side is many times the other: one is resized before the other."""
_THIN = 16
_BESIDE = {"JPEG": 6, "MPO": 6, "WEBP": 16, "AVIF": 12, "TIFF": 2, "GIF": 24}  # in decoders

MOST_TILE_BYTES = 64 << 20
"""Of a TIFF's tile, where the picture is smaller: a decoder makes room for it whole."""
MOST_RUNS = 4_000_000
"""Pixels of a BMP that is packed in runs, where its file has so few bytes for them: it is decoded
in Python, pixel by pixel where runs end early."""

START_OF_SCAN = b"\xff\xda"
_BITS, _TILE_WIDTH, _TILE_LENGTH = 258, 322, 323  # tags of TIFF
_SIZES = [bytes([kind]) for kind in range(0xC0, 0xD0) if kind not in (0xC4, 0xC8, 0xCC)]
_SCAN_OR_END = re.compile(rb"\xff([\xda\xd9])")


class BeyondBounds(ValueError):
    """A picture would take too long, or too much memory; the message says why."""


def check(picture: ImageFile.ImageFile) -> None:
    """Refuses an open picture, of which only the header was read, if it would take too much.

    Beyond this, Pillow refuses pictures of more than 179 million pixels.

    Raises:
        Beyond: It would take too much.
    """
    if (file := picture.fp) is None:
        return
    at = file.tell()
    _check_memory(picture, file.seek(0, io.SEEK_END))
    if picture.format in ("JPEG", "MPO"):
        _check_scans(file)
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        _check_tiles(picture)
    file.seek(at)


def _check_memory(picture: ImageFile.ImageFile, length: int) -> None:
    width, height = picture.size
    pixels, grey = width * height, picture.mode in ("1", "L")
    if pixels > MOST_RUNS and any(tile.codec_name == "bmp_rle" for tile in picture.tile):
        _check_density(picture, length)
    each = _BYTES.get(picture.mode, 12.5)
    each += _BESIDE.get(picture.format or "", 0) // (3 if grey else 1)
    if max(width, height) > _THIN * min(width, height):
        each += _BYTES_OF_THIN
    if pixels * each > MOST_BYTES:
        _check_density(picture, length)


def _check_density(picture: ImageFile.ImageFile, length: int) -> None:
    """Refuses a picture whose file is too small for its pixels."""
    width, height = picture.size
    if width * height > MOST_PIXELS_A_BYTE * length:
        raise BeyondBounds(
            f"it says that it has {width:,} × {height:,} pixels, and no such picture has room in "
            f"{length:,} bytes. Save it anew, or leave it out."
        )


def _check_tiles(picture: TiffImagePlugin.TiffImageFile) -> None:
    tags = picture.tag_v2
    if not {_TILE_WIDTH, _TILE_LENGTH} & set(tags):
        return
    width = tags.get(_TILE_WIDTH, picture.width)
    height = tags.get(_TILE_LENGTH, picture.height)
    bits = sum(tags.get(_BITS, (1,))) if isinstance(tags.get(_BITS, (1,)), tuple) else 32
    size, whole = width * height * bits // 8, picture.width * picture.height * bits // 8
    if size > max(MOST_TILE_BYTES, 2 * whole):
        raise BeyondBounds(
            f"its tiles have {width:,} × {height:,} pixels, and all of it {picture.width:,} × "
            f"{picture.height:,}. Save it anew, or leave it out."
        )


def _check_scans(file: Any) -> None:
    file.seek(0)
    content = file.read()
    first = _first_scan(content)
    if content.count(START_OF_SCAN) <= MOST_SCANS:  # not exact, but fast
        return
    for count, marker in enumerate(_SCAN_OR_END.finditer(content, first), start=1):
        if marker[1] == b"\xd9":  # other pictures and films may follow
            return
        if count > MOST_SCANS:
            raise BeyondBounds(
                f"it has more than {MOST_SCANS} scans. Save it anew, or leave it out."
            )


def _first_scan(content: bytes) -> int:
    """Returns where the first scan begins: a small picture in the camera's data has its own.

    Raises:
        ValueError: It has two sizes: decoders take room for one, and Pillow knows the other.
    """
    at, sizes = 2, 0
    while content[at : at + 1] == b"\xff" and content[at : at + 2] != START_OF_SCAN:
        sizes += content[at + 1 : at + 2] in _SIZES
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
    if sizes > 1:
        raise ValueError("it says its size twice")
    return at
