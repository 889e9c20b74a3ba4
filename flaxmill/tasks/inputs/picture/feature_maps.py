"""The last maps of features in a network: where in the picture its answer still has a place.

Any function from pictures to scores is traced, and its jaxpr is walked: a value is a map as long as
operations are those of a convolutional network, each of which keeps rows and columns (convolutions,
pools, padding, mirroring, whatever treats each place alike). For each map it is known which pixels
its places lie at, so that mirrored views, padding and strides are accounted for.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core
from jaxtyping import Float

from flaxmill.devices.jaxprs import inner_jaxprs, rebind

LEAST_SIDE = 12
"""Places a side that a map must have.

Of maps with 4, 8 and 16 a side, covering what they mark took 0.11, 0.20 and 0.33 from the answers
to 45 photographs; of maps with 4, 8 and 14 a side, 0.34, 0.25 and 0.36 from those to 100 garments.
"""
_INLINED = {"jit": "jaxpr", "closed_call": "call_jaxpr", "remat2": "jaxpr"} | dict.fromkeys(
    ("custom_jvp_call", "custom_vjp_call"), "call_jaxpr"
)
"""Operations that do what a function of theirs says, and the parameter that holds it."""
_POOLS = ("reduce_window_max", "reduce_window_sum", "reduce_window_min")


class Along(NamedTuple):
    """An axis of a map that runs along the picture: place ``i`` lies at pixel start + i × step."""

    axis: int
    start: float
    step: float


@dataclass(frozen=True)
class Map:
    """A value that has places.

    Attributes:
        shape: Its shape; the first axis counts the pictures.
        along: Its axes that run down and to the right.
    """

    shape: tuple[int, ...]
    along: tuple[Along, Along]

    @property
    def side(self) -> int:
        """Number of places along the shorter of the two axes."""
        return min(self.shape[one.axis] for one in self.along)

    def spread(
        self, values: Float[np.ndarray, "..."], size: tuple[int, int]
    ) -> Float[np.ndarray, "picture height width"]:
        """Sums values over channels, and interpolates between their places, for every pixel."""
        down, right = self.along
        rest = tuple(i for i in range(1, values.ndim) if i not in (down.axis, right.axis))
        summed = values.sum(rest)
        if down.axis > right.axis:
            summed = summed.swapaxes(1, 2)
        for number, (one, length) in enumerate(zip(self.along, size, strict=True), 1):
            places = self.shape[one.axis]
            at = np.clip((np.arange(length) - one.start) / one.step, 0, places - 1)
            weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(places)))
            summed = np.moveaxis(np.tensordot(summed, weights, (number, 1)), -1, number)
        return summed


class _Step(NamedTuple):
    """An operation; values are known by their numbers, and literals are themselves."""

    equation: Any
    inputs: tuple[Any, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Traced:
    """A function from pictures to scores, as a flat list of operations.

    Attributes:
        consts: The arrays that the function holds: its weights.
        steps: What it does.
        inputs: The numbers of ``consts``, and that of the pictures.
        scores: What it returns: a number, or a literal.
        maps: By number, the last maps whose features the scores are made of.
        multiplications: Made in all, and those of them that lead to the maps.
    """

    consts: Sequence[Any]
    steps: Sequence[_Step]
    inputs: tuple[tuple[int, ...], int]
    scores: Any
    maps: Mapping[int, Map]
    multiplications: tuple[float, float]

    def run(self, consts: Sequence[Any], pictures: Any, added: Mapping[int, Any]) -> tuple:
        """Returns the scores, and the values of the maps after something was added to each."""
        numbers, shown = self.inputs
        values = dict(zip(numbers, consts, strict=True)) | {shown: pictures}

        def read(one: Any) -> Any:
            return values[one] if isinstance(one, int) else one.val

        for step in self.steps:
            inputs = [read(one) for one in step.inputs]
            for number, value in zip(
                step.outputs, rebind(step.equation, step.equation.params, inputs), strict=True
            ):
                values[number] = value + added[number] if number in added else value
        return read(self.scores), {number: values[number] for number in self.maps}


def trace(function: Callable[[Any], Any], pictures: Any) -> Traced:
    """Traces a function from pictures to scores.

    Args:
        function: Takes an array of pictures, and returns an array of scores for each.
        pictures: An example of what it takes, or its shape and type.
    """
    closed = jax.make_jaxpr(function)(pictures)
    numbers = itertools.count()
    jaxpr = closed.jaxpr
    consts = tuple(next(numbers) for _ in jaxpr.constvars)
    shown = next(numbers)
    names = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, shown), strict=True))
    steps = list(_flat(jaxpr, names, numbers))
    (scores,) = (one if isinstance(one, core.Literal) else names[one] for one in jaxpr.outvars)
    maps, multiplications = _last_maps(steps, shown, jaxpr.invars[0].aval.shape)
    return Traced(closed.consts, steps, (consts, shown), scores, maps, multiplications)


def _flat(jaxpr: core.Jaxpr, names: dict[Any, Any], numbers: Iterator[int]) -> Iterator[_Step]:
    """Yields the operations of a jaxpr, those of inner functions in their place."""
    for equation in jaxpr.eqns:
        inputs = [v if isinstance(v, core.Literal) else names[v] for v in equation.invars]
        inner = equation.params.get(_INLINED.get(equation.primitive.name, ""))
        if inner is None:
            outputs = tuple(next(numbers) for _ in equation.outvars)
            names.update(zip(equation.outvars, outputs, strict=True))
            yield _Step(equation, tuple(inputs), outputs)
            continue
        consts = inner.consts if isinstance(inner, core.ClosedJaxpr) else ()
        inner = inner.jaxpr if isinstance(inner, core.ClosedJaxpr) else inner
        held = zip(consts, inner.constvars, strict=True)
        literals = [core.Literal(const, var.aval) for const, var in held]
        within = dict(zip((*inner.constvars, *inner.invars), (*literals, *inputs), strict=True))
        yield from _flat(inner, within, numbers)
        for outer, one in zip(equation.outvars, inner.outvars, strict=True):
            names[outer] = one if isinstance(one, core.Literal) else within[one]


def _last_maps(
    steps: Sequence[_Step], shown: int, shape: tuple[int, ...]
) -> tuple[dict[int, Map], tuple[float, float]]:
    """Returns the last maps with enough places, and how much is multiplied in all and for them."""
    maps = {shown: Map(shape, (Along(1, 0.0, 1.0), Along(2, 0.0, 1.0)))} if len(shape) == 4 else {}
    made_of: dict[int, int] = {}  # a bit for each map of features that a value is made of
    bits: dict[int, int] = {}
    work: dict[int, float] = {}
    for step in steps:
        before = 0
        for one in step.inputs:
            before |= made_of.get(one, 0) if isinstance(one, int) else 0
        number = step.outputs[0]
        mapped = _mapped(step, maps)
        if mapped is not None:
            maps[number] = mapped
            convolved = step.equation.primitive.name == "conv_general_dilated"
            if mapped.side >= LEAST_SIDE and (before or convolved):
                bits[number] = 1 << len(bits)
        for output in step.outputs:
            made_of[output] = before | bits.get(output, 0)
        if (many := _multiplications(step.equation)) > 0:
            work[number] = many
    used = 0
    for number in bits:
        used |= made_of[number] & ~bits[number]
    last = {number: maps[number] for number, bit in bits.items() if not used & bit}
    leading = _leading(steps, set(last))
    return last, (sum(work.values()), sum(many for n, many in work.items() if n in leading))


def _leading(steps: Sequence[_Step], needed: set[int]) -> set[int]:
    """Returns the numbers of all values that some values are made of, and of these."""
    for step in reversed(steps):
        if needed.intersection(step.outputs):
            needed.update(one for one in step.inputs if isinstance(one, int))
    return needed


def _multiplications(equation: Any) -> float:
    """Returns the number of multiplications of an operation's convolutions and products."""
    name, out = equation.primitive.name, equation.outvars[0].aval
    if name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval.shape, equation.params["dimension_numbers"]
        return math.prod(out.shape) * math.prod(kernel) / kernel[numbers.rhs_spec[0]]
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return math.prod(out.shape) * math.prod(left[axis] for axis in contracted)
    inner = sum(_multiplications(one) for jaxpr in inner_jaxprs(equation) for one in jaxpr.eqns)
    return inner * equation.params.get("length", 1)


