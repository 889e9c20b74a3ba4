"""The way to an accuracy, in flaxmill and in PyTorch, for `accelerator.py`."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limit import Deadline, ended

from flaxmill.errors import BadInput
from flaxmill.recipes.fashion_mnist import Config
from flaxmill.training.log import read_rows

REFUSED = 2
"""The exit status for what cannot be used."""
Rows = list[dict[str, Any]]
NUMBERS = (
    *("channels", "residual", "validation", "epochs", "batch_size", "evaluate_every"),
    *("learning_rate", "dense_rate", "bias_rate", "warmup", "momentum", "label_smoothing"),
    *("shift", "cutout", "views", "ema"),
)
"""The fields of the recipe's config that the training in PyTorch takes, beside ``flip``."""
FIXED = {
    "network": "fast",
    "data": "fashion-mnist",
    "overfit": 0,
    "accumulate": 1,
    "evaluate_on": "validation",
    "dropout": 0.0,
    "precision": "float32",
    "optimizer": "muon",
    "schedule": "one-cycle",
}
"""The fields that it has one value of."""
UNREAD = ("log_every", "hidden", "nesterov", "weight_decay")
"""The fields that change nothing where the others are so."""


def torch_options(config: Config) -> list[str]:
    """Returns what `torch_fast_cnn.py` is to be given to do what a config says.

    Raises:
        BadInput: It cannot; the message names the field.
    """
    for name, value in FIXED.items():
        if (given := getattr(config, name)) != value:
            raise BadInput(f"{name} {given!r}: the training in PyTorch knows {value!r} alone.")
    options = ["--flip"] if config.flip else []
    for name in NUMBERS:
        value = getattr(config, name)
        several = value if isinstance(value, tuple) else (value,)
        options += ["--" + name.replace("_", "-"), *map(str, several)]
    return options


def own_rows(run: Path, words: list[str], deadline: Deadline) -> Rows | None:
    """Trains with flaxmill, or goes on with it.

    Returns:
        Its log, and a row of the test; None if it had to stop, its state kept.

    Raises:
        BadInput: It refuses what it is given; it has said why.
    """
    command = [sys.executable, "-m", "flaxmill", "train", "fashion_mnist", *words, "--no-report"]
    try:
        if not ended([*command, "--run", str(run)], deadline):
            return None
    except subprocess.CalledProcessError as trouble:
        if trouble.returncode != REFUSED:
            raise
        refusal = f"{run}: refused, as is said above; another config needs another --run."
        raise BadInput(refusal) from None
    result = json.loads((run / "result.json").read_text())
    tested = {"split": "test", **result["test"], "seconds": result["seconds"]["total"]}
    return [*read_rows(run / "metrics.jsonl"), tested]


def torch_rows(
    path: Path, script: list[str], options: list[str], deadline: Deadline
) -> Rows | None:
    """Trains in PyTorch, where that was not done before.

    Args:
        path: Where its rows are kept, after a line with the options.
        script: What is run, and how.
        options: What is trained.
        deadline: When to stop.

    Returns:
        Its rows; None if it had to stop.

    Raises:
        BadInput: It was done with other options.
    """
    said = {"options": options}
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("w") as file:
            print(json.dumps(said), file=file, flush=True)
            command = [*script, *options, "--began", str(time.time())]
            if not ended(command, deadline, file):
                return None
        part.rename(path)
    first, *rows = map(json.loads, path.read_text().splitlines())
    if first != said:
        raise BadInput(f"{path} was made with other options: give another --run.")
    return rows


def outcome(rows: Rows, targets: Sequence[float]) -> dict[str, Any]:
    """Returns the seconds at which each target was first reached, those in all, and the test.

    Args:
        rows: In their order: evaluations on the validation split, and the test at the end.
        targets: Accuracies on the validation split.
    """
    validated = [row for row in rows if row["split"] == "validation"]
    seconds_to = {
        f"{target:g}": next((r["seconds"] for r in validated if r["accuracy"] >= target), None)
        for target in targets
    }
    test = rows[-1]
    return {
        "seconds_to": seconds_to,
        "seconds": test["seconds"],
        "test_accuracy": round(test["accuracy"], 4),
    }


def gathered(outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns medians over the seeds; a target that not all of them reached has none."""
    times = {
        target: [one["seconds_to"][target] for one in outcomes]
        for target in outcomes[0]["seconds_to"]
    }
    accuracies = [one["test_accuracy"] for one in outcomes]
    return {
        "seconds_to": {
            target: None if None in seconds else round(statistics.median(seconds), 1)
            for target, seconds in times.items()
        },
        "reached": {
            target: len(seconds) - seconds.count(None) for target, seconds in times.items()
        },
        "seconds": round(statistics.median(one["seconds"] for one in outcomes), 1),
        "test_accuracy_mean": round(statistics.mean(accuracies), 4),
        "test_accuracy_sd": round(statistics.stdev(accuracies), 4) if len(outcomes) > 1 else None,
    }
