"""The baseline: a plain Flax training loop as tutorials write it, one dispatch a step.

    python benchmarks/tutorial_loop.py FOLDER [--epochs 10] [--seed 0] [--examples 60000]

FOLDER holds Fashion-MNIST's four files. A Linen CNN, `TrainState`, `jax.jit` around one step,
`jax.random.permutation` every epoch. Prints a JSON line an epoch.
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

from flaxmill.data.images import read_fashion_mnist

BATCH = 32


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
    arguments = parser.parse_args()
    found = read_fashion_mnist(arguments.folder)
    train, test = (
        {"image": jnp.float32(part["image"]) / 255, "label": part["label"]}
        for part in (found.train, found.test)
    )
    key, init = jax.random.split(jax.random.key(arguments.seed))
    model = CNN()
    params = model.init(init, jnp.ones((1, 28, 28, 1)))["params"]
    state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1, 0.9))
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
