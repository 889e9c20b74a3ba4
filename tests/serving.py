"""A server as a process of its own, and clients that speak to it byte by byte."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from flaxmill.serve.intake import Intake
from flaxmill.serve.limits import Limits

MODEL = "fashion_mnist"
FLAXMILL = (sys.executable, "-m", "flaxmill")
INFER = f"/v2/models/{MODEL}/infer"
FORM = "multipart/form-data; boundary=edge"


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Served:
    """A running server.

    Args:
        export: The export directory.
        log: The file for what it writes to standard error.
        options: Of the command.
        program: What flaxmill is started by.
        environment: Variables besides this process' own.
    """

    def __init__(
        self,
        export: Path,
        log: Path,
        *options: str,
        program: Sequence[str] = FLAXMILL,
        **environment: str,
    ) -> None:
        command = [*program, "serve", str(export), "--port", "0", *options]
        self._log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | environment,
            )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r" at http://[^ ]*:(\d+)/ ", self.said)
        assert found, f"{self.said}{log.read_text()}"
        self.port = int(found[1])

    def ask(
        self, path: str, content: bytes | None = None, method: str = "", **headers: str
    ) -> Answer:
        """Sends one request on a connection of its own; returns the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        method = method or ("POST" if content is not None else "GET")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, content, named)
            with connection.getresponse() as response:
                return _answer(response)

    def raw(self, sent: bytes, *, close: bool = False) -> Answer | None:
        """Sends bytes; returns the answer to them, or None if there is none before the end."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            client.sendall(sent)
            if close:
                return None
            with HTTPResponse(client) as response, contextlib.suppress(ConnectionError):
                response.begin()
                return _answer(response)
        return None

    def log(self) -> list[dict[str, Any]]:
        """Returns what it has logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def await_log(self, words: str) -> dict[str, Any]:
        """Waits until it has logged an event with these words; returns it."""
        while True:
            for line in self.log():
                if words in line.get("event", ""):
                    return line
            assert self.process.poll() is None, self._log.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops it with a signal; returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


def _answer(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@contextlib.contextmanager
def serving(export: Path, log: Path, *options: str, **how: Any) -> Iterator[Served]:
    """Serves an export while the block runs."""
    server = Served(export, log, *options, **how)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


def pictures(seed: int, count: int = 1) -> np.ndarray:
    """Returns random pictures as the model takes them."""
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28, 1), np.uint8)


def tensor(batch: np.ndarray, **more: Any) -> dict[str, Any]:
    """Returns the description of an input tensor."""
    return {"name": "image", "shape": list(batch.shape), "datatype": "UINT8"} | more


def request(batch: np.ndarray, port: int = 0, path: str = INFER) -> bytes:
    """Returns an inference request whole, with its tensor as bytes."""
    described = tensor(batch, parameters={"binary_data_size": batch.nbytes})
    header = json.dumps(
        {"inputs": [described], "parameters": {"binary_data_output": True}}
    ).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\n"
        f"Inference-Header-Content-Length: {len(header)}\r\n"
        f"Content-Length: {len(header) + batch.nbytes}\r\n\r\n"
    )
    return head.encode() + header + batch.tobytes()


def outputs(answer: Answer) -> dict[str, np.ndarray]:
    """Returns the tensors of an answer with binary data."""
    split = int(answer.headers["inference-header-content-length"])
    found, rest = {}, answer.content[split:]
    for output in json.loads(answer.content[:split])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        found[output["name"]] = np.frombuffer(rest[:size], "<f4").reshape(output["shape"])
        rest = rest[size:]
    assert not rest
    return found


class Client:
    """A client that keeps its connection, among many in one event loop."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, sent: bytes) -> None:
        """Sends bytes, on a new connection where the server closed the last one."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        self._streams[1].write(sent)

    async def receive(self) -> Answer:
        """Returns the next answer."""
        assert self._streams is not None
        reader, _ = self._streams
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(head[0].split()[1]), headers, content)

    async def ask(self, sent: bytes) -> Answer:
        """Sends a request; returns the answer."""
        await self.send(sent)
        return await self.receive()

    def close(self) -> None:
        """Closes the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def form(*contents: bytes, name: bytes = b"a.png") -> bytes:
    """Returns a form with files."""
    part = b'--edge\r\nContent-Disposition: form-data; name="p"; filename="%b"\r\n\r\n%b\r\n'
    return b"".join(part % (name, content) for content in contents) + b"--edge--\r\n"


def with_intake(limits: Limits, body: Callable[[Intake], Coroutine[Any, Any, None]]) -> None:
    """Runs something with the processes that read requests."""

    async def run() -> None:
        intake = Intake(limits)
        await intake.start()
        try:
            await body(intake)
        finally:
            await intake.close()

    uvloop.run(run())
