"""Convolutions that are fast inside a compiled loop on CPU, for any model, unchanged.

XLA runs ``lax.conv_general_dilated`` about ten times slower inside a CPU loop (``scan``,
``while``) than outside one (jax issue 12868). `fast_convolutions` traces a function, walks its
jaxpr and evaluates it again with each convolution, and each pool whose windows touch, in a form
that is fast there. The model stays ordinary Flax.

On GPU the pools alone are replaced: a maximum's gradient is a scatter to XLA, which it sorts by
place where a run is to compute the same bits every time. A step of the preset quick took 0.98 ms so
on an H200, and 0.58 ms with these pools.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from flaxmill.devices.convolution.forms import convolve
from flaxmill.devices.convolution.pools import pool
from flaxmill.devices.convolution.tiles import Alike, Tiled, natural
from flaxmill.devices.jaxprs import inner_jaxprs, rebind

_REPLACED = ("conv_general_dilated", "reduce_window_sum", "reduce_window_max")
_ENTERED = ("jit", "closed_call", "remat2", "scan", "while", "cond", "custom_jvp_call")
"""Operations whose inner functions are made fast."""

_ONE_PLACE = """
    abs add add_any and ceil clamp convert_element_type copy cos div eq erf exp exp2 expm1 floor ge
    gt integer_pow is_finite le log log1p logistic lt max min mul ne neg not or pow reduce_precision
    rsqrt select_n sign sin sqrt square stop_gradient sub tanh xor
