"""What an answer rests on is found where it is known to lie, whatever the network is."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flaxmill.maths.scaling import unit_interval
from flaxmill.models.cnn import CNN, FastCNN
from flaxmill.models.convnext import ConvNeXt
from flaxmill.models.ensemble import Ensemble
from flaxmill.models.views import CLOSER, DIAGONAL, STRAIGHT, Views
from flaxmill.models.vit import ViT
from flaxmill.tasks.inputs.picture.attribution import COVERED, attributions, highest
from flaxmill.tasks.inputs.picture.feature_maps import trace
from flaxmill.tasks.kinds import output_kind

ONE, SEVERAL = (output_kind(gives) for gives in ("one_class", "labels"))


def patched(count: int, channels: int, side: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Returns grey noise with a bright patch at a drawn place, and where that is."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(80, 120, (count, side, side, channels))
    where = np.zeros((count, side, side), bool)
    for index, (down, right) in enumerate(rng.integers(0, side - 7, (count, 2))):
        where[index, down : down + 7, right : right + 7] = True
    pictures[where] = 240
    return pictures.astype(np.uint8), where


class Bright(nnx.Module):
    """Says class 1 by how much is bright: a convolution, a pool, and a dense layer as given."""

    def __init__(self, channels: int, outputs: int = 2, *, strides: int = 1) -> None:
        self.mean = nnx.Conv(channels, 4, (3, 3), strides=strides, rngs=nnx.Rngs(0))
        self.mean.kernel = nnx.Param(jnp.full((3, 3, channels, 4), 1 / 9 / channels))
        self.mean.bias = nnx.Param(jnp.full((4,), -0.6))
        self.outputs = outputs

    def __call__(self, pictures: jax.Array) -> jax.Array:
        found = nnx.relu(self.mean(unit_interval(pictures))).mean((1, 2, 3))
        others = [jnp.zeros_like(found)] * (self.outputs - 1)
        return jnp.stack([others[0], 400 * found - 4, *others[1:]], -1)


class Pixels(nnx.Module):
    """The same without a convolution."""

    def __call__(self, pictures: jax.Array) -> jax.Array:
        found = nnx.relu(unit_interval(pictures) - 0.6).mean((1, 2, 3))
        return jnp.stack([jnp.zeros_like(found), 300 * found - 4], -1)


def looked_into(model: Any, channels: int, kind: Any = ONE) -> tuple[Any, np.ndarray]:
    pictures, where = patched(6, channels)
    return attributions(model, pictures, np.ones(6, np.int64), kind, most=300), where


MODELS: dict[str, tuple[Callable[[], Any], int, Any, bool]] = {
    "grey": (lambda: Bright(1), 1, ONE, True),
    "colour": (lambda: Bright(3), 3, ONE, True),
    "strided": (lambda: Bright(3, strides=2), 3, ONE, True),
    "several labels": (lambda: Bright(1, 3), 1, SEVERAL, True),
    "several seeds": (lambda: Ensemble([Bright(1), Bright(1)], output_kind=ONE), 1, ONE, True),
    "views": (lambda: Views(Bright(1), STRAIGHT), 1, ONE, True),
    "no convolution": (lambda: Pixels(), 3, ONE, False),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_map_lies_where_the_answer_comes_from(name: str) -> None:
    build, channels, kind, by_features = MODELS[name]
    model = build()
    model.eval()
    found, where = looked_into(model, channels, kind)
    assert found.by_features == by_features
    for one, patch in zip(found.each, where, strict=True):
        assert one.heat.min() >= 0 and one.heat.max() == 1
        near = np.pad(patch, 2)
        near = np.any([np.roll(near, (i, j), (0, 1)) for i in (-2, 0, 2) for j in (-2, 0, 2)], 0)
        assert one.heat[near[2:-2, 2:-2]].sum() > 0.8 * one.heat.sum()
        # 49 of 576 pixels decide, and so many more are covered that nothing is left of the answer.
        assert one.before > 0.9 and one.after < 0.5
        logits = model(jnp.asarray(one.picture[None]))
        assert one.before == pytest.approx(float(kind.probabilities(logits)[0, 1]), abs=1e-6)


def test_few_pictures_are_covered_where_few_were_tested() -> None:
    pictures, _ = patched(6, 1)
    found = attributions(Pixels(), pictures, np.ones(6, np.int64), ONE, most=60)
    assert len(found.each) == 2  # each with 25 parts covered


def test_what_marks_the_most_is_so_many_pixels() -> None:
    maps = np.zeros((2, 10, 10))
    maps[1, 3, 4] = 1
    marked = highest(maps)
    assert marked.sum((1, 2)).tolist() == [100 * COVERED] * 2
    assert marked[1, 3, 4]


def traced(build: Callable[[nnx.Rngs], Any], size: int, channels: int) -> Any:
    """Traces a network without weights: drawing them would take most of the time."""
    graphdef, state = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))

    def empty(leaf: Any) -> Any:
        drawn = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key(0) if drawn else jnp.zeros(leaf.shape, leaf.dtype)

    model = nnx.merge(graphdef, jax.tree.map(empty, state))
    model.eval()
    return trace(model, jax.ShapeDtypeStruct((2, size, size, channels), np.uint8))


def tutorial(rngs: nnx.Rngs) -> CNN:
    return CNN((28, 28), 1, 10, channels=(4, 8), hidden=8, rngs=rngs)


def test_the_last_fine_map_of_each_network_is_found_once() -> None:
    (one,) = traced(tutorial, 28, 1).maps.values()
    assert one.shape == (2, 14, 14, 8)
    assert [(where.start, where.step) for where in one.along] == [(0.5, 2.0)] * 2
    how: dict[str, Any] = {"channels": (4, 8, 8), "residual": (0, 1)}
    (one,) = traced(lambda rngs: FastCNN((28, 28), 1, 10, **how, rngs=rngs), 28, 1).maps.values()
    assert one.shape == (2, 14, 14, 8)
    members = traced(lambda rngs: Ensemble([tutorial(rngs)] * 3, output_kind=ONE), 28, 1)
    assert len(members.maps) == 3


def test_mirrored_and_moved_views_know_their_pixels() -> None:
    def network(rngs: nnx.Rngs) -> CNN:
        return CNN((16, 16), 3, 4, channels=(4,), hidden=8, rngs=rngs)

    maps = list(traced(lambda rngs: Views(network(rngs), DIAGONAL), 16, 3).maps.values())
    places = {tuple((where.start, where.step) for where in one.along) for one in maps}
    assert len(maps) == len(places) == 6
    assert {((0, 1), (0, 1)), ((0, 1), (15, -1)), ((-1, 1), (-1, 1)), ((-1, 1), (14, -1))} < places
    closer = traced(lambda rngs: Views(network(rngs), CLOSER), 16, 3)
    assert len(closer.maps) == 2  # an enlarged picture has other places


def test_layers_between_places_and_channels_keep_the_places() -> None:
    how: dict[str, Any] = {"stages": (1, 1), "widths": (4, 8)}
    (one,) = traced(lambda rngs: ConvNeXt(3, 4, **how, rngs=rngs), 64, 3).maps.values()
    assert one.shape == (2, 16, 16, 4)


def test_a_network_that_mixes_patches_is_looked_into_by_covering() -> None:
    how: dict[str, Any] = {"patch": 8, "width": 12, "depth": 2, "heads": 3}
    in_all, before = traced(
        lambda rngs: ViT(3, 4, size=(96, 96), **how, rngs=rngs), 96, 3
    ).multiplications
    assert before < 0.25 * in_all


def test_tracing_changes_nothing() -> None:
    pictures = patched(2, 1)[0]
    network = Views(Bright(1), STRAIGHT)
    network.eval()
    found = trace(network, pictures)
    scores, _ = found.run(found.consts, pictures, {})
    np.testing.assert_allclose(scores, network(jnp.asarray(pictures)), rtol=1e-5, atol=1e-5)
