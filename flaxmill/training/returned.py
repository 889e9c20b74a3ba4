"""Checks what a recipe's functions return in the loop, while that is traced: at no cost."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from flaxmill.errors import BadInput, describe
from flaxmill.maths.metrics import Measures, Sums


def measures(function: Callable[..., Any], result: Any, size: int | None = None) -> Measures:
    """Returns what ``loss`` or ``measure`` of a recipe returned, if it is measures.

    Args:
        function: The one that was called, for the message.
        result: What it returned, also while it is traced.
        size: Number of examples, where some of them are padding that is masked out: then there
            must be a value for each.

    Raises:
        BadInput: It is something else; the message says what, and what is expected.
    """
    where = location(function)
    expected = (
        'return {"loss": (values, weights)}, a value and a weight for each example, where the '
        "weights are mostly jnp.ones_like(values)"
    )
    if not isinstance(result, Mapping):
        raise BadInput(
            f"{where}, returned {_describe(result)}: {expected}; the loop takes the mean."
        )
    if "loss" not in result:
        names = ", ".join(map(repr, result))
        raise BadInput(f"{where}, returned no 'loss' (it has {names or 'nothing'}): {expected}.")
    for name, pair in result.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise BadInput(f"{where}: {name!r} is {_describe(pair)}: {expected}.")
        for array in pair:
            if not hasattr(array, "dtype") or not _is_number(array.dtype):
                raise BadInput(f"{where}: {name!r} has {_describe(array)}: {expected}.")
        value, weight = pair
        if size is not None and value.shape[:1] != (size,):
            raise BadInput(
                f"{where}: the values of {name!r} are {_describe(value)} for {size} examples: give "
                f"one for each, and leave their mean or sum to the loop."
            )
        if not _matches(value.shape, weight.shape):
            raise BadInput(
                f"{where}: {name!r} has values of the shape {_shape(value.shape)} and weights of "
                f"{_shape(weight.shape)}: give each value a weight, such as jnp.ones_like(values)."
            )
    return result


def _matches(values: tuple[int, ...], weights: tuple[int, ...]) -> bool:
    """Returns whether weights broadcast to the values: one for each, or shared along axes."""
    if not values or not weights:
        return True
    pairs = zip(values, weights, strict=False)
    return len(values) == len(weights) and all(w in (v, 1) for v, w in pairs)


def _is_number(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def augmented(function: Callable[..., Any], result: Any) -> Mapping[str, Any]:
    """Returns what an augmentation returned, if it is still an example.

    Args:
        function: The augmentation, for the message.
        result: What it returned.

    Raises:
        BadInput: It has no values by name.
    """
    if not isinstance(result, Mapping):
        raise BadInput(
            f"{location(function)}, given by augment(), returned {_describe(result)}: return the "
            f"example with its parts changed, example | {{'image': changed}}."
        )
    return result


def stepped(function: Callable[..., Any], result: Any) -> Any:
    """Returns what a step returned, if it is a state and sums.

    Args:
        function: The step, for the message.
        result: What it returned.

    Raises:
        BadInput: It is something else.
    """
    pair = isinstance(result, tuple) and len(result) == 2
    if not pair or not hasattr(result[0], "graphdef") or not isinstance(result[1], Sums):
        raise BadInput(
            f"{location(function)}, given to compile_steps, returned {_describe(result)}: return "
            f"the new state and the sums, state.after(params, opt_state, model_state), sums."
        )
    return result


def transformation(tx: Any) -> None:
    """Refuses what is no optimizer.

    Raises:
        BadInput: It has no ``init`` and ``update``.
    """
    if not (callable(getattr(tx, "init", None)) and callable(getattr(tx, "update", None))):
        raise BadInput(
            f"the optimizer is {describe(tx)}: optimizer() of a recipe returns an Optax "
            f"transformation, such as optax.sgd(0.1), and train() gives it to create_state."
        )


def location(function: Callable[..., Any]) -> str:
    """Returns where a function is, for a message: its name, its file and its line."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}() in {code.co_filename}, line {code.co_firstlineno}" if code else f"{name}()"


def form(dtype: Any, shape: Sequence[Any]) -> str:
    """Returns a type and a shape as text, such as ``float32[batch, 10]``."""
    return f"{dtype}{_shape(shape)}"


def _shape(shape: Sequence[Any]) -> str:
    return f"[{', '.join('any' if size == -1 else str(size) for size in shape)}]"


def _describe(value: Any) -> str:
    """Describes a value: an array by its type and shape."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        kind = "one number" if value.ndim == 0 else "an array"
        return f"{kind}, {form(value.dtype, value.shape)}"
    return describe(value)
