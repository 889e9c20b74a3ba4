"""What a recipe's functions return in the loop, looked at while that is traced: at no cost."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from flaxmill.errors import BadInput, describe
from flaxmill.maths.metrics import Measures, Sums


def measures(function: Callable[..., Any], found: Any, size: int | None = None) -> Measures:
    """Returns what ``loss`` or ``measure`` of a recipe gave, if means can be made of it.

    Args:
        function: The one that was asked, for the message.
        found: What it gave, also while it is traced.
        size: Number of examples, where some of them are padding that is masked out: then there is
            to be a value for each.

    Raises:
        BadInput: It is something else; the message says what, and how to give it.
    """
    where = place(function)
    expected = (
        'return {"loss": (values, weights)}, a value and a weight for each example, where the '
        "weights are mostly jnp.ones_like(values)"
    )
    if not isinstance(found, Mapping):
        raise BadInput(f"{where}, returned {_told(found)}: {expected}; the loop takes the mean.")
    if "loss" not in found:
        names = ", ".join(map(repr, found))
        raise BadInput(f"{where}, returned no 'loss' (it has {names or 'nothing'}): {expected}.")
    for name, pair in found.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise BadInput(f"{where}: {name!r} is {_told(pair)}: {expected}.")
        for array in pair:
            if not hasattr(array, "dtype") or not _is_number(array.dtype):
                raise BadInput(f"{where}: {name!r} has {_told(array)}: {expected}.")
        value, weight = pair
        if size is not None and value.shape[:1] != (size,):
            raise BadInput(
                f"{where}: the values of {name!r} are {_told(value)} for {size} examples: give one "
                f"for each, and leave their mean or sum to the loop."
            )
        if not _fit(value.shape, weight.shape):
            raise BadInput(
                f"{where}: {name!r} has values of the shape {_shape(value.shape)} and weights of "
                f"{_shape(weight.shape)}: give each value a weight, such as jnp.ones_like(values)."
            )
    return found


def _fit(values: tuple[int, ...], weights: tuple[int, ...]) -> bool:
    """Says whether weights are those of values: one for each, or for some or all of them alike."""
    if not values or not weights:
        return True
    pairs = zip(values, weights, strict=False)
    return len(values) == len(weights) and all(w in (v, 1) for v, w in pairs)


def _is_number(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def augmented(function: Callable[..., Any], found: Any) -> Mapping[str, Any]:
    """Returns what an augmentation made of examples, if they are still such.

    Args:
        function: The augmentation, for the message.
        found: What it made.

    Raises:
        BadInput: It gave no example by name.
    """
    if not isinstance(found, Mapping):
        raise BadInput(
            f"{place(function)}, given by augment(), returned {_told(found)}: return the example "
            f"with its parts changed, example | {{'image': changed}}."
        )
    return found


def stepped(function: Callable[..., Any], found: Any) -> Any:
    """Returns what a step gave, if it is a state and sums.

    Args:
        function: The step, for the message.
        found: What it gave.

    Raises:
        BadInput: It gave something else.
    """
    pair = isinstance(found, tuple) and len(found) == 2
    if not pair or not hasattr(found[0], "graphdef") or not isinstance(found[1], Sums):
        raise BadInput(
            f"{place(function)}, given to compile_steps, returned {_told(found)}: return the new "
            f"state and the sums, state.after(params, opt_state, model_state), sums."
        )
    return found


def transformation(found: Any) -> None:
    """Refuses what is no optimizer.

    Raises:
        BadInput: It has no ``init`` and ``update``.
    """
    if not (callable(getattr(found, "init", None)) and callable(getattr(found, "update", None))):
        raise BadInput(
            f"the optimizer is {describe(found)}: optimizer() of a recipe returns an Optax "
            f"transformation, such as optax.sgd(0.1), and train() gives it to create_state."
        )


def place(function: Callable[..., Any]) -> str:
    """Says where a function is, for a message: its name, its file and its line."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}() in {code.co_filename}, line {code.co_firstlineno}" if code else f"{name}()"


def form(dtype: Any, shape: Sequence[Any]) -> str:
    """Returns a type and a shape, such as ``float32[batch, 10]``."""
    return f"{dtype}{_shape(shape)}"


def _shape(shape: Sequence[Any]) -> str:
    return f"[{', '.join('any' if size == -1 else str(size) for size in shape)}]"


def _told(value: Any) -> str:
    """Says what something is: an array by its type and shape."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        kind = "one number" if value.ndim == 0 else "an array"
        return f"{kind}, {form(value.dtype, value.shape)}"
    return describe(value)
