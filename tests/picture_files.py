"""Small picture files, whole and bad ones, for tests."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def save(path: Path, size: tuple[int, int] = (12, 9), colour: Any = (200, 30, 30)) -> Path:
    """Saves a picture of one colour, of the kind that its name says; with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def textured(size: tuple[int, int], *, seed: int = 0) -> Image.Image:
    """Returns a picture of coarse noise, as width and height."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "jpeg", **options: Any) -> bytes:
    """Returns the content of a picture's file."""
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def bomb(side: int = 30_000) -> bytes:
    """Returns the beginning of a PNG that says it has so many pixels each way."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def classes(place: Path, counts: dict[str, int], *, kind: str = "png") -> Path:
    """Makes a folder of class folders with so many pictures each, no two alike."""
    for number, (name, count) in enumerate(counts.items()):
        (place / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            colour = (40 + 50 * number % 200, index % 256, 7 * index % 256)
            save(place / name / f"{index}.{kind}", (10 + index % 5, 8), colour)
    return place


def photo(seed: int, width: int = 90, height: int = 60) -> Image.Image:
    """Returns another picture for each seed."""
    return textured((width, height), seed=seed)


def photographs(place: Path) -> Path:
    """Makes a folder of 40 pictures, no two alike: two splits, two classes with Korean names."""
    for seed in range(40):
        part = place / ("val" if seed % 4 == 0 else "train") / ("개" if seed % 2 else "고양이")
        part = part if seed % 4 else place / "val" / ("개" if seed % 8 else "고양이")
        part.mkdir(parents=True, exist_ok=True)
        photo(seed).save(part / f"사진 {seed}.png")
    return place
