"""Trains presets of cifar10 and mnist over fixed seeds; times quick of cifar10 beside PyTorch.

    python benchmarks/cifar10.py accuracy [--recipe mnist] [--seeds 3] [--runs runs/cifar10]
    python benchmarks/cifar10.py speed --python .venv-peers/bin/python [--rounds 3]

PYTHON has torch (``make bench`` sets it up). Each seed is a process of its own, whose test set is
read once, at its end; with --runs, runs stay in that folder and are gone on with. The speed is that
of the second of two parts of an epoch in a process, compilation left out; the contestants take
turns, for the speed of a machine drifts. A command of flaxmill asks Linux for large memory pages,
which PyTorch does not by itself: each of its ways is timed as it is, and with those too.
Prints JSON lines.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fashion_mnist import accuracy
from machine import large_pages, machine
from peers import HERE, TORCH, medians, ratios, wanted

from flaxmill.data import fetch
from flaxmill.recipes import cifar10
from flaxmill.training.log import read_rows

EPOCH = 50_000
OWN = "flaxmill, quick"
SHARED = ["channels", "residual", "batch_size", "shift", "scale", "label_smoothing"]
SHARED += ["learning_rate", "dense_rate", "bias_rate", "momentum"]
"""Fields of the preset that the network in PyTorch is trained with too."""


def own_seconds(data: str, examples: int) -> float:
    """Returns the seconds that the preset quick takes for an epoch."""
    length = examples / len(cifar10.data(cifar10.Config(data=data, validation=0)).train)
    share = ["--epochs", str(2 * length), "--log-every", str(length), "--evaluate-every", "100"]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "flaxmill", "train", "cifar10", "--data", data, *share]
        command += ["--validation", "0", "--views", "one", "--no-report", "--run", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = [row for row in read_rows(run / "metrics.jsonl") if row["split"] == "train"]
    return EPOCH / rows[-1]["examples_per_second"]


def torch_seconds(
    command: list[str], data: str, examples: int, environment: dict[str, str]
) -> float:
    """Returns the same for a way to train in PyTorch."""
    config = cifar10.PRESETS["quick"]
    options = [data, "--examples", str(examples), "--epochs", "2"]
    for name in SHARED:
        value = getattr(config, name)
        values = value if isinstance(value, tuple) else (value,)
        options += ["--" + name.replace("_", "-"), *map(str, values)]
    how: dict[str, Any] = {"capture_output": True, "text": True, "check": True}
    answer = subprocess.run([*command, *options], env=environment, **how)
    last = json.loads(answer.stdout.splitlines()[-1])
    return last["seconds"] * EPOCH / last["examples"]


def speed(python: str, data: str, rounds: int, examples: int, only: list[str]) -> dict[str, Any]:
    """Times an epoch in turn."""
    script = [python, str(HERE / "peers" / "torch_cifar.py")]
    pages: dict[str, dict[str, str]] = {"": dict(os.environ), ", large pages": large_pages()}
    ways = {
        name + more: ([*script, *options], environment)
        for more, environment in pages.items()
        for name, options in TORCH.items()
    }
    peers = wanted(ways, only)
    found = []
    for _ in range(rounds):
        seconds = {OWN: own_seconds(data, examples)}
        for name, (command, environment) in peers.items():
            seconds[name] = torch_seconds(command, data, examples, environment)
        found.append(seconds)
        print(json.dumps({name: round(value, 1) for name, value in seconds.items()}), flush=True)
    return {
        "benchmark": "cifar10 speed",
        "rounds": rounds,
        "examples": examples,
        "seconds_an_epoch": medians(found, 1),
        "flaxmill_to": ratios(found, OWN),
    }


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("accuracy", "speed"))
    parser.add_argument("--recipe", choices=("cifar10", "mnist"), default="cifar10")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--data", help="the folder of CIFAR-10, for speed")
    parser.add_argument("--python", help="an interpreter with torch, for speed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--only", nargs="*", help="contestants whose names hold one of these")
    arguments, options = parser.parse_known_args()
    if arguments.what == "accuracy":
        options += ["--data", arguments.data] if arguments.data else []
        recipe = arguments.recipe
        summary = accuracy(arguments.preset, arguments.seeds, options, arguments.runs, recipe)
    elif not arguments.python:
        parser.error("speed needs --python")
    else:
        data = str(arguments.data or fetch.locate("cifar-10"))
        counts = (arguments.rounds, arguments.examples)
        summary = speed(arguments.python, data, *counts, arguments.only)
    print(json.dumps({**summary, "machine": machine()}))


if __name__ == "__main__":
    main()
