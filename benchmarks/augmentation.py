"""What augmentation costs, and what it is worth.

    python benchmarks/augmentation.py cost [--rounds 5]
    python benchmarks/augmentation.py worth [--seeds 3] [--data cifar-10] [--together 8]

Cost: each change alone is timed in a training loop whose model does next to nothing, less the same
loop without it, and set beside a step of a ResNet-18 (batch 128 of 32×32, in colour); the whole
policy is also timed in the ResNet's own loop. The contestants take turns, there and back again, for
the speed of a machine drifts. Worth: a small network is trained on few pictures of CIFAR-10, with
and without; validation accuracy alone is looked at. Prints JSON lines.
"""

import argparse
import contextlib
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from machine import accelerator, machine
from peers import wanted

from flaxmill.commands import cli
from flaxmill.data import augment
from flaxmill.data.batches import Chunk
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import hold_out
from flaxmill.maths.losses import softmax_cross_entropy
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.models.resnet import resnet18
from flaxmill.recipes import cifar10
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.log import read_rows
from flaxmill.training.loop import compile_steps
from flaxmill.training.state import State, create_state, model_state_of

EXAMPLES, BATCH, SIDE, CLASSES = 2048, 128, 32, 10
FEW = 5000  # pictures that are trained on, for the worth of augmentation
FIRST_SEED = 100  # others than those of published accuracies


CROP = partial(augment.random_resized_crop, size=SIDE, scale=(0.25, 1.0))
ERASE = partial(augment.erase, probability=0.25)
CHANGES = {
    "flip": augment.flip,
    "shift by 4, reflected": partial(augment.shift, most=4, border="reflect"),
    "random resized crop": CROP,
    "rotate": partial(augment.rotate, most=15),
    "affine": partial(augment.affine, rotate=15, shear=0.2, zoom=0.2, move=0.1),
    "brightness": partial(augment.brightness, most=0.4),
    "contrast": partial(augment.contrast, most=0.4),
    "colour": partial(augment.colour, most=0.4),
    "sharpness": partial(augment.sharpness, most=0.4),
    "posterise": partial(augment.posterise, most=4),
    "solarise": partial(augment.solarise, most=0.5),
    "equalise": augment.equalise,
    "autocontrast": augment.autocontrast,
    "blur": partial(augment.blur, most=1.0),
    "cutout": partial(augment.cutout, side=8),
    "erase": ERASE,
    "RandAugment, two changes": augment.rand_augment,
    "TrivialAugment": augment.trivial_augment,
}
MIXING = {
    "mixup": partial(augment.mixup, alpha=0.2, num_classes=CLASSES),
    "CutMix": partial(augment.cutmix, alpha=1.0, num_classes=CLASSES),
    "mixup or CutMix": partial(augment.mix, mixup=0.2, cutmix=1.0, num_classes=CLASSES),
}
POLICY = augment.chain(CROP, augment.flip, augment.rand_augment, ERASE), MIXING["mixup or CutMix"]
WHOLE = "whole policy: crop, flip, RandAugment, erase, mixup or CutMix"


