"""Constant folding of a traced function: what its constants decide is computed once.

The graph that a client runs should hold what depends on its input, and nothing else. So the jaxpr
of a model is evaluated once more, by the tracer of whoever writes the graph, and on the way

- what depends on constants alone (the normalisation's ``rsqrt(variance + epsilon)``) is computed;
- calls (``jit``, ``custom_jvp``, ``remat``) are inlined, and padding by nothing is dropped;
- a factor or a summand for each channel, as batch normalisation and a bias are in evaluation mode,
  goes into the convolution before it, also through a maximum pool between the two.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.extend import core

from flaxmill.devices.jaxprs import rebind

_INLINED = ("jit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "remat2")
_FLOAT32 = ("conv_general_dilated", "reduce_window_sum")
"""What is folded in this type alone, which the constants that it takes in are of."""
_DROPPED = ("stop_gradient", "copy", "copy_p", "optimization_barrier")


def evaluate(closed: core.ClosedJaxpr, *args: Any) -> list[Any]:
    """Evaluates a jaxpr so that a tracer sees only what depends on the arguments.

    Args:
        closed: The function, with its constants.
        args: Arrays or tracers; a first axis of unknown length is allowed.

    Returns:
        The outputs, equal up to rounding to those of the function.
    """
    return [_array(value) for value in _walk(closed.jaxpr, closed.consts, args)]


def _walk(jaxpr: core.Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    used = [variable for equation in jaxpr.eqns for variable in equation.invars]
    uses = collections.Counter(
        variable for variable in (*used, *jaxpr.outvars) if not isinstance(variable, core.Literal)
    )

    def read(variable: Any) -> Any:
        if isinstance(variable, core.Literal):
            return variable.val
        if uses[variable] > 1:  # what is pending would otherwise be computed for each reader
            values[variable] = _array(values[variable])
        return values[variable]

    for equation in jaxpr.eqns:
        outputs = _apply(equation, [read(variable) for variable in equation.invars])
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Any]) -> list[Any]:
    name, params = equation.primitive.name, equation.params
    if all(map(_known, inputs)) and _fixed(equation):
        with jax.ensure_compile_time_eval():
            return rebind(equation, params, inputs)
    if name in _DROPPED:
        return inputs
    if name in _INLINED:
        inner = params.get("jaxpr") or params.get("call_jaxpr")
        closed = isinstance(inner, core.ClosedJaxpr)
        return _walk(inner.jaxpr if closed else inner, inner.consts if closed else (), inputs)
    if (folded := _folded(equation, inputs)) is not None:
        return [folded]
    return rebind(equation, params, [_array(value) for value in inputs])


def _known(value: Any) -> bool:
    return not isinstance(value, jax.core.Tracer | Convolved | Summed)


def _fixed(equation: Any) -> bool:
    """Returns whether the shapes of an operation's outputs are all known."""
    shapes = [variable.aval.shape for variable in equation.outvars if variable.aval.shape]
    return all(isinstance(side, int) for shape in shapes for side in shape)


def _array(value: Any) -> Any:
    return value.array() if isinstance(value, Convolved | Summed) else value


@dataclasses.dataclass(frozen=True)
class Pool:
    """Windows over height and width, and what is done in them, in words of Flax.

    Attributes:
        window: Height and width of a window.
        strides: From one to the next.
        padding: What is added before and after each axis.
    """

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]

    def maximum(self, picture: Any) -> Any:
        """Returns the highest of each window; padding never is."""
        integers = np.issubdtype(picture.dtype, np.integer)
        lowest = np.iinfo(picture.dtype).min if integers else -np.inf
        picture = self._padded(picture, lowest)
        return nnx.max_pool(picture, window_shape=self.window, strides=self.strides)

    def average(self, picture: Any) -> Any:
        """Returns the mean of each window; padding counts as zeros."""
        picture = self._padded(picture, 0.0)
        return nnx.avg_pool(picture, window_shape=self.window, strides=self.strides)

    def _padded(self, picture: Any, filling: float) -> Any:
        if not any(map(any, self.padding)):
            return picture
        edges = ((0, 0), *self.padding, (0, 0))
        return jax.numpy.pad(picture, edges, constant_values=np.asarray(filling, picture.dtype))


