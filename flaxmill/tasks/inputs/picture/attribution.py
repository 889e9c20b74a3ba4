"""What in a picture a model's prediction rests on, and what covering that does to it.

Convolutional networks: the last map of features that is fine enough to show places, less what it is
of the same picture blurred, times the gradient of the answer by it, summed over channels. That is
what covering each place with the blurred picture would take from the answer, in a straight line:
exactly, where what follows the map is linear, as are pools of means and a dense layer. (Multiplying
place by place is HiResCAM, Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful
explanations of convolutional neural networks"; Grad-CAM, Selvaraju et al. 2017, averages the
gradient over all places first.)

Any other model: parts of the picture are covered one after another, and the answer's fall is noted
(Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2).

The answer is taken as its log-odds, which neither saturate, as probabilities do, nor change with a
number that is added to all logits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import ImageFilter

from flaxmill.data.pictures.pixels import as_picture
from flaxmill.tasks.inputs.picture.feature_maps import Traced, trace
from flaxmill.tasks.kinds import OutputKind

COVERED = 0.15
"""Share of a picture's pixels that is covered, where the map is highest."""
BY_FEATURES = (
    "This is what each place of a map of features takes from the answer if it is blurred (after "
    "HiResCAM, Draelos and Carin 2020)."
)
BY_COVERING = (
    "Parts were covered by a blur, one after another, and the answer's fall is what is shown "
    "(Zeiler and Fergus 2014)."
)
_BLUR = 1 / 8  # of a side: standard deviation of the blur
_PATCH = 1 / 4  # of a side: what is covered at a time
_BEFORE = 0.25  # share of the multiplications that must lead to the map, for it to have features

