"""Training runs that are small enough for tests: few drawn pictures, few channels, few steps."""

import atexit
import functools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import picture_files
import pytest

from flaxmill import recipes
from flaxmill.commands.request import TrainRequest, configure
from flaxmill.commands.train import execute
from flaxmill.machine.clock import Clock, process_age
from flaxmill.machine.progress import Words
from flaxmill.trained.run import TrainedRun
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.log import CLOCK_FIELDS, read_rows
from flaxmill.training.options import Options

TRAIN, TEST = 200, 40
"""Pictures that the fixture ``small_data`` leaves of the drawn ones."""

DRAWN = ("real_or_drawn", "texts")
"""The modules of `flaxmill.data.known` that say how many examples are drawn."""
CLASSES = ("개미 (붉은)", "bee", "wasp", "fly")

# Of every small run: 160 training examples, 10 steps an epoch, 25 steps, a row every 5.
SHORT: dict[str, Any] = {
    "validation": 40,
    "epochs": 2.5,
    "batch_size": 16,
    "log_every": 0.5,
    "evaluate_every": 1.0,
}
# What makes each recipe small, and where its data comes from: of the drawn pictures, called
# sketches, the fixture `small_data` leaves few.
SMALL: dict[str, dict[str, Any]] = {
    "fashion_mnist": {
        **SHORT,
        "data": "sketches",
        "network": "tutorial",
        "channels": (4, 8),
        "hidden": 16,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "flip": True,
    },
    "mnist": {
        **SHORT,
        "data": "sketches",
        "channels": (4,),
        "residual": (1,),
        "learning_rate": 0.01,
    },
    "cifar10": {
        **SHORT,
        "data": "sketches",
        "channels": (4,),
        "residual": (1,),
        "scale": 1.0,
        "stages": (1, 1),
        "width": 4,
        "depth": 10,
        "widening": 1,
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "views": "mirrored",
    },
    "images": {
        **SHORT,
        "data": "photos",
        "size": 16,
        "network": "small",
        "stages": (1, 1),
        "width": 4,
        "learning_rate": 0.05,
    },
    "imagenet": {
        **SHORT,
        "data": "photos",
        "size": 16,
        "stored": 20,
        "stages": (1,),
        "width": 6,
        "depth": 1,
        "heads": 3,
        "precision": "float32",
    },
    "text_classification": {
        **SHORT,
        "data": "sentences",
        "sizes": 2,
        "stretch": 2,
        "width": 8,
        "windows": (1, 3),
        "channels": 8,
        "grams": (1, 2),
        "buckets": 64,
        "gram_width": 4,
        "learning_rate": 0.02,
    },
}
GEARED = ("fashion_mnist", "images", "text_classification")
"""A recipe of each way in which data comes: from memory, from files, in several sizes."""

NAMES = [
    name if name in GEARED else pytest.param(name, marks=pytest.mark.matrix)
    for name in recipes.names()
]
"""All recipes, those of a way that is tried already in ``make matrix`` alone."""

GEARS = {"images": "streaming", "imagenet": "streaming"}
"""The first gear of recipes whose data does not lie in memory; of all others it is resident."""
# What adds everything that has a state or draws random numbers.
THOROUGH: dict[str, dict[str, Any]] = {name: {"ema": 0.9, "dropout": 0.2} for name in SMALL}
# What takes the other way wherever a recipe has two: another network, another optimizer.
ALTERNATIVE: dict[str, dict[str, Any]] = {
    "fashion_mnist": {
        "network": "fast",
        "channels": (16, 16),  # enough for Winograd's form
        "residual": (1, 1),
        "optimizer": "muon",
        "learning_rate": 0.035,
        "shift": 1,
        "cutout": 3,
        "views": "mirrored",
    },
    "mnist": {},
    "cifar10": {
        "network": "wide",
        "optimizer": "muon",
        "schedule": "steps",
        "cutout": 3,
        "mixup": 0.2,
        "cutmix": 1.0,
    },
    "images": {"network": "vit_small", "colour": 0.1},
    "imagenet": {
        "network": "vit",
        "patch": 8,
        "optimizer": "adamw",
        "schedule": "cosine",
        "clip": 1.0,
        "changes": 1,
        "mixup": 0.2,
    },
    "text_classification": {"tokens": "characters", "grams": (), "longest": 40},
}
# What takes away everything that keeps a model from learning a few examples by heart.
PLAIN: dict[str, dict[str, Any]] = {
    "fashion_mnist": {
        "schedule": "constant",
        "learning_rate": 0.05,
        "label_smoothing": 0.0,
        "weight_decay": 0.0,
        "flip": False,
    },
    "mnist": {
        "channels": (8, 16),
        "label_smoothing": 0.0,
        "rotate": 0.0,
        "zoom": 0.0,
        "shift": 0,
    },
    "cifar10": {"channels": (8, 16), "label_smoothing": 0.0, "shift": 0, "flip": False},
    "images": {
        "width": 16,
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "crop": 1.0,
        "flip": False,
        "colour": 0.0,
        "ema": 0.0,
    },
    "imagenet": {"crop": 1.0, "flip": False, "warmup": 0.0, "schedule": "cosine"},
    "text_classification": {"label_smoothing": 0.0, "token_dropout": 0.0, "dropout": 0.0},
}
SIZES = {"text_classification": 2}
"""The sizes that the examples of a recipe are padded to; of all others they have one."""


