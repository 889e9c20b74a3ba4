"""Times an epoch of the tutorial's training here, in PyTorch and in Keras, side by side.

    python benchmarks/peers.py --python .venv-peers/bin/python [--rounds 5] [--examples 20000]

PYTHON has torch and keras (``make bench`` sets it up). In each round every contestant is a process
that trains twice on so many examples; the second time counts, as seconds for 60,000. The
contestants take turns, for the speed of a machine drifts. Prints JSON lines.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine

from flaxmill.data import fetch
from flaxmill.log import read_rows

HERE = Path(__file__).parent
EPOCH = 60_000


def contestants(python: str) -> dict[str, list[str]]:
    """Returns the command of each peer, without what all of them get."""
    torch, keras = (str(HERE / "peers" / f"{name}_cnn.py") for name in ("torch", "keras"))
    return {
        "plain loop (JAX, Flax)": [sys.executable, str(HERE / "tutorial_loop.py")],
        "PyTorch": [python, torch],
        "PyTorch, channels last": [python, torch, "--channels-last"],
        "PyTorch, channels last, compiled": [python, torch, "--channels-last", "--compile"],
        "Keras on JAX": [python, keras],
    }


def peer_seconds(command: list[str], examples: int) -> float:
    """Returns the seconds that a peer takes for 60,000 examples."""
    folder = str(fetch.locate("fashion-mnist"))
    command = [*command, folder, "--epochs", "2", "--examples", str(examples)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    last = json.loads(answer.stdout.splitlines()[-1])
    return last["seconds"] * EPOCH / last["examples"]


def own_seconds(examples: int) -> float:
    """Returns the seconds that the preset ``article`` takes for 60,000 examples."""
    share = str(examples / EPOCH)
    options = ["--preset", "article", "--epochs", str(2 * examples / EPOCH), "--log-every", share]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "flaxmill", "train", "fashion_mnist", *options]
        command += ["--no-report", "--run", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = [row for row in read_rows(run / "metrics.jsonl") if row["split"] == "train"]
    return EPOCH / rows[-1]["examples_per_second"]


def main() -> None:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="an interpreter with torch and keras")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", help="contestants whose names hold one of these")
    arguments = parser.parse_args()
    peers = {
        name: command
        for name, command in contestants(arguments.python).items()
        if not arguments.only or any(word in name for word in arguments.only)
    }
    rounds = []
    for _ in range(arguments.rounds):
        seconds = {"flaxmill, article": own_seconds(arguments.examples)}
        seconds |= {name: peer_seconds(peers[name], arguments.examples) for name in peers}
        rounds.append(seconds)
        print(json.dumps({name: round(value, 2) for name, value in seconds.items()}), flush=True)
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    ratios = {
        name: round(statistics.median(one["flaxmill, article"] / one[name] for one in rounds), 3)
        for name in peers
    }
    summary = {
        "benchmark": "peers",
        "rounds": len(rounds),
        "seconds_an_epoch": {name: round(value, 2) for name, value in medians.items()},
        "flaxmill_to": ratios,
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
