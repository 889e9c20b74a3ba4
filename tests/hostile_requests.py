"""Requests that are small, or within every limit, and once held up or filled a server.

Each is a function of a random number generator alone; what is large is made once.
"""

import base64
import functools
import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from serving import INFER, pictures, tensor

Random = np.random.Generator

MOST = 16 << 20
"""Bytes of a request's content, unpacked: what a server takes unless it is told otherwise."""

_TENSOR = b'{"inputs":[{"name":"image","shape":[1,28,28,1],"datatype":"UINT8",'
_PLACES: dict[str, tuple[str, bytes, bytes]] = {
    "data": (INFER, _TENSOR + b'"data":[', b"]}]}"),
    "shape": (INFER, b'{"inputs":[{"name":"image","datatype":"UINT8","shape":[', b"]}]}"),
    "name": (INFER, b'{"inputs":[{"name":[', b"]}]}"),
    "outputs": (INFER, b'{"outputs":[', b'],"inputs":[]}'),
    "pictures": ("/predict", b'{"pictures":[', b"]}"),
    "top": ("/predict", b'{"pictures":["AAAA"],"top":[', b"]}"),
}
"""Where a list may stand: the path, what is before it, and what comes after it."""
_UNITS = (b"0", b"1.5", b"[]", b"[0]", b"{}", b'""', b"null", b"9" * 4299, b'{"a":0}')


