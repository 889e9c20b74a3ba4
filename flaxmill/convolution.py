"""Convolutions that are fast inside a compiled loop on CPU, for any model, unchanged.

XLA runs ``lax.conv_general_dilated`` about ten times slower inside a CPU loop (``scan``,
``while``) than outside one (jax issue 12868). `fast_convolutions` traces a function, walks its
jaxpr and evaluates it again with each convolution and non-overlapping pool it knows in a form that
is fast there, with a gradient of its own. The model stays ordinary Flax.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core
from jaxtyping import Array, Float

Pairs = tuple[tuple[int, int], ...]


def fast_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function's convolutions fast inside a loop on CPU; the identity on GPU and TPU.

    Apply it before differentiation. It goes into the bodies of ``jit``, ``remat``, ``scan``,
    ``while``, ``cond`` and ``custom_jvp``, and leaves those of ``custom_vjp`` alone, whose
    gradient would not match a changed body. What it does not know stays as it is.

    Args:
        function: Takes and returns pytrees of arrays.

    Returns:
        A function of the same values, up to rounding.
    """
    if jax.default_backend() != "cpu":
        return function

    @functools.wraps(function)
    def transformed(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        outputs = _evaluate(closed.jaxpr, closed.consts, *jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return transformed


def loop_convolutions(jaxpr: core.Jaxpr, *, inside: bool = False) -> list[str]:
    """Lists the ordinary convolutions inside loops, which are slow on CPU, by shape."""
    found = []
    for equation in jaxpr.eqns:
        if inside and equation.primitive.name == "conv_general_dilated":
            picture, kernel = (variable.aval for variable in equation.invars)
            found.append(f"{picture.str_short()} with kernel {kernel.str_short()}")
        looping = inside or equation.primitive.name in ("scan", "while")
        for inner in _inner_jaxprs(equation):
            found += loop_convolutions(getattr(inner, "jaxpr", inner), inside=looping)
    return found


def _inner_jaxprs(equation: Any) -> Iterator[Any]:
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr | core.Jaxpr):
                yield item


# The walk.


def _evaluate(jaxpr: core.Jaxpr, consts: Sequence[Any], *args: Any) -> list[Any]:
    """Evaluates a jaxpr with known convolutions and pools replaced."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))

    def read(variable: Any) -> Any:
        return variable.val if isinstance(variable, core.Literal) else values[variable]

    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        outputs = _replaced(equation, inputs)
        if outputs is None:
            params = _rewritten(equation) if _mentions_known(equation) else equation.params
            bound = equation.primitive.get_bind_params(params)
            bound = bound if isinstance(bound, tuple) else ((), bound)
            outputs = equation.primitive.bind(*bound[0], *inputs, **bound[1])
        if not equation.primitive.multiple_results:
            outputs = [outputs]
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _replaced(equation: Any, inputs: Sequence[Any]) -> Any:
    """Computes an equation in its fast form; None if it has none."""
    replacement = _REPLACEMENTS.get(equation.primitive.name)
    return replacement(equation.params, *inputs, equation.outvars[0].aval) if replacement else None


_ENTERED = ("jit", "closed_call", "remat2", "scan", "while", "cond", "custom_jvp_call")


def _mentions_known(equation: Any) -> bool:
    """Says whether a convolution or pool hides in an equation's inner functions."""
    if equation.primitive.name not in _ENTERED:
        return False
    return any(
        inner_equation.primitive.name in _REPLACEMENTS or _mentions_known(inner_equation)
        for inner in _inner_jaxprs(equation)
        for inner_equation in getattr(inner, "jaxpr", inner).eqns
    )


def _rewritten(equation: Any) -> dict[str, Any]:
    """Returns an equation's parameters with its inner functions made fast."""

    def rewrite(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return type(value)(rewrite(item) for item in value)
        if isinstance(value, core.ClosedJaxpr):
            return _traced(value.jaxpr, value.consts)
        if isinstance(value, core.Jaxpr):
            closed = _traced(value, ())
            return value if closed.consts else closed.jaxpr  # an open jaxpr has no constants
        return value

    return {name: rewrite(value) for name, value in equation.params.items()}


def _traced(jaxpr: core.Jaxpr, consts: Sequence[Any]) -> core.ClosedJaxpr:
    avals: list[Any] = [variable.aval for variable in jaxpr.invars]
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in avals]
    return jax.make_jaxpr(functools.partial(_evaluate, jaxpr, consts))(*shapes)


# The forms.


def _convolution(params: dict[str, Any], x: Array, kernel: Array, out: Any) -> Array | None:
    """Replaces a channels-last convolution of one group by patches and one matrix product."""
    spatial = tuple(range(1, x.ndim - 1))
    last, first = x.ndim - 1, x.ndim - 2
    layout = ((0, last, *spatial), (last, first, *range(first)), (0, last, *spatial))
    numbers = params["dimension_numbers"]
    known = (
        (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) == layout
        and params["feature_group_count"] == params["batch_group_count"] == 1
        and all(dilation == 1 for dilation in params["lhs_dilation"])
        and all(before >= 0 and after >= 0 for before, after in params["padding"])
        and params["preferred_element_type"] in (None, x.dtype)
        and x.dtype == kernel.dtype
        and jnp.issubdtype(x.dtype, jnp.floating)
        and out.size > 0
    )
    if not known:
        return None
    padding = tuple((int(before), int(after)) for before, after in params["padding"])
    return _product(
        x, kernel, tuple(params["window_strides"]), padding, tuple(params["rhs_dilation"])
    )


def _patches(
    x: Array, window: Sequence[int], strides: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> Array:
    """Returns, for every output place, the inputs that its kernel covers, side by side.

    Args:
        x: ``[batch, *space, channel]``.
        window: Kernel size of each space axis, as are the other arguments.
        strides: Steps between output places.
        padding: Zeros before and after.
        dilation: Steps between kernel places.

    Returns:
        ``[batch, *output space, window places * channel]``.
    """
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    spans = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    sizes = [
        (side - span - 1) // stride + 1
        for side, span, stride in zip(padded.shape[1:-1], spans, strides, strict=True)
    ]
    slices = []
    for place in itertools.product(*(range(k) for k in window)):
        start = [p * d for p, d in zip(place, dilation, strict=True)]
        stop = [s + (n - 1) * t + 1 for s, n, t in zip(start, sizes, strides, strict=True)]
        slices.append(
            lax.slice(
                padded,
                (0, *start, 0),
                (x.shape[0], *stop, x.shape[-1]),
                (1, *strides, 1),
            )
        )
    return jnp.concatenate(slices, axis=-1) if len(slices) > 1 else slices[0]


def _multiply(patches: Array, kernel: Array) -> Array:
    """Multiplies patches by a kernel, as one product of two matrices."""
    depth, channels = patches.shape[-1], kernel.shape[-1]
    product = patches.reshape(-1, depth) @ kernel.reshape(depth, channels)
    return product.reshape(*patches.shape[:-1], channels)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _product(
    x: Float[Array, "batch *space channel"],
    kernel: Float[Array, "*window channel feature"],
    strides: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
) -> Float[Array, "batch *out feature"]:
    """Convolves by patches and one matrix product."""
    return _multiply(_patches(x, kernel.shape[:-2], strides, padding, dilation), kernel)


def _product_forward(
    x: Array, kernel: Array, strides: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]
) -> tuple[Array, tuple[Array, Array, Array]]:
    patches = _patches(x, kernel.shape[:-2], strides, padding, dilation)
    return _multiply(patches, kernel), (x, patches, kernel)


def _product_backward(
    strides: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    saved: tuple[Array, Array, Array],
    gradient: Array,
) -> tuple[Array, Array]:
    x, patches, kernel = saved
    window, rows = kernel.shape[:-2], gradient.reshape(-1, gradient.shape[-1])
    kernel_gradient = (patches.reshape(-1, patches.shape[-1]).T @ rows).reshape(kernel.shape)
    reach = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    back = tuple((r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True))
    if all(stride == 1 for stride in strides) and all(min(pair) >= 0 for pair in back):
        # The input's gradient is a convolution too: of the output's gradient, kernel turned round.
        space = tuple(range(len(window)))
        turned = jnp.flip(kernel, space).swapaxes(-1, -2)
        input_gradient = _multiply(_patches(gradient, window, strides, back, dilation), turned)
    else:
        spread = functools.partial(
            _patches, window=window, strides=strides, padding=padding, dilation=dilation
        )
        columns = (rows @ kernel.reshape(-1, kernel.shape[-1]).T).reshape(patches.shape)
        (input_gradient,) = jax.linear_transpose(spread, x)(columns)
    return input_gradient, kernel_gradient


_product.defvjp(_product_forward, _product_backward)


def _window(params: dict[str, Any], x: Array, out: Any) -> tuple[int, ...] | None:
    """Returns the window of a pool whose windows touch and do not overlap; else None."""
    window = tuple(params["window_dimensions"])
    known = (
        window == tuple(params["window_strides"])
        and window[0] == window[-1] == 1
        and math.prod(window) <= 16
        and not any(map(any, params["padding"]))
        and all(d == 1 for d in (*params["base_dilation"], *params["window_dilation"]))
        and jnp.issubdtype(x.dtype, jnp.floating)
        and out.size > 0
    )
    return window if known else None


def _phases(x: Array, window: tuple[int, ...]) -> list[Array]:
    """Returns, for each place in the window, that place's value of every window."""
    sizes = [side // w for side, w in zip(x.shape, window, strict=True)]
    return [
        lax.slice(
            x,
            place,
            [p + (n - 1) * w + 1 for p, n, w in zip(place, sizes, window, strict=True)],
            window,
        )
        for place in itertools.product(*(range(w) for w in window))
    ]


def _joined(phases: Sequence[Array], window: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Puts the values of all places back into an array of the given shape: undoes `_phases`."""
    sizes = phases[0].shape
    grid = jnp.stack(phases).reshape(*window, *sizes)
    rank = len(window)
    order = [axis for pair in ((rank + i, i) for i in range(rank)) for axis in pair]
    joined = grid.transpose(order).reshape([n * w for n, w in zip(sizes, window, strict=True)])
    rest = [(0, side - full) for side, full in zip(shape, joined.shape, strict=True)]
    return jnp.pad(joined, rest) if any(map(any, rest)) else joined


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _sum_windows(x: Float[Array, "..."], window: tuple[int, ...]) -> Float[Array, "..."]:
    """Sums windows that touch: slices added."""
    return functools.reduce(jnp.add, _phases(x, window))


def _sum_backward(window: tuple[int, ...], shape: tuple[int, ...], gradient: Array) -> tuple[Array]:
    return (_joined([gradient] * math.prod(window), window, shape),)


_sum_windows.defvjp(lambda x, window: (_sum_windows(x, window), x.shape), _sum_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_windows(x: Float[Array, "..."], window: tuple[int, ...]) -> Float[Array, "..."]:
    """Takes the maximum of windows that touch; the first of equal values gets the gradient."""
    return functools.reduce(jnp.maximum, _phases(x, window))


def _max_forward(x: Array, window: tuple[int, ...]) -> tuple[Array, tuple[Array, Array]]:
    highest = _max_windows(x, window)
    return highest, (x, highest)


def _max_backward(
    window: tuple[int, ...], saved: tuple[Array, Array], gradient: Array
) -> tuple[Array]:
    x, highest = saved
    taken = jnp.zeros(gradient.shape, bool)
    gradients = []
    for phase in _phases(x, window):
        here = (phase == highest) & ~taken
        gradients.append(jnp.where(here, gradient, 0))
        taken |= here
    return (_joined(gradients, window, x.shape),)


_max_windows.defvjp(_max_forward, _max_backward)


def _sum_pool(params: dict[str, Any], x: Array, out: Any) -> Array | None:
    window = _window(params, x, out)
    return None if window is None else _sum_windows(x, window)


def _max_pool(params: dict[str, Any], x: Array, out: Any) -> Array | None:
    window = _window(params, x, out)
    return None if window is None else _max_windows(x, window)


_REPLACEMENTS: dict[str, Callable[..., Array | None]] = {
    "conv_general_dilated": _convolution,
    "reduce_window_sum": _sum_pool,
    "reduce_window_max": _max_pool,
}
