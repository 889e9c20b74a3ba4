"""What walks a jaxpr relies on JAX's internals: on an upgrade, each that changed is named here.

Of use to `flaxmill.devices.convolution`, `flaxmill.tasks.inputs.picture.feature_maps`,
`flaxmill.training.nonfinite` and `flaxmill.export.folding`. JAX promises none of these names.
"""

import inspect
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.extend import core

from flaxmill.devices import convolution
from flaxmill.devices.jaxprs import inner_jaxprs, rebind
from flaxmill.tasks.inputs.picture import feature_maps

X, KERNEL = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))


def operations(jaxpr: Any) -> Iterator[Any]:
    """Yields the equations of a jaxpr, and those of the functions that they call."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in inner_jaxprs(equation):
            yield from operations(inner)


def traced(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Returns the first operation of that name in what a function does."""
    equations = list(operations(jax.make_jaxpr(function)(*args).jaxpr))
    names = {equation.primitive.name for equation in equations}
    assert name in names, f"JAX {jax.__version__} calls {name!r} otherwise now: {sorted(names)}"
    return next(equation for equation in equations if equation.primitive.name == name)


def convolved(x: jax.Array, kernel: jax.Array) -> jax.Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=numbers)


def pooled(x: jax.Array, start: float, computation: Any) -> jax.Array:
    return lax.reduce_window(x, start, computation, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@jax.custom_jvp
def own_jvp(x: jax.Array) -> jax.Array:
    return jnp.sin(x)


@jax.custom_vjp
def own_vjp(x: jax.Array) -> jax.Array:
    return jnp.sin(x)


own_jvp.defjvp(lambda primals, tangents: (own_jvp(*primals), tangents[0]))
own_vjp.defvjp(lambda x: (own_vjp(x), None), lambda _, slope: (slope,))

WINDOWS = "base_dilation padding window_dilation window_dimensions window_strides"
CONVOLUTION = """
    batch_group_count dimension_numbers feature_group_count lhs_dilation padding rhs_dilation
    window_strides
"""
OPERATIONS: list[tuple[str, str, Callable[..., Any], tuple[Any, ...]]] = [
    ("conv_general_dilated", CONVOLUTION, convolved, (X, KERNEL)),
    ("reduce_window_max", WINDOWS, lambda x: pooled(x, -jnp.inf, lax.max), (X,)),
    ("reduce_window_min", WINDOWS, lambda x: pooled(x, jnp.inf, lax.min), (X,)),
    ("reduce_window_sum", WINDOWS, lambda x: pooled(x, 0.0, lax.add), (X,)),
    ("dot_general", "dimension_numbers", jnp.dot, (X[0, 0], X[0, 0].T)),
    ("pad", "padding_config", lambda x: jnp.pad(x, 1), (X,)),
    ("rev", "dimensions", lambda x: x[:, ::-1], (X,)),
    ("reshape", "new_sizes", lambda x: x.reshape(2, -1), (X,)),
    ("concatenate", "dimension", lambda x: jnp.concatenate([x, x]), (X,)),
    (
        "broadcast_in_dim",
        "broadcast_dimensions shape",
        lambda x: jnp.broadcast_to(x, (4, 3)),
        (X[0, 0, 0],),
    ),
    ("reduce_sum", "axes", lambda x: x.sum((0, 1, 2)), (X,)),
    ("jit", "jaxpr", jax.jit(jnp.sin), (X,)),
    ("remat2", "jaxpr policy prevent_cse", jax.checkpoint(jnp.sin), (X,)),
    ("custom_jvp_call", "call_jaxpr", own_jvp, (X,)),
    ("custom_vjp_call", "call_jaxpr", own_vjp, (X,)),
    ("scan", "jaxpr length", lambda x: lax.scan(lambda c, y: (c, y), 0, x), (X,)),
    ("while", "", lambda x: lax.while_loop(lambda x: (x < 0).any(), jnp.sin, x), (X,)),
    ("cond", "", lambda x: lax.cond(x.any(), jnp.sin, jnp.cos, x), (X,)),
]


@pytest.mark.parametrize(("name", "params", "function", "args"), OPERATIONS)
def test_operations_have_their_names_and_parameters(
    name: str, params: str, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    equation = traced(name, function, *args)
    gone = set(params.split()) - set(equation.params)
    assert not gone, f"{name} of JAX {jax.__version__} has {sorted(equation.params)}"
    for inner in ("jaxpr", "call_jaxpr"):
        if inner in params.split():
            assert isinstance(equation.params[inner], core.ClosedJaxpr | core.Jaxpr), inner


def test_every_operation_that_is_named_exists() -> None:
    known = {
        primitive.name
        for primitive in vars(core.primitives).values()
        if isinstance(primitive, core.Primitive)
    }
    named = {
        *(convolution._REPLACED + convolution._ENTERED + convolution._REDUCTIONS),
        *convolution._ELEMENTWISE,
        *(feature_maps._POOLS + tuple(feature_maps._INLINED)),
    }
    assert named <= known, f"JAX {jax.__version__} has no operations {sorted(named - known)}"


def test_numbers_of_dimensions_have_their_parts() -> None:
    numbers = traced("conv_general_dilated", convolved, X, KERNEL).params["dimension_numbers"]
    assert (numbers.lhs_spec, numbers.rhs_spec) == ((0, 3, 1, 2), (3, 2, 0, 1))
    assert numbers.out_spec == (0, 3, 1, 2)
    products = traced("dot_general", jnp.dot, X[0, 0], X[0, 0].T).params["dimension_numbers"]
    assert products == (((1,), (0,)), ((), ()))


def test_a_jaxpr_has_its_parts() -> None:
    held = jnp.ones((1, 1, 1, 3))
    closed = jax.make_jaxpr(lambda x: jnp.sin(x * held) + 1.0)(X)
    assert isinstance(closed, core.ClosedJaxpr)
    assert isinstance(closed.jaxpr, core.Jaxpr)
    assert len(closed.consts) == len(closed.jaxpr.constvars) == 1
    assert (len(closed.jaxpr.invars), len(closed.jaxpr.outvars)) == (1, 1)
    literals = [
        one for each in closed.jaxpr.eqns for one in each.invars if isinstance(one, core.Literal)
    ]
    assert [float(one.val) for one in literals] == [1.0]
    assert float(core.Literal(literals[0].val, literals[0].aval).val) == 1.0
    aval: Any = closed.jaxpr.invars[0].aval
    assert (aval.shape, str(aval.dtype), aval.weak_type) == (X.shape, "float32", False)
    assert aval.str_short() == "float32[2,8,8,3]"


@pytest.mark.parametrize(("name", "params", "function", "args"), OPERATIONS)
def test_an_operation_is_done_again(
    name: str, params: str, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """By its primitive's `get_bind_params`, `bind` and `multiple_results`."""
    equation = traced(name, function, *args)
    inputs: list[Any] = [
        one.val if isinstance(one, core.Literal) else jnp.ones(one.aval.shape, one.aval.dtype)
        for one in equation.invars
    ]
    again = rebind(equation, equation.params, inputs)
    assert [one.shape for one in again] == [one.aval.shape for one in equation.outvars]


def test_gradients_are_told_by_the_stack_of_names() -> None:
    def gradient(x: jax.Array) -> jax.Array:
        return jax.grad(lambda x: jnp.sin(x).sum())(x)

    equations = list(operations(jax.make_jaxpr(gradient)(X).jaxpr))
    stacks = {each.primitive.name: str(each.source_info.name_stack) for each in equations}
    assert "jvp(" in stacks["cos"], stacks
    assert "transpose(" in stacks["mul"], stacks


def test_an_operation_knows_its_line() -> None:
    from jax._src import source_info_util

    line = inspect.getsourcelines(convolved)[1] + 2
    equation = traced("conv_general_dilated", convolved, X, KERNEL)
    assert f"{Path(__file__).name}:{line}" in source_info_util.summarize(equation.source_info)


def test_versions_of_jax_are_bounded() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    [needed] = [one for one in project["dependencies"] if one.startswith("jax>")]
    low, _, high = needed.removeprefix("jax>=").partition(",<")
    major, minor, _ = low.split(".")
    assert high == f"{major}.{int(minor) + 1}", "a newer series is tried with the tests above first"
