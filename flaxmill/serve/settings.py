"""What a server is told: which model, where to listen, how much to take from a client."""

import os
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from flaxmill.errors import BadInput
from flaxmill.exported import is_export

TOKEN = "FLAXMILL_TOKEN"
"""The environment variable that holds the token which clients must show."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
"""What a machine calls itself, and other machines do not reach."""

Engine = Literal["jax", "onnx", "int8"]


@dataclass(frozen=True)
class Limits:
    """How much a server takes; beyond it, it answers with an error and goes on.

    Attributes:
        max_batch: Examples in one call of the model; a power of two.
        queue: Examples that may wait at a time, from all clients together.
        deadline: Seconds that an example may wait before the model begins with it.
        max_wait: Seconds that the model waits for a fuller batch when it is free.
        max_body_bytes: Of one request, also once unpacked.
        max_buffered_bytes: Of all bodies that are held at a time.
        max_pictures: In one request for predictions.
        max_pixels: Width × height of a picture.
        max_head_bytes: Of a request's first line and headers.
        head_seconds: Until a request's headers must be here.
        body_seconds: Until its body must be here.
        write_seconds: Until a client must have taken some of its answer.
        keep_alive: Seconds that a connection may idle between requests.
        connections: Open at a time.
        grace: Seconds that a stopping server takes to finish what it has.
    """

    max_batch: int = 64
    queue: int = 1024
    deadline: float = 10.0
    max_wait: float = 0.0
    max_body_bytes: int = 16 << 20
    max_buffered_bytes: int = 256 << 20
    max_pictures: int = 32
    max_pixels: int = 25_000_000
    max_head_bytes: int = 32 << 10
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    keep_alive: float = 75.0
    connections: int = 2048
    grace: float = 30.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes that are compiled: 1, 2, 4, … up to the largest."""
        return tuple(1 << power for power in range(self.max_batch.bit_length()))

    @property
    def max_side(self) -> int:
        """The longest side of a picture: it is padded to a square, of at most 4 × the pixels."""
        return int(2 * self.max_pixels**0.5)


@dataclass(frozen=True)
class Settings:
    """Everything a worker process must know.

    Attributes:
        model: The export directory.
        engine: What computes.
        threads: Of the engine, for one call of the model; 0 chooses.
        host: The address to listen at.
        port: The port; 0 takes a free one.
        workers: Processes that share the port.
        token: What clients must show as a bearer token; empty asks for none.
        allow_hosts: Names that a request may call this server, besides those of ``host``.
        quiet: Whether answered requests are left out of the log.
        limits: How much it takes from clients.
    """

    model: Path
    engine: Engine = "jax"
    threads: int = 0
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    token: str = field(default="", repr=False)
    allow_hosts: tuple[str, ...] = ()
    quiet: bool = False
    limits: Limits = field(default_factory=Limits)


def settings(
    model: Path, *, engine: Engine | None, token_file: Path | None, limits: Limits, **more: Any
) -> Settings:
    """Returns what a server must know, from what was said on the command line.

    Raises:
        BadInput: A number is out of range, or the token cannot be had.
    """
    if limits.max_batch < 1 or limits.max_batch & (limits.max_batch - 1):
        raise BadInput(f"--max-batch {limits.max_batch}: expected a power of two, such as 64.")
    if limits.queue < limits.max_batch:
        raise BadInput(
            f"--queue {limits.queue}: must hold a batch, of {limits.max_batch}, or more."
        )
    if more["workers"] < 1:
        raise BadInput(f"--workers {more['workers']}: expected 1 or more.")
    if more["threads"] < 0:
        raise BadInput(f"--threads {more['threads']}: expected 1 or more, or 0 to choose.")
    positive = (
        *("deadline", "max_body_bytes", "max_pictures", "max_pixels", "connections"),
        *("head_seconds", "body_seconds", "write_seconds", "keep_alive"),
    )
    for name in positive:
        if getattr(limits, name) <= 0:
            raise BadInput(f"--{name.replace('_', '-')}: expected more than 0.")
    place = _export_of(model)
    if engine is None:
        has_onnx = find_spec("onnxruntime") and (place / "model.onnx").is_file()
        engine = "onnx" if has_onnx else "jax"
    return Settings(place, engine, token=_token(token_file), limits=limits, **more)


def _token(file: Path | None) -> str:
    """Returns the token from a file or the environment, and takes it out of the latter."""
    token = os.environ.pop(TOKEN, "")
    if file is not None:
        try:
            token = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--token-file {file} cannot be read: {error}.") from None
        if not token:
            raise BadInput(f"--token-file {file} is empty: write the token into it.")
    if not token.isascii() or len(token.split()) > 1:
        raise BadInput("the token must be of ASCII characters without spaces.")
    return token


def _export_of(model: Path) -> Path:
    """Returns the export directory that a run or an export means; a run is exported if need be."""
    if is_export(model):
        return model
    from flaxmill import export  # with all that training needs, which an export does without

    return export.directory_of(model, lambda words: print(words, file=sys.stderr, flush=True))
