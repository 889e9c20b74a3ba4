"""Where `fast_convolutions` goes in a function, and what it leaves alone."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from convolving import TOLERANCE, assert_same, convolve, numbers, pool, primitives
from jax import lax

from flaxmill.devices import convolution
from flaxmill.devices.convolution import fast_convolutions, loop_convolutions, product_options

# Where the transformation goes.


def block(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return pool(jnp.tanh(convolve(x, kernel)), "max", (1, 1)) + x


def in_jit(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.jit(lambda x: jax.jit(block)(x, kernel))(x)


def in_remat(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.checkpoint(block)(x, kernel)


def in_scan(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.scan(lambda x, _: (block(x, kernel), None), x, None, length=2)[0]


def in_scan_of_remat(x: jax.Array, kernel: jax.Array) -> jax.Array:
    kernels = jnp.stack([kernel, 2 * kernel])
    return lax.scan(lambda x, k: (jax.checkpoint(block)(x, k), None), x, kernels)[0]


def in_cond(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.cond(x.sum() > 0, block, lambda x, kernel: -block(x, kernel), x, kernel)


@jax.custom_jvp
def own_jvp(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return block(x, kernel)


own_jvp.defjvp(lambda primals, tangents: jax.jvp(block, primals, tangents))


def in_vmap(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.vmap(lambda kernel: block(x, kernel))(jnp.stack([kernel, -kernel])).sum(0)


@pytest.mark.parametrize("function", [in_jit, in_remat, in_scan, in_scan_of_remat, in_cond])
def test_bodies_are_made_fast(function: Callable[..., jax.Array]) -> None:
    x, kernel = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2, seed=1)
    assert "conv_general_dilated" in primitives(function, x, kernel)
    assert "conv_general_dilated" not in primitives(fast_convolutions(function), x, kernel)
    assert_same(function, x, kernel)


def test_a_custom_jvp_body_is_made_fast_and_keeps_its_own_rule() -> None:
    x, kernel = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2, seed=1)
    assert "conv_general_dilated" not in primitives(fast_convolutions(own_jvp), x, kernel)
    assert_same(own_jvp, x, kernel)


def test_a_while_body_is_made_fast() -> None:
    def repeated(x: jax.Array, kernel: jax.Array, times: jax.Array) -> jax.Array:
        def more(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
            return (carry[0] < times) & (convolve(carry[1], kernel).max() < 1e9)

        return lax.while_loop(more, lambda c: (c[0] + 1, block(c[1], kernel)), (jnp.int32(0), x))[1]

    args = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2, seed=1), jnp.int32(3)
    assert primitives(repeated, *args).count("conv_general_dilated") == 2
    assert "conv_general_dilated" not in primitives(fast_convolutions(repeated), *args)
    np.testing.assert_allclose(fast_convolutions(repeated)(*args), repeated(*args), **TOLERANCE)


@pytest.mark.parametrize("channels", [2, 16])
def test_a_mapped_convolution_keeps_its_value(channels: int) -> None:
    x, kernel = numbers(1, 4, 4, channels), numbers(3, 3, channels, channels, seed=1) / channels
    assert "conv_general_dilated" not in primitives(fast_convolutions(in_vmap), x, kernel)
    assert_same(in_vmap, x, kernel)
    many = jax.vmap(fast_convolutions(block), (None, 0))(x, jnp.stack([kernel, -kernel])).sum(0)
    np.testing.assert_allclose(many, in_vmap(x, kernel), **TOLERANCE)


@pytest.mark.parametrize("channels", [2, 16])
def test_a_tangent_keeps_its_value(channels: int) -> None:
    def tangent(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.jvp(block, (x, kernel), (jnp.cos(x), jnp.sin(kernel)))[1]

    x, kernel = numbers(1, 4, 4, channels), numbers(3, 3, channels, channels, seed=1) / channels
    assert "conv_general_dilated" not in primitives(fast_convolutions(tangent), x, kernel)
    assert_same(tangent, x, kernel)


def test_a_gradient_within_keeps_its_value() -> None:
    """As in a gradient penalty: the inner gradient's convolutions have other layouts."""

    def penalty(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return (jax.grad(lambda x: jnp.tanh(convolve(x, kernel)).sum())(x) ** 2).sum()[None]

    x, kernel = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2, seed=1)
    assert_same(penalty, x, kernel)