@functools.cache
def photos() -> Path:
    """Makes a folder of class folders: 200 pictures for training and 40 for the test."""
    place = Path(tempfile.mkdtemp(prefix="flaxmill-photos-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    picture_files.classes(place / "train", dict.fromkeys(CLASSES, TRAIN // len(CLASSES)))
    picture_files.classes(place / "val", dict.fromkeys(CLASSES, TEST // len(CLASSES)))
    return place


def small(name: str) -> dict[str, Any]:
    """Returns what makes a recipe small; a forked one is of fashion_mnist."""
    fields = SMALL.get(name, SMALL["fashion_mnist"])
    return fields | ({"data": str(photos())} if fields["data"] == "photos" else {})


def order(
    name: str,
    run: Path,
    options: Options | None = None,
    *,
    preset: str | None = None,
    seeds: int = 1,
    **fields: Any,
) -> TrainRequest:
    """Returns the order for a small run of a recipe."""
    recipe = recipes.load(name)
    preset = preset or recipe.default_preset
    config = configure(recipe, preset, small(recipe.name) | fields)
    options = options or Options(report=False)
    return TrainRequest(recipe, config, preset, seed=0, run=run, options=options, seeds=seeds)


def train(
    name: str,
    run: Path,
    options: Options | None = None,
    *,
    words: Words | None = None,
    preset: str | None = None,
    seeds: int = 1,
    **fields: Any,
) -> TrainedRun:
    """Trains a small run of a recipe."""
    ordered = order(name, run, options, preset=preset, seeds=seeds, **fields)
    trained = execute(ordered, words or Words(quiet=True), Clock(origin=process_age()))
    assert trained is not None
    return trained


def fork(file: Path, *edits: tuple[str, str], recipe: str = "fashion_mnist") -> Path:
    """Copies a recipe with pieces of its text replaced; returns the file."""
    text = recipes.text(recipe)
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    return file


class Listening(Words):
    """Says nothing, and remembers how many compilations there had been at each line."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.compiled = 0
        self.at_line: list[int] = []

    def count(self, event: str, duration_secs: float, **_: str | int) -> None:
        self.compiled += "backend_compile" in event

    def say(self, text: str) -> None:
        if text.startswith("Epoch"):
            self.at_line.append(self.compiled)


class Interrupting(Words):
    """Sends this process a signal when the run asks for the n-th time whether to show figures."""

    def __init__(self, after: int, by: int = signal.SIGTERM) -> None:
        super().__init__(quiet=True)
        self.left, self.by = after, by

    def due(self) -> bool:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.by)
        return False


def flags(fields: Mapping[str, Any]) -> list[str]:
    """Returns fields of a config as options of a command."""
    found = []
    for name, value in fields.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            found.append(flag if value else flag.replace("--", "--no-"))
        elif isinstance(value, list | tuple):
            found += [flag, *map(str, value)]
        else:
            found += [flag, str(value)]
    return found


def command(*arguments: str) -> list[str]:
    """Returns flaxmill with arguments as a program of its own, on as few pictures as here."""
    few = "\n".join(f"{drawn}.TRAIN, {drawn}.TEST = {TRAIN}, {TEST}" for drawn in DRAWN)
    few = f"from flaxmill.data.known import {', '.join(DRAWN)}\n{few}"
    return [
        sys.executable,
        "-c",
        f"{few}\nfrom flaxmill.commands import cli; cli.main()",
        *arguments,
    ]


def figures(run: Path) -> list[dict[str, Any]]:
    """Returns the rows of a run's log without what depends on the machine's speed."""
    rows = read_rows(run / "metrics.jsonl")
    return [{k: v for k, v in row.items() if k not in CLOCK_FIELDS} for row in rows]


def saved(run: Path) -> dict[str, np.ndarray]:
    """Returns everything in the newest checkpoint of a run."""
    found = Checkpoints(run / "checkpoints").restore_newest()
    assert found is not None
    return found[0]


def assert_same_run(one: TrainedRun, other: TrainedRun) -> None:
    """Compares two runs bit by bit: weights, optimizer, averages, sums, every figure."""
    assert one.result["weights_sha256"] == other.result["weights_sha256"]
    assert one.result["test"] == other.result["test"]
    assert figures(one.path) == figures(other.path)
    ours, theirs = saved(one.path), saved(other.path)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert array.tobytes() == theirs[name].tobytes(), name
