"""Exports small two-class models, and counts what is refused of them, whole and damaged.

    python benchmarks/export_parity.py [--cifar DIR] [--seeds 4] [--runs DIR]

FLAXMILL_DATA names the folder that holds fashion-mnist, mnist, cifar-10 and imagefolder; DIR holds
CIFAR-10's binary files, if they are not found by name. Each of five folders of two classes that are
easily confused is trained on by the recipe images, as small and short as a first try is; near the
boundary of two classes a score is close to 0, which is where a difference looks large. Each model
is exported, which must not be refused. Then it is damaged: of each layer's weights, one that some
unit which is not dead depends on (the gradient of the scores by it is not 0) is moved by a tenth of
the norm of them all, and an export of that must be refused. The same is tried on made inputs, as
where a run's data is not here. Prints JSON lines.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from machine import machine
from PIL import Image

import flaxmill
from flaxmill.data.known.cifar import cifar10
from flaxmill.data.known.clothing import clothing
from flaxmill.data.known.digits import digits
from flaxmill.errors import CannotGoOn
from flaxmill.export import export, parity
from flaxmill.export.formats import ExportedModel
from flaxmill.export.made import made_splits
from flaxmill.export.parity import sizes
from flaxmill.models import weights
from flaxmill.trained.run import TrainedRun

TRAIN, TEST = 300, 200  # pictures of each class that are drawn, where a set has more
SMALL = {"size": 32, "epochs": 5, "stages": (1, 1), "width": 8}
MOVED = 0.1
"""By how much of its layer's norm a weight is moved."""


def folders(place: Path, cifar: str) -> dict[str, Path]:
    """Writes folders of two classes each; returns them, and one that is there, by name.

    Args:
        place: Where to write.
        cifar: CIFAR-10's name, or where its binary files are.
    """
    sets: dict[str, tuple[Any, tuple[str, str]]] = {
        "Fashion-MNIST, pullover or coat": (clothing("fashion-mnist"), ("Pullover", "Coat")),
        "MNIST, 4 or 9": (digits("mnist"), ("4", "9")),
        "CIFAR-10, cat or dog": (cifar10(cifar), ("cat", "dog")),
        "drawn garments, shirt or T-shirt": (clothing("sketches"), ("Shirt", "T-shirt/top")),
    }
    made = {}
    for number, (title, (splits, names)) in enumerate(sets.items()):
        made[title] = place / str(number)
        for part, source, count in (("train", splits.train, TRAIN), ("test", splits.test, TEST)):
            some = source.take(np.arange(len(source)))
            for name in names:
                folder = made[title] / part / name.replace("/", "-")
                folder.mkdir(parents=True, exist_ok=True)
                label = splits.labels.index(name)
                for row in np.flatnonzero(some["label"] == label)[:count]:
                    pixels = some["image"][row]
                    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
                    picture.save(folder / f"{row:05}.png")
    made["photographs, ant or bee"] = Path(os.environ["FLAXMILL_DATA"], "imagefolder/hymenoptera")
    return made


def measured(run: TrainedRun) -> dict[str, Any]:
    """Exports a model as it is and damaged; returns what came of it."""
    splits = run.splits()
    subject = ExportedModel.of(run, splits, "")
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows = export(run, Path(folder, "export")).parity["formats"].values()
            differences = [row["max_relative_difference"] for row in rows]
            refused = ""
        except CannotGoOn as trouble:
            differences, refused = [], str(trouble)
    made = made_splits("", drawn=False, signature=run.signature).test
    found = list(damages(run, subject))
    unseen = [layer for layer, difference in found if not difference > subject.allowed]
    made_subject = ExportedModel.of(run, dataclasses.replace(splits, test=made), "", made=True)
    unseen_made = [
        layer
        for layer, difference in damages(run, made_subject)
        if not difference > made_subject.allowed
    ]
    reference = run.logits(splits.test, subject.model)
    smallest = np.abs(reference).max(-1).min() / sizes(reference).min()
    return {
        "accuracy": run.result["test"]["accuracy"],
        "smallest_logit": float(smallest),
        "refused": refused,
        "largest_difference": max(differences, default=None),
        "allowed": subject.allowed,
        "layers": len(found),
        "smallest_damage": min(difference for _, difference in found),
        "unseen": unseen,
        "unseen_on_made_inputs": unseen_made,
    }


