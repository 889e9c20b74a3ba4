"""Reads thousands of damaged pictures as every command reads them; says what came of it.

    python tests/fuzz_pictures.py 300000 --seed 0 --processes 2

Every file is a pure function of (seed, number), so that one can be made again:

    python tests/fuzz_pictures.py 1 --first 4711 --save DIRECTORY

Whatever lies in it, it is read, or refused in words that name it, within 5 seconds and 512 MiB.
"""

import argparse
import ctypes
import gc
import json
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from damaging_pictures import damaged
from picture_bases import bases
from PIL import Image

from flaxmill.data.check.index import index
from flaxmill.data.folder import Pictures
from flaxmill.data.listings.listing import Listing
from flaxmill.data.pictures.ready import prepare
from flaxmill.errors import BadInput
from flaxmill.serve import uploads
from flaxmill.serve.limits import USUAL
from flaxmill.serve.refusal import Refused
from flaxmill.signature import Signature, Tensor

SECONDS = 5.0
MEGABYTES = 512
_PATIENCE = 30.0  # seconds after which a process is killed
_ROOM = 4 << 30  # bytes of addresses, so that a bomb does not take the machine along
_AT_A_TIME = 100  # files, after which a process says what came of them
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # of Linux

_GREY = Signature(
    name="grey",
    task="image-classification",
    inputs=(Tensor("image", "uint8", (-1, 28, 28, 1)),),
    outputs=(Tensor("logits", "float32", (-1, 2)),),
    labels=("ant", "bee"),
    preprocess={"fit": "pad to a square", "background": "dark: light ones are inverted"},
)


def picture(seed: int, number: int) -> tuple[str, bytes]:
    """Returns a damaged file and the format that it was."""
    rng = random.Random(f"{seed} {number}")
    known = bases()
    kind = rng.choice(list(known))
    return kind, damaged(rng, kind, rng.choice(known[kind]), known)


class _Contents(list[bytes]):
    """Files that lie in memory, as those of a Parquet file do."""

    def __init__(self, contents: list[bytes], called: str) -> None:
        super().__init__(contents)
        self.called = called

    def name(self, _: int) -> str:
        """Returns what messages call one of them."""
        return self.called


def readings(content: bytes, path: Path) -> Iterator[tuple[str, Any]]:
    """Yields every way of reading a picture, with its name; each reads when it is called."""
    path.write_bytes(content)
    labels = np.zeros(1, np.int32)
    inside = Listing(_Contents([content], path.name), labels, ("ant",), path.parent)
    outside = Listing((path,), labels, ("ant",), path.parent)
    yield "predict", lambda: prepare(path, _GREY)
    yield "draft", lambda: Pictures(outside, (8, 8), "squash").take(np.zeros(1, np.int64))
    yield "whole", lambda: Pictures(inside, (8, 8), share=0.875, draft=False)[0]
    yield "serve", lambda: uploads._prepared(path.name, content, _GREY, USUAL)
    yield "check", lambda: _checked(path)


def _checked(path: Path) -> None:
    """Raises what `flaxmill check` says of a picture."""
    found = index(path.parent, [path.name], given=lambda _: path.read_bytes(), workers=1)
    if found.troubles:
        raise BadInput(found.troubles[0])


def outcome(content: bytes, path: Path) -> tuple[str, list[str], float]:
    """Reads a file in every way.

    Returns:
        Whether it is a picture, what should not have happened, and the seconds of a processor that
        the slowest way took.
    """
    faults, refused, slowest = [], 0, 0.0
    for name, read in readings(content, path):
        begun = time.process_time()
        try:
            read()
        except (BadInput, Refused) as error:
            refused += 1
            if path.name not in str(error):
                faults.append(f"unnamed by {name}: {error}")
        except BaseException:
            faults.append(f"traceback of {name}: {traceback.format_exc()}")
        slowest = max(slowest, time.process_time() - begun)
    came = "read" if not refused else "refused" if refused == 5 else "in part"
    return came, faults, round(slowest, 3)