def test_a_custom_vjp_is_left_alone() -> None:
    @jax.custom_vjp
    def own(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return convolve(x, kernel)

    def backward(kernel: jax.Array, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
        return 3 * gradient, 7 * jnp.ones_like(kernel)

    own.defvjp(lambda x, kernel: (own(x, kernel), kernel), backward)
    x, kernel = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2, seed=1)
    fast = fast_convolutions(own)
    assert "conv_general_dilated" in primitives(fast, x, kernel)
    output, back = jax.vjp(fast, x, kernel)
    np.testing.assert_array_equal(output, own(x, kernel))
    to_x, to_kernel = back(jnp.ones_like(output))
    assert (to_x == 3).all()
    assert (to_kernel == 7).all()


def test_a_function_spread_over_devices_is_left_alone() -> None:
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("data",))
    spec = jax.sharding.PartitionSpec
    where = {"in_specs": (spec("data"), spec()), "out_specs": spec("data")}
    spread = jax.shard_map(convolve, mesh=mesh, **where)
    x, kernel = numbers(2, 4, 4, 2), numbers(3, 3, 2, 2, seed=1)
    assert "conv_general_dilated" in primitives(fast_convolutions(spread), x, kernel)
    output = jax.jit(fast_convolutions(spread))(x, kernel)
    np.testing.assert_allclose(output, convolve(x, kernel), **TOLERANCE)


def test_trees_go_in_and_out_and_the_name_stays() -> None:
    def both(trees: dict[str, jax.Array], scale: jax.Array) -> dict[str, Any]:
        return {"out": (convolve(trees["x"], trees["kernel"]) * scale, scale), "none": None}

    trees = {"x": numbers(1, 4, 4, 2), "kernel": numbers(3, 3, 2, 2)}
    output = fast_convolutions(both)(trees, jnp.float32(2))
    np.testing.assert_allclose(output["out"][0], both(trees, jnp.float32(2))["out"][0], **TOLERANCE)
    assert output["none"] is None
    assert fast_convolutions(both).__name__ == "both"


def test_slow_convolutions_are_listed_where_they_are_in_a_loop() -> None:
    x, kernel = numbers(1, 4, 4, 2), numbers(3, 3, 2, 2)

    def listed(function: Callable[..., Any]) -> list[str]:
        return loop_convolutions(jax.make_jaxpr(function)(x, kernel).jaxpr)

    assert listed(in_jit) == []
    assert listed(in_cond) == []
    assert listed(in_scan) == ["float32[1,4,4,2] with kernel float32[3,3,2,2]"]
    assert len(listed(in_scan_of_remat)) == 1
    assert len(listed(lambda x, k: lax.fori_loop(0, 2, lambda _, x: in_jit(x, k), x))) == 1
    assert listed(fast_convolutions(in_scan)) == []


# Which library multiplies.


def products(places: int, rows: int, depth: int = 8) -> Callable[[], Any]:
    """Returns a function with a loop of products, a batch of so many of so many rows."""

    def looping() -> Any:
        x = jnp.ones((places, rows, depth))
        kernel = jnp.ones((places, depth, depth))
        return lax.fori_loop(0, 2, lambda _, x: jnp.einsum("ptc,pcf->ptf", x, kernel), x)

    return looping


def options_for(*functions: Callable[[], Any]) -> dict[str, Any]:
    together = jax.make_jaxpr(lambda: [function() for function in functions])()
    return product_options(together.jaxpr)


def weight_gradient() -> jax.Array:
    x = jnp.ones((16, 100, 8))
    return jnp.einsum("ptc,ptf->pcf", x, x)


def test_batches_of_few_rows_are_left_to_the_library_that_divides_them() -> None:
    few = options_for(products(36, 500))
    assert few == {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}
    assert options_for(products(36, 1500)) == {}
    assert options_for(lambda: jnp.ones((500, 8)) @ jnp.ones((8, 8))) == {}  # no batch
    assert options_for(weight_gradient) == {}
    assert options_for(products(16, 1500), products(36, 500)) == {}  # 24,000 rows and 18,000
    assert options_for(products(8, 1500), products(36, 500)) == few


def test_options_that_the_compiler_does_not_know_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not convolution._accepted(xla_cpu_experimental_ynn_fusion_type="SOMETHING_ELSE")
    assert not convolution._accepted(no_such_option="1")
    monkeypatch.setattr(convolution, "_accepted", lambda **options: False)
    assert options_for(products(36, 500)) == {}


def test_either_library_computes_the_same() -> None:
    few, values = products(36, 500), {}
    lowered = jax.jit(few).lower()
    for options in ({}, options_for(few)):
        values[bool(options)] = np.asarray(lowered.compile(compiler_options=options)())
    np.testing.assert_allclose(values[True], values[False], **TOLERANCE)
