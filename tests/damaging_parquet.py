"""Parquet files for tests/fuzz_files.py: whole ones, damaged ones, and ones made to fill memory."""

import functools
import io
import random
from collections.abc import Callable, Sequence
from typing import Any

import damaging_files
import numpy as np
import pyarrow
from picture_files import encoded, textured
from pyarrow import parquet

_PACKINGS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
_LABELS = pyarrow.array(["ant", "bee"] * 6)


@functools.cache
def _pictures() -> list[bytes]:
    return [encoded(textured((9, 8), seed=number), "png") for number in range(12)]


def written(columns: Any, **options: Any) -> bytes:
    """Returns the content of a Parquet file."""
    content = io.BytesIO()
    table = columns if isinstance(columns, pyarrow.Table) else pyarrow.table(columns)
    parquet.write_table(table, content, **options)
    return content.getvalue()


def whole(rng: random.Random) -> bytes:
    """Returns a Parquet file of twelve pictures, in one of the makes that are about."""
    pictures = _pictures()
    structs = [{"bytes": each, "path": f"{at}.png"} for at, each in enumerate(pictures)]
    columns: Sequence[Any] = (
        {"image": pictures, "label": _LABELS},
        {"image": structs, "label": pyarrow.array([0, 1] * 6)},
        {"image": pictures, "label": [["ant"], ["ant", "bee"], []] * 4},
        {"path": [f"{at}.png" for at in range(12)], "label": _LABELS, "split": ["train"] * 12},
    )
    return written(
        rng.choice(columns),
        compression=rng.choice(_PACKINGS),
        use_dictionary=rng.random() < 0.6,
        data_page_version=rng.choice(("1.0", "2.0")),
        data_page_size=rng.choice((100, 2**20)),
        row_group_size=rng.choice((5, 2**20)),
        write_statistics=rng.random() < 0.5,
    )


def _repeated(rng: random.Random) -> bytes:
    """One picture, or one label, that is said to be there a million times."""
    rows = rng.choice((1000, 300_000, 3_000_000))
    pictures = [_pictures()[0] + bytes(rng.choice((0, 10_000, 300_000)))]
    zeros = pyarrow.array(np.zeros(rows, np.int32))
    column = pyarrow.DictionaryArray.from_arrays(zeros, pyarrow.array(pictures))
    labels = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(np.arange(rows, dtype=np.int32) // (rows // 2)),
        pyarrow.array(["ant", "bee" * rng.choice((1, 100_000))]),
    )
    return written({"image": column, "label": labels}, store_schema=rng.random() < 0.5)


def _wide(rng: random.Random) -> bytes:
    """Lists of labels that are said to be very long."""
    count = rng.choice((10_000, 20_000_000))
    offsets = np.minimum(np.arange(13, dtype=np.int32) * count, count)
    labels = pyarrow.ListArray.from_arrays(offsets, pyarrow.array(np.zeros(count, np.int8)))
    return written({"image": _pictures(), "label": labels}, compression="zstd")


def _empty(rng: random.Random) -> bytes:
    """Bytes of nothing, packed: megabytes in each of the cells."""
    size = rng.choice((10_000, 3_000_000, 12_000_000))
    how = {"compression": rng.choice(("gzip", "zstd", "brotli")), "use_dictionary": False}
    return written({"image": [bytes(size)] * 12, "label": _LABELS}, **how)


def _prefixes(rng: random.Random) -> bytes:
    """Cells that are all but like the one before, of which each is long."""
    cell = bytes(rng.choice((10_000, 100_000)))
    cells = [cell + bytes([at % 7]) for at in range(rng.choice((12, 1200)))]
    labels = [("ant", "bee")[at % 2] for at in range(len(cells))]
    how: dict[str, Any] = {"use_dictionary": ["label"], "compression": "zstd"}
    return written(
        {"image": cells, "label": labels}, column_encoding={"image": "DELTA_BYTE_ARRAY"}, **how
    )


_WAYS: tuple[Callable[[random.Random], bytes], ...] = (_repeated, _wide, _empty, _prefixes)


def damaged(rng: random.Random, _content: bytes) -> bytes:
    """Returns a Parquet file that is damaged, or whole and far larger than it seems."""
    if rng.random() < 0.15:
        return rng.choice(_WAYS)(rng)
    content = whole(rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = (
            _footer(rng, content) if rng.random() < 0.5 else damaging_files.in_bytes(rng, content)
        )
    return content


def _footer(rng: random.Random, content: bytes) -> bytes:
    """Changes numbers in the footer, or in the header of a page: Thrift's, of seven bits a byte."""
    changed = bytearray(content)
    at = rng.randrange(len(changed))
    if rng.random() < 0.7 and len(changed) > 20:
        at = len(changed) - 9 - rng.randrange(min(len(changed) - 9, 900))
    many = rng.choice((0xFF, 0x80, 0x00, 0x7F, rng.randrange(256)))
    for place in range(at, min(at + rng.choice((1, 1, 2, 4)), len(changed))):
        changed[place] = many
    return bytes(changed)
