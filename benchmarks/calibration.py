"""Trains small and large runs, and compares the test loss of their exports with and without T.

    python benchmarks/calibration.py [--cifar DIR] [--runs DIR]

FLAXMILL_DATA names the folder that holds fashion-mnist, mnist, cifar-10 and imagefolder; DIR holds
CIFAR-10's binary files, if they are not found by name. Small are ten folders of a few dozen or
hundred pictures, with few held out, or all of these right; large are known sets as a whole. A
run's temperature is fitted when it finishes, on what was held out; the test set chooses nothing.
Prints JSON lines; fails where calibrating costs more than 0.005 nats of a small run's test loss, or
brings nothing to a large one's.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from PIL import Image

import flaxmill
from flaxmill.data.known.cifar import cifar10
from flaxmill.data.known.clothing import clothing
from flaxmill.data.known.digits import digits
from flaxmill.export import export
from flaxmill.maths.calibration import log_probabilities
from flaxmill.trained.exported import Exported
from flaxmill.trained.run import TrainedRun
from flaxmill.training.evaluation import joined, padded_batches

ALLOWED = 0.005
"""Nats that calibrating may cost."""
TEST = 1000  # pictures that small folders are tested on, at most
SHORT = {"size": 32, "epochs": 6, "stages": (1, 1), "width": 8}
# Of each small folder: the set, its classes (none for all), pictures of each, share held out.
SMALL: dict[str, tuple[str, tuple[str, ...], int, float]] = {
    "12 held out": ("fashion-mnist", ("Pullover", "Coat"), 40, 0.15),
    "60 held out": ("fashion-mnist", ("Pullover", "Coat"), 200, 0.15),
    "120 held out": ("fashion-mnist", ("Pullover", "Coat"), 300, 0.2),
    "trousers and bags": ("fashion-mnist", ("Trouser", "Bag"), 300, 0.2),
    "ten garments": ("fashion-mnist", (), 60, 0.25),
    "0 and 1": ("mnist", ("0", "1"), 300, 0.2),
    "4 and 9": ("mnist", ("4", "9"), 300, 0.2),
    "ten digits": ("mnist", (), 60, 0.25),
    "cats and dogs": ("cifar-10", ("cat", "dog"), 300, 0.2),
}
PHOTOGRAPHS = "photographs"
LARGE: dict[str, dict[str, Any]] = {
    "fashion_mnist": {},
    "fashion_mnist without smoothing": {"label_smoothing": 0.0, "epochs": 4.0},
    "mnist": {"epochs": 2.0},
}


def folders(place: Path, cifar: str) -> dict[str, tuple[Path, float]]:
    """Writes the small folders; returns each, and the share of it that is to be held out.

    Args:
        place: Where to write.
        cifar: CIFAR-10's name, or where its binary files are.
    """
    sets = {
        "fashion-mnist": clothing("fashion-mnist"),
        "mnist": digits("mnist"),
        "cifar-10": cifar10(cifar),
    }
    made = {}
    for number, (title, (name, classes, count, share)) in enumerate(SMALL.items()):
        splits = sets[name]
        made[title] = place / str(number), share
        for part, source, most in (("train", splits.train, count), ("test", splits.test, TEST)):
            some = source.take(np.arange(len(source)))
            wanted = classes or splits.labels
            for label in wanted:
                folder = place / str(number) / part / label.replace("/", "-")
                folder.mkdir(parents=True)
                rows = np.flatnonzero(some["label"] == splits.labels.index(label))
                for row in rows[: min(most, TEST // len(wanted) if part == "test" else most)]:
                    pixels = some["image"][row]
                    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
                    picture.save(folder / f"{row:05}.png")
    made[PHOTOGRAPHS] = Path(os.environ["FLAXMILL_DATA"], "imagefolder/hymenoptera"), 0.15
    return made


def measured(run: TrainedRun) -> dict[str, Any]:
    """Returns the test loss of a run's export, with its temperature and without."""
    test = run.splits().test
    labels = test.take(np.arange(len(test)))["label"]
    place = np.arange(len(labels)), labels
    with tempfile.TemporaryDirectory() as folder:
        written = export(run, Path(folder, "export"), formats=["stablehlo"])
        model, name = Exported(written.path), run.signature.inputs[0].name
        parts = ((model.outputs(batch[name]), mask) for batch, mask in padded_batches(test))
        logits, probabilities = joined(
            (outputs["logits"][mask], outputs["probabilities"][mask]) for outputs, mask in parts
        )
    exported = -np.log(np.maximum(probabilities[place], np.finfo(np.float32).tiny))
    plain = -log_probabilities(logits)[place]
    return {
        "held_out": run.signature.held_out,
        "temperature": run.signature.temperature,
        "accuracy": float((logits.argmax(-1) == labels).mean()),
        "loss": float(plain.mean()),
        "exported_loss": float(exported.astype(np.float64).mean()),
    }


def main() -> None:
    """Trains and compares all runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", default="cifar-10", help="where its binary files are")
    parser.add_argument("--runs", type=Path, help="where runs are kept, and gone on from")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    how: dict[str, Any] = {"quiet": True, "report": False}
    with tempfile.TemporaryDirectory() as place:
        runs = arguments.runs or Path(place, "runs")

        def note(title: str, size: str, run: TrainedRun) -> None:
            rows.append({"run": title, "size": size, **measured(run)})
            print(json.dumps(rows[-1]), flush=True)

        for title, (data, share) in folders(Path(place), arguments.cifar).items():
            small = {"data": str(data), "validation": share, **SHORT}
            note(title, "small", flaxmill.train("images", run=runs / title, **how, **small))
        for title, fields in LARGE.items():
            recipe = title.partition(" ")[0]
            note(title, "large", flaxmill.train(recipe, run=runs / title, **how, **fields))
    summary = {"benchmark": "calibration", "runs": rows, "machine": machine()}
    print(json.dumps(summary))
    worse = [row["run"] for row in rows if row["exported_loss"] > row["loss"] + ALLOWED]
    worse += [
        row["run"] for row in rows if row["size"] == "large" and row["exported_loss"] >= row["loss"]
    ]
    if worse:
        sys.exit(f"calibration does harm, or nothing, to: {', '.join(worse)}")


if __name__ == "__main__":
    main()
