"""The ways in which tests/fuzz_files.py damages JSON, headers, archives and tables."""

import gzip
import io
import json
import math
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 7, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 10**30),
    *(-0.5, 0.0, 1e-300, 1e308, float("nan"), float("inf"), -float("inf")),
    *("", "a", "1", "-", "../../../../etc/passwd", "/", "\0", "\ud800", "\x1b[31m", "日本語"),
    *("x" * 50_000, [], {}, [0], [[]], {"a": 1}, [-1, 65536, 65536, 1], [None] * 3),
    *("object", "<f4,<f4", "float8_e4m3fn", "F8_E4M3", "BF16", "uint8", "float64", "f1"),
)
"""Values that stand in the place of others."""


def json_file(rng: random.Random, content: bytes) -> bytes:
    """Returns JSON with one to three things wrong."""
    if rng.random() < 0.15:
        return in_bytes(rng, content)
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(rng, value)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1:
        text = _rewritten(rng, text)
    return text.encode(rng.choice(("utf-8",) * 12 + ("utf-16", "latin-1")), "backslashreplace")


def json_within(name: str) -> Callable[[random.Random, bytes], bytes]:
    """Returns what damages a part of JSON, by name, and nothing else."""

    def damage(rng: random.Random, content: bytes) -> bytes:
        value = json.loads(content)
        part = value[name]
        for _ in range(rng.choice((1, 1, 2))):
            key = rng.choice(list(part))
            part[key] = _changed(rng, part[key])
        return json.dumps(value).encode()

    return damage


def json_lines(rng: random.Random, content: bytes) -> bytes:
    """Returns lines of JSON of which one is damaged, and one may be there again."""
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at] = json_file(rng, lines[at].strip()) + b"\n" * (rng.random() < 0.95)
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return b"".join(lines)


def _changed(rng: random.Random, value: Any) -> Any:
    """Changes a value somewhere inside of another."""
    if isinstance(value, dict | list) and value and rng.random() < 0.85:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = rng.choice(keys)
        value = dict(value) if isinstance(value, dict) else list(value)
        if rng.random() < 0.15:
            del value[key]
        elif isinstance(value, dict) and rng.random() < 0.1:
            name = rng.choice((key[:-1], key + "s", key.upper(), "__class__", "x" * 5000, ""))
            value[name] = value.pop(key)
        else:
            value[key] = _changed(rng, value[key])
        return value
    match rng.randrange(8):
        case 0 if isinstance(value, int | float) and not isinstance(value, bool):
            return rng.choice((-value, value + 1, value * 1000, float(value), str(value), -1))
        case 1 if isinstance(value, str):
            return rng.choice((value + "x", value[:-1], value.upper(), [value], value * 1000))
        case 2 if isinstance(value, list):
            return rng.choice((value * 2, value[::-1], value * 5000, value[:1], [value]))
        case 3:
            deep = value
            for _ in range(rng.choice((1, 3, 60, 400))):
                deep = [deep] if rng.random() < 0.5 else {"a": deep}
            return deep
        case _:
            return rng.choice(ODD)


def _rewritten(rng: random.Random, text: str) -> str:
    """Changes JSON as text, into what no writer of JSON makes."""
    match rng.randrange(6):
        case 0:
            return "\ufeff" + text
        case 1:
            return text.replace("{", '{"format": 1, ', 1)  # a name that is there twice
        case 2:
            return "[" * 100_000 + text
        case 3:
            return text.replace("1", "1" * rng.choice((30, 400, 5000)), 1)
        case 4:
            return text + rng.choice((text, "}", "\0", " " * 9_000_000))
        case _:
            return text.replace('"', "'")


def in_bytes(rng: random.Random, content: bytes) -> bytes:
    """Returns a file that was cut, or in which bytes are others; mostly near its ends."""
    if not content or rng.random() < 0.2:
        return content[: rng.randrange(len(content) + 1)]
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        near = rng.choice((64, 400, len(changed)))
        at = min(rng.randrange(near), len(changed) - 1)
        changed[-1 - at if rng.random() < 0.5 else at] = rng.choice((0, 255, rng.randrange(256)))
    if rng.random() < 0.2:
        at = rng.randrange(len(changed))
        changed[at : at + rng.choice((0, 1, 9))] = rng.randbytes(rng.choice((1, 4, 300)))
    return bytes(changed)


def safetensors(rng: random.Random, content: bytes) -> bytes:
    """Returns a safetensors file whose header is damaged, or very long."""
    if rng.random() < 0.15:
        return in_bytes(rng, content)
    (length,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + length], content[8 + length :]
    match rng.randrange(8):
        case 0:  # more names than any network has
            many = rng.choice((50, 3000, 30_000))
            one = {"dtype": rng.choice(("F32", "F8_E4M3")), "shape": [rng.choice((0, 1))]}
            names = json.loads(header)
            names |= {f"x.{n}": one | {"data_offsets": [len(data)] * 2} for n in range(many)}
            header = json.dumps(names).encode()
        case 1:
            tensors = json.loads(header)
            one = tensors[rng.choice([name for name in tensors if name != "__metadata__"])]
            one["dtype"] = rng.choice(("F8_E5M2", "BF16", "C64", "F4", "BOOL", "U8", "f32", "F64"))
            header = json.dumps(tensors).encode()
        case 2:
            tensors = json.loads(header)
            one = tensors[rng.choice([name for name in tensors if name != "__metadata__"])]
            one["shape"] = rng.choice(([], [0], [2**40, 2**40], one["shape"][::-1], [1] * 70))
            header = json.dumps(tensors).encode()
        case _:
            header = json_file(rng, header)
    length = rng.choice((len(header),) * 20 + (len(header) - 1, 2**63, 0, 10**8))
    return struct.pack("<Q", length) + header + data[: rng.choice((None, None, None, -4, 0))]


