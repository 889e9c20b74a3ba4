"""Sends a server thousands of malformed requests; says what it answered, and whether it grew.

    python tests/fuzz_server.py EXPORT --requests 10000 --seed 0

Every request is a pure function of (seed, number), so that one can be sent again. Whatever comes,
the server may refuse in words of its own, or close; it may not answer 500, die, or keep memory.
Another client asks meanwhile, and says how long it waited.
"""

import argparse
import asyncio
import base64
import gzip
import io
import json
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_requests
import numpy as np
import serving
from hostile_requests import Random, http, pick
from PIL import Image
from serving import INFER, pictures, tensor
from watching import resident_megabytes, watched

AT_ONCE = 16
PATIENCE = 20.0  # seconds for an answer; the server itself waits for a second

OPTIONS = (
    *("--quiet", "--head-seconds", "1", "--body-seconds", "1", "--keep-alive", "2"),
    *("--read-seconds", "1"),
)


def noise(rng: Random, most: int) -> bytes:
    """Returns up to so many random bytes."""
    return rng.bytes(int(rng.integers(most)))


def damaged(rng: Random, content: bytes) -> bytes:
    """Returns bytes with some changed, cut out, doubled, or put in."""
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(len(content) + 1))
        end = at + int(rng.integers(1, 20))
        piece = pick(rng, [b"", noise(rng, 20), content[at:end] * 2, b"\0", b"\xff" * 4])
        content = content[:at] + piece + content[end:]
    return content[: int(rng.integers(len(content) + 1))] if rng.random() < 0.3 else content


