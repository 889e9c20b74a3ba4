"""Convolutions and pools to try, and their comparison with XLA's own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flaxmill.devices.convolution import fast_convolutions

# Both add up the same at most 144 products of numbers near 1, in another order: a few units in the
# last place of float32 (1.2e-7), times the size of the sums.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
NUMBERS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC")}


def numbers(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def convolve(x: jax.Array, kernel: jax.Array, **how: Any) -> jax.Array:
    usual: dict[str, Any] = {"window_strides": (1,) * (x.ndim - 2), "padding": "SAME"}
    usual["dimension_numbers"] = NUMBERS[x.ndim - 2]
    return lax.conv_general_dilated(x, kernel, **usual | how)


def primitives(function: Callable[..., Any], *args: Any) -> str:
    return str(jax.make_jaxpr(function)(*args))


def assert_same(function: Callable[..., Any], *args: jax.Array) -> None:
    """Compares values and the gradients with respect to every argument."""

    @jax.jit  # one compilation for all, which is what takes the time
    def both(*args: jax.Array) -> list[tuple[jax.Array, Any]]:
        answers = []
        for form in (fast_convolutions(function), function):
            output, back = jax.vjp(form, *args)
            weight = jnp.sin(jnp.arange(output.size, dtype=jnp.float32)).reshape(output.shape)
            answers.append((output, back(weight)))
        return answers

    (found, gradients), (expected, own_gradients) = both(*args)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, **TOLERANCE)
    for mine, theirs in zip(gradients, own_gradients, strict=True):
        np.testing.assert_allclose(mine, theirs, **TOLERANCE)


def pool(x: jax.Array, kind: str, window: tuple[int, int], strides: Any = None) -> jax.Array:
    start, operation = (0.0, lax.add) if kind == "sum" else (-jnp.inf, lax.max)
    size, step = (1, *window, 1), (1, *(strides or window), 1)
    return lax.reduce_window(x, start, operation, size, step, "VALID")
