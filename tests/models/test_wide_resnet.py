"""Wide residual networks: their sizes and shapes."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from drawn_networks import answer, drawn, pictures
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models import weights
from flaxmill.models.wide_resnet import WideResNet, wrn_16_4, wrn_28_10, wrn_40_4


@pytest.mark.parametrize(
    ("size", "millions"),
    [(wrn_16_4, 2.7), (wrn_40_4, 8.9), (wrn_28_10, 36.5)],  # tables 2 and 4
)
def test_parameters_are_as_many_as_is_published(size: Any, millions: float) -> None:
    network = nnx.eval_shape(lambda: size(3, 10, rngs=nnx.Rngs(0)))
    count = weights.count(nnx.state(network, nnx.Param))
    assert abs(count / 1e6 - millions) <= 0.05


def small(**fields: Any) -> WideResNet:
    possible: dict[str, Any] = {"depth": 10, "widening": 1}
    return drawn(lambda rngs: WideResNet(3, 5, **possible | fields, rngs=rngs))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"depth": 28 + 1}, "--depth 29: it is 4 more than a multiple of 6, such as 28."),
        ({"depth": 4}, "--depth 4: .* such as 10."),
        ({"widening": 0}, "--widening 0 must be at least 1"),
        ({"std": (0.0,)}, r"std \(0.0,\): every one must be above 0"),
        ({"dropout": 1.0}, "--dropout 1.0 must be from 0 up to, but not, 1"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        small(**fields)


def test_convolutions_are_as_many_as_the_depth_says() -> None:
    network = nnx.eval_shape(lambda: wrn_28_10(3, 10, rngs=nnx.Rngs(0)))
    layers = [m for _, m in nnx.iter_modules(network) if isinstance(m, nnx.Conv)]
    sides = [layer.kernel.shape[0] for layer in layers]
    assert (sides.count(3), sides.count(1)) == (28 - 3, 3)  # and the dense layer, by the count of
    assert [layer.strides for layer in layers].count((2, 2)) == 2 * 2  # the paper; 3 shortcuts


def test_a_block_adds_to_what_it_got_and_drops_within_its_branch() -> None:
    block = small(dropout=0.5).stages[0][0]  # which has no shortcut, for nothing widens by 1
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 16)).astype(np.float32)
    assert np.abs(answer(block, x, 0) - answer(block, x, 1)).max() > 1e-2
    block.convolutions[1].kernel = nnx.Param(jnp.zeros((3, 3, 16, 16)))
    np.testing.assert_array_equal(answer(block, x), x)


def test_in_evaluation_neither_chance_nor_the_rest_of_a_batch_has_a_say() -> None:
    network, inputs = small(dropout=0.5), pictures(2, 9, 8, 3)
    network.eval()
    others = np.stack([inputs[0], inputs[0]])
    together, alone = answer(network, inputs, 0), answer(network, others, 1)
    np.testing.assert_array_equal(together[0], alone[0])
    assert np.abs(together[1] - alone[1]).max() > 1e-2