@dataclasses.dataclass(frozen=True)
class Convolved:
    """A convolution of known kernel that may still take a factor and a summand for each channel.

    Attributes:
        equation: The convolution as it was traced.
        picture: What is convolved.
        kernel: As the equation has it.
        shift: What is added to each output channel.
        pools: Maximum pools that follow.
    """

    equation: Any
    picture: Any
    kernel: np.ndarray
    shift: np.ndarray
    pools: tuple[Pool, ...] = ()

    def array(self) -> Any:
        """Returns the result, as the tracer of the graph sees it."""
        # ONNX has its kernels as output channel, input channel, height, width.
        kernel = self.kernel.transpose(self._spec.rhs_spec)
        spec = self._spec._replace(rhs_spec=tuple(range(kernel.ndim)))
        params = self.equation.params | {"dimension_numbers": spec}
        (result,) = rebind(self.equation, params, [self.picture, kernel])
        if self.shift.any():
            shape = [1] * len(self.equation.outvars[0].aval.shape)
            shape[self.axis] = -1
            result = result + self.shift.reshape(shape)
        for pool in self.pools:
            result = pool.maximum(result)
        return result

    @property
    def _spec(self) -> Any:
        return self.equation.params["dimension_numbers"]

    @property
    def axis(self) -> int:
        """The axis of the output's channels."""
        return self._spec.out_spec[1]

    def channels(self, value: Any) -> np.ndarray | None:
        """Returns a constant's number for each output channel; None if it varies elsewhere too."""
        value = np.asarray(value)
        sides = [side for at, side in enumerate(value.shape) if at != self.axis]
        if value.ndim and (value.ndim != len(self._spec.out_spec) or any(s != 1 for s in sides)):
            return None
        if value.size not in (1, self.shift.size):  # one channel is repeated for each number
            return None
        return np.broadcast_to(value.reshape(-1), self.shift.shape)

    def scaled(self, factor: np.ndarray) -> Convolved | None:
        """Multiplies each channel; None where a pool's maximum would become a minimum."""
        if self.pools and not (factor > 0).all():
            return None
        shape = [1] * self.kernel.ndim
        shape[self._spec.rhs_spec[0]] = -1
        kernel = self.kernel * factor.reshape(shape)
        return dataclasses.replace(self, kernel=kernel, shift=self.shift * factor)

    def shifted(self, summand: np.ndarray) -> Convolved:
        """Adds to each channel."""
        return dataclasses.replace(self, shift=self.shift + summand)


@dataclasses.dataclass(frozen=True)
class Summed:
    """A sum over windows that is a factor away from an average pool.

    Attributes:
        picture: What is pooled.
        pool: The windows.
        factor: What the average is multiplied by.
    """

    picture: Any
    pool: Pool
    factor: float

    def array(self) -> Any:
        """Returns the result, as the tracer of the graph sees it."""
        result = self.pool.average(self.picture)
        return result if self.factor == 1 else result * np.float32(self.factor)


def _folded(equation: Any, inputs: list[Any]) -> Any:
    """Returns an operation's output in a plainer form; None if there is none."""
    name, params = equation.primitive.name, equation.params
    first = inputs[0]
    if name in _FLOAT32 and not _of_float32(equation):
        return None
    if name == "conv_general_dilated" and _known(inputs[1]):
        channels = equation.outvars[0].aval.shape[params["dimension_numbers"].out_spec[1]]
        shift = np.zeros(channels, np.float32)
        return Convolved(equation, _array(first), np.asarray(inputs[1]), shift)
    if name in ("reduce_window_max", "reduce_window_sum"):
        return _pooled(name, params, first)
    if name in ("add", "sub", "mul", "div"):
        return _affine(name, *inputs)
    if name == "max" and _known(inputs[1]) and not np.asarray(inputs[1]).any():
        same = equation.invars[0].aval.shape == equation.outvars[0].aval.shape
        return jax.nn.relu(_array(first)) if same else None
    if name == "pad":
        return _padded(params["padding_config"], *inputs)
    if name == "rev":
        return _turned(_array(first), params["dimensions"])
    if name == "dot_general" and _of_float32(equation):
        return _multiplied(params["dimension_numbers"], *map(_array, inputs))
    if name == "reshape":
        return _reshaped(_array(first), params["new_sizes"])
    return None


