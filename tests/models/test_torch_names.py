"""Weights that are named and laid out as in torchvision and timm, against plain evaluations."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_runs
from commands import command
from drawn_networks import answer, pictures
from flax import nnx
from safetensors.numpy import save_file
from torch_arrays import (
    ARRAYS,
    CLASSES,
    LOGITS,
    PATCH,
    SIDE,
    WIDTH,
    Arrays,
    channels_first,
    dense,
    normal,
    resnet_arrays,
    vit_arrays,
)

from flaxmill.errors import BadInput
from flaxmill.models import fitting, weights
from flaxmill.models.convnext import ConvNeXt
from flaxmill.models.resnet import ResNet, bottleneck
from flaxmill.models.views import AS_IT_IS, Views
from flaxmill.models.vit import ViT
from flaxmill.training.initial import read_initial

BUILDS: dict[str, Callable[..., Any]] = {
    "ViT": functools.partial(ViT, size=(SIDE, SIDE), patch=PATCH, width=WIDTH, depth=2, heads=2),
    "ConvNeXt": functools.partial(ConvNeXt, stages=(1, 1), widths=(4, WIDTH), patch=2),
    "ResNet": functools.partial(ResNet, block=bottleneck, stages=(1, 1), width=4),
}


def fitted(build: Callable[..., Any], arrays: Any) -> tuple[Any, tuple[str, ...]]:
    """Returns a model with weights from elsewhere, in evaluation, and what is told about them."""
    graphdef, params, rest = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))), nnx.Param, ...)
    weights, notes = fitting.fitted({"params": params, "model_state": rest}, arrays)
    weights = jax.tree.map(jnp.asarray, weights)
    model = nnx.merge(graphdef, weights["params"], weights["model_state"])
    model.eval()
    return model, notes


def network(name: str, rngs: nnx.Rngs) -> Any:
    return BUILDS[name](3, CLASSES, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), rngs=rngs)


@pytest.mark.parametrize("name", BUILDS)
def test_a_file_of_theirs_gives_their_answers(name: str, tmp_path: Path) -> None:
    arrays, file = ARRAYS[name](), tmp_path / "theirs.safetensors"
    save_file(arrays, file)
    model, notes = fitted(functools.partial(network, name), read_initial(file))
    (note,) = notes
    assert note.startswith(f"The weights are named as those of a {name}, as in t")
    inputs = pictures(3, SIDE, SIDE, 3)
    scaled = (inputs / 255 - np.array([0.5, 0.4, 0.3])) / np.array([0.2, 0.3, 0.4])
    expected = LOGITS[name](arrays, channels_first(scaled))
    assert np.ptp(expected, axis=0).max() > 0.1  # it looks at pictures
    np.testing.assert_allclose(answer(model, inputs), expected, atol=1e-5)


# What torchvision calls the same: our table's other half, written once more as whole names.
TORCHVISION = {
    "ViT": [
        (r"^patch_embed\.proj", "conv_proj"),
        (r"^cls_token", "class_token"),
        (r"^pos_embed", "encoder.pos_embedding"),
        (r"^blocks\.(\d+)", r"encoder.layers.encoder_layer_\1"),
        (r"norm(\d)", r"ln_\1"),
        (r"attn\.qkv\.", "self_attention.in_proj_"),
        (r"attn\.proj", "self_attention.out_proj"),
        (r"mlp\.fc1", "mlp.0"),
        (r"mlp\.fc2", "mlp.3"),
        (r"^norm", "encoder.ln"),
        (r"^head", "heads.head"),
    ],
    "ConvNeXt": [
        (r"^stem", "features.0"),
        (r"^stages\.1\.downsample", "features.2"),
        (r"^stages\.0\.blocks", "features.1"),
        (r"^stages\.1\.blocks", "features.3"),
        (r"conv_dw", "block.0"),
        (r"(\d)\.norm", r"\1.block.2"),
        (r"mlp\.fc1", "block.3"),
        (r"mlp\.fc2", "block.5"),
        (r"gamma", "layer_scale"),
        (r"^head\.norm", "classifier.0"),
        (r"^head\.fc", "classifier.2"),
    ],
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_either_library_has_a_table(name: str) -> None:
    theirs = {}
    for key, array in ARRAYS[name]().items():
        for pattern, new in TORCHVISION[name]:
            key = re.sub(pattern, new, key)
        theirs[key] = array[:, None, None] if key.endswith("layer_scale") else array
    build = functools.partial(network, name)
    (one, _), (other, (note,)) = fitted(build, ARRAYS[name]()), fitted(build, theirs)
    assert note == f"The weights are named as those of a {name}, as in torchvision."
    assert weights.digest(nnx.state(one)) == weights.digest(nnx.state(other))


def test_half_precision_and_a_model_within_another_are_taken() -> None:
    half = {name: array.astype(np.float16) for name, array in vit_arrays().items()}

    def held(rngs: nnx.Rngs) -> Views:
        return Views(network("ViT", rngs), AS_IT_IS)

    model, _ = fitted(held, half)
    kernel = model.network.head.kernel[...]
    assert kernel.dtype == jnp.float32
    np.testing.assert_array_equal(kernel, half["head.weight"].T.astype(np.float32))


def test_positions_are_resized_for_pictures_of_another_size() -> None:
    build = functools.partial(BUILDS["ViT"], 3, CLASSES, size=(SIDE, 2 * SIDE))
    arrays = vit_arrays()
    arrays["pos_embed"][:, 1:] = 2.0  # what is even stays even
    model, notes = fitted(lambda rngs: build(rngs=rngs), arrays)
    assert notes[1:] == ("Positions were learned for 3×3 patches: they are resized to 3×6.",)
    np.testing.assert_allclose(model.positions[...], np.full((3, 6, WIDTH), 2.0), atol=1e-5)
    expected = arrays["cls_token"][0, 0] + arrays["pos_embed"][0, 0]
    np.testing.assert_array_equal(model.class_token[...], expected)


def test_positions_without_one_for_the_class_token_are_taken() -> None:
    arrays = vit_arrays()
    arrays["pos_embed"] = arrays["pos_embed"][:, 1:]
    model, _ = fitted(functools.partial(network, "ViT"), arrays)
    np.testing.assert_array_equal(model.class_token[...], arrays["cls_token"][0, 0])


def test_a_head_for_other_classes_is_left_out() -> None:
    arrays = vit_arrays() | dense("head", WIDTH, 9)
    _, params, _ = nnx.split(nnx.eval_shape(lambda: network("ViT", nnx.Rngs(0))), nnx.Param, ...)
    _, notes = fitting.fitted({"params": params}, arrays, ("head",))
    assert notes[1:] == ("The head is new: 9 classes there, 5 here.",)
    assert refused(arrays)[1:] == [
        "  misshapen: params.head.bias is float32[9], expected float32[5]",
        "  misshapen: params.head.kernel is float32[8,9], expected float32[8,5]",
    ]


def refused(arrays: Arrays, name: str = "ViT") -> list[str]:
    with pytest.raises(BadInput) as error:
        fitted(functools.partial(network, name), arrays)
    return str(error.value).splitlines()


def test_what_does_not_fit_is_named_as_it_is_in_the_file() -> None:
    arrays = vit_arrays()
    arrays["blocks.0.attn.rope"] = normal(3)
    arrays["norm.weight"] = normal(9)
    arrays["pos_embed"] = normal(1, 11 + 1, WIDTH)  # of no square picture
    del arrays["blocks.1.mlp.fc2.bias"]
    assert refused(arrays) == [
        "--init-from, a ViT, as in timm, does not fit this model.",
        "  missing: params.blocks.1.narrow.bias",
        "  unexpected: blocks.0.attn.rope",
        "  misshapen: params.class_token is float32[1,1,8], expected float32[8]",
        "  misshapen: params.norm.scale is float32[9], expected float32[8]",
        "  misshapen: params.positions is float32[12,8], expected float32[3,3,8]",
    ]


def test_of_another_architecture_only_the_first_few_are_listed() -> None:
    lines = refused(resnet_arrays())
    assert lines[0] == "--init-from, a ResNet, as in torchvision and timm, does not fit this model."
    missing = [line for line in lines if line.startswith("  missing: ")]
    assert len(missing) == 13
    assert missing[-1] == "  missing: and 18 more"


def test_names_of_nobody_are_refused_as_they_are() -> None:
    lines = refused({"encoder.block.0.weight": normal(3)})
    assert lines[0] == "--init-from does not fit this model."
    assert "  unexpected: encoder.block.0.weight" in lines


def test_a_run_begins_with_a_file_of_theirs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_data: None
) -> None:
    file, arrays = tmp_path / "theirs.safetensors", resnet_arrays()
    arrays["conv1.weight"] = arrays["conv1.weight"].mean(1, keepdims=True)  # of grey pictures
    save_file(arrays, file)
    fork = small_runs.fork(
        tmp_path / "mine.py",
        ("import CNN, FastCNN\n", "import FastCNN\nfrom flaxmill.models.resnet import *\n"),
        (
            "CNN(*of, hidden=config.hidden, **how)",
            "ResNet(*of[1:], block=bottleneck, stages=(1, 1), width=4, rngs=rngs)",
        ),
        ("FastCNN(*of, residual=config.residual, **how)", "None"),
        ("run.restore(state)", 'run.restore(state, own=("head",))'),
    )
    options = small_runs.flags(small_runs.SMALL["fashion_mnist"])
    status, out, error = command(
        capsys, "train", str(fork), *options, "--dry-run", "--init-from", str(file)
    )
    assert status == 0, error
    assert "The weights are named as those of a ResNet, as in torchvision and timm." in out
    assert "The head is new: 5 classes there, 10 here." in out
