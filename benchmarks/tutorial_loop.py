"""The baseline: a plain Flax training loop as tutorials write it, one dispatch a step.

    python benchmarks/tutorial_loop.py FOLDER [--epochs 10] [--seed 0] [--examples 60000]
        [--scale 1] [--learning-rate 0.1]

FOLDER holds Fashion-MNIST's four files. A Linen CNN, `TrainState`, `jax.jit` around one step,
`jax.random.permutation` every epoch. With ``--scale N`` the pictures are N times as high and wide;
only so many are used, and tested on, as fit the memory then. Prints a JSON line an epoch.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState

from flaxmill.data.known.idx import read_fashion_mnist

BATCH = 32
TEST = 10_000


def enlarged(part: dict[str, np.ndarray], scale: int, examples: int) -> dict[str, np.ndarray]:
    """Returns the first examples, each pixel a square of ``scale`` by ``scale`` pixels.

    Pictures that stay as they are stay as many as they are.
    """
    if scale == 1:
        return part
    pictures = part["image"][:examples].repeat(scale, axis=1).repeat(scale, axis=2)
    return {"image": pictures, "label": part["label"][:examples]}


class CNN(nn.Module):
    """Two convolutions with average pooling, two dense layers."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns logits."""
        for features in (32, 64):
            x = nn.relu(nn.Conv(features, (3, 3))(x))
            x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        x = nn.relu(nn.Dense(256)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


def figures(logits: jax.Array, labels: jax.Array) -> dict[str, jax.Array]:
    """Returns mean loss and accuracy."""
    losses = optax.softmax_cross_entropy(logits, jax.nn.one_hot(labels, 10))
    return {"loss": losses.mean(), "accuracy": (logits.argmax(-1) == labels).mean()}


@jax.jit
def train_step(state: TrainState, batch: dict[str, Any]) -> tuple[TrainState, dict[str, Any]]:
    """Takes one step."""

    def loss(params: Any) -> Any:
        logits = state.apply_fn({"params": params}, batch["image"])
        found = figures(logits, batch["label"])
        return found["loss"], found

    gradients, found = jax.grad(loss, has_aux=True)(state.params)
    return state.apply_gradients(grads=gradients), found


@jax.jit
def evaluate(state: TrainState, data: dict[str, Any]) -> dict[str, Any]:
    """Evaluates on everything at once."""
    return figures(state.apply_fn({"params": state.params}, data["image"]), data["label"])


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=60_000, help="examples an epoch")
    parser.add_argument("--scale", type=int, default=1, help="enlarges the pictures")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    arguments = parser.parse_args()
    found, scale = read_fashion_mnist(arguments.folder), arguments.scale
    train, test = (
        {"image": jnp.float32(part["image"]) / 255, "label": part["label"]}
        for part in (
            enlarged(found.train, scale, arguments.examples),
            enlarged(found.test, scale, TEST // scale**2),
        )
    )
    key, init = jax.random.split(jax.random.key(arguments.seed))
    model = CNN()
    params = model.init(init, jnp.ones((1, 28 * scale, 28 * scale, 1)))["params"]
    tx = optax.sgd(arguments.learning_rate, 0.9)
    state = TrainState.create(apply_fn=model.apply, params=params, tx=tx)
    examples = min(arguments.examples, len(train["label"])) // BATCH * BATCH
    for epoch in range(1, arguments.epochs + 1):
        began = time.perf_counter()
        key, order = jax.random.split(key)
        batches = jax.random.permutation(order, len(train["label"]))[:examples]
        rows = []
        for indices in batches.reshape(-1, BATCH):
            state, row = train_step(state, {name: part[indices] for name, part in train.items()})
            rows.append(row)
        rows = jax.device_get(rows)
        seconds = time.perf_counter() - began
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        tested = {name: float(value) for name, value in evaluate(state, test).items()}
        line = {"epoch": epoch, "train": means, "test": tested}
        line |= {"examples": examples, "seconds": round(seconds, 2)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