"""
_ELEMENTWISE = frozenset(_ONE_PLACE.split())
"""Operations that treat each place by itself, and all alike."""
FEW_ROWS = 1024
"""From so many rows on, YNNPACK divides a product among threads."""
_REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod")


def fast_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes convolutions and pools fast inside a loop on CPU, and pools on GPU; nothing on TPU.

    Apply it before ``jax.grad`` and after ``jax.jvp`` and ``jax.vmap``: what it puts in has
    gradients of its own, for reverse mode. It goes into the bodies of ``jit``, ``remat``,
    ``scan``, ``while``, ``cond`` and ``custom_jvp``, and leaves those of ``custom_vjp`` alone,
    whose gradient would not match a changed body. What it does not know stays as it is.

    Args:
        function: Takes and returns pytrees of arrays.

    Returns:
        A function of the same values, up to rounding.
    """
    if jax.default_backend() not in ("cpu", "gpu"):
        return function

    @functools.wraps(function)
    def transformed(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        outputs = _arrays(closed.jaxpr, closed.consts, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return transformed


@functools.cache
def compiler_options() -> dict[str, bool | str]:
    """Returns the options that the fast forms are compiled with: none, where they would not help.

    XLA's CPU compiler drops barriers before it fuses, so that a tile's transform is computed anew
    for each of its readers. Leaving out the pass that drops them is an option for debugging: it is
    used where a small function compiles with it, keeps its barrier, and computes the same.
    """
    if jax.default_backend() != "cpu":
        return {}
    options: dict[str, bool | str] = {"xla_disable_hlo_passes": "cse_barrier_expander"}
    x = np.arange(8, dtype=np.float32)
    lowered = jax.jit(lambda x: jax.lax.optimization_barrier(x * x + 1)[::-1]).lower(x)
    try:
        compiled = lowered.compile(compiler_options=options)
        right = np.array_equal(compiled(x), lowered.compile()(x))
        return options if right and "opt-barrier" in (compiled.as_text() or "") else {}
    except jax.errors.JaxRuntimeError:
        return {}


@functools.cache
def _accepted(**options: bool | str) -> bool:
    """Returns whether the compiler knows these options."""
    try:
        jax.jit(lambda x: x + 1).lower(np.float32(0)).compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return False
    return True


def product_options(jaxpr: core.Jaxpr) -> dict[str, bool | str]:
    """Returns the options that a function's products of matrices are compiled with on CPU.

    XLA gives most products to YNNPACK, which divides a batch of them among threads by rows alone:
    a batch of products of few rows, as Winograd's filtering of small pictures is, runs on one
    thread. Eigen divides such a batch, but takes longer for other products. So it gets them all
    where most of the work is in batches of few rows.

    Args:
        jaxpr: Of the function.
    """
    if jax.default_backend() != "cpu":
        return {}
    work = list(_product_work(jaxpr))
    few = sum(size for rows, size in work if rows < FEW_ROWS)
    # YNNPACK is left with what is named here, and no more.
    options: dict[str, bool | str] = {
        "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"
    }
    return options if 2 * few > sum(size for _, size in work) and _accepted(**options) else {}


def _product_work(jaxpr: Any) -> Iterator[tuple[float, int]]:
    """Yields the rows of each product that YNNPACK would take, and its number of multiplications.

    A product that is not one of a batch counts as one of endless rows.
    """
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            left = equation.invars[0].aval.shape
            (contracted, _), (batch, _) = equation.params["dimension_numbers"]
            depth = math.prod(left[axis] for axis in contracted)
            if contracted == (len(left) - 1,) and math.prod(left):  # others are Eigen's anyway
                rows = math.prod(left) // depth // math.prod(left[axis] for axis in batch)
                size = math.prod(equation.outvars[0].aval.shape) * depth
                yield rows if batch else math.inf, size
        for inner in inner_jaxprs(equation):
            yield from _product_work(inner)


def loop_convolutions(jaxpr: core.Jaxpr, *, inside: bool = False) -> list[str]:
    """Lists the ordinary convolutions inside loops, which are slow on CPU, by shape."""
    slow = []
    for equation in jaxpr.eqns:
        if inside and equation.primitive.name == "conv_general_dilated":
            picture, kernel = (variable.aval for variable in equation.invars)
            slow.append(f"{picture.str_short()} with kernel {kernel.str_short()}")
        looping = inside or equation.primitive.name in ("scan", "while")
        for inner in inner_jaxprs(equation):
            slow += loop_convolutions(inner, inside=looping)
    return slow


# The walk. A value is an array, or one whose places lie tile by tile, or one alike at every place.

Value = Any


def _evaluate(jaxpr: core.Jaxpr, consts: Sequence[Any], *args: Value) -> list[Value]:
    """Evaluates a jaxpr with known convolutions and pools replaced."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

    def read(variable: Any) -> Value:
        return variable.val if isinstance(variable, core.Literal) else values[variable]

    for equation in jaxpr.eqns:
        outputs = _apply(equation, [read(variable) for variable in equation.invars])
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, inputs: Sequence[Value]) -> list[Value]:
    """Evaluates one operation of a jaxpr."""
    name, params = equation.primitive.name, equation.params
    if name == "jit":
        return _evaluate(params["jaxpr"].jaxpr, params["jaxpr"].consts, *inputs)
    for transform in (_fast_form, _placewise):
        if (outputs := transform(equation, inputs)) is not None:
            return outputs
    arrays = [natural(value) for value in inputs]
    if not _mentions_known(equation):
        return rebind(equation, params, arrays)
    if name == "remat2":
        how = {"prevent_cse": params["prevent_cse"], "policy": params["policy"]}
        return jax.checkpoint(functools.partial(_arrays, params["jaxpr"], ()), **how)(*arrays)
    return rebind(equation, _rewritten(params), arrays)


def _fast_form(equation: Any, inputs: Sequence[Value]) -> list[Value] | None:
    """Computes a convolution or pool in its fast form; None if it has none, or is neither."""
    name, params = equation.primitive.name, equation.params
    if name == "conv_general_dilated" and jax.default_backend() == "cpu":
        x, kernel = map(natural, inputs)
        output = convolve(params, x, kernel, equation.outvars[0].aval)
    elif name in ("reduce_window_sum", "reduce_window_max"):
        x = inputs[0].values if isinstance(inputs[0], Alike) else inputs[0]
        output = pool(params, x, "sum" if name.endswith("sum") else "max")
    else:
        return None
    return None if output is None else [output]


def _placewise(equation: Any, inputs: Sequence[Value]) -> list[Value] | None:
    """Evaluates an operation that does not depend on where places lie; None for any other."""
    if equation.primitive.name == "broadcast_in_dim":
        return _broadcast(equation, *inputs)
    tiled = [value for value in inputs if isinstance(value, Tiled)]
    special = [value for value in inputs if isinstance(value, Tiled | Alike)]
    if not special:
        return None
    raw = [value.values if isinstance(value, Tiled | Alike) else value for value in inputs]
    if tiled and equation.primitive.name in _REDUCTIONS:
        over_places = {0, 1, 2} <= set(equation.params["axes"])
        return rebind(equation, equation.params, raw) if over_places else None
    shape = (tiled or special)[0].values.shape
    fits = (
        _is_elementwise(equation)
        and all(variable.aval.shape == shape for variable in equation.outvars)
        and all(tiled[0].same_order(value) for value in tiled)
        and all(isinstance(v, Tiled | Alike) or _is_small(np.shape(v)) for v in inputs)
    )
    if not fits:
        return None
    outputs = rebind(equation, equation.params, raw)
    return [tiled[0].like(value) if tiled else Alike(value) for value in outputs]


def _broadcast(equation: Any, value: Value, *sizes: Any) -> list[Value] | None:
    """Notes that a value broadcast along all axes but the last is alike at every place."""
    shape, axes = equation.params["shape"], equation.params["broadcast_dimensions"]
    if isinstance(value, Tiled) or len(shape) != 4 or sizes:
        return None
    value = natural(value)
    if any(side > 1 for side, axis in zip(np.shape(value), axes, strict=True) if axis < 3):
        return None
    return list(map(Alike, rebind(equation, equation.params, [value])))


def _is_small(shape: tuple[int, ...]) -> bool:
    """Returns whether an array of this shape is a number, or one for each channel."""
    return not shape or (len(shape) == 4 and shape[:3] == (1, 1, 1))


def _is_elementwise(equation: Any) -> bool:
    """Returns whether an operation treats each place by itself, and all alike."""
    name = equation.primitive.name
    if name in ("jit", "custom_jvp_call"):
        return all(
            _is_elementwise(inner) for jaxpr in inner_jaxprs(equation) for inner in jaxpr.eqns
        )
    if name == "broadcast_in_dim":
        return not equation.invars[0].aval.shape
    return name in _ELEMENTWISE


def _mentions_known(equation: Any) -> bool:
    """Returns whether a convolution or pool hides in an operation's inner functions."""
    return equation.primitive.name in _ENTERED and any(
        inner.primitive.name in _REPLACED or _mentions_known(inner)
        for jaxpr in inner_jaxprs(equation)
        for inner in jaxpr.eqns
    )


def _rewritten(params: dict[str, Any]) -> dict[str, Any]:
    """Returns an operation's parameters with its inner functions made fast."""

    def rewrite(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(rewrite(item) for item in value)
        if isinstance(value, core.ClosedJaxpr):
            avals: list[Any] = [variable.aval for variable in value.jaxpr.invars]
            shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in avals]
            return jax.make_jaxpr(functools.partial(_arrays, value.jaxpr, value.consts))(*shapes)
        return value

    return {name: rewrite(value) for name, value in params.items()}


def _arrays(jaxpr: core.Jaxpr, consts: Sequence[Any], *args: Any) -> list[Any]:
    """Evaluates a jaxpr as `_evaluate` does, and returns arrays."""
    return list(map(natural, _evaluate(jaxpr, consts, *args)))