def _mapped(step: _Step, maps: Mapping[int, Map]) -> Map | None:
    """Returns where the places of an operation's result lie; None if it has none."""
    operands = [maps.get(one) if isinstance(one, int) else None for one in step.inputs]
    first = next((one for one in operands if one is not None), None)
    if first is None or len(step.outputs) > 1:
        return None
    name, params = step.equation.primitive.name, step.equation.params
    shape = step.equation.outvars[0].aval.shape
    if name == "conv_general_dilated":
        return _convolved(first, params, step.equation.invars[1].aval.shape, shape)
    if name in _POOLS:
        return _windowed(first, params, shape)
    if name == "pad":
        return _padded(first, [tuple(map(int, s)) for s in params["padding_config"]], shape)
    if name == "rev":
        return _mirrored(first, params["dimensions"], shape)
    if name == "dot_general":
        return _multiplied(first, operands, params["dimension_numbers"], shape)
    if name == "concatenate":
        across = params["dimension"] in {0, *(one.axis for one in first.along)}
        return None if across else replace(first, shape=shape)
    elementwise = shape == first.shape and name not in ("reshape", "transpose", "sort", "gather")
    return first if elementwise and name not in ("cumsum", "cumprod", "scatter") else None


def _convolved(
    source: Map, params: Mapping[str, Any], kernel: tuple[int, ...], shape: tuple[int, ...]
) -> Map | None:
    numbers = params["dimension_numbers"]
    sides = tuple(kernel[axis] for axis in numbers.rhs_spec[2:])
    spatial = dict(zip(numbers.lhs_spec[2:], range(len(sides)), strict=True))
    if [one.axis for one in source.along if one.axis in spatial] != [o.axis for o in source.along]:
        return None
    along = []
    for one in source.along:
        at = spatial[one.axis]
        wide = (sides[at] - 1) * params["rhs_dilation"][at] + 1
        stretched = one.step / params["lhs_dilation"][at]
        start = one.start + stretched * ((wide - 1) / 2 - int(params["padding"][at][0]))
        axis = numbers.out_spec[2 + at]
        along.append(Along(axis, start, stretched * params["window_strides"][at]))
    return Map(shape, (along[0], along[1]))


