"""A traced model made plain computes the same, and so does its ONNX graph."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from drawn_networks import signature_of
from flax import linen, nnx
from jax.extend import core

from flaxmill.devices.jaxprs import inner_jaxprs
from flaxmill.errors import BadInput
from flaxmill.export.folding import evaluate
from flaxmill.export.function import application, exported_signature
from flaxmill.export.graph import onnx_graph
from flaxmill.models.cnn import CNN, FastCNN
from flaxmill.models.resnet import ResNet, basic, bottleneck
from flaxmill.models.views import STRAIGHT, View, Views

GREY, COLOUR = (28, 28, 1), (32, 32, 3)


class Linen(linen.Module):
    """Everything that folding knows, in the other library."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = x.astype(jnp.float32) / 255
        x = linen.Conv(8, (3, 3), padding="VALID")(x)
        x = linen.BatchNorm(use_running_average=True)(x)
        x = linen.max_pool(linen.relu(x), (3, 3), strides=(2, 2), padding="SAME")
        x = linen.Conv(16, (3, 3), strides=(2, 2))(x)
        x = linen.avg_pool(x, (2, 2), strides=(2, 2))
        return linen.Dense(5)(linen.silu(x.reshape(x.shape[0], -1)))


def drawn(make: Callable[[], nnx.Module]) -> nnx.Module:
    """Returns a model with every number drawn, so that no scale is one and no bias is nothing."""
    random = np.random.default_rng(1)

    def leaf(form: Any) -> Any:
        if jnp.issubdtype(form.dtype, jax.dtypes.prng_key):  # a stream that is not used
            return jax.random.key(0)
        if form.dtype != jnp.float32:
            return jnp.zeros(form.shape, form.dtype)
        if form.ndim == 1:  # variances among them
            return random.uniform(0.5, 1.5, form.shape).astype(np.float32)
        return random.normal(0, 0.2, form.shape).astype(np.float32)

    graphdef, state = nnx.split(nnx.eval_shape(make))
    model = nnx.merge(graphdef, jax.tree.map(leaf, state))
    model.eval()
    return model


def bridged() -> nnx.Module:
    model = nnx.bridge.ToNNX(Linen(), rngs=nnx.Rngs(0))
    nnx.bridge.lazy_init(model, np.zeros((1, *COLOUR), np.uint8))
    return model


MODELS: dict[str, tuple[Callable[[], nnx.Module], tuple[int, int, int]]] = {
    "CNN": (lambda: CNN((28, 28), 1, 10, channels=(4, 8), hidden=16, rngs=nnx.Rngs(0)), GREY),
    "FastCNN": (lambda: FastCNN((28, 28), 1, 10, residual=(1, 0, 1), rngs=nnx.Rngs(0)), GREY),
    "views": (lambda: Views(FastCNN((28, 28), 1, 10, rngs=nnx.Rngs(0)), STRAIGHT), GREY),
    "reflected and closer views": (
        lambda: Views(
            FastCNN((28, 28), 1, 10, rngs=nnx.Rngs(0)),
            (View(down=2, right=-1), View(part=0.8)),
            border="reflect",
        ),
        GREY,
    ),
    "basic blocks": (
        lambda: ResNet(3, 10, block=basic, stages=(1, 2), stem="cifar", rngs=nnx.Rngs(0)),
        COLOUR,
    ),
    "bottlenecks": (
        lambda: ResNet(3, 10, block=bottleneck, stages=(1, 1), stem="imagenet", rngs=nnx.Rngs(0)),
        COLOUR,
    ),
    "Linen": (bridged, COLOUR),
}


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest) -> tuple[nnx.Module, jax.Array]:
    """A model, and pictures for it."""
    make, shape = MODELS[request.param]
    pictures = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    return drawn(make), jnp.asarray(pictures)


def operations(jaxpr: core.Jaxpr) -> list[str]:
    """Lists the operations of a jaxpr and of the functions that it calls."""
    found = [equation.primitive.name for equation in jaxpr.eqns]
    inner = [inner for equation in jaxpr.eqns for inner in inner_jaxprs(equation)]
    return found + [name for jaxpr in inner for name in operations(jaxpr)]


def difference(found: Any, expected: Any) -> float:
    """Returns the largest difference as a share of the largest number."""
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max() / np.abs(expected).max())


