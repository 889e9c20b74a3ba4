"""The ways in which tests/fuzz_pictures.py damages a picture file."""

import contextlib
import random
import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

from picture_bases import SIZE, noise, png_chunks, png_of, tiff_of, tiff_tags

Bases = Mapping[str, Sequence[bytes]]
_NUMBERS = (0, 1, 2, 3, 7, 8, 16, 127, 128, 255, 256, 4096, 32767, 32768, 65535, 65536)
_NUMBERS += (2**20, 2**24, 2**27, 2**31 - 1, 2**31, 2**32 - 1)
_LONGEST = 60_000  # bytes of a file
_SEGMENTS = re.compile(rb"(?=\xff[\xc0-\xfe])")  # of a JPEG begin so


def damaged(rng: random.Random, kind: str, content: bytes, known: Bases) -> bytes:
    """Returns a file with one to three things wrong, or nothing for once.

    Args:
        rng: Decides all of it.
        kind: The file's format.
        content: The file.
        known: Good files of all formats, to take pieces of.
    """
    own = _OF_FORMATS.get(kind, ())
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        if own and rng.random() < 0.4:
            content = rng.choice(own)(rng, content)
        elif rng.random() < 0.1:
            content = _spliced(rng, content, known)
        else:
            content = rng.choice(_OF_ALL)(rng, content)
    return content[:_LONGEST]


def _huge(rng: random.Random) -> int:
    """Returns a side that is seldom larger than a thousand pixels."""
    return rng.choice((300, 500, 700, 1000, rng.choice((5000, 13_000, 65_500, 2**20, 2**31 - 1))))


def _flipped(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16)) if changed else 0):
        changed[rng.randrange(len(changed))] = rng.choice((0, 255, rng.randrange(256)))
    return bytes(changed)


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _removed(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice((1, 2, 4, 13, 100)) :]


def _inserted(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    run = rng.choice((b"\0", b"\xff", rng.randbytes(1), rng.randbytes(7)))
    return content[:at] + run * rng.choice((1, 4, 100, 5000)) + content[at:]


def _repeated(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    end = at + rng.choice((2, 12, 40, 300))
    return content[:at] + content[at:end] * rng.choice((2, 10, 1000)) + content[end:]


def _numbered(rng: random.Random, content: bytes) -> bytes:
    """Puts another number into the header, or anywhere."""
    width = rng.choice((1, 2, 2, 4, 4))
    most = max(1, min(len(content), rng.choice((40, 120, 400, len(content)))) - width)
    at = rng.randrange(most)
    number = rng.choice(_NUMBERS) % 256**width
    order = "big" if rng.random() < 0.5 else "little"
    return content[:at] + number.to_bytes(width, order) + content[at + width :]


def _spliced(rng: random.Random, content: bytes, known: Bases) -> bytes:
    other = rng.choice(known[rng.choice(list(known))])
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other)) :]


_OF_ALL = (_flipped, _flipped, _cut, _removed, _inserted, _repeated, _numbered, _numbered)


def _png_chunk(rng: random.Random, content: bytes) -> bytes:
    """Damages a chunk of a PNG, drops, doubles or moves it; the checksums are right."""
    chunks = list(png_chunks(content))
    if not chunks:
        return content
    at = rng.randrange(len(chunks))
    name, inside = chunks[at]
    match rng.randrange(6):
        case 0:
            chunks[at] = name, _numbered(rng, inside)
        case 1:
            chunks[at] = name, rng.choice(_OF_ALL)(rng, inside)
        case 2:
            del chunks[at]
        case 3:
            chunks[at:at] = [chunks[at]] * rng.choice((1, 1, 500))
        case 4:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks.pop(at))
        case _:
            chunks[at] = rng.choice((b"zTXt", b"iCCP", b"tRNS", b"acTL", b"fdAT", b"eXIf")), inside
    return png_of(chunks)


def _png_header(rng: random.Random, content: bytes) -> bytes:
    """Says other sides, depths and colours in the header of a PNG."""
    chunks = list(png_chunks(content))
    sides = [rng.choice((0, 1, 7, 18, 24, 30, 300, _huge(rng))) for _ in range(2)]
    kinds = bytes((rng.choice((1, 2, 4, 8, 16, 3)), rng.choice((0, 2, 3, 4, 6, 1)), 0, 0))
    header = struct.pack(">II", *sides) + kinds + bytes([rng.randrange(2)])
    return png_of([(b"IHDR", header), *chunks[1:]])


def _png_pixels(rng: random.Random, content: bytes) -> bytes:
    """Damages what is packed, and packs it again; or packs very much of nothing."""
    chunks = []
    for name, inside in png_chunks(content):
        if name == b"IDAT":
            with contextlib.suppress(zlib.error):
                inside = zlib.decompress(inside)
            more = bytes(rng.choice((0, 0, 0, 10_000, 10_000, rng.choice((0, 30_000_000)))))
            inside = zlib.compress(rng.choice(_OF_ALL)(rng, inside) + more, 1)
        chunks.append((name, inside))
    return png_of(chunks)


