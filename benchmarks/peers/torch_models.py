"""The tutorial's CNN and ResNet in PyTorch, with weights from Flax, for `fastapi_server.py`.

Modules are named as in flaxmill, so that an array's path there says where it belongs here.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class CNN(nn.Module):
    """The tutorial's network: convolutions of 3×3, each halved by a pool, and two dense layers."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        kernels = [array for name, array in arrays.items() if array.ndim == 4]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1) for kernel in kernels
        )
        self.hidden = nn.Linear(*arrays["hidden.kernel"].shape)
        self.head = nn.Linear(*arrays["head.kernel"].shape)
        # Flax flattens height × width × channel, PyTorch channel × height × width.
        kernel, channels = arrays["hidden.kernel"], kernels[-1].shape[3]
        side = round((kernel.shape[0] / channels) ** 0.5)
        shaped = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3)
        arrays["hidden.kernel"] = shaped.reshape(kernel.shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the logits of pictures [example, channel, height, width], from 0 to 1."""
        for convolution in self.convolutions:
            x = functional.avg_pool2d(functional.relu(convolution(x)), 2)
        return self.head(functional.relu(self.hidden(x.flatten(1))))


class ConvNorm(nn.Module):
    """A convolution without bias, and the batch normalisation of its output."""

    def __init__(self, kernel: np.ndarray, stride: int) -> None:
        super().__init__()
        side, _, before, after = kernel.shape
        self.convolution = nn.Conv2d(before, after, side, stride, side // 2, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolves and normalises."""
        return self.norm(self.convolution(x))


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, arrays: dict[str, np.ndarray], path: str, stride: int) -> None:
        super().__init__()
        kernels = [arrays[f"{path}.branch.{i}.convolution.kernel"] for i in range(2)]
        strides = (stride, 1)
        self.branch = nn.ModuleList(map(ConvNorm, kernels, strides))
        shortcut = arrays.get(f"{path}.shortcut.convolution.kernel")
        self.shortcut = nn.Identity() if shortcut is None else ConvNorm(shortcut, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Adds what the branch says to the shortcut."""
        first, second = self.branch
        return functional.relu(second(functional.relu(first(x))) + self.shortcut(x))


class ResNet(nn.Module):
    """A ResNet of basic blocks, with the stem for small pictures."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.stem = ConvNorm(arrays["stem.convolution.kernel"], 1)
        places = {tuple(map(int, name.split(".")[1:3])) for name in arrays if "stages" in name}
        self.stages = nn.ModuleList(nn.ModuleList() for _ in {stage for stage, _ in places})
        for stage, block in sorted(places):
            stride = 2 if stage > 0 and block == 0 else 1
            self.stages[stage].append(Block(arrays, f"stages.{stage}.{block}", stride))
        self.head = nn.Linear(*arrays["head.kernel"].shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the logits of pictures [example, channel, height, width], from 0 to 1."""
        x = functional.relu(self.stem(x))
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return self.head(x.mean((2, 3)))


NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def load(path: Path) -> nn.Module:
    """Returns the model whose arrays are in a file, as Flax has them, ready for inference."""
    with np.load(path) as file:
        arrays = dict(file)
    model = (ResNet if "stem.convolution.kernel" in arrays else CNN)(arrays)
    state = model.state_dict()
    for name, array in arrays.items():
        module, _, last = name.rpartition(".")
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, (0,))
        state[f"{module}.{NAMES[last]}"] = torch.from_numpy(array.transpose(order).copy())
    model.load_state_dict(state)
    return model.eval()
