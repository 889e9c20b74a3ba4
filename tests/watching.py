"""What other clients feel of an attack: how long they wait, what memory the server takes."""

import contextlib
import io
import multiprocessing
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from PIL import Image
from serving import MODEL, pictures

_EVERY = 0.01  # seconds between questions, and between looks at the memory


def resident_megabytes(process: int) -> float:
    """Returns the memory of a process and of all that it started, as far as the system says it."""
    total, waiting = 0, [process]
    while waiting:
        one = Path(f"/proc/{waiting.pop()}")
        with contextlib.suppress(OSError, TypeError):  # it has ended
            total += int(re.search(r"VmRSS:\s+(\d+)", (one / "status").read_text())[1])  # type: ignore[index]
            for thread in os.listdir(one / "task"):
                waiting += map(int, (one / "task" / thread / "children").read_text().split())
    return total / 1024


@dataclass
class Felt:
    """What was felt.

    Attributes:
        before: Megabytes of the server, its processes together, when it was watched first.
        most: The most while it was watched.
        longest: Seconds that each kind of question waited, at most.
        statuses: What was answered, and how often.
    """

    before: float
    most: float = 0.0
    longest: dict[str, float] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def megabytes(self) -> float:
        """How much memory was taken over what there was before."""
        return self.most - self.before

    def json(self) -> dict[str, Any]:
        """Returns it for a line of JSON."""
        waits = {name: round(1e3 * seconds, 1) for name, seconds in self.longest.items()}
        return {
            "longest_wait_ms": waits,
            "asked": dict(self.statuses),
            "megabytes": [round(self.before, 1), round(self.most, 1)],
        }


@contextlib.contextmanager
def watched(process: int, port: int) -> Iterator[Felt]:
    """Asks a server for health, a small inference and a small picture while the block runs.

    The client is a process of its own, so that it waits for the server and not for an attacker.
    """
    felt = Felt(resident_megabytes(process))
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(_EVERY):
            felt.most = max(felt.most, resident_megabytes(process))

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    client = context.Process(target=_ask, args=(port, theirs), daemon=True)
    client.start()
    ours.recv()  # it has an answer of each kind
    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield felt
    finally:
        ours.send("stop")
        felt.longest, statuses = ours.recv()
        felt.statuses.update(statuses)
        client.join()
        stop.set()
        looking.join()


def _ask(port: int, pipe: Any) -> None:
    file = io.BytesIO()
    Image.fromarray(pictures(7)[0, ..., 0]).save(file, "PNG")
    form = b'--b\r\nContent-Disposition: form-data; name="p"; filename="a.png"\r\n\r\n'
    form += file.getvalue() + b"\r\n--b--\r\n"
    questions: dict[str, tuple[str, str, bytes | None, dict[str, str]]] = {
        "health": ("GET", "/v2/health/live", None, {}),
        "infer": (
            "POST",
            f"/v2/models/{MODEL}/infer",
            pictures(7).tobytes(),
            {"Inference-Header-Content-Length": "0"},
        ),
        "predict": (
            "POST",
            "/predict",
            form,
            {"Content-Type": "multipart/form-data; boundary=b"},
        ),
    }
    longest, statuses = dict.fromkeys(questions, 0.0), Counter[str]()
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    begun = False
    while not pipe.poll(_EVERY):
        for name, question in questions.items():
            asked = time.perf_counter()
            try:
                connection.request(*question)
                with connection.getresponse() as response:
                    response.read()
                status = f"{name} {response.status}"
            except (OSError, HTTPException) as error:
                connection.close()
                status = f"{name} {type(error).__name__}"
            if begun:
                statuses[status] += 1
                longest[name] = max(longest[name], time.perf_counter() - asked)
        if not begun:
            pipe.send("begun")
            begun = True
    pipe.send((longest, statuses))