def http(path: str, content: bytes, *headers: str, method: str = "POST") -> bytes:
    """Returns a request in HTTP, correct but for what it is given."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if not any(line.lower().startswith(("content-length", "transfer")) for line in headers):
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + content


def pick(rng: Random, choices: Any) -> Any:
    """Returns one of several things as they are."""
    return choices[int(rng.integers(len(choices)))]


@functools.cache
def _packed_list(place: str, unit: bytes, size: int) -> bytes:
    _, begin, end = _PLACES[place]
    count = (size - len(begin) - len(end) - len(unit)) // (len(unit) + 1)
    return gzip.compress(begin + (unit + b",") * count + unit + end, 1)


def crowded(rng: Random) -> bytes:
    """Returns JSON of millions of values, packed to a few kilobytes."""
    place, unit = pick(rng, list(_PLACES)), pick(rng, _UNITS)
    content = _packed_list(place, unit, pick(rng, [1 << 16, 1 << 20, MOST]))
    kind = "Content-Type: application/json"
    return http(_PLACES[place][0], content, kind, "Content-Encoding: gzip")


def one_long_string(rng: Random) -> bytes:
    """Returns a tensor of strings, one of which is long: as an array, all would be as long."""
    count, letters = int(rng.integers(2, 20_000)), int(rng.integers(1, 200_000))
    data = [""] * count + ["x" * letters]
    shape = pick(rng, [[1, 28, 28, 1], [count + 1], [1024, 28, 28, 1]])
    described = tensor(pictures(0), shape=shape, datatype=pick(rng, ["UINT8", "BYTES"]), data=data)
    content = json.dumps({"inputs": [described]}).encode()
    return http(INFER, gzip.compress(content, 1), "Content-Encoding: gzip")


def foreign_charset(rng: Random) -> bytes:
    """Returns a form whose client says in which letters it is written."""
    charset = pick(rng, ["punycode", "unicode_escape", "utf-7", "idna", "zlib", "rot13", "x", ""])
    half = int(rng.integers(1, 100_000))
    value = pick(rng, [b"a" * half + b"-" + b"b" * half, b"\\ud800" * half, b"+AAA-" * half])
    name = pick(rng, [b"top", b'p"; filename="\\ud800', b"p" * 900])
    content = b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n--b--\r\n'
    kind = f"Content-Type: multipart/form-data; boundary=b; charset={charset}"
    return http(
        "/predict", gzip.compress(content % (name, value), 1), kind, "Content-Encoding: gzip"
    )


@functools.cache
def _blank(kind: str, mode: str, side: int) -> bytes:
    file = io.BytesIO()
    options = {"lossless": True, "method": 0} if kind == "WEBP" else {}
    Image.new(mode, (side, side)).save(file, kind, **options)
    return file.getvalue().ljust(side * side // 256 + 1, b"\0")  # as many as such a size takes


@functools.cache
def _scans(side: int, count: int) -> bytes:
    """Returns a progressive JPEG whose last scan comes again and again."""
    file = io.BytesIO()
    Image.new("L", (side, side), 77).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + content[-2:]


def heavy_pictures(rng: Random) -> bytes:
    """Returns pictures that are small as files and large, or slow, to read."""
    side = pick(rng, [100, 1000, 3000, 5000])
    one = pick(
        rng,
        [
            lambda: _scans(side, pick(rng, [10, 90, 3000])),
            lambda: _blank("WEBP", pick(rng, ["RGB", "RGBA"]), side),
            lambda: _blank("PNG", pick(rng, ["1", "L", "RGB", "RGBA"]), side),
            lambda: _blank("JPEG", "RGB", side),
        ],
    )()
    listed = [base64.b64encode(one).decode()] * pick(rng, [1, 2, 32, 200])
    content = json.dumps({"pictures": listed, "seen": bool(rng.integers(2))}).encode()
    return http("/predict", content, "Content-Type: application/json")


def heavy_form(rng: Random) -> bytes:
    """Returns a form with a picture of many pixels or of many markers, or with many parts."""
    kind, side = pick(rng, ["PNG", "JPEG", "WEBP", "GIF"]), pick(rng, [700, 1500, 2500, 5100])
    large, small = _blank(kind, pick(rng, ["L", "RGB"]), side), _blank("PNG", "L", 28)
    text = b"zTXt" + b"a\0\0" + zlib.compress(bytes(1_000_000))
    chunk = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    marked = small[:33] + chunk * int(rng.integers(1, 200)) + small[33:]
    content = pick(rng, [large, marked, b"a" * 200_000 + b"-" + b"a" * 200_000])
    name = b'; filename="a"' if rng.random() < 0.8 else b""
    part = b'--edge\r\nContent-Disposition: form-data; name="p"%b\r\n\r\n%b\r\n' % (name, content)
    form = part * min(40, 1 + (10 << 20) // len(part)) + b"--edge--\r\n"
    kind = "Content-Type: multipart/form-data; boundary=edge"
    return http("/predict", gzip.compress(form, 1), kind, "Content-Encoding: gzip")


def framed_oddly(rng: Random) -> bytes:
    """Returns a request whose ends and parts may be understood in several ways."""
    inside = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    right = http(INFER, b"{}")
    chunked = http(INFER, b"", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n"
    count = int(rng.integers(1, 20_000))
    asked = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
    return pick(
        rng,
        [
            http(INFER, inside, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
            http(INFER, inside, "Connection: Upgrade", "Upgrade: websocket"),
            right.replace(b"Host:", b"Host: other\r\nHost:", 1),
            right.replace(b"HTTP/1.1", pick(rng, [b"HTTP/2.0", b"HTTP/1.2", b"HTTP/0.9"]), 1),
            right.replace(b"Host: localhost\r\n", b"", 1),
            chunked + b"Authorization: Bearer x\r\n\r\n",
            chunked + b"X: y\r\n" * count,
            chunked.replace(b"2\r\n", b"2;" + b"x" * count + b"\r\n", 1) + b"\r\n",
            asked + b"X: " + b"y" * (10 * count) + b"\r\n\r\n",
            asked + b"X:\r\n" * count + b"\r\n",
            (asked + b"\r\n") * int(rng.integers(2, 3000)),
            http(
                f"/v2/models/fashion_mnist/{pick(rng, ['ready/infer', 'infer/infer', '..'])}", b"{}"
            ),
            http(INFER, inside, "Transfer-Encoding: chunked", f"Content-Length: {len(inside)}"),
        ],
    )


def ambiguous(rng: Random) -> bytes:
    """Returns a request of which it may not be clear where it ends, and what follows it."""
    after = http("/smuggled", b"", method="GET")
    chunks = b"2;x=y\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    content = pick(rng, [b"{}", chunks, b"0\r\n\r\n", chunks * 2, b"1\r\nx\r\n" * 9000, b""])
    lines = [
        *("Content-Length: 2", f"Content-Length: {len(content)}", "Content-Length: +2"),
        *("Transfer-Encoding: chunked", "Transfer-Encoding: chunked, identity", "A: b\r\n c"),
        *(
            "Connection: Upgrade\r\nUpgrade: h2c",
            "Host: elsewhere",
            "A : b",
            "Expect: 100-continue",
        ),
        *("A: b\nContent-Length: 9", "A: \0", "\r\n".join(["A: b"] * 200), f"A: {'b' * 40_000}"),
    ]
    asked = http(pick(rng, [INFER, "/v2"]), content, *(pick(rng, lines) for _ in range(3)))
    return pick(rng, [asked, asked + after, asked.replace(b"1.1", b"2.0"), asked * 2])


@functools.cache
def _bomb(kind: str, members: int) -> bytes:
    if kind == "deflate":
        return zlib.compress(bytes(4 * MOST), 1)
    return gzip.compress(bytes(4 * MOST // members), 1) * members


def bomb(rng: Random) -> bytes:
    """Returns content that unpacks to more than may come."""
    kind = pick(rng, ["gzip", "deflate"])
    content = _bomb(kind, pick(rng, [1, 50, 300]))
    return http(pick(rng, [INFER, "/predict"]), content, f"Content-Encoding: {kind}")


def held(rng: Random) -> bytes:
    """Returns the most of a large request, whose end does not come."""
    size = pick(rng, [1 << 16, 1 << 20, MOST])
    return http(INFER, bytes(int(rng.integers(size))), f"Content-Length: {size}")


KINDS: tuple[Callable[[Random], bytes], ...] = (
    crowded,
    one_long_string,
    foreign_charset,
    heavy_pictures,
    heavy_form,
    framed_oddly,
    ambiguous,
    bomb,
    held,
)
