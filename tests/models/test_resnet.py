from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.export.folding import evaluate
from flaxmill.export.function import application
from flaxmill.models.resnet import (
    ResNet,
    basic,
    bottleneck,
    resnet18,
    resnet34,
    resnet50,
)

SIZES = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50}


@pytest.mark.parametrize(
    ("name", "of", "fields", "expected"),
    [
        # Torchvision says so of its own.
        ("resnet18", (3, 1000), {}, 11_689_512),
        ("resnet34", (3, 1000), {}, 21_797_672),
        ("resnet50", (3, 1000), {}, 25_557_032),
        # 7×7 less 3×3 kernels from 3 channels to 64, and 990 outputs less from 512 features
        ("resnet18", (3, 10), {"stem": "cifar"}, 11_689_512 - 40 * 3 * 64 - 990 * 513),
    ],
)
def test_parameters_are_as_many_as_is_published(
    name: str, of: tuple[int, int], fields: dict[str, Any], expected: int
) -> None:
    network = nnx.eval_shape(lambda: SIZES[name](*of, **fields, rngs=nnx.Rngs(0)))
    parameters = jax.tree.leaves(nnx.state(network, nnx.Param))
    assert sum(array.size for array in parameters) == expected


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stages": (1, 0)}, r"--stages \(1, 0\) and --width 4: every one must be at least 1"),
        ({"width": 0}, r"--stages \(1, 1\) and --width 0: every one must be at least 1"),
        ({"stem": "cifer"}, "there is no stem 'cifer'. Did you mean 'cifar'?"),
        ({"mean": (0.5, 0.5)}, r"mean \(0.5, 0.5\) and std \(1.0,\): .* of the 3 channels, or one"),
        ({"std": (1.0, 0.0, 1.0)}, r"std \(1.0, 0.0, 1.0\): every one must be above 0"),
        ({"dropout": 1.0}, "--dropout 1.0 must be from 0 up to, but not, 1"),
    ],
)
def test_an_impossible_network_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        small(**fields)
    assert small().head.kernel.shape == (8, 10)


def small(**fields: Any) -> ResNet:
    possible: dict[str, Any] = {"block": basic, "stages": (1, 1), "width": 4, "stem": "cifar"}
    return ResNet(3, 10, **possible | fields, rngs=nnx.Rngs(0))


def pictures(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).integers(0, 256, shape), jnp.uint8)


def convolutions(network: nnx.Module, shape: tuple[int, ...]) -> list[Any]:
    """Lists the convolutions of a network that is given pictures, in their order."""
    graphdef, state = nnx.split(network)
    jaxpr = jax.make_jaxpr(lambda state, inputs: nnx.merge(graphdef, state)(inputs))
    equations = jaxpr(state, pictures(*shape)).eqns
    return [equation for equation in equations if equation.primitive.name == "conv_general_dilated"]


@pytest.mark.parametrize(
    ("stem", "sides"),
    [("cifar", [(9, 8), (5, 4), (3, 2)]), ("imagenet", [(5, 4), (3, 2), (2, 1), (1, 1)])],
)
@pytest.mark.parametrize("block", [basic, bottleneck])
def test_each_stage_but_the_first_halves_height_and_width(
    stem: str, sides: list[tuple[int, int]], block: Any
) -> None:
    network = small(block=block, stages=(1, 2, 1), stem=stem)
    shapes = [equation.outvars[0].aval.shape for equation in convolutions(network, (2, 9, 8, 3))]
    assert list(dict.fromkeys(shape[1:3] for shape in shapes)) == sides
    assert shapes[-1][-1] == (16 if block is basic else 64)
    assert network(pictures(2, 9, 8, 3)).shape == (2, 10)


@pytest.mark.parametrize("block", [basic, bottleneck])
def test_padding_is_as_wide_on_either_side(block: Any) -> None:
    for equation in convolutions(small(block=block, stem="imagenet"), (2, 32, 32, 3)):
        side = equation.invars[1].aval.shape[0]
        assert equation.params["padding"] == ((side // 2, side // 2),) * 2, equation
        assert equation.params["window_strides"] in ((1, 1), (2, 2))


@pytest.mark.parametrize("block", [basic, bottleneck])
def test_a_block_begins_as_its_shortcut(block: Any) -> None:
    network = small(block=block, stages=(2, 1))
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 16 if block is bottleneck else 4))
    widening, same = network.stages[1][0], network.stages[0][1]
    assert same.shortcut is None
    np.testing.assert_array_equal(same(x), nnx.relu(x))
    assert widening.shortcut.convolution.kernel.shape[:2] == (1, 1)
    np.testing.assert_array_equal(widening(x), nnx.relu(widening.shortcut(x)))
    same.branch[-1].norm.scale[...] = jnp.ones(x.shape[-1])
    assert np.abs(same(x) - nnx.relu(x)).max() > 0.1


def test_pictures_are_centred_and_scaled_by_channel() -> None:
    mean, std = (0.5, 0.25, 0.125), (0.25, 0.5, 2.0)
    network, plain = small(mean=mean, std=std), small()
    inputs = pictures(4, 8, 8, 3)
    scaled = (inputs.astype(jnp.float32) / 255 - np.reshape(mean, (1, 1, 1, 3))) / np.float32(
        np.reshape(std, (1, 1, 1, 3))
    )
    np.testing.assert_allclose(network(inputs), plain(scaled), atol=1e-5)
    np.testing.assert_array_equal(plain(inputs), plain(inputs.astype(jnp.float32) / 255))
    one, each = small(mean=(0.5,), std=(2.0,)), small(mean=(0.5,) * 3, std=(2.0,) * 3)
    np.testing.assert_array_equal(one(inputs), each(inputs))


def test_normalisation_remembers_in_training_what_it_uses_in_evaluation() -> None:
    network, inputs = small(), pictures(16, 8, 8, 3)
    trained = [network(inputs) for _ in range(200)][-1]  # by now, the averages have arrived
    network.eval()
    np.testing.assert_allclose(network(inputs), trained, atol=1e-3)
    one = network(inputs[:1])  # in evaluation, the others of a batch have no say
    np.testing.assert_allclose(one, network(inputs)[:1], atol=1e-6)


@pytest.mark.parametrize("block", [basic, bottleneck])
def test_every_normalisation_folds_into_its_convolution(block: Any) -> None:
    network, inputs = small(block=block, stem="imagenet"), pictures(16, 32, 32, 3)
    network(inputs)  # so that the running averages are not those of the start
    network.eval()
    traced = jax.make_jaxpr(application(network))(inputs)
    folded = jax.make_jaxpr(lambda inputs: evaluate(traced, inputs)[0])(inputs)
    names = [equation.primitive.name for equation in folded.eqns]
    assert names.count("conv_general_dilated") == len(convolutions(network, inputs.shape))
    assert not {"mul", "rsqrt", "sqrt"}.intersection(names)
    (output,) = evaluate(traced, inputs)
    np.testing.assert_allclose(output, network(inputs), atol=1e-5)


def test_features_are_dropped_in_training_alone() -> None:
    network, inputs = small(dropout=0.5), pictures(4, 8, 8, 3)
    one, other = (network(inputs, rngs=nnx.Rngs(dropout=seed)) for seed in (0, 1))
    assert np.abs(one - other).max() > 1e-3
    network.eval()
    np.testing.assert_array_equal(network(inputs), network(inputs, rngs=nnx.Rngs(dropout=1)))
