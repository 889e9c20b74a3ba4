"""Tries thousands of damaged files in processes of their own, and says what came of each.

What is tried is a function of (seed, number) that `fuzz_pictures` and `fuzz_files` give.
"""

import ctypes
import gc
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tried = tuple[str, str, list[str], float]
"""The kind of a file, what came of it, what should not have happened, and seconds."""
_AT_A_TIME = 100  # files, after which a process says what came of them
_OF_ONE = 400  # files, after which another process goes on: what was compiled takes memory
_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # of Linux


@dataclass(frozen=True)
class Trial:
    """How a file is tried.

    Attributes:
        attempt: Tries the file of a seed and number, in a folder of the process's own, beside the
            bases. It calls `forget_peak` once the file is made.
        kind: Returns the kind of the file of a seed and number.
        seconds: That one may take.
        megabytes: That the process may take with it, MiB.
        patience: Seconds after which a process is killed.
        room: Which limit of the process keeps a bomb from taking the machine along, and bytes.
        bases: Makes what all attempts begin with, in a folder.
    """

    attempt: Callable[[int, int, Path], Tried]
    kind: Callable[[int, int], str]
    seconds: float
    megabytes: int
    patience: float
    room: tuple[int, int]
    bases: Callable[[Path], None] = lambda folder: None


class _Worker:
    """A process that tries some numbers; what it is at stands in memory that outlives it."""

    def __init__(self, trial: Trial, seed: int, numbers: list[int], folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.numbers = numbers
        self.at, self.since = context.Value("q", 0), context.Value("d", time.time())
        self.said = context.SimpleQueue()
        how = (trial.attempt, trial.room)
        given = (*how, seed, numbers, folder, self.at, self.since, self.said)
        self.process = context.Process(target=_work, args=given, daemon=True)
        self.process.start()


def _work(
    attempt: Callable[[int, int, Path], Tried],
    room: tuple[int, int],
    seed: int,
    numbers: list[int],
    folder: Path,
    at: Any,
    since: Any,
    said: Any,
) -> None:
    """Puts what came of the files into the queue, some at a time."""
    resource.setrlimit(room[0], (room[1], room[1]))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C speak of what they meet
    place = Path(tempfile.mkdtemp(dir=folder))
    gc.freeze()  # what was imported is no garbage, and looking through it takes long
    for start in range(0, len(numbers), _AT_A_TIME):
        found: dict[str, Any] = {"counts": Counter(), "faults": [], "costs": []}
        for index in range(start, min(start + _AT_A_TIME, len(numbers))):
            at.value, since.value = index, time.time()
            kind, came, faults, seconds = attempt(seed, numbers[index], place)
            found["counts"][kind, came] += 1
            found["faults"] += [(numbers[index], kind, fault) for fault in faults]
            found["costs"].append((seconds, _peak(), numbers[index]))
        said.put(found)


def forget_peak() -> None:
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


def fuzz(trial: Trial, numbers: Sequence[int], seed: int, *, processes: int = 2) -> dict[str, Any]:
    """Tries the files of some numbers; returns what came of it."""
    counts: Counter[tuple[str, str]] = Counter()
    faults: list[tuple[int, str, str]] = []
    slowest: list[tuple[float, int]] = []
    largest: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        trial.bases(folder)
        waiting = [list(numbers[at : at + _OF_ONE]) for at in range(0, len(numbers), _OF_ONE)]
        workers: list[_Worker] = []
        while workers or waiting:
            while waiting and len(workers) < processes:
                workers.append(_Worker(trial, seed, waiting.pop(0), folder))
            time.sleep(0.05)
            for worker in list(workers):
                alive = worker.process.is_alive()  # asked before its queue is emptied
                while not worker.said.empty():
                    found = worker.said.get()
                    counts += found["counts"]
                    faults += found["faults"]
                    slowest = sorted([*slowest, *((s, n) for s, _, n in found["costs"])])[-5:]
                    largest = sorted([*largest, *((m, n) for _, m, n in found["costs"])])[-5:]
                late = time.time() - worker.since.value > trial.patience
                if not alive or late:
                    workers.remove(worker)
                    if why := _ended(worker, late=late):
                        number = worker.numbers[worker.at.value]
                        faults.append((number, trial.kind(seed, number), why))
                        begun = worker.at.value // _AT_A_TIME * _AT_A_TIME
                        if left := [n for n in worker.numbers[begun:] if n != number]:
                            workers.append(_Worker(trial, seed, left, folder))
    faults += [(number, "", f"takes {took} s") for took, number in slowest if took > trial.seconds]
    faults += [(number, "", f"takes {mb} MiB") for mb, number in largest if mb > trial.megabytes]
    by_kind: dict[str, dict[str, int]] = {}
    for (kind, came), number in sorted(counts.items()):
        by_kind.setdefault(kind, {})[came] = number
    about = {"files": len(numbers), "seed": seed, "outcomes": by_kind}
    about |= {"slowest, s": slowest[::-1], "largest, MiB": largest[::-1]}
    return about | {"faults": len(faults), "shown": faults[:40]}


def _ended(worker: _Worker, *, late: bool) -> str:
    """Ends a process; returns what is wrong with the file that it was at, or nothing."""
    worker.process.kill()
    worker.process.join()
    code = worker.process.exitcode
    return "hangs" if late else f"dies of {code}" if code else ""