def test_a_folded_function_computes_the_same(case: tuple[nnx.Module, jax.Array]) -> None:
    model, pictures = case
    apply = application(model)
    traced = jax.make_jaxpr(apply)(pictures)
    expected = np.asarray(apply(pictures))
    assert np.ptp(expected, axis=0).max() > 1e-3 * np.abs(expected).max()  # it looks at pictures
    (found,) = jax.jit(lambda x: evaluate(traced, x))(pictures)
    assert difference(found, expected) < 1e-5  # sums in another order
    plain = jax.make_jaxpr(lambda x: evaluate(traced, x))(pictures)
    left = operations(plain.jaxpr)
    assert left.count("conv_general_dilated") == operations(traced.jaxpr).count(
        "conv_general_dilated"
    )
    # Normalisation has gone into the convolutions: none of its operations is left.
    assert not {"rsqrt", "sqrt", "stop_gradient"} & set(left)


def graph_of(apply: Callable[[Any], Any], shape: tuple[int, ...], classes: int) -> Any:
    """Returns the ONNX model of a function, whose temperature is 2."""
    plain, facts = signature_of(shape, classes), {"weights_sha256": "none"}
    signature = exported_signature(
        dataclasses.replace(plain, temperature=2.0), licence="", run=facts
    )
    return onnx_graph(apply, signature)


def assert_graph_answers(apply: Callable[[Any], Any]) -> None:
    """Checks that ONNX Runtime answers as a function of small pictures does."""
    pictures = np.random.default_rng(5).integers(0, 256, (3, 8, 8, 3), np.uint8)
    expected = np.asarray(apply(jnp.asarray(pictures)))
    content = graph_of(apply, pictures.shape[1:], expected.shape[1]).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    answers: Any = session.run(["logits"], {"image": pictures})
    assert difference(answers[0], expected) < 1e-5


def test_the_graph_is_plain_and_computes_the_same(case: tuple[nnx.Module, jax.Array]) -> None:
    model, pictures = case
    apply = application(model)
    expected = np.asarray(apply(pictures))
    graph = graph_of(apply, pictures.shape[1:], expected.shape[1])
    nodes = graph.graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert convolutions
    assert all(len(node.input) == 3 for node in convolutions), "each has its own summand"
    kinds = {node.op_type for node in nodes}
    assert not kinds & {"BatchNormalization", "Sqrt", "Reciprocal", "Identity", "Loop", "Scan"}
    contents = [(t.data_type, tuple(t.dims), t.raw_data) for t in graph.graph.initializer]
    assert len(set(contents)) == len(contents), "no constant is there twice"

    assert [value.name for value in graph.graph.input] == ["image"]
    assert [value.name for value in graph.graph.output] == ["logits", "probabilities"]
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for count in (1, 3):
        answers: Any = session.run(None, {"image": np.asarray(pictures[:count])})
        logits, probabilities = answers
        assert difference(logits, expected[:count]) < 1e-5
        softmax = np.asarray(jax.nn.softmax(expected[:count] / 2.0))
        np.testing.assert_allclose(probabilities, softmax, rtol=1e-3, atol=1e-6)


def traced(function: Callable[[Any], Any], x: Any) -> core.Jaxpr:
    """Returns a function as whoever writes the graph sees it."""
    closed = jax.make_jaxpr(function)(x)
    found = jax.make_jaxpr(lambda x: evaluate(closed, x))(x)
    (answer,), expected = jax.jit(lambda x: evaluate(closed, x))(x), function(x)
    assert (answer.shape, answer.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-5)
    return found.jaxpr


X = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
KERNEL = np.random.default_rng(2).normal(size=(3, 3, 3, 4)).astype(np.float32)


def convolved(x: Any, kernel: Any = KERNEL) -> Any:
    how = {"padding": "SAME", "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    return jax.lax.conv_general_dilated(x, jnp.asarray(kernel), (1, 1), **how)


def pooled(x: Any) -> Any:
    return nnx.max_pool(x, window_shape=(2, 2), strides=(2, 2))


def test_a_negative_factor_stays_behind_a_maximum() -> None:
    factors = np.array([1, -2, 3, 0.5], np.float32).reshape(1, 1, 1, 4)
    assert "mul" in operations(traced(lambda x: pooled(convolved(x)) * factors, X))
    assert "mul" not in operations(traced(lambda x: pooled(convolved(x) * factors), X))
    assert "mul" not in operations(traced(lambda x: pooled(convolved(x)) * np.abs(factors), X))


def test_a_convolution_with_two_readers_is_computed_once() -> None:
    def twice(x: Any) -> Any:
        y = convolved(x)
        return y * np.float32(2) + jax.nn.relu(y)

    assert operations(traced(twice, X)).count("conv_general_dilated") == 1


def test_what_varies_from_place_to_place_is_not_folded() -> None:
    places = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
    assert "mul" in operations(traced(lambda x: convolved(x) * places, X))


FOUR = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 1, 4)


