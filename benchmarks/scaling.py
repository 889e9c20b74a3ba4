"""What a step, the start and the memory cost, against the size of data and model, and in bfloat16.

    python benchmarks/scaling.py [--rounds 3] [--only WORD …]

Data is drawn garments, since there are any number of them: all in memory, or each drawn when a step
asks for it. Each case is a process of its own that trains a few hundred steps; the second half of
them counts. In each round the cases go there and back again, for the speed of a machine drifts.
Prints JSON lines.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import machine

from flaxmill.commands import cli
from flaxmill.data.sketches import CLASSES, TEST_FIRST, Sketches
from flaxmill.data.source import Arrays, Splits, hold_out
from flaxmill.recipes import fashion_mnist
from flaxmill.training.log import read_rows

STEPS = 400
TEST = 1000


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        examples: Training examples.
        stored: Whether they lie in memory, or are drawn when asked for.
        preset: Of the recipe.
        options: Beside the preset.
    """

    examples: int = 60_000
    stored: bool = True
    preset: str = "quick"
    options: tuple[str, ...] = ()


HALF = ("--precision", "bfloat16")
CASES = {
    "6,000 examples in memory": Case(6_000),
    "60,000 examples in memory": Case(),
    "600,000 examples in memory": Case(600_000),
    "60,000 examples drawn when asked for": Case(stored=False),
    "600,000 examples drawn when asked for": Case(600_000, stored=False),
    "10⁹ examples drawn when asked for": Case(10**9, stored=False),
    "channels 16, 16, 32": Case(options=("--channels", "16", "16", "32")),
    "channels 64, 64, 128": Case(options=("--channels", "64", "64", "128")),
    "channels 128, 128, 256": Case(options=("--channels", "128", "128", "256")),
    "bfloat16": Case(options=HALF),
    "article": Case(preset="article"),
    "article in bfloat16": Case(preset="article", options=HALF),
}
"""By name; what a name does not say is the preset quick, 60,000 examples in memory, float32."""


def drawn(case: Case) -> Callable[[fashion_mnist.Config], Splits]:
    """Returns what stands in for the recipe's ``data``."""

    @functools.cache
    def data(config: fashion_mnist.Config) -> Splits:
        train, test = Sketches(case.examples), Sketches(TEST, first=TEST_FIRST)
        stored = Arrays(train.take(np.arange(case.examples))) if case.stored else train
        trained, nothing = hold_out(stored, 0)
        return Splits(
            title=f"{case.examples:,} drawn garments",
            train=trained,
            validation=nothing,
            test=Arrays(test.take(np.arange(TEST))),
            labels=CLASSES,
            drawn=True,
        )

    return data


def train_here(case: Case, run: str) -> None:
    """Trains a case in this process."""
    fashion_mnist.data = drawn(case)  # pyrefly: ignore[bad-assignment]
    config = fashion_mnist.PRESETS[case.preset]
    epochs = STEPS * config.batch_size / case.examples
    options = ["--preset", case.preset, "--epochs", str(epochs), "--log-every", str(epochs / 2)]
    options += ["--validation", "0", "--evaluate-on", "validation", "--save-every", "1000"]
    cli.main(["train", "fashion_mnist", *options, *case.options, "--run", run, "--no-report"])


def measured(name: str) -> dict[str, float]:
    """Trains a case in a process of its own; returns what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, __file__, "--case", name, "--run", str(run)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        result = json.loads((run / "result.json").read_text())
        rows = [row for row in read_rows(run / "metrics.jsonl") if row["split"] == "train"]
    batch_size = fashion_mnist.PRESETS[CASES[name].preset].batch_size
    return {
        "parameters": result["parameters"],
        "step_milliseconds": 1000 * batch_size / rows[-1]["examples_per_second"],
        "start_seconds": sum(result["seconds"][phase] for phase in ("import", "data", "compile")),
        "peak_memory_mib": usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
    }


def main() -> None:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="cases whose names hold one of these")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        train_here(CASES[arguments.case], arguments.run)
        return
    only = arguments.only or [""]
    names = [name for name in CASES if any(word in name for word in only)]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(arguments.rounds):
        for name in (*names, *reversed(names)):
            found[name].append(measured(name))
            print(json.dumps({"case": name, **found[name][-1]}), flush=True)
    cases = {
        name: {
            figure: round(statistics.median(one[figure] for one in several), 2)
            for figure in several[0]
        }
        for name, several in found.items()
    }
    print(json.dumps({"benchmark": "scaling", "cases": cases, "machine": machine()}))


if __name__ == "__main__":
    main()
