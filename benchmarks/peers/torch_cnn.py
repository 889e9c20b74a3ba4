"""The tutorial's network and training in PyTorch, for `benchmarks/peers.py`; needs no flaxmill.

    python torch_cnn.py FOLDER [--channels-last] [--compile] [--epochs 2] [--examples 60000]
        [--scale 1] [--learning-rate 0.1] [--device cpu]

FOLDER holds Fashion-MNIST's four files. With ``--scale N`` the pictures are N times as high and
wide; only so many are used, and tested on, as fit the memory then. All the data is moved to the
device before the clock starts. Prints a JSON line an epoch.
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
TRAIN, TEST = 60_000, 10_000


def read(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a part's pictures, bytes [example, channel, height, width], and labels."""
    pictures = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    shaped = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return (
        torch.from_numpy(shaped.copy()),
        torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)),
    )


def enlarged(pictures: torch.Tensor, scale: int) -> torch.Tensor:
    """Returns pictures from 0 to 1, each pixel a square of ``scale`` by ``scale`` pixels."""
    return pictures.repeat_interleave(scale, 2).repeat_interleave(scale, 3).float() / 255


def use(device: str) -> torch.device:
    """Returns a device; on a card, products may be as coarse there as JAX's are by default."""
    if device != "cpu":
        torch.set_float32_matmul_precision("high")  # TF32, which convolutions use already
    return torch.device(device)


def wait(device: torch.device) -> None:
    """Waits until the device has done what it was given, so that the clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def network(scale: int) -> nn.Sequential:
    """Returns the tutorial's CNN, for pictures of 28 pixels times ``scale`` a side."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding="same"),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 64, 3, padding="same"),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(3136 * scale**2, 256),
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
    parser.add_argument("--scale", type=int, default=1, help="enlarges the pictures")
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device, scale = use(arguments.device), arguments.scale
    # Pictures that stay as they are stay as many as they are.
    kept = arguments.examples if scale > 1 else TRAIN
    (pictures, labels), (test_pictures, test_labels) = (
        (enlarged(images[:count], scale).to(device), labels[:count].to(device))
        for (images, labels), count in (
            (read(arguments.folder, "train"), kept),
            (read(arguments.folder, "t10k"), TEST // scale**2),
        )
    )
    model: nn.Module = network(scale).to(device)
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), arguments.learning_rate, momentum=0.9, foreach=True
    )
    forward = torch.compile(model) if arguments.compile else model
    cross_entropy = nn.CrossEntropyLoss()
    for epoch in range(1, arguments.epochs + 1):
        wait(device)
        began = time.perf_counter()
        order = torch.randperm(len(labels), device=device)[: arguments.examples // BATCH * BATCH]
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
        wait(device)
        seconds = time.perf_counter() - began
        with torch.no_grad():
            logits = model(test_pictures)
        tested = (logits.argmax(1) == test_labels).float().mean().item()
        line = {"epoch": epoch, "train": train, "test": {"accuracy": tested}}
        print(json.dumps({**line, "examples": len(order), "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