VALUES = (
    *(None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", [], {}, [[]], [None], {"a": []}, "image"),
    *([1, 28, 28, 1], [2**31, 28, 28, 1], [2**62] * 4, [-1, 28, 28, 1], [0] * 4, [28, 28], "UINT8"),
    *("FP32", "BYTES", 784, [1] * 784, [[1, 2], [3]], [300] * 784, [0.5] * 784, ["a"] * 784),
)


def strange_json(rng: Random) -> Any:
    """Returns an inference request with one value or another replaced."""
    batch = pictures(int(rng.integers(9)))
    asked: dict[str, Any] = {
        "id": "x",
        "inputs": [tensor(batch, data=batch.ravel().tolist(), parameters={})],
        "outputs": [{"name": "logits", "parameters": {"classification": 2, "binary_data": False}}],
        "parameters": {"timeout": 10**6, "binary_data_output": False},
    }
    for _ in range(int(rng.integers(1, 3))):
        place: Any = pick(
            rng,
            [
                *(
                    asked,
                    asked["inputs"],
                    asked["inputs"][0],
                    asked["outputs"],
                    asked["parameters"],
                ),
                *(each.get("parameters") for each in asked["outputs"] if isinstance(each, dict)),
            ]
            if all(isinstance(asked.get(name), list) for name in ("inputs", "outputs"))
            and asked["inputs"]
            else [asked],
        )
        if isinstance(place, dict):
            names = [*place, "binary_data_size", "shared_memory_region", "sequence_id"]
            place[pick(rng, names)] = pick(rng, VALUES)
        elif isinstance(place, list):
            place[:] = pick(rng, [[], place * 2, [pick(rng, VALUES)]])
    return asked


def wrong_lengths(rng: Random) -> bytes:
    """Returns a request in the binary extension whose lengths do not fit one another."""
    batch = pictures(0, int(rng.integers(1, 4)))
    size = pick(rng, [batch.nbytes, batch.nbytes - 1, 0, -1, 2**40, "784", None, 1.0])
    header = json.dumps({"inputs": [tensor(batch, parameters={"binary_data_size": size})]}).encode()
    content = header + batch.tobytes()[: int(rng.integers(batch.nbytes + 1))] + noise(rng, 9)
    length = pick(rng, [len(header), len(header) + 1, 0, 1, -5, 2**63, len(content), "x", "1 1"])
    announced = len(content) + int(pick(rng, [0, 0, 0, 0, 1, -1, 50]))
    lines = [f"Inference-Header-Content-Length: {length}", f"Content-Length: {max(0, announced)}"]
    return http(INFER, content, *lines)


def picture(rng: Random) -> bytes:
    """Returns a picture file that is damaged, cut off, or claims to be huge."""
    kind = pick(rng, ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
    modes = {"PNG": ["L", "RGB", "P", "1", "RGBA", "LA", "I;16"], "JPEG": ["L", "RGB", "CMYK"]}
    mode = pick(rng, modes.get(kind, ["L", "RGB"]))
    side = int(rng.integers(1, 60))
    file = io.BytesIO()
    Image.new(mode, (side, int(rng.integers(1, 60)))).save(file, kind)
    content = file.getvalue()
    if kind == "PNG" and rng.random() < 0.3:
        ihdr = b"IHDR" + rng.bytes(8) + content[24:29]
        return content[:12] + ihdr + zlib.crc32(ihdr).to_bytes(4) + content[33:]
    return pick(rng, [damaged(rng, content), content[: int(rng.integers(len(content)))], content])


def form(rng: Random) -> bytes:
    """Returns a form with damaged pictures, or one that is damaged itself."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="p"; filename="a"\r\n\r\n%b\r\n'
        % picture(rng)
        for _ in range(int(rng.integers(0, 4)))
    ]
    content = b"".join(parts) + b"--edge--\r\n"
    if rng.random() < 0.4:
        content = damaged(rng, content)
    kinds = ["multipart/form-data; boundary=edge"] * 5 + ["multipart/form-data", "text/plain", "/"]
    return http(
        f"/predict?top={pick(rng, [1, 3, 0, 'x'])}", content, f"Content-Type: {pick(rng, kinds)}"
    )


def listed(rng: Random) -> bytes:
    """Returns a JSON request for predictions with strange values."""
    encoded = base64.b64encode(picture(rng)).decode()
    values = [encoded, f"data:image/png;base64,{encoded}", "data:,", "%%", "", *VALUES]
    asked = {"pictures": [pick(rng, values) for _ in range(int(rng.integers(1, 3)))]}
    if rng.random() < 0.3:
        asked[pick(rng, ["pictures", "top", "seen"])] = pick(rng, VALUES)
    content = json.dumps(asked).encode()
    if rng.random() < 0.2:
        content = damaged(rng, content)
    return http("/predict", content, "Content-Type: application/json")


def packed(rng: Random) -> bytes:
    """Returns content that does not unpack, or to too much."""
    content = pick(rng, [gzip.compress, zlib.compress])(pick(rng, [b"{}", bytes(20 << 20)]))
    content = damaged(rng, content) if rng.random() < 0.5 else content
    return http(INFER, content, f"Content-Encoding: {pick(rng, ['gzip', 'deflate', 'br', 'x'])}")


def elsewhere(rng: Random) -> bytes:
    """Returns a request for some other place, in some other way."""
    places = [
        "/",
        "/v2",
        "/v2/models",
        "/page/../x",
        "/%00",
        "/%ff",
        "//",
        "*",
        "/metrics",
        "/docs",
    ]
    path = pick(rng, [*places, "/" + noise(rng, 30).decode("latin-1"), "/" + "a" * 5000])
    method = pick(rng, ["GET", "POST", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "X"])
    lines = [
        pick(rng, ["Upgrade: websocket", "Connection: Upgrade", "Expect: 100-continue", "A: b"]),
        pick(
            rng, ["Transfer-Encoding: chunked", "Content-Length: -1", "Content-Length: 3", "C: d"]
        ),
    ]
    return http(path, noise(rng, 60), *lines, method=method)


def nested(rng: Random) -> bytes:
    """Returns JSON that goes deep, or numbers that are long."""
    depth = int(rng.integers(10, 200_000))
    texts = [b"[" * depth, b'{"a":' * depth, b"9" * depth, b'"' + b"\\u0000" * 99]
    return http(pick(rng, [INFER, "/predict"]), pick(rng, texts), "Content-Type: application/json")


KINDS: tuple[Callable[[Random], bytes], ...] = (
    lambda rng: noise(rng, 2000),
    lambda rng: damaged(rng, serving.request(pictures(0))),
    lambda rng: http(INFER, json.dumps(strange_json(rng)).encode()),
    wrong_lengths,
    form,
    listed,
    packed,
    elsewhere,
    nested,
    *hostile_requests.KINDS,
)


def malformed(seed: int, number: int) -> tuple[bytes, str]:
    """Returns a request, and how it is sent: whole, slowly, or by a client that leaves."""
    rng = np.random.default_rng([seed, number])
    how = pick(rng, ["whole"] * 37 + ["slowly", "leaving", "leaving"])
    return pick(rng, KINDS)(rng), how


async def send(port: int, seed: int, number: int) -> str:
    """Sends one request; returns the status of the answer, or what came instead."""
    content, how = malformed(seed, number)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if how == "leaving":
            writer.write(content[: int(np.random.default_rng([seed, number, 1]).integers(3000))])
            return "left"
        if how == "slowly":
            for at in range(0, min(len(content), 400), 40):
                writer.write(content[at : at + 40])
                await asyncio.sleep(0.2)
                if reader.at_eof():  # it was sent away, as it should be
                    break
        else:
            writer.write(content)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        status = head.split(None, 2)[1].decode()
        if status == "100":
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
            status = head.split(None, 2)[1].decode()
        length = [
            line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        ]
        if int(status) >= 400 and length and not content.startswith(b"HEAD"):
            body = await asyncio.wait_for(reader.readexactly(int(length[0][15:])), PATIENCE)
            if list(json.loads(body)) != ["error"]:
                return f"{status} without words"
            if status == "503":
                print(f"seed {seed}, request {number}: {body.decode()}", file=sys.stderr)
        return status
    except TimeoutError:
        return "no answer in time"
    except (asyncio.IncompleteReadError, ConnectionError):
        return "closed"
    finally:
        writer.close()


async def bombard(port: int, seed: int, numbers: range) -> Counter[str]:
    """Sends many requests, some at a time; returns how often each status came."""
    found: Counter[str] = Counter()
    waiting = iter(numbers)

    async def client() -> None:
        for number in waiting:
            status = await send(port, seed, number)
            found[status] += 1
            if status.startswith(("500", "no answer")) or "without words" in status:
                print(f"seed {seed}, request {number}: {status}", file=sys.stderr)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return found


def fuzz(export: Path, log: Path, requests: int, seed: int) -> dict[str, Any]:
    """Serves an export and bombards it; returns what came of it."""
    with serving.serving(export, log, *OPTIONS) as server:
        warm = requests // 5  # what Python and its libraries hold on to once they are used
        with watched(server.process.pid, server.port) as felt:
            found = asyncio.run(bombard(server.port, seed, range(warm)))
            before = resident_megabytes(server.process.pid)
            found += asyncio.run(bombard(server.port, seed, range(warm, requests)))
            after = resident_megabytes(server.process.pid)
        whole = server.raw(serving.request(pictures(1)))
        assert whole is not None and whole.status == 200
        status = server.stop()
        failures = [line for line in server.log() if "traceback" in line]
    return {
        "requests": requests,
        "seed": seed,
        "statuses": dict(sorted(found.items())),
        "megabytes": [round(before, 1), round(after, 1)],
        "probe": felt.json(),
        "exit": status,
        "failures": len(failures),
        "tracebacks": [line["traceback"] for line in failures[:3]],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(arguments.export, Path(folder) / "log", arguments.requests, arguments.seed)
    print(json.dumps(found))