def _png_text(rng: random.Random, content: bytes) -> bytes:
    """Puts text or a profile in that unpacks to megabytes, at any place."""
    chunks = list(png_chunks(content))
    packed = zlib.compress(bytes(rng.choice((10, 2**20, 2**25))), 1)
    name, head = rng.choice(
        (
            (b"zTXt", b"words\0\0"),
            (b"zTXt", b"exif\0\0"),
            (b"iCCP", b"profile\0\0"),
            (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
            (b"tEXt", rng.choice((b"transparency", b"extent", b"gamma", b"dpi")) + b"\0"),
        )
    )
    chunks.insert(rng.randrange(len(chunks) + 1), (name, head + packed))
    return png_of(chunks)


def _jpeg_segment(rng: random.Random, content: bytes) -> bytes:
    """Damages a segment of a JPEG, drops, doubles or moves it."""
    parts = _SEGMENTS.split(content)
    at = rng.randrange(len(parts))
    match rng.randrange(4):
        case 0:
            parts[at] = parts[at][:2] + rng.choice(_OF_ALL)(rng, parts[at][2:])
        case 1:
            del parts[at]
        case 2:
            parts[at:at] = [parts[at]] * rng.choice((1, 9, 2000))
        case _:
            parts.insert(rng.randrange(len(parts) + 1), parts.pop(at))
    return b"".join(parts)


def _jpeg_frame(rng: random.Random, content: bytes) -> bytes:
    """Says other sides, colours or packing in the frame header of a JPEG."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        if (at := content.find(marker)) >= 0:
            sides = [rng.choice((1, 7, 17, 24, 300, min(_huge(rng), 65_500))) for _ in range(2)]
            content = content[: at + 5] + struct.pack(">HH", *sides) + content[at + 9 :]
            if rng.random() < 0.3:
                kind = bytes([rng.choice((0xC0, 0xC1, 0xC2, 0xC9, 0xCA, 0xC3))])
                content = content[: at + 1] + kind + content[at + 2 :]
            if rng.random() < 0.3:  # how the colours are sampled
                content = content[: at + 11] + bytes([rng.randrange(256)]) + content[at + 12 :]
    if rng.random() < 0.5:
        at = max(content.rfind(b"\xff\xda"), 0)
        content = content[:-2] + content[at:-2] * rng.choice((1, 3, 20, 90, 3000)) + content[-2:]
    return content


def _tiff_tags(rng: random.Random, __: bytes) -> bytes:
    """Returns a TIFF put together of tags that need not fit one another."""
    bands, bits = rng.choice((1, 1, 3, 4, 2)), rng.choice((8, 8, 1, 2, 4, 12, 16, 32))
    tags = tiff_tags(bits, bands)
    strips = [noise(rng.choice((4, 400, 2592)))] * rng.choice((1, 1, 3, 4))
    offsets = 273
    if rng.random() < 0.4:
        tags |= {322: (4, [rng.choice((16, 32, *_NUMBERS))]), 323: (4, [16])}
        offsets = 324
    packing = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000, 50001))
    tags[259] = (3, [packing])
    if packing in (8, 32946) and rng.random() < 0.7:
        strips = [
            zlib.compress(bytes(rng.choice((500, 1300, 2600, 5000, 9000, 10_000_000))), 1)
        ] * len(strips)
    choices = (256, 257, 258, 262, 274, 277, 278, 284, 317, 320, 322, 323, 338, 339, 347, 530, 532)
    for _ in range(rng.choice((1, 2, 3))):
        tag = rng.choice(choices)
        some = rng.choice((1, 1, 1, 3, 4, 0, 400))
        kind, bits = rng.choice(((3, 16), (4, 32)))
        tags[tag] = kind, [rng.choice(_NUMBERS) % 2**bits for _ in range(some)]
    return tiff_of(tags, strips, offsets=offsets)


def _sides(place: int, form: str) -> Callable[[random.Random, bytes], bytes]:
    """Returns what says other sides in a header of fixed form."""

    def changed(rng: random.Random, content: bytes) -> bytes:
        most = 2 ** (8 * struct.calcsize(form[:2])) // 2 - 1
        sides = [rng.choice((0, 1, *SIZE, *SIZE, 300, _huge(rng))) for _ in range(2)]
        packed = struct.pack(form, *(min(side, most) for side in sides))
        return content[:place] + packed + content[place + len(packed) :]

    return changed


def _ppm_head(rng: random.Random, content: bytes) -> bytes:
    """Says another kind, other sides, or another white in a PPM."""
    words = [rng.choice((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"Py"))]
    words += [str(rng.choice((0, 1, 4, 24, 30, -1, _huge(rng)))).encode() for _ in range(2)]
    words += [rng.choice((b"255", b"65535", b"1", b"0", b"70000", b"-1.0", b"1e9", b""))]
    return b" ".join(words) + b"\n" + content[-rng.randrange(1, 900) :]


def _exif(rng: random.Random, content: bytes) -> bytes:
    """Damages the camera's data in place, where there is some."""
    if (at := max(content.find(b"Exif"), content.find(b"eXIf"), content.find(b"MM\0*"))) < 0:
        return content
    end = at + 120
    return content[:at] + rng.choice((_flipped, _numbered))(rng, content[at:end]) + content[end:]


_OF_FORMATS: Mapping[str, Sequence[Callable[[random.Random, bytes], bytes]]] = {
    "PNG": (_png_chunk, _png_header, _png_pixels, _png_text, _exif),
    "JPEG": (_jpeg_segment, _jpeg_frame, _exif),
    "WEBP": (_sides(24, "<II"), _sides(26, "<HH"), _exif),
    "BMP": (_sides(18, "<ii"), _sides(28, "<HH")),
    "GIF": (_sides(6, "<HH"),),
    "TIFF": (_tiff_tags,),
    "PPM": (_ppm_head,),
    "AVIF": (_exif,),
}
