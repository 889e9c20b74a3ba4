"""Trains the recipe images on folders of pictures, beside PyTorch in the same time.

    python benchmarks/images.py --python .venv-peers/bin/python [--cifar DIR] [--seeds 3]
        [--only hymenoptera cifar-32 cifar-varied]

PYTHON has torch and torchvision; DIR holds CIFAR-10's binary files, if they are not found by name;
FLAXMILL_DATA names the folder that holds imagefolder/hymenoptera.

The folders: hymenoptera, 176 photographs of ants and bees, and 5,000 pictures of CIFAR-10 in ten
class folders, as they are (32×32) and enlarged to sizes and shapes that vary. flaxmill is given the
folder and nothing else. PyTorch trains the same network from the same initial weights on the same
training pictures, with the settings that flaxmill chose and torchvision's augmentations of the same
strengths, for as many seconds as flaxmill's training took, compilation included
(`peers/torch_images.py`). Contestants take turns. Prints JSON lines.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from machine import large_pages, machine
from PIL import Image

from flaxmill.data.known.cifar import cifar10
from flaxmill.data.source import unwrap_views
from flaxmill.models import weights
from flaxmill.recipes import images
from flaxmill.trained.run import TrainedRun

HERE = Path(__file__).parent
EACH = 500  # pictures of each class of CIFAR-10


def cifar_folders(folder: str, place: Path) -> dict[str, Path]:
    """Writes pictures of CIFAR-10 into class folders, as they are and enlarged.

    Args:
        folder: The data set's name, or where its binary files are.
        place: Where to write.
    """
    found = cifar10(folder)
    taken = found.train.take(np.arange(len(found.train)))
    pictures, labels = taken["image"], taken["label"]
    random = np.random.default_rng(0)
    made = {"cifar-32": place / "cifar-32", "cifar-varied": place / "cifar-varied"}
    for label, name in enumerate(found.labels):
        for number, row in enumerate(np.flatnonzero(labels == label)[:EACH]):
            picture = Image.fromarray(pictures[row])
            width, height = random.integers(64, 161, 2).tolist()
            larger = picture.resize((width, height), Image.Resampling.BICUBIC)
            for where, one in ((made["cifar-32"], picture), (made["cifar-varied"], larger)):
                (where / name).mkdir(parents=True, exist_ok=True)
                one.save(where / name / f"{number:03}.png")
    return made


def train_here(data: Path, run: Path, seed: int) -> TrainedRun:
    """Trains as a person does, in a process of its own; returns the run."""
    command = [sys.executable, "-m", "flaxmill", "train", "images", "--data", str(data)]
    command += ["--run", str(run), "--seed", str(seed)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return TrainedRun(run)


def plan_of(run: TrainedRun, seed: int, folder: Path) -> Path:
    """Writes what PyTorch is to do: the run's pictures, settings, initial weights and time."""
    config, splits = run.config, run.splits()
    model = images.model(config, run.signature, nnx.Rngs(jax.random.key(seed)))
    fresh: dict[str, Any] = weights.flatten(nnx.state(model, nnx.Param))
    start = folder / "start.npz"
    arrays: Any = {name: np.asarray(array) for name, array in fresh.items()}
    np.savez(start, **arrays)
    seconds = run.result["seconds"]
    plan = {
        "seed": seed,
        "classes": len(splits.labels),
        "train": _listed(splits.train),
        "test": _listed(splits.test),
        "size": config.size,
        "share": run.signature.preprocess["share"],
        "small_stem": config.stem == "cifar",
        "weights": str(start),
        "seconds": seconds["compile"] + seconds["train"],
        **{name: getattr(config, name) for name in SETTINGS},
    }
    path = folder / "plan.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    return path


SETTINGS = (
    *("stages", "width", "batch_size", "learning_rate", "warmup", "momentum", "weight_decay"),
    *("label_smoothing", "crop", "colour", "ema", "dropout", "optimizer"),
    *("dense_rate", "bias_rate"),
)


def _listed(source: Any) -> list[tuple[str, int]]:
    found, rows = unwrap_views(source, np.arange(len(source)))
    return [(str(found.files[int(row)]), int(found.labels[row])) for row in rows]


def one_seed(data: Path, seed: int, python: str) -> dict[str, Any]:
    """Trains with one seed, here and there; returns what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_here(data, Path(folder, "run"), seed)
        command = [python, str(HERE / "peers" / "torch_images.py")]
        command.append(str(plan_of(run, seed, Path(folder))))
        how = {"check": True, "capture_output": True, "text": True, "env": large_pages()}
        ended = subprocess.run(command, **how)
        seconds = run.result["seconds"]
        return {
            "flaxmill": run.result["test"]["accuracy"],
            "torch": json.loads(ended.stdout)["accuracy"],
            "tested": run.result["test"]["examples"],
            "epochs": run.config.epochs,
            "torch_epochs": round(json.loads(ended.stdout)["epochs"], 1),
            "seconds": round(seconds["compile"] + seconds["train"], 1),
            "size": run.config.size,
        }


def main() -> None:
    """Trains on each folder with each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="an interpreter with torch, torchvision")
    parser.add_argument("--cifar", default="cifar-10", help="where its binary files are")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=["hymenoptera", "cifar-32", "cifar-varied"])
    arguments = parser.parse_args()
    root = Path(os.environ["FLAXMILL_DATA"])
    with tempfile.TemporaryDirectory() as place:
        folders = {"hymenoptera": root / "imagefolder" / "hymenoptera"}
        if set(arguments.only) - {"hymenoptera"}:
            folders |= cifar_folders(arguments.cifar, Path(place))
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.only}
        for seed in range(arguments.seeds):
            for name, found in rows.items():
                found.append(one_seed(folders[name], seed, arguments.python))
                print(json.dumps({"data": name, "seed": seed, **found[-1]}), flush=True)
    summary = {
        "benchmark": "images",
        "seeds": arguments.seeds,
        "folders": {name: _together(found) for name, found in rows.items()},
        "machine": machine(),
    }
    print(json.dumps(summary))


def _together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the means and deviations of several seeds."""
    found: dict[str, Any] = {key: rows[0][key] for key in ("tested", "epochs", "size")}
    for who in ("flaxmill", "torch"):
        values = [row[who] for row in rows]
        found[f"{who}_mean"] = float(np.mean(values))
        found[f"{who}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    for name in ("torch_epochs", "seconds"):
        found[name] = float(np.median([row[name] for row in rows]))
    return found


if __name__ == "__main__":
    main()
