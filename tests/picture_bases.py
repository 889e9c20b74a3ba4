"""Small files of every kind of picture that is accepted, for tests/fuzz_pictures.py to damage.

Pillow writes most of them; the few that it reads and cannot write are put together here.
"""

import functools
import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from picture_files import encoded, textured
from PIL import Image, PngImagePlugin

SIZE = (24, 18)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
Tags = dict[int, tuple[int, list[int]]]
"""Tag of TIFF -> its type (3 for 16 bits, 4 for 32) and values."""


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + _checksum(kind + content)


def _checksum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))


def png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields kind and content of a PNG's chunks."""
    at = len(PNG_MAGIC)
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4])
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        at += 12 + length


def png_of(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Returns a PNG of these chunks, with right lengths and checksums."""
    return PNG_MAGIC + b"".join(png_chunk(*chunk) for chunk in chunks)


def _raw_png(bits: int, colours: int, bands: int, *, interlaced: bool = False) -> bytes:
    """Returns a PNG of noise: of 16 bits a channel, or in the seven passes of Adam7."""
    width, height = SIZE
    rng = np.random.default_rng(0)
    lines = b""
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)]
        passes += [(1, 0, 2, 2), (0, 1, 1, 2)]
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        lines += b"".join(b"\0" + rng.bytes(columns * bands * bits // 8) for _ in range(rows))
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, interlaced)
    return png_of([(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")])


def tiff_of(tags: Tags, strips: list[bytes], *, offsets: int = 273) -> bytes:
    """Returns a TIFF of these tags, in the order of little-endian machines.

    Args:
        tags: But for where the strips are, and how long, which is filled in.
        strips: The pixels.
        offsets: The tag that says where: 273 for strips, 324 for tiles.
    """
    counts = 279 if offsets == 273 else 325
    tags = tags | {counts: (4, [len(strip) for strip in strips])}
    places = np.cumsum([8] + [len(strip) for strip in strips]).tolist()
    tags = tags | {offsets: (4, places[:-1])}
    at = places[-1] + 2 + 12 * len(tags) + 4
    entries, beyond = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, beyond = struct.pack("<I", at + len(beyond)), beyond + packed
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = struct.pack("<2sHI", b"II", 42, places[-1])
    return head + b"".join(strips) + struct.pack("<H", len(tags)) + entries + bytes(4) + beyond


def tiff_tags(bits: int = 8, bands: int = 3, **more: int) -> Tags:
    """Returns the tags of a TIFF of noise."""
    width, height = SIZE
    tags: Tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * bands), 259: (3, [1])}
    tags |= {262: (3, [2 if bands > 2 else 1]), 277: (3, [bands]), 278: (4, [height])}
    return tags | {int(tag[1:]): (3, [value]) for tag, value in more.items()}


def noise(count: int) -> bytes:
    """Returns so many random bytes, always the same."""
    return np.random.default_rng(1).bytes(count)


def _tiffs() -> Iterator[bytes]:
    picture = textured(SIZE)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"):
        yield encoded(_made(picture, mode), "tiff")
    deep = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[::-1])
    yield encoded(Image.fromarray(deep * 150), "tiff")
    yield encoded(Image.fromarray(deep.astype(np.int32)), "tiff")
    yield encoded(Image.fromarray(deep.astype(np.float32)), "tiff")
    for packing in ("group3", "group4", "tiff_ccitt"):
        yield encoded(picture.convert("1"), "tiff", compression=packing)
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        yield encoded(picture, "tiff", compression=packing)
    yield encoded(Image.fromarray(deep), "tiff", compression="tiff_lzw")
    yield encoded(picture, "tiff", save_all=True, append_images=[picture], big_tiff=True)
    size = SIZE[0] * SIZE[1]
    yield tiff_of(tiff_tags(16), [noise(size * 6)])
    yield tiff_of(tiff_tags(8, t284=2), [noise(size)] * 3)  # one plane after another
    packed = [zlib.compress(noise(16 * 16 * 3))] * 4
    yield tiff_of(tiff_tags(8, t259=8, t322=16, t323=16), packed, offsets=324)  # tiles
    yield tiff_of(tiff_tags(8, t259=8, t317=2), [zlib.compress(noise(size * 3))])  # differences
    yield tiff_of(tiff_tags(8, 1) | {262: (3, [0])}, [noise(size)])  # white is 0


def _pngs() -> Iterator[bytes]:
    picture = textured(SIZE)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield encoded(_made(picture, mode), "png")
    yield encoded(picture.quantize(8), "png", transparency=bytes([0, 90, 255]))
    yield encoded(picture.convert("L"), "png", transparency=7)
    yield encoded(picture, "png", transparency=(1, 2, 3))
    deep = Image.fromarray(np.arange(432, dtype=np.uint16).reshape(18, 24) * 150)
    yield encoded(deep, "png", transparency=300)
    yield encoded(picture, "png", save_all=True, append_images=[picture.rotate(180)])
    said = PngImagePlugin.PngInfo()
    said.add_text("Software", "words " * 9, zip=True)
    said.add_text("Raw profile type exif", f"\nexif\n 20\n{_exif(6).tobytes().hex()}")
    said.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    yield encoded(picture, "png", pnginfo=said, icc_profile=noise(90), exif=_exif(3), dpi=(72, 72))
    yield from (_raw_png(16, 2, 3), _raw_png(16, 6, 4), _raw_png(16, 4, 2))
    yield from (_raw_png(8, 2, 3, interlaced=True), _raw_png(16, 0, 1, interlaced=True))


def _jpegs() -> Iterator[bytes]:
    picture = textured(SIZE)
    for mode in ("L", "RGB", "CMYK"):
        yield encoded(_made(picture, mode))
    yield encoded(textured((70, 50)), quality=30)
    yield encoded(picture, progressive=True, exif=_exif(6), icc_profile=noise(90))
    yield encoded(picture, subsampling=0, restart_marker_blocks=1)
    yield encoded(picture, "mpo", save_all=True, append_images=[picture], exif=_exif(8))


def _bmps() -> Iterator[bytes]:
    picture = textured(SIZE)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield encoded(_made(picture, mode), "bmp")
    for bits, packing, mark in ((8, 1, b"\5"), (4, 2, b"\5")):  # in runs
        pixels = b"".join(mark + noise(1) + b"\0\4abcd" + b"\0\0" for _ in range(SIZE[1])) + b"\0\1"
        colours = noise(4 * 2**bits)
        place = 14 + 40 + len(colours)
        numbers = (40, *SIZE, 1, bits, packing, len(pixels), 0, 0, 2**bits, 0)
        header = struct.pack("<IiiHHIIiiII", *numbers)
        start = struct.pack("<2sIII", b"BM", place + len(pixels), 0, place)
        yield start + header + colours + pixels
    header = struct.pack("<IiiHHIIiiII", 40, *SIZE, 1, 16, 3, 0, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    yield struct.pack("<2sIII", b"BM", 0, 0, 66) + header + masks + noise(SIZE[0] * SIZE[1] * 2)


def _ppms() -> Iterator[bytes]:
    picture = textured(SIZE)
    for mode in ("1", "L", "RGB", "I"):
        yield encoded(_made(picture, mode), "ppm")
    for kind, bands, most in ((1, 1, 1), (2, 1, 300), (3, 3, 255)):  # in words
        numbers = [str(value % (most + 1)) for value in noise(12 * bands)]
        head = f"P{kind}\n# words\n4 3\n" + (f"{most}\n" if kind > 1 else "")
        yield (head + " ".join(numbers)).encode()
    yield b"P5 24 18 1000\n" + noise(864)
    yield b"Pf\n24 18\n-1.0\n" + noise(1728)


def _exif(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = turn, "a picture"
    exif.get_ifd(0x8769)[0x9000] = b"0230"
    return exif


def _made(picture: Image.Image, mode: str) -> Image.Image:
    return picture.quantize(16) if mode == "P" else picture.convert(mode)


@functools.cache
def bases() -> dict[str, tuple[bytes, ...]]:
    """Returns good files of each format: of every mode, packing and feature that it has."""
    picture, other = textured(SIZE), textured(SIZE, seed=1)
    both = {"save_all": True, "append_images": [other]}
    alpha = picture.copy()
    alpha.putalpha(other.convert("L"))
    clear = {"transparency": 3}
    return {
        "PNG": tuple(_pngs()),
        "JPEG": tuple(_jpegs()),
        "WEBP": (
            encoded(picture, "webp"),
            encoded(picture, "webp", lossless=True),
            encoded(alpha, "webp", exif=_exif(6)),
            encoded(alpha, "webp", lossless=True, exact=True),
            encoded(picture, "webp", **both),
        ),
        "BMP": tuple(_bmps()),
        "GIF": (
            encoded(picture.convert("L"), "gif"),
            encoded(picture.quantize(16), "gif", comment="words", **clear),
            encoded(picture.quantize(16), "gif", **both),
        ),
        "TIFF": tuple(_tiffs()),
        "PPM": tuple(_ppms()),
        "AVIF": (
            encoded(picture, "avif"),
            encoded(picture.convert("L"), "avif"),
            encoded(alpha, "avif", exif=_exif(6)),
            encoded(picture, "avif", **both),
        ),
    }