Images = UInt8[np.ndarray, "picture height width channel"]
Maps = Float[np.ndarray, "picture height width"]


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a model's prediction for a picture rests on.

    Attributes:
        label: The class.
        picture: The picture.
        heat: From 0 to 1, how much each pixel speaks for the class.
        before: Probability of the class.
        after: The same with the highest part of the map covered.
    """

    label: int
    picture: UInt8[np.ndarray, "height width channel"]
    heat: Float[np.ndarray, "height width"]
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Attributions:
    """What a model's predictions for some pictures rest on.

    Attributes:
        each: One for each picture.
        by_features: Whether a map of features was read, and not parts of the pictures covered.
    """

    each: Sequence[Attribution]
    by_features: bool


def attributions(
    model: Callable[[Any], Any],
    pictures: Images,
    classes: Int[np.ndarray, " picture"],
    kind: OutputKind,
    *,
    most: int,
) -> Attributions:
    """Finds out what predictions rest on.

    Args:
        model: From pictures as stored to logits.
        pictures: Those to explain.
        classes: The class that each is explained for.
        kind: What the logits mean.
        most: Pictures that it may be shown with parts covered, if that is needed; with fewer, the
            map is coarser or there are fewer pictures.

    Returns:
        Those of all pictures, or of the first of them.
    """
    traced = trace(model, jax.ShapeDtypeStruct(pictures.shape, pictures.dtype))
    in_all, before = traced.multiplications
    by_features = bool(traced.maps) and before >= _BEFORE * in_all
    if by_features:
        scores, maps = _by_features(traced, pictures, classes, kind)
    else:
        steps = 7 if most >= 7 * 7 * len(pictures) else 5
        count = max(1, most // steps**2)
        pictures, classes = pictures[:count], classes[:count]
        scores, maps = _by_covering(model, pictures, classes, kind, steps)
    covered = cover(pictures, highest(maps))
    chances = [
        np.asarray(kind.probabilities(scores(shown)), np.float64)[np.arange(len(classes)), classes]
        for shown in (pictures, covered)
    ]
    each = [
        Attribution(int(label), picture, scaled(heat), float(first), float(then))
        for label, picture, heat, first, then in zip(classes, pictures, maps, *chances, strict=True)
    ]
    return Attributions(each, by_features)


def _by_features(
    traced: Traced, pictures: Images, classes: np.ndarray, kind: OutputKind
) -> tuple[Callable[[Images], Any], Maps]:
    """Returns a function to the logits, and a map of what each place adds to the score."""

    @jax.jit
    def evaluate(consts: Sequence[Any], shown: Any) -> Any:
        def score(added: Any) -> Any:
            logits, values = traced.run(consts, shown, added)
            return _log_odds(logits, classes, kind).sum(), (logits, values)

        nothing = {n: jnp.zeros(one.shape, jnp.float32) for n, one in traced.maps.items()}
        gradients, (logits, values) = jax.grad(score, has_aux=True)(nothing)
        return logits, gradients, jax.tree.map(lambda value: value.astype(jnp.float32), values)

    _, gradients, values = evaluate(traced.consts, pictures)
    _, _, without = evaluate(traced.consts, blurred(pictures))
    maps = [
        one.spread(np.asarray(gradients[n] * (values[n] - without[n])), pictures.shape[1:3])
        for n, one in traced.maps.items()
    ]
    return lambda shown: evaluate(traced.consts, shown)[0], np.sum(maps, axis=0)


def _by_covering(
    model: Callable[[Any], Any], pictures: Images, classes: np.ndarray, kind: OutputKind, steps: int
) -> tuple[Callable[[Images], Any], Maps]:
    """Returns a function to the logits, and a map for each picture.

    A pixel's value is the mean fall of the log-odds when a patch that it is in is covered; there
    are so many patches along each side.
    """
    compiled = jax.jit(lambda shown: model(shown))
    patches = _patches(pictures.shape[1:3], steps)
    without = blurred(pictures)

    def odds(shown: Images) -> np.ndarray:
        return np.asarray(_log_odds(jnp.asarray(compiled(shown)), classes, kind), np.float64)

    whole = odds(pictures)
    total, count = np.zeros(pictures.shape[:3]), np.zeros(pictures.shape[1:3])
    for patch in patches:
        fall = whole - odds(np.where(patch[..., None], without, pictures))
        total += fall[:, None, None] * patch
        count += patch
    return compiled, total / count


def _patches(size: tuple[int, int], steps: int) -> list[Bool[np.ndarray, "height width"]]:
    """Returns patches that together cover a picture, and overlap."""
    height, width = size
    downs, rights = (
        [
            np.abs(np.arange(length) - middle) <= max(0.5, _PATCH * length / 2)
            for middle in (np.arange(steps) + 0.5) / steps * length - 0.5
        ]
        for length in (height, width)
    )
    return [down[:, None] & right for down in downs for right in rights]


def _log_odds(logits: Any, classes: np.ndarray, kind: OutputKind) -> Any:
    """Returns the log-odds of a class of each picture, in float32."""
    return kind.log_odds(logits.astype(jnp.float32), classes)


def highest(maps: Maps, share: float = COVERED) -> Bool[np.ndarray, "picture height width"]:
    """Returns which pixels are the highest of each map; so many of each picture, whatever ties."""
    flat = maps.reshape(len(maps), -1)
    count = max(1, round(share * flat.shape[1]))
    chosen = np.zeros(flat.shape, bool)
    np.put_along_axis(chosen, np.argsort(-flat, axis=1, kind="stable")[:, :count], True, 1)
    return chosen.reshape(maps.shape)


def cover(pictures: Images, where: Bool[np.ndarray, "picture height width"]) -> Images:
    """Covers pixels with what is there in the blurred picture."""
    return np.where(where[..., None], blurred(pictures), pictures)


def blurred(pictures: Images) -> Images:
    """Blurs pictures so far that no shape is left."""
    soft = ImageFilter.GaussianBlur(_BLUR * min(pictures.shape[1:3]))
    images = [np.asarray(as_picture(one).filter(soft)) for one in pictures]
    return np.stack(images).reshape(pictures.shape)


def scaled(heat: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Brings a map to 0 for what does not speak for the class, and 1 for the fiftieth that does.

    Without that share, one bright pixel would leave the rest of a photograph dark.
    """
    positive = np.maximum(heat, 0)
    top = np.quantile(positive, 0.98) or positive.max() or 1
    return np.minimum(positive / top, 1)
