"""The tutorial's network and training in PyTorch, for `benchmarks/peers.py`; needs no flaxmill.

    python torch_cnn.py FOLDER [--channels-last] [--compile] [--epochs 2] [--examples 60000]

FOLDER holds Fashion-MNIST's four files. Prints a JSON line an epoch.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

BATCH = 32


def read(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a part's pictures, 0 to 1, channels first, and labels."""
    pictures = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    shaped = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return (
        torch.from_numpy(shaped.astype(np.float32) / 255),
        torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)),
    )


def network() -> nn.Sequential:
    """Returns the tutorial's CNN."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding="same"),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 64, 3, padding="same"),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 256),
        nn.ReLU(),
        nn.Linear(256, 10),
    )


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--examples", type=int, default=60_000, help="examples an epoch")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    pictures, labels = read(arguments.folder, "train")
    test_pictures, test_labels = read(arguments.folder, "t10k")
    model: nn.Module = network()
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, foreach=True)
    forward = torch.compile(model) if arguments.compile else model
    cross_entropy = nn.CrossEntropyLoss()
    for epoch in range(1, arguments.epochs + 1):
        began = time.perf_counter()
        order = torch.randperm(len(labels))[: arguments.examples // BATCH * BATCH]
        losses, right = [], []
        for rows in order.split(BATCH):
            logits = forward(pictures[rows])
            loss = cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            right.append((logits.detach().argmax(1) == labels[rows]).sum())
        train = {
            "loss": torch.stack(losses).mean().item(),
            "accuracy": torch.stack(right).sum().item() / len(order),
        }
        seconds = time.perf_counter() - began
        with torch.no_grad():
            logits = model(test_pictures)
        tested = (logits.argmax(1) == test_labels).float().mean().item()
        line = {"epoch": epoch, "train": train, "test": {"accuracy": tested}}
        print(json.dumps({**line, "examples": len(order), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
