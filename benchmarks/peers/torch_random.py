"""A model of torchvision or timm with random weights, and what it answers: for parity.py.

    python torch_random.py MODEL FOLDER [--pictures 8]

MODEL is the library and the name, such as timm/vit_small_patch16_224. Every parameter and every
buffer is drawn anew, for the fresh ones hide mistakes: scales of 1, statistics of 0 and 1, layer
scales of 1e-6. FOLDER gets weights.safetensors, and answers.npz with the pictures (float32, height,
width, channel, 0 to 1) and the logits.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from safetensors.torch import save_file

SIDE = 224


def made(name: str) -> Any:
    """Returns a fresh model of either library."""
    library, _, model = name.partition("/")
    if library == "timm":
        return timm.create_model(model, pretrained=False)
    return getattr(torchvision.models, model)(weights=None)


@torch.no_grad()
def draw(model: Any) -> None:
    """Draws every parameter and every buffer of floats, so that a signal keeps about its size."""
    for name, tensor in model.state_dict().items():
        last = name.rpartition(".")[2]
        if not tensor.is_floating_point():
            tensor.random_(1, 1000)
        elif last == "running_var" or (last == "weight" and tensor.ndim == 1):
            tensor.uniform_(0.5, 1.5)
        elif last in ("gamma", "layer_scale"):
            tensor.uniform_(-0.5, 0.5)
        elif last.endswith("weight"):
            tensor.normal_(0, (1.0 / tensor[0].numel()) ** 0.5)
        else:  # biases, running means, the class token, positions
            tensor.normal_(0, 0.3)


def main() -> None:
    """Writes the two files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=8)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = made(options.model).eval()
    draw(model)
    given = np.random.default_rng(1).random((options.pictures, SIDE, SIDE, 3), np.float32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pictures = ((torch.from_numpy(given) - mean) / std).permute(0, 3, 1, 2).contiguous()
    save_file(model.state_dict(), options.folder / "weights.safetensors")
    with torch.inference_mode():
        logits, exact = model(pictures), model.double()(pictures.double())
    np.savez(options.folder / "answers.npz", pictures=given, logits=logits, exact=exact)
    versions = {module.__name__: module.__version__ for module in (torch, torchvision, timm)}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))


if __name__ == "__main__":
    main()
