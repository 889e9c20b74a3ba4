"""Times the way to 90 %: the preset quick beside the plain tutorial loop.

    python benchmarks/ninety.py [--seeds 3]

Quick counts from the start of its process to its exit, the report left out; the plain loop from
the start of its process to the end of the epoch after which its test accuracy, as a mean over the
seeds, is 90.0 % for the first time, or to the end of its ten epochs if it never is. They take
turns, seed by seed, for the speed of a machine drifts. Prints JSON lines.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fashion_mnist import HERE, train
from machine import machine

from flaxmill.data import fetch

TARGET = 0.9


def quick(seed: int) -> dict[str, Any]:
    """Trains the preset; returns its test accuracy and its seconds from start to exit."""
    with tempfile.TemporaryDirectory() as folder:
        result, _ = train(Path(folder, "run"), "fashion_mnist", "--seed", str(seed))
    return {"accuracy": result["test"]["accuracy"], "seconds": result["wall_seconds"]}


def loop(seed: int) -> list[dict[str, float]]:
    """Trains ten epochs in the plain loop; returns test accuracy and seconds since its start."""
    command = [sys.executable, str(HERE / "tutorial_loop.py"), str(fetch.locate("fashion-mnist"))]
    began, epochs = time.perf_counter(), []
    with subprocess.Popen(
        [*command, "--seed", str(seed)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seconds = round(time.perf_counter() - began, 1)
            epochs.append({"accuracy": json.loads(line)["test"]["accuracy"], "seconds": seconds})
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return epochs


def compared(quicks: list[dict[str, Any]], loops: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Returns when the plain loop reached the target, and how many times as long that took.

    Args:
        quicks: For each seed, what `quick` returns.
        loops: For each seed, what `loop` returns.
    """
    means = [
        statistics.mean(one["accuracy"] for one in epoch) for epoch in zip(*loops, strict=True)
    ]
    reached = next((number for number, mean in enumerate(means, 1) if mean >= TARGET), None)
    last = (reached or len(means)) - 1
    waited = [epochs[last]["seconds"] for epochs in loops]
    pairs = zip(waited, quicks, strict=True)
    return {
        "seeds": len(quicks),
        "quick_accuracies": [one["accuracy"] for one in quicks],
        "quick_seconds": statistics.median(one["seconds"] for one in quicks),
        "plain_loop_accuracy_by_epoch": [round(mean, 4) for mean in means],
        "plain_loop_reaches_90_after_epoch": reached,
        "plain_loop_seconds_until_then": statistics.median(waited),
        "plain_loop_to_quick": round(statistics.median(w / q["seconds"] for w, q in pairs), 1),
    }


def main() -> None:
    """Trains both, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    quicks, loops = [], []
    for seed in range(parser.parse_args().seeds):
        quicks.append(quick(seed))
        loops.append(loop(seed))
        print(json.dumps({"seed": seed, "quick": quicks[-1], "loop": loops[-1]}), flush=True)
    print(json.dumps({"benchmark": "ninety", **compared(quicks, loops), "machine": machine()}))


if __name__ == "__main__":
    main()
