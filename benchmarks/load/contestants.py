"""The servers that `benchmarks/serve.py` compares, and how each is started, rested and stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from load.models import Forms

PEERS = Path(__file__).parents[1] / "peers"
PATIENCE = 180.0  # seconds until a server must answer
NULL = "null"
OWN = ("flaxmill, onnx", "flaxmill, jax")
PLAIN = ("FastAPI + ONNX Runtime", "FastAPI + PyTorch")
LITSERVE = "LitServe, batching"
THREADS = {
    "1 thread": {"threads": 1, "workers": 1},
    "2 threads": {"threads": 2, "workers": 1},
    "2 processes": {"threads": 1, "workers": 2},
}
"""What every contestant may do with two cores."""


@dataclass(frozen=True)
class Way:
    """A contestant with certain options.

    Attributes:
        command: Serves on a port that is added to it.
        plan: What its clients send, of `Forms.plans`.
    """

    command: tuple[str, ...]
    plan: Path


def ways(forms: Forms, python: str) -> dict[str, dict[str, Way]]:
    """Returns every contestant, and the ways to run it, of which the best counts.

    Args:
        forms: Where the model lies.
        python: An interpreter with the peers' packages.
    """
    found: dict[str, dict[str, Way]] = {OWN[0]: {}, OWN[1]: {}, PLAIN[0]: {}, PLAIN[1]: {}}
    found[LITSERVE] = {}
    shape = ("--shape", *map(str, forms.shape))
    own = (sys.executable, "-m", "flaxmill", "serve", str(forms.export), "--quiet", "--engine")
    for name, how in THREADS.items():
        options = tuple(word for key, value in how.items() for word in (f"--{key}", str(value)))
        workers = ("--workers", str(how["workers"]))
        found[OWN[0]][name] = Way((*own, "onnx", *options), forms.plans["protocol"])
        limited = ("env", f"PJRT_NPROC={how['threads']}")  # of XLA's threads
        found[OWN[1]][name] = Way((*limited, *own, "jax", *workers), forms.plans["protocol"])
        for handler in ("def", "async def"):
            peer = (python, str(PEERS / "fastapi_server.py"))
            kind = ("--handler", "pooled" if handler == "def" else "direct", *shape, *options)
            for contestant, file in zip(PLAIN, (forms.onnx, forms.arrays), strict=True):
                way = Way((*peer, str(file), *kind), forms.plans["bytes"])
                found[contestant][f"{handler}, {name}"] = way
        litserve = (python, str(PEERS / "litserve_server.py"), str(forms.onnx), *shape, *options)
        found[LITSERVE][name] = Way(litserve, forms.plans["bytes"])
    last = found[LITSERVE]["1 thread"]
    found[LITSERVE]["1 thread, 2 front ends"] = Way((*last.command, "--servers", "2"), last.plan)
    return found


def null(forms: Forms, python: str) -> Way:
    """Returns the server that answers nothing."""
    with np.load(forms.plans["null"]) as plan:
        size = str(plan["expected"][0].nbytes)
    return Way((python, str(PEERS / "null_server.py"), "--size", size), forms.plans["null"])


class Server:
    """A contestant's processes, which rest while another is measured.

    Args:
        way: What is started.
        log: Where it may write.
    """

    def __init__(self, way: Way, log: Path) -> None:
        self.way, self.log, self.port = way, log, free_port()
        command = [*way.command, "--port", str(self.port)]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def wait(self) -> None:
        """Waits until it answers.

        Raises:
            RuntimeError: It ended, or took too long; the message ends as its log does.
        """
        with np.load(self.way.plan) as plan:
            request = bytes(plan["head"]) + plan["pictures"][0].tobytes()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
                    connection.sendall(request)
                    connection.settimeout(30)
                    if connection.recv(1 << 16).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            time.sleep(0.2)
        said = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(self.way.command)} does not answer:\n{said}")

    def rest(self) -> None:
        """Stops its processes where they are, so that they take nothing from another."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Lets its processes go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends its processes."""
        self.go_on()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._signal(signal.SIGKILL)  # whatever it left
            self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # they have ended
            os.killpg(self.process.pid, number)


def free_port() -> int:
    """Returns a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
