"""Times the streaming gear beside the resident one, on the presets of Fashion-MNIST.

    python benchmarks/streaming.py [--pairs 5] [--examples 20000] [--data fashion-mnist]

Each run is a process of its own that trains on so many examples twice; the second time counts, from
its row of training figures, so that neither start nor compilation nor evaluation does. In each pair
the gears go there and back again, for the speed of a machine drifts. Prints JSON lines.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from fashion_mnist import train
from machine import machine

from flaxmill.data.known.real_or_drawn import TRAIN

PRESETS = ("quick", "article")
GEARS = ("resident", "streaming")


def examples_per_second(preset: str, gear: str, examples: int, data: str) -> float:
    """Trains in one gear; returns the throughput of the second half."""
    options = ["--preset", preset, "--gear", gear, "--data", data]
    options += ["--epochs", str(2 * examples / TRAIN), "--log-every", str(examples / TRAIN)]
    # Nothing is held out, so that nothing is evaluated on the way; and nothing is saved.
    options += ["--validation", "0", "--evaluate-on", "validation", "--save-every", "1000"]
    with tempfile.TemporaryDirectory() as folder:
        _, rows = train(Path(folder, "run"), "fashion_mnist", *options)
    return [row for row in rows if row["split"] == "train"][-1]["examples_per_second"]


def pair(preset: str, examples: int, data: str) -> dict[str, float]:
    """Returns the throughput of both gears, each a mean of two runs: there and back."""
    there = {gear: examples_per_second(preset, gear, examples, data) for gear in GEARS}
    back = {gear: examples_per_second(preset, gear, examples, data) for gear in reversed(GEARS)}
    return {gear: statistics.harmonic_mean([there[gear], back[gear]]) for gear in GEARS}


def main() -> None:
    """Runs the pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--data", default="fashion-mnist")
    arguments = parser.parse_args()
    rates: dict[str, dict[str, int]] = {}
    ratios: dict[str, float] = {}
    for preset in PRESETS:
        pairs = []
        for _ in range(arguments.pairs):
            pairs.append(pair(preset, arguments.examples, arguments.data))
            row = {gear: round(rate) for gear, rate in pairs[-1].items()}
            print(json.dumps({"preset": preset, **row}), flush=True)
        rates[preset] = {gear: round(statistics.median(p[gear] for p in pairs)) for gear in GEARS}
        ratios[preset] = round(statistics.median(p["streaming"] / p["resident"] for p in pairs), 3)
    summary = {
        "benchmark": "streaming",
        "pairs": arguments.pairs,
        "examples_per_second": rates,
        "streaming_to_resident": ratios,
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
