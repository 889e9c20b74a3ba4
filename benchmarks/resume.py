"""Kills a training run at random moments and during saves, resumes it, and compares the end.

    python benchmarks/resume.py [--random 16] [--in-save 4] [--seed 0] [--data DIR|sketches]

Prints a JSON line for each kill and one in the end. A kill is SIGKILL to the process; where that
ended before, another moment is drawn. The resumed run must end with the weights, optimizer state,
averages and log of a run that nobody disturbed. Fails (status 1) if one does not, if fewer than
``--in-save`` kills met a save, or if fewer than 3/4 of the random ones left a step to resume at.
"""

import argparse
import functools
import json
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine

from flaxmill.models import weights
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.log import CLOCK_FIELDS, read_rows

# Everything that has a state of its own is on: momentum, averages, dropout, augmentation. The
# network is narrow, so that twenty runs and their resumptions end within half an hour.
OPTIONS = shlex.split(
    "--channels 8 16 16 --flip --epochs 3 --evaluate-every 0.25 --ema 0.99 --dropout 0.1 "
    "--save-every 1 --no-report"
)


ATTEMPTS = 10  # at most, to kill a process before it ends
Kill = Callable[[subprocess.Popen[str]], None]


def command(run: Path, data: str) -> list[str]:
    """Returns the training command."""
    program = [sys.executable, "-m", "flaxmill", "train", "fashion_mnist"]
    return [*program, *OPTIONS, "--data", data, "--run", str(run)]


def ending(run: Path) -> dict[str, Any]:
    """Returns all that must be equal at the end of a run."""
    result = json.loads((run / "result.json").read_text())
    arrays, _ = Checkpoints(run / "checkpoints").restore(result["step"])
    rows = [
        {name: value for name, value in row.items() if name not in CLOCK_FIELDS}
        for row in read_rows(run / "metrics.jsonl")
    ]
    return {
        "weights_sha256": result["weights_sha256"],
        "checkpoint": weights.digest(arrays),
        "metrics": rows,
        "test": result["test"],
    }


def kill_at(process: subprocess.Popen[str], seconds: float) -> None:
    """Kills after so many seconds, or not at all if the process ends before."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def kill_in_save(process: subprocess.Popen[str], run: Path, number: int) -> None:
    """Kills while the ``number``-th save is being written."""
    seen: set[str] = set()
    while process.poll() is None:
        for partial in (run / "checkpoints").glob(".partial-*"):
            seen.add(partial.name)
            if len(seen) >= number:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return
        time.sleep(0.0005)


def moment(run: Path) -> str:
    """Says from the files how far a killed run had come."""
    if not (run / "config.json").exists():
        return "start-up"
    if list((run / "checkpoints").glob(".partial-*")):
        return "in a save"
    if not read_rows(run / "metrics.jsonl") and not Checkpoints(run / "checkpoints").steps():
        return "compilation or first steps"
    return "finished" if (run / "result.json").exists() else "training or evaluation"


def start_and_kill(run: Path, data: str, kill: Kill) -> float:
    """Starts a run and kills it, again if it ended before; returns after how many seconds."""
    for _ in range(ATTEMPTS):
        shutil.rmtree(run, ignore_errors=True)
        process = subprocess.Popen(command(run, data), stdout=subprocess.DEVNULL, text=True)
        began = time.perf_counter()
        kill(process)
        if process.returncode == -signal.SIGKILL:
            return time.perf_counter() - began
    raise RuntimeError(f"the training ended {ATTEMPTS} times before it was killed")


def trial(run: Path, data: str, expected: dict[str, Any], kill: Kill) -> dict[str, Any]:
    """Starts a run, kills it, resumes it to its end, and compares."""
    killed_at = start_and_kill(run, data, kill)
    where = moment(run)
    resumed = subprocess.run(command(run, data), capture_output=True, text=True, check=False)
    found = re.search(r"Resuming at step ([\d,]+)", resumed.stdout)
    outcome = {
        "killed_after_seconds": round(killed_at, 2),
        "during": where,
        "restored_step": int(found[1].replace(",", "")) if found else 0,
        "status": resumed.returncode,
    }
    if resumed.returncode:
        return {**outcome, "equal": False, "said": resumed.stderr[-500:]}
    end = ending(run)
    return {**outcome, "equal": end == expected, "weights_sha256": end["weights_sha256"][:16]}


def main() -> None:
    """Runs all trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=16)
    parser.add_argument("--in-save", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="fashion-mnist")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        unbroken = Path(folder, "unbroken")
        began = time.perf_counter()
        subprocess.run(command(unbroken, arguments.data), stdout=subprocess.DEVNULL, check=True)
        lasted = time.perf_counter() - began
        expected = ending(unbroken)
        run = Path(folder, "killed")
        outcomes: list[dict[str, Any]] = []

        def note(kind: str, outcome: dict[str, Any]) -> None:
            outcomes.append({"kill": kind, **outcome})
            print(json.dumps(outcomes[-1]), flush=True)

        def kill_at_random(process: subprocess.Popen[str]) -> None:
            kill_at(process, draw.uniform(0, lasted))

        for _ in range(arguments.random):
            note("random", trial(run, arguments.data, expected, kill_at_random))
        for number in range(1, arguments.in_save + 1):
            kill = functools.partial(kill_in_save, run=run, number=2 * number)
            note("in a save", trial(run, arguments.data, expected, kill))
    restored = sum(o["kill"] == "random" and o["restored_step"] > 0 for o in outcomes)
    summary = {
        "benchmark": "resume",
        "kills": len(outcomes),
        "equal": sum(o["equal"] for o in outcomes),
        "random_restored_beyond_0": restored,
        "in_a_save": sum(o["kill"] == o["during"] == "in a save" for o in outcomes),
        "unbroken_seconds": round(lasted, 1),
        "weights_sha256": expected["weights_sha256"],
        "machine": machine(),
    }
    print(json.dumps(summary))
    passed = (
        summary["equal"] == summary["kills"]
        and summary["in_a_save"] >= arguments.in_save
        and restored >= 3 / 4 * arguments.random
    )
    sys.exit(not passed)


if __name__ == "__main__":
    main()
