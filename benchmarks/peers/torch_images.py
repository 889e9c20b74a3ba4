"""Trains the recipe images' small network in PyTorch, for `benchmarks/images.py`.

    python torch_images.py PLAN.json

The plan names the picture files and their labels, the size and settings, a file with the initial
weights (NumPy, by the names of flaxmill's), and how many seconds training may take, start of the
workers included. torchvision decodes and augments in two worker processes. The learning rate
follows the share of the seconds that are over, so that the schedule is whole whatever the speed.
Prints one JSON line.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from torch_muon import Muon
from torchvision import transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Files(Dataset):
    """Picture files, decoded and transformed when they are asked for."""

    def __init__(self, listed: list[tuple[str, int]], transform: Any) -> None:
        self.listed, self.transform = listed, transform

    def __len__(self) -> int:
        return len(self.listed)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        name, label = self.listed[index]
        with Image.open(name) as picture:
            return self.transform(picture.convert("RGB")), label


class ConvNorm(nn.Module):
    """A convolution without bias and its batch normalisation."""

    def __init__(self, before: int, after: int, side: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, side, stride, side // 2, bias=False)
        self.norm = nn.BatchNorm2d(after, momentum=0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the normalised output."""
        return self.norm(self.convolution(x))


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        layers = [ConvNorm(before, width, 3, stride), ConvNorm(width, width, 3, 1)]
        self.branch = nn.ModuleList(layers)
        same = stride == 1 and before == width
        self.shortcut = None if same else ConvNorm(before, width, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the block's output."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return torch.relu(self.branch[1](torch.relu(self.branch[0](x))) + shortcut)


class Network(nn.Module):
    """The same residual network, with the same names."""

    def __init__(
        self, classes: int, stages: list[int], width: int, small: bool, dropout: float
    ) -> None:
        super().__init__()
        self.stem = ConvNorm(3, width, 3, 1) if small else ConvNorm(3, width, 7, 2)
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        self.stages, before = nn.ModuleList(), width
        for number, count in enumerate(stages):
            blocks = nn.ModuleList()
            for place in range(count):
                stride = 2 if number and not place else 1
                blocks.append(Block(before, width * 2**number, stride))
                before = width * 2**number
            self.stages.append(blocks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        x = self.pool(torch.relu(self.stem(x)))
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return self.head(self.dropout(x.mean((2, 3))))


def load(model: nn.Module, path: str) -> None:
    """Gives the model the weights of a file, which must have them all."""
    given = dict(np.load(path))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            layer, _, leaf = name.rpartition(".")
            matrix = parameter.ndim > 1
            ours = given.pop(
                f"{layer}.{'bias' if leaf == 'bias' else 'kernel' if matrix else 'scale'}"
            )
            if parameter.ndim == 4:
                ours = ours.transpose(3, 2, 0, 1)
            parameter.copy_(
                torch.from_numpy(
                    np.ascontiguousarray(ours.T if matrix and ours.ndim == 2 else ours)
                )
            )
    assert not given, sorted(given)


def rate(share: float, peak: float, warmup: float) -> float:
    """Returns the learning rate after a share of the time: it rises linearly, then falls."""
    return peak * (share / warmup if share < warmup else max(0.0, (1 - share) / (1 - warmup)))


def main() -> None:
    """Trains and tests."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    torch.manual_seed(plan["seed"])
    size, change = plan["size"], plan["colour"]
    end = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augment = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, (plan["crop"], 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(change, change, change),
            *end,
        ]
    )
    whole = int(size / plan["share"] + 1e-6)
    fit = transforms.Compose([transforms.Resize(whole), transforms.CenterCrop(size), *end])
    train = DataLoader(
        Files(plan["train"], augment),
        plan["batch_size"],
        shuffle=True,
        drop_last=True,
        num_workers=2,
        persistent_workers=True,
    )
    shape = ("classes", "stages", "width", "small_stem", "dropout")
    model = Network(*(plan[name] for name in shape))
    load(model, plan["weights"])
    model = model.to(memory_format=torch.channels_last)
    assert plan["optimizer"] == "muon", "what flaxmill chooses for a network that begins anew"
    rates = {"dense": plan["dense_rate"], "bias": plan["bias_rate"]}
    muon = Muon(model, momentum=plan["momentum"], **rates, compiled=False)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(plan["ema"]), use_buffers=True)
    cross_entropy = nn.CrossEntropyLoss(label_smoothing=plan["label_smoothing"])
    began, steps, share = time.perf_counter(), 0, 0.0
    model.train()
    while share < 1:
        for pictures, labels in train:
            share = (time.perf_counter() - began) / plan["seconds"]
            if share >= 1:
                break
            loss = cross_entropy(model(pictures.to(memory_format=torch.channels_last)), labels)
            loss.backward()
            muon.step(rate(share, plan["learning_rate"], plan["warmup"]))
            average.update_parameters(model)
            steps += 1
    average.eval()
    right = 0
    with torch.no_grad():
        for pictures, labels in DataLoader(Files(plan["test"], fit), 50):
            right += int((average(pictures).argmax(1) == labels).sum())
    epochs = steps * plan["batch_size"] / len(plan["train"])
    print(json.dumps({"accuracy": right / len(plan["test"]), "steps": steps, "epochs": epochs}))


if __name__ == "__main__":
    main()
