"""Takes the choices of a preset back one by one, and says what each is worth.

    python benchmarks/choices.py [--preset quick] [--seeds 4]

Trains on the validation split alone: the accuracies here chose the preset, and the test set did
not. The seeds are others than those of the published accuracies. Prints JSON lines.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from fashion_mnist import train
from machine import machine

FIRST_SEED = 100
SGD = "--optimizer sgd --weight-decay 5e-4"
TUTORIAL = f"--network tutorial --channels 16 64 {SGD} --learning-rate 0.1"
CHOICES = {
    "quick": {
        "as it is": "",
        "the tutorial's network and SGD": TUTORIAL,
        "SGD in place of Muon": f"{SGD} --learning-rate 0.05",
        "a constant rate in place of one cycle": "--schedule constant",
        "no label smoothing": "--label-smoothing 0",
        "batches of 160": "--batch-size 160",
        "32 channels first, for as long": "--channels 32 32 64 --epochs 1.0",
        "8 channels first, for as long": "--channels 8 32 64 --epochs 1.6",
        "a residual block at the end": "--residual 0 0 1",
        "flipped pictures": "--flip",
        "momentum 0.8": "--momentum 0.8",
        "a dense layer twice as fast": "--dense-rate 2",
        "half an epoch": "--epochs 0.5",
    },
    "good": {
        "as it is": "",
        "SGD in place of Muon": f"{SGD} --learning-rate 0.05",
        "no residual block": "--residual 0 0 0",
        "pictures as they are": "--no-flip --shift 0 --cutout 0",
        "shifts of 2, squares of 6": "--shift 2 --cutout 6",
        "one view": "--views one",
        "half the epochs": "--epochs 7.5",
    },
}


def outcome(preset: str, options: str, seed: int) -> dict[str, Any]:
    """Trains once; returns validation accuracy and seconds of training."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = ("--preset", preset, "--seed", str(seed), *options.split())
        result, rows = train(Path(folder, "run"), "fashion_mnist", *chosen)
    validated = [row for row in rows if row["split"] == "validation"]
    return {"accuracy": validated[-1]["accuracy"], "seconds": result["seconds"]["train"]}


def main() -> None:
    """Trains each variant in turn, seed by seed, for the speed of a machine drifts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=CHOICES, default="quick")
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    choices = CHOICES[arguments.preset]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in choices}
    for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
        for name, options in choices.items():
            found[name].append(outcome(arguments.preset, options, seed))
            print(json.dumps({"choice": name, "seed": seed, **found[name][-1]}), flush=True)
    rows = {}
    for name, outcomes in found.items():
        accuracies = [one["accuracy"] for one in outcomes]
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        rows[name] = {
            "validation_accuracy": round(statistics.mean(accuracies), 4),
            "sd": round(deviation, 4),
            "train_seconds": round(statistics.median(one["seconds"] for one in outcomes), 1),
        }
    summary = {"benchmark": "choices", "preset": arguments.preset, "seeds": arguments.seeds}
    print(json.dumps({**summary, "rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