def _of_float32(equation: Any) -> bool:
    return all(one.aval.dtype == np.float32 for one in (*equation.invars, *equation.outvars))


def _pooled(name: str, params: dict[str, Any], picture: Any) -> Any:
    """Returns a pool over height and width; None for any other window."""
    window, strides = params["window_dimensions"], params["window_strides"]
    plain = all(set(params[what]) == {1} for what in ("base_dilation", "window_dilation"))
    outside = (0, len(window) - 1)
    if not plain or len(window) < 3 or any(window[at] != 1 or strides[at] != 1 for at in outside):
        return None
    if any(tuple(params["padding"][at]) != (0, 0) for at in outside):
        return None
    padding = tuple((int(low), int(high)) for low, high in params["padding"][1:-1])
    pool = Pool(tuple(window[1:-1]), tuple(strides[1:-1]), padding)
    if name == "reduce_window_sum":
        return Summed(_array(picture), pool, float(math.prod(window)))
    if isinstance(picture, Convolved) and window[picture.axis] == strides[picture.axis] == 1:
        return dataclasses.replace(picture, pools=(*picture.pools, pool))
    return pool.maximum(_array(picture))


def _affine(name: str, first: Any, second: Any) -> Any:
    """Puts a factor or a summand into what it is applied to; None where it does not fit there."""
    if name in ("add", "mul") and _known(first):
        first, second = second, first
    if not _known(second) or (name == "div" and not np.asarray(second).all()):
        return None
    if isinstance(first, Summed):
        if name in ("add", "sub") or np.ndim(second):
            return None
        by = float(second)
        factor = first.factor * by if name == "mul" else first.factor / by
        return dataclasses.replace(first, factor=factor)
    if not isinstance(first, Convolved) or (value := first.channels(second)) is None:
        return None
    if name in ("add", "sub"):
        return first.shifted(value if name == "add" else -value)
    return first.scaled(value if name == "mul" else 1 / value)


def _padded(config: Sequence[tuple[Any, Any, Any]], value: Any, filling: Any) -> Any:
    """Returns a padded or cut array in NumPy's words; None where that would need gaps."""
    if any(int(gap) for *_, gap in config) or not _known(filling):
        return None
    edges = [(int(low), int(high)) for low, high, _ in config]
    if not any(map(any, edges)):
        return value
    value = _array(value)
    for axis, (low, high) in enumerate(edges):
        if min(low, high) < 0:
            stop = value.shape[axis] - max(-high, 0)
            value = jax.lax.slice_in_dim(value, max(-low, 0), stop, axis=axis)
    edges = [(max(low, 0), max(high, 0)) for low, high in edges]
    return jax.numpy.pad(value, edges, constant_values=np.asarray(filling))


def _turned(value: Any, axes: Sequence[int]) -> Any:
    """Returns an array turned round along axes of known length: others are left to the tracer."""
    if not all(isinstance(value.shape[axis], int) for axis in axes):
        return None
    for axis in axes:
        value = jax.numpy.take(value, np.arange(value.shape[axis])[::-1].copy(), axis=axis)
    return value


def _multiplied(numbers: Any, first: Any, second: Any) -> Any:
    """Returns a product of many matrices as such; None for any other.

    It would be written as an ``Einsum`` otherwise, which is no ordinary operation.
    """
    (left, right), (batch, other_batch) = numbers
    if not batch and second.ndim == 2 and (left, right) == ((first.ndim - 1,), (0,)):
        return jax.numpy.matmul(first, second) if first.ndim > 2 else None
    free, other_free = (
        tuple(axis for axis in range(array.ndim) if axis not in taken)
        for array, taken in ((first, (*batch, *left)), (second, (*other_batch, *right)))
    )
    if not batch or {len(free), len(left), len(other_free)} != {1}:
        return None
    order, other_order = (*batch, *free, *left), (*other_batch, *right, *other_free)
    return jax.numpy.matmul(first.transpose(order), second.transpose(other_order))


def _reshaped(value: Any, sizes: Sequence[Any]) -> Any:
    """Returns a reshaped array, of which the one side that is not known is left to be found."""
    unknown = [at for at, side in enumerate(sizes) if not isinstance(side, int)]
    if len(unknown) != 1:
        return None
    return jax.numpy.reshape(value, [-1 if at in unknown else s for at, s in enumerate(sizes)])
