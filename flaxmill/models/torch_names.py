"""What weights are called in torchvision and timm, and what the same are called here.

One table for each architecture and each way of naming it. ``#`` stands for any number, which is the
same on both sides. Where a table names a layer, its ``weight``, ``bias`` and running statistics are
meant.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Table = Sequence[tuple[str, str]]

_STAGES = range(4)

RESNET: Table = (
    ("conv1", "stem.convolution"),
    ("bn1", "stem.norm"),
    *(
        (f"layer{stage + 1}.#.{kind}{layer + 1}", f"stages.{stage}.#.branch.{layer}.{ours}")
        for stage in _STAGES
        for layer in range(3)
        for kind, ours in (("conv", "convolution"), ("bn", "norm"))
    ),
    *(
        (f"layer{stage + 1}.#.downsample.{place}", f"stages.{stage}.#.shortcut.{ours}")
        for stage in _STAGES
        for place, ours in enumerate(("convolution", "norm"))
    ),
    ("fc", "head"),
)
VIT_TIMM: Table = (
    ("patch_embed.proj", "embedding"),
    ("cls_token", "class_token"),
    ("pos_embed", "positions"),
    ("blocks.#.norm1", "blocks.#.attention_norm"),
    ("blocks.#.attn.qkv", "blocks.#.qkv"),
    ("blocks.#.attn.proj", "blocks.#.mixed"),
    ("blocks.#.norm2", "blocks.#.dense_norm"),
    ("blocks.#.mlp.fc1", "blocks.#.wide"),
    ("blocks.#.mlp.fc2", "blocks.#.narrow"),
    ("norm", "norm"),
    ("head", "head"),
)
_LAYER = "encoder.layers.encoder_layer_#"
VIT_TORCHVISION: Table = (
    ("conv_proj", "embedding"),
    ("class_token", "class_token"),
    ("encoder.pos_embedding", "positions"),
    (f"{_LAYER}.ln_1", "blocks.#.attention_norm"),
    (f"{_LAYER}.self_attention.in_proj_weight", "blocks.#.qkv.kernel"),
    (f"{_LAYER}.self_attention.in_proj_bias", "blocks.#.qkv.bias"),
    (f"{_LAYER}.self_attention.out_proj", "blocks.#.mixed"),
    (f"{_LAYER}.ln_2", "blocks.#.dense_norm"),
    (f"{_LAYER}.mlp.0", "blocks.#.wide"),
    (f"{_LAYER}.mlp.3", "blocks.#.narrow"),
    ("encoder.ln", "norm"),
    ("heads.head", "head"),
)
CONVNEXT_TIMM: Table = (
    ("stem.0", "stem"),
    ("stem.1", "stem_norm"),
    *((f"stages.{stage}.downsample.0", f"shrinking_norms.{stage - 1}") for stage in _STAGES[1:]),
    *((f"stages.{stage}.downsample.1", f"shrinking.{stage - 1}") for stage in _STAGES[1:]),
    ("stages.#.blocks.#.conv_dw", "stages.#.#.depthwise"),
    ("stages.#.blocks.#.norm", "stages.#.#.norm"),
    ("stages.#.blocks.#.mlp.fc1", "stages.#.#.wide"),
    ("stages.#.blocks.#.mlp.fc2", "stages.#.#.narrow"),
    ("stages.#.blocks.#.gamma", "stages.#.#.layer_scale"),
    ("head.norm", "norm"),
    ("head.fc", "head"),
)
CONVNEXT_TORCHVISION: Table = (
    ("features.0.0", "stem"),
    ("features.0.1", "stem_norm"),
    *((f"features.{2 * stage}.0", f"shrinking_norms.{stage - 1}") for stage in _STAGES[1:]),
    *((f"features.{2 * stage}.1", f"shrinking.{stage - 1}") for stage in _STAGES[1:]),
    *(
        (f"features.{2 * stage + 1}.#.{theirs}", f"stages.{stage}.#.{ours}")
        for stage in _STAGES
        for theirs, ours in (
            ("block.0", "depthwise"),
            ("block.2", "norm"),
            ("block.3", "wide"),
            ("block.5", "narrow"),
            ("layer_scale", "layer_scale"),
        )
    ),
    ("classifier.0", "norm"),
    ("classifier.2", "head"),
)
TABLES: dict[str, Table] = {
    "ResNet, as in torchvision and timm": RESNET,
    "ViT, as in timm": VIT_TIMM,
    "ViT, as in torchvision": VIT_TORCHVISION,
    "ConvNeXt, as in timm": CONVNEXT_TIMM,
    "ConvNeXt, as in torchvision": CONVNEXT_TORCHVISION,
}
_LEAVES = {
    "bias": "params.{}.bias",
    "running_mean": "model_state.{}.mean",
    "running_var": "model_state.{}.var",
}
_DROPPED = "num_batches_tracked"
"""How often batch statistics were updated, which nothing here needs."""


def translated(arrays: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """Renames and transposes weights of torchvision or timm to the names and layout used here.

    Args:
        arrays: By name. Those that have our names already are returned as they are.

    Returns:
        The weights, those of unknown names as they were; and the title of the table that knows most
        of the names, None where no table knows any.
    """
    if any(name.startswith(("params.", "model_state.")) for name in arrays):
        return arrays, None
    relevant = {name: array for name, array in arrays.items() if not name.endswith(_DROPPED)}
    names = {
        title: {
            name: ours for name in relevant if (ours := _name(name, relevant[name].ndim, table))
        }
        for title, table in TABLES.items()
    }
    title = max(names, key=lambda title: len(names[title]))
    if not names[title]:
        return arrays, None
    renamed = {names[title].get(name, name): _laid_out(array) for name, array in relevant.items()}
    return _with_grid(renamed), title


def _name(name: str, axes: int, table: Table) -> str | None:
    """Returns our name of a weight of so many axes; None if the table does not know it."""
    if path := _path(name, table):
        return f"params.{path}"
    layer, _, leaf = name.rpartition(".")
    if (path := _path(layer, table)) is None:
        return None
    if leaf == "weight":
        return f"params.{path}.{'kernel' if axes > 1 else 'scale'}"
    return _LEAVES[leaf].format(path) if leaf in _LEAVES else None


def _path(name: str, table: Table) -> str | None:
    """Returns our path for a name, with its numbers; None if the table does not have it."""
    for theirs, ours in table:
        if match := re.fullmatch(re.escape(theirs).replace(r"\#", r"(\d+)"), name):
            for number in match.groups():
                ours = ours.replace("#", number, 1)
            return ours
    return None


def _laid_out(array: Any) -> np.ndarray:
    """Returns a weight in our layout and type: float32, input before output, places first."""
    array = np.asarray(array, np.float32)
    if array.ndim == 4:  # of a convolution: [output, input, height, width]
        return array.transpose(2, 3, 1, 0)
    if array.ndim == 2:  # of a dense layer: [output, input]
        return array.T
    if array.shape[1:] == (1, 1):  # of each channel, to be multiplied with [channel, height, width]
        return array[:, 0, 0]
    return array


def _with_grid(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Lays positions out as the patches of a square picture.

    Theirs are in one row, the class token's first where it has any: here, that is part of the class
    token.
    """
    token, rows = (arrays.get(f"params.{name}") for name in ("class_token", "positions"))
    if token is None or rows is None:
        return arrays
    if token.shape[:2] != (1, 1) or rows.shape[:1] + rows.shape[2:] != (1, *token.shape[2:]):
        return arrays  # which fits no model
    first = rows.shape[1] - math.isqrt(rows.shape[1]) ** 2 == 1  # of [1, token, feature]
    patches = rows[0, first:]
    side = math.isqrt(len(patches))
    if side**2 != len(patches):
        return {**arrays, "params.positions": rows[0]}  # which fits no model
    token = token[0, 0] + (rows[0, 0] if first else 0)
    grid = patches.reshape(side, side, patches.shape[-1])
    return {**arrays, "params.class_token": token, "params.positions": grid}
