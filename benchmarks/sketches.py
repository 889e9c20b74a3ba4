"""How fast the built-in pictures are drawn, and how hard they are.

    python benchmarks/sketches.py                      # time, linear model, CNN with seed 0
    python benchmarks/sketches.py --seeds 3            # the published figures
    python benchmarks/sketches.py --train 30000 --epochs 2     # a quick look while tuning

Prints JSON lines. The CNN and its training are those of the Fashion-MNIST tutorial: SGD with
learning rate 0.1 and momentum 0.9, batches of 32, ten epochs.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from machine import machine

from flaxmill.data.sketches import CLASSES, TEST_FIRST, draw


class CNN(nn.Module):
    """The tutorial's network: two convolutions with average pooling, two dense layers."""

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        """Gives logits [batch, class] for pictures [batch, height, width, channel]."""
        x = nn.avg_pool(nn.relu(nn.Conv(32, (3, 3))(pictures)), (2, 2), (2, 2))
        x = nn.avg_pool(nn.relu(nn.Conv(64, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(256)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


class Linear(nn.Module):
    """Softmax regression on the raw pixels."""

    @nn.compact
    def __call__(self, pictures: jax.Array) -> jax.Array:
        """Gives logits [batch, class] for pictures [batch, height, width, channel]."""
        return nn.Dense(10)(pictures.reshape(len(pictures), -1))


def fit(
    model: nn.Module,
    tx: optax.GradientTransformation,
    data: tuple[np.ndarray, np.ndarray],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
) -> Callable[[np.ndarray], np.ndarray]:
    """Trains a model with a plain loop, one compiled call a step.

    Returns:
        A function from uint8 pictures to predicted labels.
    """
    pictures, labels = data
    params = model.init(jax.random.key(seed), jnp.zeros((1, 28, 28, 1)))
    state = tx.init(params)

    def logits(params: dict, batch: jax.Array) -> jax.Array:
        return jnp.asarray(model.apply(params, batch.astype(jnp.float32) / 255.0))

    @jax.jit
    def step(params: dict, state: optax.OptState, x: jax.Array, y: jax.Array) -> tuple:
        def loss(params: dict) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        order = rng.permutation(len(labels))
        for rows in order[: len(order) // batch_size * batch_size].reshape(-1, batch_size):
            params, state = step(params, state, pictures[rows], labels[rows])

    best = jax.jit(lambda params, batch: logits(params, batch).argmax(-1))
    return lambda x: np.concatenate(
        [np.asarray(best(params, part)) for part in np.array_split(x, max(1, len(x) // 1000))]
    )


def timed_drawing(count: int) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Draws pictures twice; returns them with their labels, and the seconds of the second time."""
    jax.devices()  # so that starting JAX is not counted
    start = time.perf_counter()
    train = draw(np.arange(count))
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    draw(np.arange(count))
    again = time.perf_counter() - start
    row = {
        "what": "draw",
        "pictures": count,
        "seconds_with_compilation": round(seconds, 2),
        "seconds_again": round(again, 2),
    }
    print(json.dumps(row), flush=True)
    return train, again


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="CNNs trained, seeds 0, 1, …")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of a CNN")
    parser.add_argument("--train", type=int, default=60_000, help="training pictures")
    parser.add_argument("--test", type=int, default=10_000, help="test pictures")
    options = parser.parse_args()

    train, again = timed_drawing(options.train)
    pictures, labels = draw(TEST_FIRST + np.arange(options.test))
    steps = options.train // 128 * 20
    adam = optax.adam(optax.cosine_decay_schedule(2e-3, steps))
    sgd = optax.sgd(0.1, momentum=0.9)
    jobs = [("linear", Linear(), adam, 20, 128, 0)]
    jobs += [("cnn", CNN(), sgd, options.epochs, 32, seed) for seed in range(options.seeds)]
    tested: dict[str, list[float]] = {"linear": [], "cnn": []}
    for name, model, tx, epochs, batch_size, seed in jobs:
        start = time.perf_counter()
        predict = fit(model, tx, train, epochs=epochs, batch_size=batch_size, seed=seed)
        right = predict(pictures) == labels
        tested[name].append(float(right.mean()))
        print(
            json.dumps(
                {
                    "what": name,
                    "seed": seed,
                    "epochs": epochs,
                    "train_pictures": options.train,
                    "test_pictures": options.test,
                    "test_accuracy": round(tested[name][-1], 4),
                    "train_accuracy": round(float((predict(train[0]) == train[1]).mean()), 4),
                    "recall": {
                        c: round(float(right[labels == i].mean()), 3) for i, c in enumerate(CLASSES)
                    },
                    "seconds": round(time.perf_counter() - start, 1),
                }
            ),
            flush=True,
        )
    summary = {
        "benchmark": "sketches",
        "pictures_a_second": round(options.train / again),
        "linear_test_accuracy": round(tested["linear"][0], 4),
        "seeds": options.seeds,
        "cnn_epochs": options.epochs,
        "cnn_test_accuracy_mean": round(statistics.mean(tested["cnn"]), 4),
        "cnn_test_accuracy_sd": (
            round(statistics.stdev(tested["cnn"]), 4) if options.seeds > 1 else None
        ),
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