def damages(run: TrainedRun, subject: ExportedModel) -> Iterator[tuple[str, float]]:
    """Yields each layer, and how far logits lie from the model's when a weight of it is moved."""
    model = run.build(subject.arrays)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    test = subject.splits.test
    pictures = test.take(np.arange(len(test)))[subject.signature.inputs[0].name]
    random = np.random.default_rng(0)
    reference = run.logits(test, subject.model)
    directions = random.normal(size=reference.shape).astype(np.float32)

    def answer(params: Any, rest: Any, pictures: Any) -> Any:
        return nnx.merge(graphdef, params, rest, copy=True)(pictures)

    @jax.jit
    def gradient(params: Any, rest: Any, pictures: Any) -> Any:
        return jax.grad(lambda params: (answer(params, rest, pictures) * directions).sum())(params)

    answers = jax.jit(answer)
    arrays = {name: np.asarray(array) for name, array in weights.flatten(params).items()}
    felt = weights.flatten(jax.device_get(gradient(params, rest, pictures)))
    for layer in sorted({name.rpartition(".")[0] for name in arrays}):
        own = [name for name in arrays if name.rpartition(".")[0] == layer]
        norm = np.sqrt(sum(np.square(arrays[name]).sum() for name in own))
        name = random.choice([name for name in own if np.any(felt[name])] or own)
        live = np.flatnonzero(felt[name])
        if not len(live):  # every unit of the layer is dead, and it could be anything
            continue
        damaged = arrays[name].copy()
        damaged.flat[random.choice(live)] += MOVED * norm
        changed = weights.unflatten(params, {**arrays, name: damaged}, where="it")
        logits = np.asarray(answers(changed, rest, pictures))
        found = parity.Comparison(subject.signature.output_kind)
        found.add(logits, reference, None)
        yield layer, found.figures()["max_relative_difference"]


def main() -> None:
    """Trains, exports and damages every model; fails where one is refused, or damage is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", default="cifar-10", help="where its binary files are")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--runs", type=Path, help="where runs are kept, and gone on from")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        for title, data in folders(Path(place), arguments.cifar).items():
            for seed in range(arguments.seeds):
                name = f"{title.partition(',')[0]}-{seed}"
                run = (arguments.runs or Path(place, "runs")) / name
                how: dict[str, Any] = {"run": run, "seed": seed, "quiet": True, "report": False}
                found = measured(flaxmill.train("images", data=str(data), **how, **SMALL))
                rows.append({"data": title, "seed": seed, **found})
                print(json.dumps(rows[-1]), flush=True)
    unseen = [
        f"{row['data']}, seed {row['seed']}: {row['unseen']}" for row in rows if row["unseen"]
    ]
    refused = [row for row in rows if row["refused"]]
    layers = sum(row["layers"] for row in rows)
    summary = {
        "benchmark": "export parity",
        "models": len(rows),
        "exported": len(rows) - len(refused),
        "largest_difference": max(row["largest_difference"] or 0 for row in rows),
        "layers_damaged": layers,
        "refused": layers - sum(len(row["unseen"]) for row in rows),
        "smallest_damage": min(row["smallest_damage"] for row in rows),
        "refused_on_made_inputs": layers - sum(len(row["unseen_on_made_inputs"]) for row in rows),
        "machine": machine(),
    }
    print(json.dumps(summary))
    if refused or unseen:
        sys.exit("\n".join([*(row["refused"] for row in refused), *unseen]))


if __name__ == "__main__":
    main()
