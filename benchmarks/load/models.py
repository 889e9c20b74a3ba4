"""The models that `benchmarks/serve.py` serves, in every form that a contestant takes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flaxmill.export import parity
from flaxmill.export.function import application, exported_signature, stablehlo
from flaxmill.export.graph import onnx_graph
from flaxmill.machine import files, json_forms
from flaxmill.models import weights
from flaxmill.models.cnn import CNN
from flaxmill.models.resnet import resnet18
from flaxmill.tasks.signature import Signature, Tensor
from flaxmill.trained import engines

CLASSES = 10
PICTURES = 1000  # as many as there are clients at most, so that each has its own
TOLERANCE = 1e-4  # how far a contestant's logits may be from those of the Flax model
MODELS: dict[str, tuple[tuple[int, int, int], Callable[[nnx.Rngs], nnx.Module]]] = {
    "CNN": ((28, 28, 1), lambda rngs: CNN((28, 28), 1, CLASSES, rngs=rngs)),
    "ResNet-18": ((32, 32, 3), lambda rngs: resnet18(3, CLASSES, stem="cifar", rngs=rngs)),
}
"""The shape of a picture, and the model; ResNet-18 multiplies 0.56 billion times for a picture."""


@dataclass(frozen=True)
class Forms:
    """Where a model lies.

    Attributes:
        shape: Of a picture.
        export: The export directory.
        onnx: The ONNX file in it.
        arrays: The arrays by name (.npz).
        plans: What clients send to flaxmill ("protocol"), to the plain servers ("bytes"), and to
            the server that answers nothing ("null").
    """

    shape: tuple[int, int, int]
    export: Path
    onnx: Path
    arrays: Path
    plans: dict[str, Path]


def write(name: str, folder: Path) -> Forms:
    """Writes a model with random weights, and what clients send and expect.

    Args:
        name: Of `MODELS`.
        folder: A place for it.
    """
    shape, build = MODELS[name]
    model = build(nnx.Rngs(0))
    draw_normalisations(model, np.random.default_rng(0))
    model.eval()
    pictures = drawn_pictures(shape, np.random.default_rng(1))
    parts = [np.asarray(jax.jit(model)(part)) for part in np.split(pictures, 10)]
    expected = np.concatenate(parts)
    check_apart(expected)
    arrays = weights.flatten(nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))))
    forms = Forms(
        shape,
        folder / "export",
        folder / "export" / engines.FILES["onnx"],
        folder / "arrays.npz",
        {kind: folder / f"{kind}.npz" for kind in ("protocol", "bytes", "null")},
    )
    forms.export.mkdir(parents=True)
    np.savez(forms.arrays, allow_pickle=False, **arrays)
    write_export(forms.export, model, signature(name, shape, arrays), pictures, expected)
    heads = {"protocol": protocol_head(shape), "bytes": head("/predict", pictures[0].nbytes)}
    for kind, path in forms.plans.items():
        begin = np.frombuffer(heads.get(kind, heads["bytes"]), np.uint8)
        answers = np.zeros_like(expected) if kind == "null" else expected
        np.savez(path, allow_pickle=False, head=begin, pictures=pictures, expected=answers)
    return forms


def draw_normalisations(model: nnx.Module, generator: np.random.Generator) -> None:
    """Gives normalisations the statistics, scales and shifts that training might have left.

    The scales that begin at 0 would otherwise leave half of a ResNet without a say.
    """
    for _, layer in nnx.iter_modules(model):
        if isinstance(layer, nnx.BatchNorm):
            for variable, low, high in (
                *((one, -0.2, 0.2) for one in (layer.mean, layer.bias)),
                *((one, 0.5, 1.5) for one in (layer.var, layer.scale)),
            ):
                assert isinstance(variable, nnx.Variable)
                values = generator.uniform(low, high, variable.shape)
                variable[...] = jnp.asarray(values, jnp.float32)


def drawn_pictures(shape: tuple[int, int, int], generator: np.random.Generator) -> np.ndarray:
    """Returns pictures of coarse random squares, no two alike."""
    height, width, channels = shape
    squares = generator.integers(0, 256, (PICTURES, height // 4, width // 4, channels), np.uint8)
    return squares.repeat(4, 1).repeat(4, 2)


def check_apart(answers: np.ndarray) -> None:
    """Makes sure that an answer meant for another picture would be noticed."""
    for row, answer in enumerate(answers):
        nearest = np.abs(np.delete(answers, row, 0) - answer).max(1).min()
        assert nearest > 10 * TOLERANCE, (row, nearest)


def signature(name: str, shape: tuple[int, int, int], arrays: dict[str, Any]) -> Signature:
    """Returns the signature of a model's export."""
    plain = Signature(
        name="served",
        takes="picture",
        gives="one_class",
        inputs=(Tensor("image", "uint8", (-1, *shape), "raw pictures, 0 to 255"),),
        outputs=(Tensor("logits", "float32", (-1, CLASSES), "scores before the softmax"),),
        labels=tuple(map(str, range(CLASSES))),
        preprocess={"mode": "L" if shape[-1] == 1 else "RGB"},
    )
    run = {"recipe": name, "weights_sha256": weights.digest(arrays)}
    return exported_signature(plain, licence="", run=run)


def write_export(
    folder: Path,
    model: nnx.Module,
    signature: Signature,
    pictures: np.ndarray,
    expected: np.ndarray,
) -> None:
    """Writes an export of a model that no run trained, each format checked."""
    apply = application(model)
    contents = {
        "stablehlo": ("jax", stablehlo(apply, signature)),
        "onnx": ("onnx", onnx_graph(apply, signature).SerializeToString()),
    }
    signature.save(folder / "signature.json")
    rows = {}
    for name, (engine, content) in contents.items():
        path = folder / engines.FILES[engine]
        files.write_atomic(path, content)
        outputs = engines.start(engine, folder, signature)(pictures[:100])["logits"]
        found = parity.Comparison(signature.output_kind)
        found.add(outputs, expected[:100], None)
        rows[name] = parity.check_exact({**parity.of_file(path), **found.figures()}, name)
    files.write_json(folder / "parity.json", {"format": json_forms.NEWEST, "formats": rows})


def head(path: str, size: int, *more: str) -> bytes:
    """Returns the beginning of a request, up to its body."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/octet-stream"]
    lines += [*more, f"Content-Length: {size}", "", ""]
    return "\r\n".join(lines).encode()


def protocol_head(shape: tuple[int, int, int]) -> bytes:
    """Returns the beginning of a request of the Open Inference Protocol, up to its tensor."""
    size = int(np.prod(shape))
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, *shape]}
    asked = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": size}}],
        "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
    }
    said = json.dumps(asked).encode()
    more = f"Inference-Header-Content-Length: {len(said)}"
    return head("/v2/models/served/infer", len(said) + size, more) + said
