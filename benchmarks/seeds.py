"""Trains several seeds at once and one after another, and compares times, accuracies and weights.

    python benchmarks/seeds.py [--seeds 4] [--rounds 2] [--preset quick] [FIELDS OF THE CONFIG]

Every training is a process of its own, timed from start to exit, the report left out. The two ways
take turns, and the order of the turns changes from round to round, for the speed of a machine
drifts. Weights are compared after the 20 steps of runs that are so long. Prints JSON lines; fails
(status 1) if those weights differ by more than 1e-5, or if training at once took longer.
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

import numpy as np
from machine import machine

from flaxmill import recipes
from flaxmill.training.checkpoint import Checkpoints

STEPS = 20


def train(run: Path, *options: str) -> tuple[dict[str, Any], float]:
    """Trains in a process of its own; returns its result, and its seconds from start to exit."""
    command = [sys.executable, "-m", "flaxmill", "train", "fashion_mnist", "--run", str(run)]
    began = time.perf_counter()
    subprocess.run([*command, "--no-report", *options], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    return json.loads((run / "result.json").read_text()), seconds


def at_once(folder: Path, seeds: int, options: list[str]) -> dict[str, Any]:
    """Trains all seeds in one run."""
    result, seconds = train(folder / "at-once", "--seeds", str(seeds), *options)
    return {
        "way": "at once",
        "seconds": round(seconds, 1),
        "test_accuracies": [one["test"]["accuracy"] for one in result["seeds"]],
        "ensemble_accuracy": result["test"]["accuracy"],
        "weights_sha256": [one["weights_sha256"] for one in result["seeds"]],
        "phases": result["seconds"],
    }


def in_turn(folder: Path, seeds: int, options: list[str]) -> dict[str, Any]:
    """Trains each seed in a run of its own."""
    runs = [train(folder / str(seed), "--seed", str(seed), *options) for seed in range(seeds)]
    results = [result for result, _ in runs]
    return {
        "way": "in turn",
        "seconds": round(sum(seconds for _, seconds in runs), 1),
        "test_accuracies": [result["test"]["accuracy"] for result in results],
        "weights_sha256": [result["weights_sha256"] for result in results],
        "phases": [result["seconds"] for result in results],
    }


def largest_difference(folder: Path, seeds: int, preset: str, options: list[str]) -> float:
    """Returns how far weights, optimizer and averages are apart after the first steps, at most."""
    config = recipes.load("fashion_mnist").module.PRESETS[preset]
    epochs = STEPS * config.batch_size / 50_000  # 10,000 of the 60,000 examples are held out
    short = [*options, "--epochs", str(epochs), "--validation", "10000"]
    at_once(folder, seeds, short)
    in_turn(folder, seeds, short)
    together, step = last(folder / "at-once")
    assert step == STEPS, step
    found = []
    for seed in range(seeds):
        for name, array in last(folder / str(seed))[0].items():
            if np.issubdtype(array.dtype, np.floating):
                found.append(np.abs(together[name][seed] - array).max())
    return float(max(found))


def last(run: Path) -> tuple[dict[str, np.ndarray], int]:
    """Returns the arrays of a run's last checkpoint, and its step."""
    checkpoints = Checkpoints(run / "checkpoints")
    return checkpoints.restore(checkpoints.steps()[-1])[0], checkpoints.steps()[-1]


def main() -> None:
    """Trains both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--preset", default="quick")
    arguments, options = parser.parse_known_args()
    options += ["--preset", arguments.preset]
    rounds: dict[str, list[dict[str, Any]]] = {"at once": [], "in turn": []}
    for number in range(arguments.rounds):
        ways = [at_once, in_turn]
        for way in ways if number % 2 == 0 else reversed(ways):
            with tempfile.TemporaryDirectory() as folder:
                outcome = way(Path(folder), arguments.seeds, options)
            rounds[outcome["way"]].append(outcome)
            print(json.dumps(outcome), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        short = (arguments.seeds, arguments.preset, options)
        difference = largest_difference(Path(folder), *short)
    seconds = {way: [one["seconds"] for one in found] for way, found in rounds.items()}
    each = {way: found[0]["test_accuracies"] for way, found in rounds.items()}
    pairs = zip(*seconds.values(), strict=True)
    ratio = round(statistics.median(once / turn for once, turn in pairs), 3)
    digests = {tuple(one["weights_sha256"]) for found in rounds.values() for one in found}
    summary = {
        "benchmark": "seeds",
        "preset_trained": arguments.preset,
        "seeds": arguments.seeds,
        "rounds": arguments.rounds,
        "seconds_at_once": statistics.median(seconds["at once"]),
        "seconds_in_turn": statistics.median(seconds["in turn"]),
        "at_once_to_in_turn": ratio,
        "accuracies_at_once": each["at once"],
        "accuracies_in_turn": each["in turn"],
        "ensemble_accuracy": rounds["at once"][0]["ensemble_accuracy"],
        "largest_difference_after_20_steps": difference,
        "same_weights_at_the_end": len(digests) == 1,
        "machine": machine(),
    }
    print(json.dumps(summary))
    sys.exit(difference > 1e-5 or ratio > 1)


if __name__ == "__main__":
    main()
