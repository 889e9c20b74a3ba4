from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_networks import products
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models.cnn import CNN, FastCNN
from flaxmill.models.resnet import ResNet, bottleneck
from flaxmill.models.views import STRAIGHT, Views


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hidden": 0}, r"--channels \(2, 3\) and --hidden 0: every one must be at least 1"),
        ({"channels": (2, 0)}, r"--channels \(2, 0\) and --hidden 4: every one must be at least 1"),
        ({"dropout": 1.0}, "--dropout 1.0 must be from 0 up to, but not, 1"),
        ({"dropout": -0.1}, "--dropout -0.1 must be"),
        ({"dropout": float("nan")}, "--dropout nan must be"),
        ({"size": (28, 3)}, "28×3 pixels are too small: each of the 2 blocks .* takes 4 pixels"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], words: str) -> None:
    possible: dict[str, Any] = {"size": (4, 5), "channels": (2, 3), "hidden": 4, "dropout": 0.5}
    with pytest.raises(BadInput, match=words):
        made(**possible | fields)
    assert made(**possible).head.kernel.shape == (4, 10)


def made(size: tuple[int, int], **fields: Any) -> CNN:
    return CNN(size, 1, 10, rngs=nnx.Rngs(0), **fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"channels": (2, 0)}, r"--channels \(2, 0\) must each be at least 1, and --residual"),
        ({"residual": (0, -1)}, r"--residual \(0, -1\) each at least 0"),
        ({"residual": (1, 1, 1)}, r"--residual \(1, 1, 1\) has a number for each of 3 blocks, but"),
        ({"dropout": 1.0}, "--dropout 1.0 must be from 0 up to, but not, 1"),
    ],
)
def test_an_impossible_fast_network_is_refused(fields: dict[str, Any], words: str) -> None:
    possible: dict[str, Any] = {"channels": (2, 3), "residual": (1,), "dropout": 0.5}
    with pytest.raises(BadInput, match=words):
        fast(**possible | fields)
    assert fast(**possible).head.kernel.shape == (2 * 3 * 3, 10)  # 7×9 pixels halved, rounding up


def test_residual_blocks_follow_the_block_that_they_are_given_for() -> None:
    network = fast(channels=(2, 3, 4), residual=(0, 2))
    assert [len(blocks) for blocks in network.residual] == [0, 2, 0]
    assert network.residual[1][1].convolution.kernel.shape == (3, 3, 3, 3)
    for inner in network.residual[1]:  # without its kernel, such a block passes on what it gets
        inner.convolution.kernel[...] = jnp.zeros((3, 3, 3, 3))
    plain = fast(channels=(2, 3, 4))
    plain.blocks, plain.head = network.blocks, network.head
    pictures = jax.random.uniform(jax.random.key(1), (5, 7, 9, 1))
    np.testing.assert_allclose(network(pictures), plain(pictures), atol=1e-6)


def fast(**fields: Any) -> FastCNN:
    return FastCNN((7, 9), 1, 10, rngs=nnx.Rngs(0), **fields)


def test_normalisation_remembers_in_training_what_it_uses_in_evaluation() -> None:
    network = fast(channels=(2, 3), residual=(1, 2))
    pictures = jax.random.uniform(jax.random.key(1), (16, 7, 9, 1))
    trained = [network(pictures) for _ in range(400)][-1]  # by now, the averages have arrived
    network.eval()
    np.testing.assert_allclose(network(pictures), trained, atol=1e-3)
    one = network(pictures[:1])  # in evaluation, the others of a batch have no say
    np.testing.assert_allclose(one, network(pictures)[:1], atol=1e-5)


NETWORKS = {
    "tutorial": lambda dtype: made((8, 9), channels=(16, 17), hidden=8, dtype=dtype),
    "fast": lambda dtype: fast(channels=(16, 17), residual=(0, 1), dtype=dtype),
    "residual": lambda dtype: ResNet(
        1, 10, block=bottleneck, stages=(1, 2), width=16, dtype=dtype, rngs=nnx.Rngs(0)
    ),
    "views": lambda dtype: Views(fast(channels=(16, 17), residual=(0, 1), dtype=dtype), STRAIGHT),
}


@pytest.mark.parametrize("evaluating", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_is_that_of_the_layers_alone(name: str, evaluating: bool) -> None:
    network, exact = NETWORKS[name](jnp.bfloat16), NETWORKS[name](jnp.float32)
    size = (8, 9) if name == "tutorial" else (7, 9)
    shape = (16, *size, 1)
    pictures = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape), jnp.uint8)
    if evaluating:
        for model in (network, exact):
            model(pictures)  # so that the running averages are not those of the start
            model.eval()
    graphdef, state = nnx.split(network)
    jaxpr = jax.make_jaxpr(lambda state: nnx.merge(graphdef, state)(pictures))(state).jaxpr
    *layers, head = products(jaxpr)
    assert head == "float32"
    assert layers.count("bfloat16") > 0
    heads = 10 if name == "views" and evaluating else 1  # one for each view
    assert layers.count("float32") == heads - 1
    logits = network(pictures)
    assert logits.dtype == jnp.float32
    leaves = jax.tree.leaves(nnx.state(network, nnx.Param, nnx.BatchStat))
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.float32)}
    # Each layer rounds to 8 bits; the logits are about 1. Equal ones would mean that none did.
    difference = np.abs(logits - exact(pictures)).max()
    assert 1e-5 < difference < 0.1