def _windowed(source: Map, params: Mapping[str, Any], shape: tuple[int, ...]) -> Map:
    def moved(one: Along) -> Along:
        wide = (params["window_dimensions"][one.axis] - 1) * params["window_dilation"][one.axis] + 1
        middle = (wide - 1) / 2 - int(params["padding"][one.axis][0])
        stride = params["window_strides"][one.axis]
        return Along(one.axis, one.start + one.step * middle, one.step * stride)

    return Map(shape, (moved(source.along[0]), moved(source.along[1])))


def _padded(source: Map, sides: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Map:
    def moved(one: Along) -> Along:
        low, _, between = sides[one.axis]  # places after the last one move nothing
        step = one.step / (1 + between)
        return Along(one.axis, one.start - step * low, step)

    return Map(shape, (moved(source.along[0]), moved(source.along[1])))


def _mirrored(source: Map, axes: Sequence[int], shape: tuple[int, ...]) -> Map:
    def moved(one: Along) -> Along:
        last = one.start + one.step * (shape[one.axis] - 1)
        return Along(one.axis, last, -one.step) if one.axis in axes else one

    return Map(shape, (moved(source.along[0]), moved(source.along[1])))


def _multiplied(
    first: Map, operands: Sequence[Map | None], numbers: Any, shape: tuple[int, ...]
) -> Map | None:
    """Returns the map of a dense layer that is applied to the channels of each place."""
    (contracted, _), (batch, _) = numbers
    last = len(first.shape) - 1
    dense = (
        operands[0] is first and operands[1] is None and tuple(contracted) == (last,) and not batch
    )
    inside = all(one.axis < last for one in first.along) and len(shape) == last + 1
    return replace(first, shape=shape) if dense and inside else None
