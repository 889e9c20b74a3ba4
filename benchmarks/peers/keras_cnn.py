"""The tutorial's network and training with Keras, for `benchmarks/peers.py`; needs no flaxmill.

    KERAS_BACKEND=jax python keras_cnn.py FOLDER [--epochs 2] [--examples 60000]

FOLDER holds Fashion-MNIST's four files. Prints a JSON line an epoch.
"""

import argparse
import gzip
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

BATCH = 32


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns a part's pictures, 0 to 1, and labels."""
    pictures = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    shaped = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return shaped.astype(np.float32) / 255, np.frombuffer(labels, np.uint8, offset=8).astype(
        "int32"
    )


class Told(keras.callbacks.Callback):
    """Prints what an epoch gave and took, evaluation left out."""

    def __init__(self, examples: int, test: tuple[np.ndarray, np.ndarray]) -> None:
        super().__init__()
        self.examples, self.test, self.began = examples, test, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the time."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Prints a line."""
        seconds = time.perf_counter() - self.began
        tested = self.model.evaluate(*self.test, batch_size=500, verbose=0, return_dict=True)
        line = {"epoch": epoch + 1, "train": logs, "test": tested}
        print(json.dumps({**line, "examples": self.examples, "seconds": seconds}), flush=True)


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--examples", type=int, default=60_000, help="examples an epoch")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    train, test = read(arguments.folder, "train"), read(arguments.folder, "t10k")
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, 0.9), loss, metrics=["accuracy"])
    count = arguments.examples // BATCH * BATCH
    model.fit(
        *(part[:count] for part in train),
        batch_size=BATCH,
        epochs=arguments.epochs,
        verbose=0,
        callbacks=[Told(count, test)],
    )


if __name__ == "__main__":
    main()
