"""What everything that walks a jaxpr needs: to apply an operation again, and to look inside it."""

from collections.abc import Iterator, Sequence
from typing import Any

from jax.extend import core


def rebind(equation: Any, params: dict[str, Any], inputs: Sequence[Any]) -> list[Any]:
    """Applies an operation of a jaxpr with other parameters, to other inputs."""
    arguments = equation.primitive.get_bind_params(params)
    arguments = arguments if isinstance(arguments, tuple) else ((), arguments)
    outputs = equation.primitive.bind(*arguments[0], *inputs, **arguments[1])
    return list(outputs) if equation.primitive.multiple_results else [outputs]


def inner_jaxprs(equation: Any) -> Iterator[core.Jaxpr]:
    """Yields the functions that an operation calls."""
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr | core.Jaxpr):
                yield item.jaxpr if isinstance(item, core.ClosedJaxpr) else item
