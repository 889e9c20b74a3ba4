"""Trains on pictures from files for `benchmarks/input.py`, which measures how much memory it takes.

    cd benchmarks && python -m reading.memory PLAN.json RUN

A small network of the recipe fashion_mnist sees each picture of the plan once, streamed as any
training streams them.
"""

import json
import sys
from pathlib import Path

from reading.ways import listed

from flaxmill.commands import cli
from flaxmill.data.folder import Pictures
from flaxmill.data.source import Splits, part
from flaxmill.recipes import fashion_mnist

OPTIONS = (
    *("--epochs", "1", "--batch-size", "32", "--channels", "4", "4", "4", "--log-every", "0.1"),
    *("--validation", "0", "--evaluate-on", "validation", "--gear", "streaming", "--no-report"),
)


def main() -> None:
    """Trains."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    listing = listed(plan["files"], plan["passes"])
    pictures = Pictures(listing, (plan["size"], plan["size"]), "squash")
    few = part(pictures, 0, len(plan["files"]))
    splits = Splits("pictures", pictures, part(few, 0, 0), few, labels=("any", "other"))
    fashion_mnist.data = lambda config: splits  # pyrefly: ignore[bad-assignment]
    workers = ("--readers", str(plan["workers"]))
    cli.main(["train", "fashion_mnist", *OPTIONS, *workers, "--run", sys.argv[2]])


if __name__ == "__main__":
    main()
