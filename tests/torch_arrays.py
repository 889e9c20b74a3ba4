"""Weights that are named and laid out as in torchvision and timm, and what they answer.

The evaluations take the arrays by those names, in that layout, and know nothing of our models.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Arrays = dict[str, np.ndarray]
WIDTH, CLASSES, PATCH, SIDE = 8, 5, 4, 12


def normal(*shape: int, size: float = 0.3) -> np.ndarray:
    seed = math.prod(shape) + len(shape)
    return (np.random.default_rng(seed).normal(size=shape) * size).astype(np.float32)


def dense(name: str, before: int, after: int) -> Arrays:
    return {
        f"{name}.weight": normal(after, before, size=before**-0.5),
        f"{name}.bias": normal(after),
    }


def conv(name: str, before: int, after: int, side: int, *, groups: int = 1) -> Arrays:
    shape = (after, before // groups, side, side)
    return {f"{name}.weight": normal(*shape, size=math.prod(shape[1:]) ** -0.5)}


def norm(name: str, width: int, *, batch: bool = False) -> Arrays:
    found = {f"{name}.weight": 1 + normal(width), f"{name}.bias": normal(width, size=0.4)}
    if batch:
        found[f"{name}.running_mean"] = normal(width, size=0.5)
        found[f"{name}.running_var"] = 1 + np.abs(normal(width, size=0.7))
        found[f"{name}.num_batches_tracked"] = np.array(70, np.int64)
    return found


# Plain evaluations: pictures are [batch, channel, height, width].


def convolve(a: Arrays, name: str, x: Any, stride: int = 1, pad: int = 0, groups: int = 1) -> Any:
    y = lax.conv_general_dilated(
        x,
        jnp.asarray(a[f"{name}.weight"]),
        (stride, stride),
        [(pad, pad)] * 2,
        feature_group_count=groups,
    )
    return y + a[f"{name}.bias"][None, :, None, None] if f"{name}.bias" in a else y


def apply_dense(a: Arrays, name: str, x: Any) -> Any:
    return np.asarray(x) @ a[f"{name}.weight"].T + a[f"{name}.bias"]


def layer_norm(a: Arrays, name: str, x: Any) -> Any:
    """Over the last axis."""
    x = np.asarray(x)
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return x * a[f"{name}.weight"] + a[f"{name}.bias"]


def batch_norm(a: Arrays, name: str, x: Any) -> Any:
    each = (a[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
    mean, var, scale, bias = (array[None, :, None, None] for array in each)
    return (np.asarray(x) - mean) / np.sqrt(var + 1e-5) * scale + bias


def gelu(x: Any) -> Any:
    return x * 0.5 * (1 + np.vectorize(math.erf)(np.asarray(x, np.float64) / math.sqrt(2)))


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def channels_last(x: Any) -> Any:
    return np.moveaxis(np.asarray(x), 1, -1)


def channels_first(x: Any) -> Any:
    return np.moveaxis(np.asarray(x, np.float32), -1, 1)


# A ViT of timm.


def vit_arrays() -> Arrays:
    found = conv("patch_embed.proj", 3, WIDTH, PATCH) | {"patch_embed.proj.bias": normal(WIDTH)}
    found["cls_token"] = normal(1, 1, WIDTH)
    found["pos_embed"] = normal(1, 1 + (SIDE // PATCH) ** 2, WIDTH)
    for block in range(2):
        name = f"blocks.{block}"
        found |= norm(f"{name}.norm1", WIDTH) | norm(f"{name}.norm2", WIDTH)
        found |= dense(f"{name}.attn.qkv", WIDTH, 3 * WIDTH)
        found |= dense(f"{name}.attn.proj", WIDTH, WIDTH)
        found |= dense(f"{name}.mlp.fc1", WIDTH, 4 * WIDTH)
        found |= dense(f"{name}.mlp.fc2", 4 * WIDTH, WIDTH)
    return found | norm("norm", WIDTH) | dense("head", WIDTH, CLASSES)


def vit_logits(a: Arrays, x: np.ndarray, heads: int = 2) -> np.ndarray:
    x = np.asarray(convolve(a, "patch_embed.proj", x, PATCH))
    x = x.reshape(len(x), WIDTH, -1).transpose(0, 2, 1)
    x = np.concatenate([np.repeat(a["cls_token"], len(x), 0), x], 1) + a["pos_embed"]
    for block in range(2):
        name = f"blocks.{block}"
        qkv = apply_dense(a, f"{name}.attn.qkv", layer_norm(a, f"{name}.norm1", x))
        q, k, v = (
            part.reshape(*part.shape[:2], heads, -1).swapaxes(1, 2) for part in np.split(qkv, 3, -1)
        )  # [batch, head, token, feature]
        scores = np.exp(q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(x.shape)
        x = x + apply_dense(a, f"{name}.attn.proj", mixed)
        y = gelu(apply_dense(a, f"{name}.mlp.fc1", layer_norm(a, f"{name}.norm2", x)))
        x = x + apply_dense(a, f"{name}.mlp.fc2", y)
    return apply_dense(a, "head", layer_norm(a, "norm", x[:, 0]))


# A ConvNeXt of timm, with two stages.


def convnext_arrays() -> Arrays:
    found = conv("stem.0", 3, 4, 2) | {"stem.0.bias": normal(4)} | norm("stem.1", 4)
    found |= norm("stages.1.downsample.0", 4) | conv("stages.1.downsample.1", 4, WIDTH, 2)
    found["stages.1.downsample.1.bias"] = normal(WIDTH)
    for name, width in (("stages.0.blocks.0", 4), ("stages.1.blocks.0", WIDTH)):
        found |= conv(f"{name}.conv_dw", width, width, 7, groups=width) | norm(
            f"{name}.norm", width
        )
        found |= {f"{name}.conv_dw.bias": normal(width), f"{name}.gamma": normal(width)}
        found |= dense(f"{name}.mlp.fc1", width, 4 * width)
        found |= dense(f"{name}.mlp.fc2", 4 * width, width)
    return found | norm("head.norm", WIDTH) | dense("head.fc", WIDTH, CLASSES)


def convnext_logits(a: Arrays, x: np.ndarray) -> np.ndarray:
    x = channels_last(convolve(a, "stem.0", x, 2))
    x = layer_norm(a, "stem.1", x)
    for stage in range(2):
        if stage:
            x = channels_first(layer_norm(a, "stages.1.downsample.0", x))
            x = channels_last(convolve(a, "stages.1.downsample.1", x, 2))
        name = f"stages.{stage}.blocks.0"
        y = convolve(a, f"{name}.conv_dw", channels_first(x), pad=3, groups=x.shape[-1])
        y = gelu(apply_dense(a, f"{name}.mlp.fc1", layer_norm(a, f"{name}.norm", channels_last(y))))
        x = x + a[f"{name}.gamma"] * apply_dense(a, f"{name}.mlp.fc2", y)
    return apply_dense(a, "head.fc", layer_norm(a, "head.norm", x.mean((1, 2))))


# A ResNet of either, with two stages of one bottleneck block each.


def resnet_arrays() -> Arrays:
    found = conv("conv1", 3, 4, 7) | norm("bn1", 4, batch=True)
    for stage, before, width in ((1, 4, 4), (2, 16, 8)):
        name = f"layer{stage}.0"
        for layer, sizes in enumerate(
            ((before, width, 1), (width, width, 3), (width, 4 * width, 1))
        ):
            found |= conv(f"{name}.conv{layer + 1}", *sizes)
            found |= norm(f"{name}.bn{layer + 1}", sizes[1], batch=True)
        found |= conv(f"{name}.downsample.0", before, 4 * width, 1)
        found |= norm(f"{name}.downsample.1", 4 * width, batch=True)
    return found | dense("fc", 32, CLASSES)


def resnet_logits(a: Arrays, x: np.ndarray) -> np.ndarray:
    x = relu(batch_norm(a, "bn1", convolve(a, "conv1", x, 2, 3)))
    window = ((1, 1, 3, 3), (1, 1, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1)))
    x = lax.reduce_window(x, -jnp.inf, lax.max, *window)
    for stage in (1, 2):
        name = f"layer{stage}.0"
        y = relu(batch_norm(a, f"{name}.bn1", convolve(a, f"{name}.conv1", x)))
        y = relu(batch_norm(a, f"{name}.bn2", convolve(a, f"{name}.conv2", y, stage, 1)))
        y = batch_norm(a, f"{name}.bn3", convolve(a, f"{name}.conv3", y))
        x = batch_norm(a, f"{name}.downsample.1", convolve(a, f"{name}.downsample.0", x, stage))
        x = relu(x + y)
    return apply_dense(a, "fc", x.mean((2, 3)))


ARRAYS = {"ViT": vit_arrays, "ConvNeXt": convnext_arrays, "ResNet": resnet_arrays}
LOGITS = {"ViT": vit_logits, "ConvNeXt": convnext_logits, "ResNet": resnet_logits}