def npy(rng: random.Random, content: bytes) -> bytes:
    """Returns a file of NumPy's whose header says something else, or that is damaged."""
    if rng.random() < 0.4:
        return in_bytes(rng, content)
    (length,) = struct.unpack("<H", content[8:10])
    header, data = content[10 : 10 + length].decode(), content[10 + length :]
    shape = rng.choice(
        ("(0,)", "()", "(1000000000000,)", "(-4, 28, 28, 1)", "(2, 65536, 65536, 1)")
    )
    form = rng.choice(("|O", "|V8", "<M8[s]", "<U100000000", "<f8", "|b1", "<i4,<i4", ">u2"))
    changes: list[Callable[[str], str]] = [
        lambda text: text[: text.index("(")] + shape + text[text.index(")") + 1 :],
        lambda text: text.replace("|u1", form).replace("<i4", form).replace("<i8", form),
        lambda text: text.replace("False", rng.choice(("True", "None", "2"))),
        lambda text: "(" * rng.choice((50, 5000)) + text,
        lambda text: text.replace("'", '"', 1),
    ]
    header = rng.choice(changes)(header)
    return content[:8] + struct.pack("<H", min(len(header), 65535)) + header.encode() + data


def any_file(rng: random.Random, content: bytes) -> bytes:
    """Returns a file of any kind, damaged: as JSON where it is that."""
    return json_file(rng, content) if content[:1] == b"{" else in_bytes(rng, content)


def npz(rng: random.Random, content: bytes) -> bytes:
    """Returns a file of NumPy's arrays of which one is damaged, lies, or packs very much."""
    if rng.random() < 0.3:
        return in_bytes(rng, content)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(made, "w") as archive:
        for name in given.namelist():
            inside = given.read(name)
            if rng.random() < 0.6:
                inside = npy(rng, inside)
            if rng.random() < 0.1:
                shape = (rng.choice((10, 2000, 6000)), 256, 256, 3)
                header = io.BytesIO()
                form = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(header, form)
                inside = header.getvalue() + bytes(rng.choice((0, 100, math.prod(shape[:2]) * 99)))
            name = rng.choice((name,) * 9 + ("images", "../x.npy", "labels.npy", "a" * 3000))
            packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
            with warnings.catch_warnings(action="ignore"):
                archive.writestr(name, inside, packing)
        for at in range(rng.choice((0,) * 9 + (3000,))):
            archive.writestr(f"{at}.npy", b"")
    return made.getvalue()


def tar_of(members: Mapping[str, bytes], **said: Any) -> bytes:
    """Returns a packed archive of some files, of which each says something else of itself."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for attribute, value in said.items():
                setattr(member, attribute, value)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def tar(rng: random.Random, content: bytes) -> bytes:
    """Returns an archive that is damaged, holds other things, or unpacks to very much."""
    if rng.random() < 0.3:
        return in_bytes(rng, content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {one.name: archive.extractfile(one).read() for one in archive}  # pyrefly: ignore
    nothing = bytes(rng.choice((10, 100_000, 100_000_000)))
    match rng.randrange(7):
        case 0:
            return tar_of(
                members, type=rng.choice((b"1", b"2", b"3", b"4", b"5", b"6", b"L", b"S"))
            )
        case 1:
            return tar_of(members, pax_headers={"comment": "x" * len(nothing)})
        case 2:
            return tar_of({"first": nothing, **members})
        case 3:
            return tar_of({f"{at}": b"" for at in range(rng.choice((3, 3000)))} | members)
        case 4:
            return tar_of(
                {rng.choice((name, f"/{name}", f"../{name}")): members[name] for name in members}
            )
        case 5:
            return tar_of({name: members[name] + nothing for name in members})
        case _:
            plain = in_bytes(rng, gzip.decompress(content))
            return gzip.compress(plain, 1)


def gz(rng: random.Random, content: bytes) -> bytes:
    """Returns a packed file that is damaged, lies in its header, or unpacks to very much."""
    if rng.random() < 0.3:
        return in_bytes(rng, content)
    plain = gzip.decompress(content)
    match rng.randrange(4):
        case 0:
            return gzip.compress(plain, 1) * rng.choice((2, 200))
        case 1:
            return gzip.compress(plain + bytes(rng.choice((1, 10_000_000, 200_000_000))), 1)
        case 2:
            sizes = [rng.choice((0, 1, 24, 28, 60_000, 2**31, 2**32 - 1)) for _ in range(3)]
            return gzip.compress(plain[:4] + struct.pack(">3I", *sizes) + plain[16:], 1)
        case _:
            return gzip.compress(in_bytes(rng, plain), 1)
