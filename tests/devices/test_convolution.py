"""The fast forms against XLA's own convolutions and pools: values, gradients, and where they go."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolving import TOLERANCE, assert_same, convolve, numbers, pool, primitives
from jax import lax

from flaxmill.devices.convolution import fast_convolutions

CASES = {
    "same": ((2, 6, 7, 3), (3, 3, 3, 4), {}),
    "valid": ((2, 6, 7, 3), (3, 2, 3, 4), {"padding": "VALID"}),
    "one by one": ((2, 5, 5, 3), (1, 1, 3, 4), {}),
    "even kernel": ((1, 6, 6, 2), (4, 2, 2, 3), {}),
    "strided": ((2, 7, 8, 2), (3, 3, 2, 3), {"window_strides": (2, 3)}),
    "strides that leave a rest": (
        (1, 8, 8, 2),
        (3, 3, 2, 2),
        {"window_strides": (3, 3), "padding": "VALID"},
    ),
    "one by one, strided": ((1, 6, 6, 2), (1, 1, 2, 3), {"window_strides": (2, 2)}),
    "uneven padding": ((1, 5, 5, 2), (3, 3, 2, 2), {"padding": ((0, 2), (1, 0))}),
    "more padding than kernel": ((1, 4, 4, 2), (2, 2, 2, 2), {"padding": ((3, 2), (2, 4))}),
    "dilated": ((1, 9, 9, 2), (3, 3, 2, 2), {"rhs_dilation": (2, 3)}),
    "dilated and strided": (
        (1, 9, 9, 2),
        (3, 2, 2, 2),
        {"rhs_dilation": (2, 2), "window_strides": (2, 1)},
    ),
    "whole picture": ((2, 4, 4, 2), (4, 4, 2, 3), {"padding": "VALID"}),
    "one axis": ((2, 9, 3), (4, 3, 5), {"window_strides": (2,)}),
    "in tiles": ((2, 6, 8, 3), (3, 3, 3, 4), {}),
    "in tiles, oblong": ((2, 7, 8, 2), (2, 3, 2, 4), {"padding": ((1, 1), (0, 0))}),
    "winograd": ((2, 6, 8, 16), (3, 3, 16, 17), {}),
    "winograd, odd": ((1, 7, 5, 16), (3, 3, 16, 16), {}),
    "winograd, valid": ((1, 7, 8, 16), (3, 3, 16, 16), {"padding": "VALID"}),
    "winograd, uneven": ((1, 5, 6, 16), (3, 3, 16, 16), {"padding": ((0, 3), (4, 1))}),
    "winograd, small": ((1, 1, 2, 16), (3, 3, 16, 16), {}),
    "groups": ((1, 5, 5, 4), (3, 3, 2, 6), {"feature_group_count": 2}),
    "depthwise": ((2, 6, 6, 4), (3, 3, 1, 8), {"feature_group_count": 4, "window_strides": (2, 2)}),
    "each channel alone": ((2, 6, 7, 5), (3, 5, 1, 5), {"feature_group_count": 5}),
    "each alone, uneven": (
        (2, 5, 4, 3),
        (4, 3, 1, 3),
        {"feature_group_count": 3, "padding": ((3, 0), (1, 2))},
    ),
    "each alone, wide": (
        (1, 2, 70, 3),  # columns are added up in two parts, and the last is beyond the edge
        (3, 3, 1, 3),
        {"feature_group_count": 3, "padding": ((1, 1), (1, 2))},
    ),
    "each alone, much padding": (
        (1, 3, 3, 2),
        (2, 2, 1, 2),
        {"feature_group_count": 2, "padding": ((2, 0), (1, 1))},
    ),
    "windows that touch": (
        (2, 9, 8, 3),
        (4, 2, 3, 5),
        {"window_strides": (4, 2), "padding": "VALID"},
    ),
    "transposed": (
        (1, 4, 5, 2),
        (3, 3, 2, 2),
        {"lhs_dilation": (2, 3), "padding": ((1, 1), (2, 0))},
    ),
    "cropping": ((1, 6, 6, 2), (3, 3, 2, 2), {"padding": ((-1, 0), (2, -2))}),
    "channels first": (
        (2, 3, 6, 6),
        (4, 3, 3, 3),
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
    "another layout": (
        (6, 2, 3, 7),
        (3, 3, 4, 3),
        {"dimension_numbers": ("HNCW", "IHOW", "CWHN")},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_convolutions_keep_value_and_gradients(name: str) -> None:
    shape, kernel_shape, how = CASES[name]
    x, kernel = numbers(*shape), numbers(*kernel_shape, seed=1)
    function = functools.partial(convolve, **how)
    assert "conv_general_dilated" not in primitives(fast_convolutions(function), x, kernel)
    assert_same(function, x, kernel)


@pytest.mark.parametrize(
    ("size", "how", "tile"),
    [
        ((8, 8), {}, 4),
        ((7, 11), {}, 4),  # the last tiles reach over the edge
        ((9, 8), {"padding": ((0, 1), (2, 0))}, 4),
        ((5, 5), {}, 2),  # two tiles of four each way would be mostly beyond it
    ],
)
def test_many_channels_are_filtered_in_tiles_of_four_where_that_pays(
    size: tuple[int, int], how: dict[str, Any], tile: int
) -> None:
    # Numbers whose sums over 9 places of 64 channels are near 1: the larger tiles' factors, up to
    # 8, cost them a digit more than those of two, which still leaves four.
    x, kernel = numbers(1, *size, 64), numbers(3, 3, 64, 64, seed=1) / 24
    function = functools.partial(convolve, **how)
    text = primitives(fast_convolutions(function), x, kernel)
    assert "conv_general_dilated" not in text
    assert f"f32[{(tile + 2) ** 2},64,64]" in text  # the kernel, transformed
    assert_same(function, x, kernel)


def test_a_maximum_is_taken_within_tiles_of_four() -> None:
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return pool(convolve(x, kernel), "max", (2, 2))

    x, kernel = numbers(1, 8, 8, 64), numbers(3, 3, 64, 64, seed=1) / 24
    assert "reduce_window" not in primitives(fast_convolutions(function), x, kernel)
    assert_same(function, x, kernel)


UNKNOWN = {
    "batch groups": ((4, 5, 5, 2), (3, 3, 2, 4), {"batch_group_count": 2}),
    "empty result": ((1, 2, 2, 1), (3, 3, 1, 1), {"padding": "VALID"}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_convolutions_stay(name: str) -> None:
    shape, kernel_shape, how = UNKNOWN[name]
    x, kernel = numbers(*shape), numbers(*kernel_shape, seed=1)
    function = functools.partial(convolve, **how)
    assert "conv_general_dilated" in primitives(fast_convolutions(function), x, kernel)
    assert_same(function, x, kernel)


def test_integers_stay() -> None:
    whole = jnp.ones((1, 5, 5, 2), jnp.int32), jnp.ones((3, 3, 2, 2), jnp.int32)
    assert "conv_general_dilated" in primitives(fast_convolutions(convolve), *whole)
    np.testing.assert_array_equal(fast_convolutions(convolve)(*whole), convolve(*whole))


@pytest.mark.parametrize("kind", ["sum", "max"])
@pytest.mark.parametrize(
    ("size", "window"), [((6, 8), (2, 2)), ((7, 9), (2, 2)), ((7, 7), (3, 2)), ((4, 4), (4, 4))]
)
def test_pools_keep_value_and_gradient(
    kind: str, size: tuple[int, int], window: tuple[int, int]
) -> None:
    function = functools.partial(pool, kind=kind, window=window)
    x = numbers(2, *size, 3)
    assert "reduce_window" not in primitives(fast_convolutions(function), x)
    assert_same(function, x)


def test_the_first_of_equal_values_gets_a_maximums_gradient() -> None:
    function = functools.partial(pool, kind="max", window=(2, 2))
    ties = jnp.asarray(np.random.default_rng(0).integers(0, 2, (2, 8, 8, 3)), jnp.float32)
    fast = fast_convolutions(function)
    expected = jax.grad(lambda x: function(x).sum())(ties)
    np.testing.assert_array_equal(jax.grad(lambda x: fast(x).sum())(ties), expected)
    assert expected.sum() == 2 * 4 * 4 * 3


def test_on_gpu_pools_alone_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return pool(convolve(x, kernel), "max", (2, 2))

    x, kernel = numbers(2, 8, 8, 3), numbers(3, 3, 3, 4, seed=1)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    text = primitives(fast_convolutions(function), x, kernel)
    assert "conv_general_dilated" in text
    assert "reduce_window" not in text
    assert_same(function, x, kernel)
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert fast_convolutions(function) is function


@pytest.mark.parametrize("kind", ["sum", "max"])
def test_overlapping_or_empty_pools_stay(kind: str) -> None:
    overlapping = functools.partial(pool, kind=kind, window=(3, 3), strides=(2, 2))
    assert "reduce_window" in primitives(fast_convolutions(overlapping), numbers(1, 7, 7, 2))
    assert_same(overlapping, numbers(1, 7, 7, 2))
    nothing = functools.partial(pool, kind=kind, window=(2, 2))
    assert fast_convolutions(nothing)(numbers(1, 1, 1, 2)).shape == (1, 0, 0, 2)


# What comes after a convolution whose places lie tile by tile.


def biased(x: jax.Array) -> jax.Array:
    return x + jnp.linspace(-1, 1, x.shape[-1])[None, None, None]


def normalised(x: jax.Array) -> jax.Array:
    """Batch normalisation: all places count alike."""
    mean, square = x.mean((0, 1, 2), keepdims=True), (x * x).mean((0, 1, 2), keepdims=True)
    return (x - mean) * lax.rsqrt(square - mean * mean + 1e-3)


AFTER = {
    "bias, relu and mean": lambda x: pool(jax.nn.relu(biased(x)), "sum", (2, 2)) / 4,
    "maximum": lambda x: pool(biased(x), "max", (2, 2)),
    "a pool larger than the tile": lambda x: pool(x, "max", (4, 4)),
    "an oblong pool": lambda x: pool(x, "sum", (2, 1)),
    "batch statistics": lambda x: pool(jax.nn.gelu(normalised(x)), "max", (2, 2)),
    "numbers of the channels": lambda x: jnp.linspace(0, 1, 16).reshape(1, 1, 1, 16) - x * 2.0,
    "a choice": lambda x: jnp.where(x > 0, x, 0.1 * jnp.tanh(x)),
    "both ends of a range": lambda x: jnp.clip(x, -1.0, 1.0),
    "the same twice": lambda x: x * jax.nn.sigmoid(x),
    "over the channels": lambda x: jax.nn.softmax(x),
    "over one axis": lambda x: x.max(1),
    "the picture": lambda x: x.reshape(len(x), -1) * jnp.linspace(0, 1, x[0].size)[None],
    "another picture": lambda x: x + jnp.arange(x.size, dtype=jnp.float32).reshape(x.shape),
    "two of them": lambda x: (jnp.sin(x), pool(jnp.cos(x), "sum", (2, 2))),
}


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("name", AFTER)
def test_what_follows_keeps_value_and_gradients(name: str, channels: int) -> None:
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        outputs = jax.tree.leaves(AFTER[name](convolve(x, kernel)))
        return jnp.concatenate([output.ravel() for output in outputs])

    assert_same(function, numbers(2, 8, 4, channels), numbers(3, 3, channels, 16, seed=1) / 8)


def test_pictures_in_two_orders_come_together() -> None:
    def function(x: jax.Array, few: jax.Array, many: jax.Array) -> jax.Array:
        one, other = convolve(x[..., :2], few), convolve(x, many)
        return one * other + other * other + jnp.exp(one)

    kernels = numbers(3, 3, 2, 16, seed=1) / 8, numbers(3, 3, 16, 16, seed=2) / 8
    assert_same(function, numbers(2, 4, 4, 16), *kernels)


def test_a_block_needs_its_places_in_no_order() -> None:
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return pool(jax.nn.relu(normalised(biased(convolve(x, kernel)))), "max", (2, 2))

    x, kernel = numbers(2, 8, 8, 16), numbers(3, 3, 16, 16, seed=1)
    block, alone = (
        primitives(fast_convolutions(f), x, kernel).count(" = transpose[")
        for f in (function, convolve)
    )
    assert (block, alone) == (1, 2)  # of the kernel, and of the picture that nothing follows


# Both round a float32 result to half precision, which may fall to either side: one unit in the last
# place, 2⁻⁷ for the 8 bits of bfloat16. Where a sum is near 0, float32's own rounding counts.
HALF_TOLERANCE = {"rtol": 2**-7, "atol": 1e-4}


@pytest.mark.parametrize(
    ("name", "half"), [*((name, "bfloat16") for name in CASES), ("winograd", "float16")]
)
def test_half_precision_is_rounded_once_from_float32(name: str, half: str) -> None:
    shape, kernel_shape, how = CASES[name]
    x, kernel = numbers(*shape).astype(half), numbers(*kernel_shape, seed=1).astype(half)
    function = functools.partial(convolve, **how)

    def in_float32(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return function(x.astype(jnp.float32), kernel.astype(jnp.float32)).astype(half)

    @jax.jit
    def both(x: jax.Array, kernel: jax.Array) -> list[tuple[jax.Array, ...]]:
        answers: list[tuple[jax.Array, ...]] = []
        for form in (fast_convolutions(function), in_float32):
            output, back = jax.vjp(form, x, kernel)
            weight = jnp.sin(jnp.arange(output.size, dtype=jnp.float32)).reshape(output.shape)
            answers.append((output, *back(weight.astype(half))))
        return answers

    for mine, theirs in zip(*both(x, kernel), strict=True):
        assert mine.dtype == theirs.dtype == jnp.dtype(half)
        mine, theirs = mine.astype(jnp.float32), theirs.astype(jnp.float32)
        np.testing.assert_allclose(mine, theirs, **HALF_TOLERANCE)
    assert "conv_general_dilated" not in primitives(fast_convolutions(function), x, kernel)


@pytest.mark.parametrize("channels", [2, 16])
def test_a_convolution_may_return_more_than_it_takes(channels: int) -> None:
    x, kernel = numbers(1, 4, 4, channels), numbers(3, 3, channels, 16, seed=1)
    half = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    function = functools.partial(convolve, preferred_element_type=jnp.float32)
    assert "conv_general_dilated" not in primitives(fast_convolutions(function), *half)
    output = fast_convolutions(function)(*half)
    assert output.dtype == jnp.float32
    np.testing.assert_allclose(output, function(*half), **TOLERANCE)


@pytest.mark.parametrize("name", AFTER)
def test_what_follows_in_half_precision_keeps_its_type_and_value(name: str) -> None:
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        with jax.numpy_dtype_promotion("standard"):  # the functions have constants in float32
            return jnp.concatenate(
                [output.ravel() for output in jax.tree.leaves(AFTER[name](convolve(x, kernel)))]
            )

    x, kernel = numbers(2, 8, 4, 16), numbers(3, 3, 16, 16, seed=1) / 8
    half = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    output, expected = fast_convolutions(function)(*half), function(*half)
    assert output.dtype == expected.dtype
    # Several operations round to 8 bits each, of numbers of about 4 at most.
    output, expected = output.astype(jnp.float32), expected.astype(jnp.float32)
    np.testing.assert_allclose(output, expected, rtol=2**-5, atol=2**-5)
