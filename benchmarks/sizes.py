"""Times the tutorial's training on larger pictures, here and in PyTorch, side by side.

    python benchmarks/sizes.py --python .venv-peers/bin/python [--rounds 3] [--sizes 28 56 112 224]

PYTHON has torch. The tutorial says that JAX gains most on large inputs. Its network and training
(batches of 32, float32, data in memory) get Fashion-MNIST's pictures enlarged: each pixel becomes a
square of pixels. Twice the side is four times the work, so a quarter of the examples.

In each round every contestant is a process that trains twice on so many examples; the second time
counts, as milliseconds an example. The contestants take turns, for the speed of a machine drifts.
The learning rate is far below the tutorial's for all of them, so that the loss stays finite on the
largest pictures: time is all that counts here, and what is learned is not. Prints JSON lines.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import large_pages, machine
from peers import EPOCH, OWN, loops, medians, peer_seconds, ratios
from tutorial_loop import BATCH, TEST, enlarged

from flaxmill.commands import cli
from flaxmill.data import fetch
from flaxmill.data.known.idx import CLASS_NAMES, read_fashion_mnist
from flaxmill.data.source import Arrays, Splits, hold_out
from flaxmill.recipes import fashion_mnist
from flaxmill.training.log import read_rows

SIDE = 28
FEWEST = 10 * BATCH


def examples_for(scale: int, examples: int) -> int:
    """Returns how many examples are trained on: as much work at every scale, in whole batches."""
    return max(FEWEST, examples // scale**2 // BATCH * BATCH)


def train_here(scale: int, examples: int, learning_rate: float, run: str) -> None:
    """Trains the preset ``article`` on enlarged pictures twice, in this process."""

    @functools.cache
    def data(config: fashion_mnist.Config) -> Splits:
        found = read_fashion_mnist(fetch.locate("fashion-mnist"))
        train, nothing = hold_out(Arrays(enlarged(found.train, scale, examples)), 0)
        return Splits(
            title=f"Fashion-MNIST at {SIDE * scale} pixels",
            train=train,
            validation=nothing,
            test=Arrays(enlarged(found.test, scale, TEST // scale**2)),
            labels=CLASS_NAMES,
        )

    fashion_mnist.data = data  # pyrefly: ignore[bad-assignment]
    share = examples / len(data(fashion_mnist.PRESETS["article"]).train)
    options = ["--preset", "article", "--learning-rate", str(learning_rate), "--no-report"]
    options += ["--epochs", str(2 * share), "--log-every", str(share)]
    # Nothing is evaluated on the way, and nothing is saved.
    options += ["--evaluate-on", "validation", "--save-every", "1000"]
    cli.main(["train", "fashion_mnist", *options, "--run", run])


def own_milliseconds(scale: int, examples: int, learning_rate: float) -> float:
    """Returns the milliseconds that flaxmill takes for an example."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, __file__, "--own", str(scale), "--run", str(run)]
        command += ["--examples", str(examples), "--learning-rate", str(learning_rate)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=large_pages())
        rows = [row for row in read_rows(run / "metrics.jsonl") if row["split"] == "train"]
    return 1000 / rows[-1]["examples_per_second"]


def one_round(python: str, scale: int, examples: int, learning_rate: float) -> dict[str, float]:
    """Returns the milliseconds that each contestant takes for an example."""
    more = ["--scale", str(scale), "--learning-rate", str(learning_rate)]
    found = {OWN: own_milliseconds(scale, examples, learning_rate)}
    for name, command in loops(python).items():
        found[name] = 1000 * peer_seconds([*command, *more], examples) / EPOCH
    return found


def main() -> None:
    """Runs the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="an interpreter with torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[28, 56, 112, 224])
    parser.add_argument("--examples", type=int, default=20_000, help="of those that stay as small")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--own", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.own:
        train_here(arguments.own, arguments.examples, arguments.learning_rate, arguments.run)
        return
    if not arguments.python or any(size % SIDE or size < SIDE for size in arguments.sizes):
        parser.error(f"give --python, and --sizes that are whole multiples of {SIDE}")
    counts = {size: examples_for(size // SIDE, arguments.examples) for size in arguments.sizes}
    rounds: dict[int, list[dict[str, float]]] = {size: [] for size in counts}
    for _ in range(arguments.rounds):
        for size, examples in counts.items():
            found = one_round(arguments.python, size // SIDE, examples, arguments.learning_rate)
            rounds[size].append(found)
            told = {name: round(value, 3) for name, value in found.items()}
            print(json.dumps({"size": size, "examples": examples, **told}), flush=True)
    summary = {
        "benchmark": "sizes",
        "rounds": arguments.rounds,
        "learning_rate": arguments.learning_rate,
        "examples": counts,
        "sizes": {size: medians(found, 3) for size, found in rounds.items()},
        "flaxmill_to": {size: ratios(found) for size, found in rounds.items()},
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