class Mean(nnx.Module):
    """A model that costs next to nothing, but reads every value."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.weight = nnx.Param(jnp.ones((CLASSES,)))

    def __call__(self, pictures: Any) -> Any:
        """Returns the mean of each picture, as logits."""
        values = jax.lax.optimization_barrier(pictures).astype(jnp.float32)
        return values.mean((1, 2, 3))[:, None] * self.weight[None]


def loss(model: Any, batch: Any, *, key: jax.Array, mixing: Any = None) -> Measures:
    """Returns what is minimised, as recipes that mix have it."""
    if mixing is not None:
        batch = mixing(batch, key=key)
    values = softmax_cross_entropy(model(batch["image"]), batch["label"])
    return {"loss": (values, jnp.ones_like(values))}


class Training:
    """A training loop, compiled as in a run, and the part of a run that it asks for.

    Args:
        build: Makes the model.
        transform: Of an example.
        mixing: Of a batch.
        steps: Steps a call.
    """

    mesh = None

    def __init__(self, build: Any, transform: Any, mixing: Any, steps: int) -> None:
        self.reading = Reading()
        tx = optax.sgd(1e-3)
        self._state = create_state(build, (0,), tx)
        mixed = partial(loss, mixing=mixing)

        def step(state: State, batch: Any, key: jax.Array) -> tuple[State, Sums]:
            def objective(params: Any, model_state: Any, batch: Any, key: jax.Array) -> Any:
                net = state.model(params, model_state)
                sums = summed(mixed, net, batch, key=key)
                return sums.mean("loss"), (sums, model_state_of(net))

            found = gradient(objective)(state.params, state.model_state, batch, key)
            gradients, (sums, model_state) = found
            updates, opt_state = tx.update(gradients, state.opt_state, state.params)
            params = optax.apply_updates(state.params, updates)
            return state.after(params, opt_state, model_state), sums

        self._step = compile_steps(step, self, transform)
        self._steps = steps
        random = np.random.default_rng(0)
        rows = random.integers(0, EXAMPLES, (steps, BATCH))
        coarse = random.integers(0, 192, (EXAMPLES, SIDE // 4, SIDE // 4, 3))
        image = coarse.repeat(4, 1).repeat(4, 2) + random.integers(0, 64, (EXAMPLES, SIDE, SIDE, 3))
        label = random.integers(0, CLASSES, EXAMPLES)
        arrays = {
            "count": np.int32(steps),
            "fresh": np.bool_(True),
            "seed": np.zeros(2, np.uint32),
            "ids": rows.astype(np.uint32),
            "epochs": np.zeros_like(rows, np.uint32),
            "rows": rows.astype(np.int32),
            "resident": {"image": image.astype(np.uint8), "label": label.astype(np.int32)},
        }
        self._chunk = Chunk(0, steps, jax.tree.map(jnp.asarray, arrays))
        self.milliseconds()  # compiles

    @contextlib.contextmanager
    def clock(self, phase: str) -> Iterator[None]:
        """Counts nothing."""
        yield

    def compiled(self, train_chunk: Any, step_seconds: float, slow: list[str]) -> None:
        """Is told that the training function is compiled."""
        if slow:
            raise SystemExit(f"ordinary convolutions are left in the loop: {slow}")

    def milliseconds(self) -> float:
        """Returns what a step takes."""
        began = time.perf_counter()
        self._state, sums = self._step(self._state, self._chunk)
        jax.block_until_ready(sums)
        return 1000 * (time.perf_counter() - began) / self._steps


def network(rngs: nnx.Rngs) -> nnx.Module:
    """Returns the network whose step is the measure."""
    return resnet18(3, CLASSES, stem="cifar", rngs=rngs)


def turns(trainings: dict[str, Training], rounds: int) -> dict[str, list[float]]:
    """Times each in turn, there and back again."""
    found: dict[str, list[float]] = {name: [] for name in trainings}
    for number in range(rounds):
        for name in (*trainings, *reversed(trainings)):
            found[name].append(trainings[name].milliseconds())
        middle = {name: round(statistics.median(times), 3) for name, times in found.items()}
        print(json.dumps({"round": number, "milliseconds": middle}), flush=True)
    return found


def cost(rounds: int, steps: int, only: list[str] | None) -> dict[str, Any]:
    """Times every change, or those whose names hold one of these words."""
    cases: dict[str, tuple[Any, Any]] = {"nothing": (None, None)}
    cases |= {name: (change, None) for name, change in CHANGES.items()}
    cases |= {name: (None, mixing) for name, mixing in MIXING.items()}
    cases = {"nothing": cases.pop("nothing"), **wanted({**cases, WHOLE: POLICY}, only)}
    alone = turns({name: Training(Mean, *how, steps) for name, how in cases.items()}, rounds)
    how = {"without": (None, None), "with": POLICY}
    within = turns({name: Training(network, *each, 2) for name, each in how.items()}, rounds)
    step = statistics.median(within["without"])
    nothing = statistics.median(alone.pop("nothing"))
    changes = {}
    for name, times in alone.items():
        milliseconds = max(0.0, statistics.median(times) - nothing)
        share = round(milliseconds / step, 5)
        changes[name] = {"milliseconds": round(milliseconds, 2), "share_of_a_step": share}
    pairs = zip(within["with"], within["without"], strict=True)
    return {
        "benchmark": "augmentation cost",
        "rounds": rounds,
        "step_milliseconds": round(step, 1),
        "changes": changes,
        "step_with_policy_to_without": round(statistics.median(a / b for a, b in pairs), 4),
    }


SETTING = shlex.split(
    "--channels 32 64 128 --residual 0 0 0 --epochs 60 --batch-size 250 --learning-rate 0.035 "
    "--validation 5000 --evaluate-every 60 --log-every 10 --views one"
)
USUAL = (augment.alternating_flip, partial(augment.shift, most=2, border="reflect"))
WORTH: dict[str, tuple[tuple[Any, ...], Any]] = {
    "pictures as they are": ((), None),
    "flip and shift": (USUAL, None),
    "… and erase": ((*USUAL, ERASE), None),
    "… and RandAugment": ((*USUAL, partial(augment.rand_augment, magnitude=3)), None),
    "… and TrivialAugment": ((*USUAL, augment.trivial_augment), None),
    "… and mixup": (USUAL, MIXING["mixup"]),
    "… and CutMix": (USUAL, MIXING["CutMix"]),
    "… and mixup or CutMix": (USUAL, MIXING["mixup or CutMix"]),
}
"""By name: what is done to an example, and to a batch."""


def train_here(name: str, data: str, seed: int, run: str) -> None:
    """Trains a case in this process: the recipe, with other pictures and changes."""
    changes, mixing = WORTH[name]
    every = cifar10.data

    def few(config: cifar10.Config) -> Any:
        splits = every(config)
        train, _ = hold_out(splits.train, len(splits.train) - FEW)
        return replace(splits, train=train)

    cifar10.data = few  # pyrefly: ignore[bad-assignment]
    cifar10.augment = lambda config: augment.chain(*changes) if changes else None
    cifar10.mixing = lambda config, num_classes: mixing
    place = ["--data", data, "--seed", str(seed), "--run", run, "--no-report"]
    cli.main(["train", "cifar10", *SETTING, *place])


def trained(name: str, data: str, seed: int) -> dict[str, Any]:
    """Trains a case in a process of its own, and returns its last accuracies."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, __file__, "worth", "--data", data, "--case", name]
        command += ["--seed", str(seed), "--run", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        last = {row["split"]: row["accuracy"] for row in read_rows(run / "metrics.jsonl")}
        seconds = json.loads((run / "result.json").read_text())["seconds"]["train"]
    row = {"case": name, "seed": seed, **last, "seconds": seconds}
    print(json.dumps(row), flush=True)
    return row


def worth(seeds: int, data: str, together: int) -> dict[str, Any]:
    """Trains every case with every seed, in turn or so many at the same time."""
    every = [(name, FIRST_SEED + seed) for seed in range(seeds) for name in WORTH]
    with ThreadPoolExecutor(together) as pool:
        rows = list(pool.map(lambda one: trained(one[0], data, one[1]), every))
    cases = {}
    for name in WORTH:
        runs = [row for row in rows if row["case"] == name]
        accuracies = [one["validation"] for one in runs]
        cases[name] = {
            "validation_accuracy": round(statistics.mean(accuracies), 4),
            "sd": round(statistics.stdev(accuracies), 4) if seeds > 1 else None,
            "train_accuracy": round(statistics.mean(one["train"] for one in runs), 4),
            "train_seconds": round(statistics.median(one["seconds"] for one in runs), 1),
        }
    setting = {"seeds": seeds, "together": together, "examples": FEW, "options": " ".join(SETTING)}
    return {"benchmark": "augmentation worth", **setting, "cases": cases}


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("cost", "worth"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="a call, of the changes alone")
    parser.add_argument("--only", nargs="*", help="changes whose names hold one of these, for cost")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", default="cifar-10")
    parser.add_argument("--together", type=int, default=1, help="trainings at the same time")
    parser.add_argument("--case", choices=WORTH, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        train_here(asked.case, asked.data, asked.seed, asked.run)
        return
    if asked.what == "cost":
        summary = cost(asked.rounds, asked.steps, asked.only)
    else:
        summary = worth(asked.seeds, asked.data, asked.together)
    kind = accelerator()
    if kind != "cpu" and asked.what == "cost":
        summary["benchmark"] += " on an accelerator"
    print(json.dumps({**summary, "machine": {**machine(), "accelerator": kind}}))


if __name__ == "__main__":
    main()