class _Worker:
    """A process that reads some numbers; what it is at stands in memory that outlives it."""

    def __init__(self, seed: int, numbers: list[int], folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.numbers = numbers
        self.at, self.since = context.Value("q", 0), context.Value("d", time.time())
        self.said = context.SimpleQueue()
        given = (seed, numbers, folder, self.at, self.since, self.said)
        self.process = context.Process(target=_work, args=given, daemon=True)
        self.process.start()


def _work(seed: int, numbers: list[int], folder: Path, at: Any, since: Any, said: Any) -> None:
    """Puts what came of the files into the queue, some at a time."""
    resource.setrlimit(resource.RLIMIT_AS, (_ROOM, _ROOM))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C speak of what they meet
    path = Path(tempfile.mkdtemp(dir=folder)) / "picture 0"
    gc.freeze()  # what was imported is no garbage, and looking through it takes long
    for start in range(0, len(numbers), _AT_A_TIME):
        found: dict[str, Any] = {"counts": Counter(), "faults": [], "costs": []}
        for place in range(start, min(start + _AT_A_TIME, len(numbers))):
            at.value, since.value = place, time.time()
            kind, content = picture(seed, numbers[place])
            _forget_peak()
            came, faults, seconds = outcome(content, path)
            found["counts"][kind, came] += 1
            found["faults"] += [(numbers[place], kind, fault) for fault in faults]
            found["costs"].append((seconds, _peak(), numbers[place]))
        said.put(found)


def _forget_peak() -> None:
    """Has the system count anew how much memory this process took at most: not what was before.

    What earlier files left is given back first: an error's traceback holds a picture until the
    garbage is collected, and the C library keeps what was freed.
    """
    gc.collect()
    if _TRIM is not None:
        _TRIM(0)
    if _RESET.exists():
        _RESET.write_text("5")


def _peak() -> int:
    """Returns the MiB that this process took at most, all its libraries among them."""
    if not _RESET.exists():  # macOS, where the peak is that of the process's whole life
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 20
    found = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(found.split()[1]) >> 10


def fuzz(count: int, seed: int, *, first: int = 0, processes: int = 2) -> dict[str, Any]:
    """Reads so many files in processes of their own; returns what came of it."""
    counts: Counter[tuple[str, str]] = Counter()
    faults: list[tuple[int, str, str]] = []
    slowest: list[tuple[float, int]] = []
    largest: list[tuple[int, int]] = []
    numbers = range(first, first + count)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        workers = [_Worker(seed, list(numbers[at::processes]), folder) for at in range(processes)]
        while workers:
            time.sleep(0.05)
            for worker in list(workers):
                alive = worker.process.is_alive()  # asked before its queue is emptied
                while not worker.said.empty():
                    found = worker.said.get()
                    counts += found["counts"]
                    faults += found["faults"]
                    slowest = sorted([*slowest, *((s, n) for s, _, n in found["costs"])])[-5:]
                    largest = sorted([*largest, *((m, n) for _, m, n in found["costs"])])[-5:]
                late = time.time() - worker.since.value > _PATIENCE
                if not alive or late:
                    workers.remove(worker)
                    if why := _ended(worker, late=late):
                        number = worker.numbers[worker.at.value]
                        faults.append((number, picture(seed, number)[0], why))
                        begun = worker.at.value // _AT_A_TIME * _AT_A_TIME
                        if left := [n for n in worker.numbers[begun:] if n != number]:
                            workers.append(_Worker(seed, left, folder))
    faults += [(number, "", f"takes {took} s") for took, number in slowest if took > SECONDS]
    faults += [(number, "", f"takes {mb} MiB") for mb, number in largest if mb > MEGABYTES]
    by_format: dict[str, dict[str, int]] = {}
    for (kind, came), number in sorted(counts.items()):
        by_format.setdefault(kind, {})[came] = number
    about = {"files": count, "seed": seed, "pillow": Image.__version__, "outcomes": by_format}
    about |= {"slowest, s": slowest[::-1], "largest, MiB": largest[::-1]}
    return about | {"faults": len(faults), "shown": faults[:40]}


def _ended(worker: _Worker, *, late: bool) -> str:
    """Ends a process; returns what is wrong with the file that it was at, or nothing."""
    worker.process.kill()
    worker.process.join()
    code = worker.process.exitcode
    return "hangs" if late else f"dies of {code}" if code else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write the files there, and read none")
    given = parser.parse_args()
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
        for number in range(given.first, given.first + given.count):
            kind, content = picture(given.seed, number)
            (given.save / f"{number}.{kind.lower()}").write_bytes(content)
        sys.exit()
    found = fuzz(given.count, given.seed, first=given.first, processes=given.processes)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["faults"]))
