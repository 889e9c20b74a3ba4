"""Reads pictures as PyTorch does, for `benchmarks/input.py`; needs no flaxmill.

    python torch_input.py PLAN.json --way pillow|io|io-pillow

PLAN.json says which files, how often, and what is made of them. All ways use
``torch.utils.data.DataLoader`` with worker processes. ``pillow`` is what ``ImageFolder`` does:
Pillow decodes, and torchvision's ``Resize`` and ``CenterCrop`` call Pillow. ``io`` decodes and
resizes with torchvision alone, ``io-pillow`` decodes with it and resizes with Pillow. Prints a JSON
line: pictures a second, and a digest of each picture of the first pass.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import io, transforms
from torchvision.datasets.folder import default_loader
from torchvision.transforms.v2 import functional


class Files(Dataset):
    """The files over and over, each read and cut as the plan says: uint8 [height, width, 3]."""

    def __init__(self, plan: dict[str, Any], way: str) -> None:
        self.files, self.way = plan["files"], way
        self.length = len(self.files) * plan["passes"]
        self.resize, self.size = plan["resize"], plan["size"]
        self.cut = transforms.Compose(
            [transforms.Resize(self.resize), transforms.CenterCrop(self.size)]
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        path = self.files[index % len(self.files)]
        if self.way == "pillow":
            return torch.from_numpy(np.array(self.cut(default_loader(path))))
        pixels = io.decode_image(io.read_file(path), mode=io.ImageReadMode.RGB)
        if self.way == "io-pillow":
            picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
            return torch.from_numpy(np.array(self.cut(picture)))
        resized = functional.resize(pixels, [self.resize], antialias=True)
        return functional.center_crop(resized, [self.size, self.size]).permute(1, 2, 0).contiguous()


def main() -> None:
    """Reads, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--way", choices=("pillow", "io", "io-pillow"), default="pillow")
    arguments = parser.parse_args()
    plan = json.loads(arguments.plan.read_text())
    loader = DataLoader(
        Files(plan, arguments.way), batch_size=plan["batch"], num_workers=plan["workers"]
    )
    each = len(plan["files"]) // plan["batch"]
    checked, first, last = (plan[name] * each for name in ("checked", "begin", "end"))
    digests: list[str] = []
    began = 0.0
    for number, batch in enumerate(loader, start=1):
        if number <= checked:
            digests += [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in batch]
        if number == first:
            began = time.perf_counter()
        if number == last:
            break
    seconds = time.perf_counter() - began
    rate = (last - first) * plan["batch"] / seconds
    print(json.dumps({"pictures_per_second": rate, "sha256": sorted(digests)}))


if __name__ == "__main__":
    main()
