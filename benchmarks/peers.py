"""Times an epoch of the tutorial's training here, in PyTorch and in Keras, side by side.

    python benchmarks/peers.py --python .venv-peers/bin/python [--rounds 5] [--examples 20000]

PYTHON has torch and keras (``make bench`` sets it up). In each round every contestant is a process
that trains twice on so many examples; the second time counts, as seconds for 60,000. The
contestants take turns, for the speed of a machine drifts. Prints JSON lines.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import large_pages, machine

from flaxmill.data import fetch
from flaxmill.training.log import read_rows

HERE = Path(__file__).parent
EPOCH = 60_000
OWN = "flaxmill, article"
PLAIN = "plain loop (JAX, Flax)"
TORCH = {
    "PyTorch": [],
    "PyTorch, channels last": ["--channels-last"],
    "PyTorch, channels last, compiled": ["--channels-last", "--compile"],
}
"""The ways to train in PyTorch, and the options of each."""


def loops(python: str, *, torch: Sequence[str] = ()) -> dict[str, list[str]]:
    """Returns the commands of the plain loop and of PyTorch, without what all of them get.

    Args:
        python: An interpreter with torch.
        torch: More options of every way in PyTorch.
    """
    script = str(HERE / "peers" / "torch_cnn.py")
    ways = {name: [python, script, *options, *torch] for name, options in TORCH.items()}
    return {PLAIN: [sys.executable, str(HERE / "tutorial_loop.py")], **ways}


def wanted(peers: Mapping[str, Any], only: Sequence[str] | None) -> dict[str, Any]:
    """Returns the peers whose names hold one of these words; all of them, given none."""
    return {
        name: how for name, how in peers.items() if not only or any(word in name for word in only)
    }


def peer_seconds(command: list[str], examples: int, timeout: float | None = None) -> float:
    """Returns the seconds that a peer takes for 60,000 examples."""
    folder = str(fetch.locate("fashion-mnist"))
    command = [*command, folder, "--epochs", "2", "--examples", str(examples)]
    environment = {**large_pages(), "KERAS_BACKEND": "jax"}
    how = {"capture_output": True, "text": True, "check": True, "timeout": timeout}
    answer = subprocess.run(command, env=environment, **how)
    last = json.loads(answer.stdout.splitlines()[-1])
    return last["seconds"] * EPOCH / last["examples"]


def own_seconds(examples: int, timeout: float | None = None) -> float:
    """Returns the seconds that the preset ``article`` takes for 60,000 examples."""
    share = str(examples / EPOCH)
    options = ["--preset", "article", "--epochs", str(2 * examples / EPOCH), "--log-every", share]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "flaxmill", "train", "fashion_mnist", *options]
        command += ["--no-report", "--run", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=timeout)
        rows = [row for row in read_rows(run / "metrics.jsonl") if row["split"] == "train"]
    return EPOCH / rows[-1]["examples_per_second"]


def medians(rounds: Sequence[Mapping[str, float]], digits: int = 2) -> dict[str, float]:
    """Returns each contestant's median over the rounds."""
    return {
        name: round(statistics.median(one[name] for one in rounds), digits) for name in rounds[-1]
    }


def ratios(rounds: Sequence[Mapping[str, float]], own: str = OWN) -> dict[str, float]:
    """Returns what flaxmill takes to each contestant: medians of the rounds' ratios."""
    return {
        name: round(statistics.median(one[own] / one[name] for one in rounds), 3)
        for name in rounds[-1]
        if name != own
    }


def main() -> None:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="an interpreter with torch and keras")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", help="contestants whose names hold one of these")
    arguments = parser.parse_args()
    keras = {"Keras on JAX": [arguments.python, str(HERE / "peers" / "keras_cnn.py")]}
    peers = wanted(loops(arguments.python) | keras, arguments.only)
    rounds = []
    for _ in range(arguments.rounds):
        seconds = {OWN: own_seconds(arguments.examples)}
        seconds |= {name: peer_seconds(peers[name], arguments.examples) for name in peers}
        rounds.append(seconds)
        print(json.dumps({name: round(value, 2) for name, value in seconds.items()}), flush=True)
    summary = {
        "benchmark": "peers",
        "rounds": len(rounds),
        "seconds_an_epoch": medians(rounds),
        "flaxmill_to": ratios(rounds),
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
