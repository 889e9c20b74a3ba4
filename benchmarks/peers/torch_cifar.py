"""The network of the preset quick of cifar10 and its training in PyTorch, for `cifar10.py`.

    python torch_cifar.py FOLDER --examples 10000 --epochs 2 … [--channels-last] [--compile]

FOLDER holds CIFAR-10's binary files. Network, loss, augmentation and optimizer are those of
flaxmill's recipe, in float32, and so are the options, which have no defaults here; the learning
rate stays at its peak, for what is measured is time. Prints a JSON line for each epoch of so many
examples. Needs no flaxmill.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch_fast_cnn import Block
from torch_muon import Muon

CLASSES, SIDE, RECORD = 10, 32, 3073


def read(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the training pictures, bytes [example, channel, height, width], and their labels."""
    files = sorted(folder.rglob("data_batch_*.bin"))
    rows = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, RECORD) for file in files])
    pictures = torch.from_numpy(rows[:, 1:].reshape(-1, 3, SIDE, SIDE).copy())
    return pictures, torch.from_numpy(rows[:, 0].astype(np.int64))


class Whitening(nn.Module):
    """Whitens patches of 2×2 pixels; the two signs of each answer are channels of their own."""

    def __init__(self, pictures: torch.Tensor) -> None:
        super().__init__()
        x = pictures[:5000].float() / 255
        mean = x.mean((0, 2, 3), keepdim=True)
        patches = functional.unfold(x - mean, 2).transpose(1, 2).flatten(0, 1)
        variances, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (variances + 5e-4).sqrt()).flip(1).T.reshape(-1, x.shape[1], 2, 2)
        self.register_buffer("mean", mean)
        self.register_buffer("filters", torch.cat([filters, -filters]))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Returns as many places as there are pixels."""
        x = functional.pad(pictures.float() / 255 - self.mean, (0, 1, 0, 1))
        return functional.relu(functional.conv2d(x, self.filters))


class SpeedNet(nn.Module):
    """Whitening, blocks that halve the picture, each with residual blocks, and a dense layer."""

    def __init__(
        self, pictures: torch.Tensor, channels: list[int], residual: list[int], scale: float
    ) -> None:
        super().__init__()
        self.whitening, self.scale = Whitening(pictures), scale
        widths = zip([len(self.whitening.filters), *channels], channels, strict=False)
        self.blocks = nn.ModuleList(Block(before, after) for before, after in widths)
        self.residual = nn.ModuleList(
            nn.ModuleList(Block(width, width) for _ in range(count))
            for width, count in zip(channels, residual, strict=True)
        )
        self.head = nn.Linear(channels[-1], CLASSES)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Returns the logits of bytes [example, channel, height, width]."""
        x = self.whitening(pictures)
        for block, residual in zip(self.blocks, self.residual, strict=True):
            x = functional.max_pool2d(block.convolution(x), 2)
            x = functional.gelu(block.norm(x), approximate="tanh")
            for more in residual:
                x = functional.gelu(x + more.norm(more.convolution(x)), approximate="tanh")
        return self.head(x.amax((2, 3))) * self.scale


def augmented(pictures: torch.Tensor, mirrored: torch.Tensor, shift: int) -> torch.Tensor:
    """Returns a batch, mirrored where told, each moved by up to ``shift`` pixels, reflected."""
    count = len(pictures)
    pictures = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    padded = functional.pad(pictures.float(), (shift,) * 4, mode="reflect").to(torch.uint8)
    places, example = torch.arange(SIDE), torch.arange(count)[:, None, None]
    down, right = (places + torch.randint(2 * shift + 1, (count, 1)) for _ in range(2))
    moved = padded.permute(0, 2, 3, 1)[example, down[:, :, None], right[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def parsed() -> argparse.Namespace:
    """Returns the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    for name in ("channels", "residual"):
        parser.add_argument(f"--{name}", type=int, nargs="+", required=True, help="of each block")
    for name in ("examples", "epochs", "batch-size", "shift"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("scale", "learning-rate", "dense-rate", "bias-rate", "momentum"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--label-smoothing", type=float, required=True)
    return parser.parse_args()


def main() -> None:
    """Trains."""
    options = parsed()
    torch.manual_seed(0)
    pictures, labels = read(options.folder)
    model = SpeedNet(pictures, options.channels, options.residual, options.scale)
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    optimizer = Muon(
        model,
        momentum=options.momentum,
        dense=options.dense_rate,
        bias=options.bias_rate,
        compiled=options.compile,
    )
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=options.label_smoothing)

    def objective(batch: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model(batch), truth)

    loss = torch.compile(objective) if options.compile else objective
    begins = torch.rand(len(labels)) < 0.5
    for epoch in range(options.epochs):
        began, seen = time.perf_counter(), 0
        for rows in torch.randperm(len(labels))[: options.examples].split(options.batch_size):
            if len(rows) == options.batch_size:
                batch = augmented(pictures[rows], begins[rows] ^ bool(epoch % 2), options.shift)
                if options.channels_last:
                    batch = batch.contiguous(memory_format=torch.channels_last)
                loss(batch, labels[rows]).backward()
                optimizer.step(options.learning_rate)
                seen += len(rows)
        seconds = time.perf_counter() - began
        print(json.dumps({"epoch": epoch, "examples": seen, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
