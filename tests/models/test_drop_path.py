"""Stochastic depth: what is dropped, how often, and where."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_networks import answer, drawn, pictures
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models.convnext import ConvNeXt
from flaxmill.models.drop_path import DropPath, drop_path_rates
from flaxmill.models.resnet import ResNet, basic
from flaxmill.models.vit import ViT


@pytest.mark.parametrize("shape", [(4000, 2, 3), (4000, 2, 2, 3)])
def test_a_branch_is_dropped_as_a_whole_for_a_share_of_the_examples(shape: tuple[int, ...]) -> None:
    drop = DropPath(0.2, axes=len(shape))
    branch = jax.random.normal(jax.random.key(0), shape)
    rows = np.asarray(drop(branch, rngs=nnx.Rngs(dropout=1))).reshape(len(branch), -1)
    whole = np.asarray(branch).reshape(len(branch), -1) / 0.8
    left = np.isclose(rows, whole, rtol=1e-6).all(1)
    assert np.logical_or(left, (rows == 0).all(1)).all()
    assert abs(left.mean() - 0.8) < 4 * np.sqrt(0.2 * 0.8 / len(branch))  # 4 standard deviations


def test_nothing_is_dropped_in_evaluation_or_at_rate_0() -> None:
    branch = jnp.ones((2, 3, 4))
    drop = DropPath(0.9, axes=3)
    drop.eval()
    assert drop(branch) is branch
    drop.train()
    assert drop(branch, rngs=nnx.Rngs(dropout=0)) is not branch
    assert DropPath(0.0, axes=3)(branch) is branch  # and no key is drawn


def test_rates_grow_evenly_with_depth() -> None:
    np.testing.assert_allclose(drop_path_rates(0.3, 4), [0, 0.1, 0.2, 0.3])
    assert drop_path_rates(0.3, 1) == [0]


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    with pytest.raises(BadInput, match=f"--drop-path {rate} must be from 0 up to, but not, 1."):
        drop_path_rates(rate, 4)


NETWORKS = {
    "ResNet": functools.partial(ResNet, block=basic, stages=(1, 2), width=4, stem="cifar"),
    "ViT": functools.partial(ViT, size=(8, 8), patch=4, width=8, depth=3, heads=2),
    "ConvNeXt": functools.partial(ConvNeXt, stages=(1, 2), widths=(4, 4), patch=2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_drop_blocks_in_training_alone(name: str) -> None:
    network = drawn(lambda rngs: NETWORKS[name](3, 5, drop_path=0.5, rngs=rngs))
    drops = [module for _, module in nnx.iter_modules(network) if isinstance(module, DropPath)]
    assert sorted(drop.rate for drop in drops) == [0.0, 0.25, 0.5]
    inputs = pictures(16, 8, 8, 3)
    one, other = (answer(network, inputs, seed) for seed in (0, 1))
    assert np.abs(one - other).max() > 1e-3
    network.eval()
    one, other = (answer(network, inputs, seed) for seed in (0, 1))
    np.testing.assert_array_equal(one, other)
