"""Trains Fashion-MNIST's presets over fixed seeds, and times them beside the plain tutorial loop.

    python benchmarks/fashion_mnist.py accuracy --preset quick --seeds 5
    python benchmarks/fashion_mnist.py accuracy --preset best --seeds 1 --runs runs/best
    python benchmarks/fashion_mnist.py speed [--pairs 3]

Each seed is a process of its own, whose test set is read as its preset says. Prints JSON lines.
With --runs, the runs stay in that folder, and those that were stopped are gone on with: a preset
that takes hours may be measured in pieces. Its seconds are then those of the pieces together.
The speed of an epoch is the second one's in a process, compilation and evaluation left out; the
contestants take turns, for the speed of a machine drifts.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import large_pages, machine

from flaxmill.data import fetch
from flaxmill.training.log import read_rows

HERE = Path(__file__).parent


def train(run: Path, recipe: str, *options: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Trains in a process of its own; returns its result, and its seconds in all, and its log."""
    command = [sys.executable, "-m", "flaxmill", "train", recipe, "--run", str(run), "--no-report"]
    began = time.perf_counter()
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
    wall = round(time.perf_counter() - began, 2)
    result = json.loads((run / "result.json").read_text())
    return {**result, "wall_seconds": wall}, read_rows(run / "metrics.jsonl")


def accuracy(
    preset: str,
    seeds: int,
    options: list[str],
    runs: Path | None = None,
    recipe: str = "fashion_mnist",
) -> dict[str, Any]:
    """Trains seeds 0, 1, …; returns mean and standard deviation of the test accuracy.

    Args:
        preset: Of the recipe.
        seeds: How many.
        options: Of the command, beside the preset and the seed.
        runs: The folder that keeps the runs, and may have begun ones; None keeps none.
        recipe: What is trained.
    """
    outcomes = []
    for seed in range(seeds):
        kept = contextlib.nullcontext(runs) if runs else tempfile.TemporaryDirectory()
        with kept as folder:
            chosen = ("--preset", preset, "--seed", str(seed), *options)
            result, rows = train(Path(folder, f"{preset}-{seed}"), recipe, *chosen)
        if runs:  # what this process took may be the last piece alone
            result["wall_seconds"] = round(result["seconds"]["total"], 2)
        last = [row for row in rows if row["split"] == "train"][-1]
        outcome = {
            "preset": preset,
            "seed": seed,
            "train_accuracy": round(last["accuracy"], 4),
            "test_accuracy": result["test"]["accuracy"],
            "test_loss": round(result["test"]["loss"], 4),
            "seconds": result["seconds"],
            "wall_seconds": result["wall_seconds"],
            "weights_sha256": result["weights_sha256"],
        }
        outcomes.append(outcome)
        print(json.dumps(outcome), flush=True)
    tested = [outcome["test_accuracy"] for outcome in outcomes]
    return {
        "benchmark": "accuracy" if recipe == "fashion_mnist" else f"{recipe} accuracy",
        "preset": preset,
        "seeds": seeds,
        "test_accuracy_mean": round(statistics.mean(tested), 4),
        "test_accuracy_sd": round(statistics.stdev(tested), 4) if seeds > 1 else None,
        "test_accuracy_lowest": min(tested),
        "train_accuracies": [outcome["train_accuracy"] for outcome in outcomes],
        "seconds_median": statistics.median(o["wall_seconds"] for o in outcomes),
    }


def second_epoch(recipe: str) -> float:
    """Returns the seconds that 60,000 training examples take, after a first epoch."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--preset", "article", "--epochs", "2")
        _, rows = train(Path(folder, "run"), recipe, *options)
    last = [row for row in rows if row["split"] == "train"][-1]
    return 60_000 / last["examples_per_second"]


def tutorial_epoch() -> float:
    """Returns the same for the plain loop."""
    command = [sys.executable, str(HERE / "tutorial_loop.py"), str(fetch.locate("fashion-mnist"))]
    how = {"capture_output": True, "text": True, "check": True, "env": large_pages()}
    answer = subprocess.run([*command, "--epochs", "2"], **how)
    return json.loads(answer.stdout.splitlines()[-1])["seconds"]


def speed(pairs: int) -> dict[str, Any]:
    """Times the article preset, the Linen example and the plain loop in turn.

    The two that are nearly equal go there and back again, so that a drift of the machine's speed
    meets both alike.
    """
    recipes = {"article": "fashion_mnist", "linen_cnn": str(HERE.parent / "examples/linen_cnn.py")}
    rounds = []
    for _ in range(pairs):
        seconds = {"tutorial_loop": tutorial_epoch()}
        there = {name: second_epoch(recipe) for name, recipe in recipes.items()}
        back = {name: second_epoch(recipes[name]) for name in reversed(recipes)}
        seconds |= {name: (there[name] + back[name]) / 2 for name in recipes}
        rounds.append(seconds)
        print(json.dumps({name: round(value, 2) for name, value in seconds.items()}), flush=True)

    def ratio(name: str, to: str) -> float:
        return round(statistics.median(one[name] / one[to] for one in rounds), 3)

    return {
        "benchmark": "speed",
        "pairs": pairs,
        "seconds_an_epoch": {
            name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]
        },
        "article_to_tutorial_loop": ratio("article", "tutorial_loop"),
        "linen_cnn_to_article": ratio("linen_cnn", "article"),
    }


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("accuracy", "speed"))
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    arguments, options = parser.parse_known_args()
    if arguments.what == "accuracy":
        summary = accuracy(arguments.preset, arguments.seeds, options, arguments.runs)
    else:
        summary = speed(arguments.pairs)
    print(json.dumps({**summary, "machine": machine()}))


if __name__ == "__main__":
    main()
