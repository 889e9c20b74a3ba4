"""Compares models with torchvision's and timm's, given the same random weights by their names.

    python benchmarks/parity.py --python .venv-peers/bin/python [--only vit]

PYTHON has torch, torchvision and timm (``make bench`` sets it up). Every parameter and buffer is
random (`peers/torch_random.py`); the weights come in as ``--init-from`` takes them. Prints JSON
lines; fails where logits of an evaluation differ by more than 1e-4.
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from machine import machine

from flaxmill.maths.scaling import IMAGENET
from flaxmill.models import fitting, weights
from flaxmill.models.convnext import convnext_tiny
from flaxmill.models.resnet import resnet18, resnet50
from flaxmill.models.vit import vit_base, vit_small
from flaxmill.training.initial import read_initial

HERE = Path(__file__).parent
SIZE = (224, 224)
TOLERANCE = 1e-4
MODELS = {
    "torchvision/resnet18": resnet18,
    "timm/resnet18": resnet18,
    "torchvision/resnet50": resnet50,
    "timm/resnet50": resnet50,
    "timm/vit_small_patch16_224": functools.partial(vit_small, size=SIZE),
    "torchvision/vit_b_16": functools.partial(vit_base, size=SIZE),
    "torchvision/convnext_tiny": convnext_tiny,
    "timm/convnext_tiny": convnext_tiny,
}


def compared(name: str, python: str) -> dict[str, Any]:
    """Returns how far the answers of one model are from those of its peer.

    Args:
        name: The peer's library and name.
        python: An interpreter with torch.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = str(HERE / "peers" / "torch_random.py")
        made = subprocess.run(
            [python, script, name, folder], check=True, capture_output=True, text=True
        )
        answers = dict(np.load(Path(folder) / "answers.npz"))
        model = loaded(name, read_initial(Path(folder) / "weights.safetensors"))
    logits = np.asarray(jax.jit(model)(jnp.asarray(answers["pictures"])))
    size = float(np.abs(answers["exact"]).max())
    between, ours, theirs = (
        float(np.abs(one - other).max())
        for one, other in (
            (logits, answers["logits"]),
            (logits, answers["exact"]),
            (answers["logits"], answers["exact"]),
        )
    )
    return {
        "model": name,
        "parameters": weights.count(nnx.state(model, nnx.Param)),
        "logits": size,
        "difference": between,
        "relative_difference": between / size,
        "difference_to_float64": {"flaxmill": ours, "torch": theirs},
        "peer": made.stdout.strip(),
    }


def loaded(name: str, arrays: Any) -> nnx.Module:
    """Returns our model with the peer's weights, in its evaluation mode."""
    model = nnx.eval_shape(lambda: MODELS[name](3, 1000, **IMAGENET, rngs=nnx.Rngs(0)))
    graphdef, params, model_state = nnx.split(model, nnx.Param, ...)
    found, _ = fitting.fitted({"params": params, "model_state": model_state}, arrays)
    found = jax.tree.map(jnp.asarray, found)
    model = nnx.merge(graphdef, found["params"], found["model_state"])
    model.eval()
    return model


def main() -> None:
    """Prints a line for each model, and the summary."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", required=True, help="an interpreter with torch")
    parser.add_argument("--only", default="", help="models whose name holds this")
    options = parser.parse_args()
    rows = []
    for name in MODELS:
        if options.only in name:
            rows.append(compared(name, options.python))
            print(json.dumps(rows[-1]), flush=True)
    if not options.only:
        print(json.dumps({"benchmark": "parity", "rows": rows, "machine": machine()}), flush=True)
    if apart := [row["model"] for row in rows if row["difference"] > TOLERANCE]:
        sys.exit(f"the logits differ by more than {TOLERANCE}: {', '.join(apart)}")


if __name__ == "__main__":
    main()