@pytest.mark.parametrize("summand", [False, True])
def test_what_repeats_the_one_channel_is_not_folded(summand: bool) -> None:
    def repeated(x: Any) -> Any:
        one = convolved(x.astype(jnp.float32), KERNEL[..., :1])
        return one + FOUR if summand else one * FOUR

    assert ("add" if summand else "mul") in operations(traced(repeated, X))
    assert_graph_answers(lambda x: repeated(x).mean((1, 2)))


def test_a_maximum_with_zeros_of_another_shape_is_not_relu() -> None:
    zeros = np.zeros((1, 8, 8, 3), np.float32)
    relu = "custom_jvp_call"
    assert relu not in operations(traced(lambda x: jnp.maximum(x[:, :1, :1], zeros), X))
    assert relu in operations(traced(lambda x: jnp.maximum(x, zeros[:, :1, :1]), X))


def test_a_factor_stays_behind_a_maximum_over_channels() -> None:
    def over_channels(x: Any) -> Any:
        first, kernel = jnp.moveaxis(x, -1, 1), jnp.asarray(KERNEL.transpose(3, 2, 0, 1))
        made = jax.lax.conv_general_dilated(first, kernel, (1, 1), "SAME")
        window = (1, 2, 2, 1)
        highest = jax.lax.reduce_window(made, -np.inf, jax.lax.max, window, (1,) * 4, "SAME")
        return highest * FOUR.reshape(1, 4, 1, 1)

    assert "mul" in operations(traced(over_channels, X))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int32])
def test_other_types_stay_what_they_are(dtype: Any) -> None:
    def other(x: Any) -> Any:
        made = convolved(jnp.round(2 * x).astype(dtype), jnp.round(KERNEL).astype(dtype))
        made = made + jnp.asarray(FOUR, dtype)
        window = (1, 2, 2, 1)
        sums = jax.lax.reduce_window(
            made, np.zeros((), dtype), jax.lax.add, window, window, "VALID"
        )
        return nnx.max_pool(sums, window_shape=(3, 3), strides=(2, 2), padding="SAME")

    traced(other, X)


def test_a_maximum_of_pixels_is_padded_with_the_least_of_them() -> None:
    def highest(x: Any) -> Any:
        return nnx.max_pool(x, window_shape=(3, 3), strides=(2, 2), padding="SAME")

    pixels = np.random.default_rng(3).integers(0, 256, (2, 8, 8, 3), np.uint8)
    traced(highest, pixels)
    traced(lambda x: highest(x.astype(jnp.int32) - 300), pixels)
    assert_graph_answers(lambda x: highest(x).astype(jnp.float32).mean((1, 2)))


def test_nothing_is_left_of_the_divisor_of_a_mean() -> None:
    def mean(x: Any) -> Any:  # 49 * (1 / 49) is not one
        return nnx.avg_pool(x, window_shape=(7, 7), strides=(1, 1))

    assert "mul" not in operations(traced(mean, X))
    zero = np.float32(0)
    divided = jax.make_jaxpr(lambda x: mean(x) / zero)(X)
    assert np.isinf(jax.jit(lambda x: evaluate(divided, x))(X)[0]).all()


def test_what_onnx_does_not_know_is_said() -> None:
    def singular(x: Any) -> Any:
        return jnp.linalg.svd(x[..., 0].astype(jnp.float32), compute_uv=False)

    expected = r"cannot be written as ONNX \(\w+: svd.*leave the format onnx out, as with --format"
    with pytest.raises(BadInput, match=expected):
        graph_of(singular, X.shape[1:], 8)


def test_branches_keep_the_constants_that_they_alone_read() -> None:
    weights = np.random.default_rng(4).normal(size=(2, 3, 5)).astype(np.float32)

    def branched(x: Any) -> Any:
        means = x.astype(jnp.float32).mean((1, 2))
        branches = (lambda y: y @ weights[0], lambda y: y @ weights[1])
        return jax.lax.cond(means.sum() > 0, *branches, means)

    assert_graph_answers(branched)


def test_constants_alone_are_computed_once() -> None:
    variance = jnp.arange(1.0, 5.0)
    left = operations(
        traced(lambda x: convolved(x) * jax.lax.rsqrt(variance + 1e-5)[None, None, None], X)
    )
    assert set(left) <= {"conv_general_dilated", "add", "transpose"}


def test_a_loop_and_gaps_are_left_as_they_are() -> None:
    def looped(x: Any) -> Any:
        return jax.lax.fori_loop(0, 3, lambda _, y: y * np.float32(0.5) + 1, x)

    assert {"while", "scan"} & set(operations(traced(looped, X)))
    gaps = functools.partial(
        jax.lax.pad,
        padding_value=np.float32(0),
        padding_config=[(0, 0, 0), (-1, 1, 0), (0, 0, 1), (0, 0, 0)],
    )
    assert "pad" in operations(traced(gaps, X))
