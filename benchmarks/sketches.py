"""How fast the built-in pictures are drawn, and how hard they are.

    python benchmarks/sketches.py               # time, linear model, the tutorial's CNN (seed 0)
    python benchmarks/sketches.py --seeds 3     # the published figures

Prints JSON lines. The CNN is the recipe's preset ``article`` on the drawn pictures: network and
training of the Fashion-MNIST tutorial, number for number.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from fashion_mnist import accuracy
from flax import linen as nn
from machine import machine

from flaxmill.data.sketches import CLASSES, TEST_FIRST, draw


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


def linear_accuracy(train: tuple[np.ndarray, np.ndarray], test: int) -> float:
    """Trains softmax regression for 20 epochs; returns its accuracy on so many test pictures."""
    pictures, labels = draw(TEST_FIRST + np.arange(test))
    start = time.perf_counter()
    adam = optax.adam(optax.cosine_decay_schedule(2e-3, len(train[1]) // 128 * 20))
    predict = fit(Linear(), adam, train, epochs=20, batch_size=128, seed=0)
    right = predict(pictures) == labels
    recall = {c: round(float(right[labels == i].mean()), 3) for i, c in enumerate(CLASSES)}
    row = {
        "what": "linear",
        "test_accuracy": round(float(right.mean()), 4),
        "train_accuracy": round(float((predict(train[0]) == train[1]).mean()), 4),
        "recall": recall,
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(json.dumps(row), flush=True)
    return row["test_accuracy"]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="CNNs trained, seeds 0, 1, …")
    parser.add_argument("--train", type=int, default=60_000, help="pictures that are drawn")
    parser.add_argument(
        "--test", type=int, default=10_000, help="test pictures of the linear model"
    )
    options = parser.parse_args()

    train, again = timed_drawing(options.train)
    linear = linear_accuracy(train, options.test)
    tested = accuracy("article", options.seeds, ["--data", "sketches"])
    summary = {
        "benchmark": "sketches",
        "pictures_a_second": round(options.train / again),
        "linear_test_accuracy": linear,
        "seeds": options.seeds,
        "cnn_test_accuracy_mean": tested["test_accuracy_mean"],
        "cnn_test_accuracy_sd": tested["test_accuracy_sd"],
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
