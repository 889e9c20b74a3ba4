"""Tensors that come as numbers in JSON, checked before an array is made of them.

NumPy makes something of nearly everything: of one long text among empty ones, an array that takes
as much for each of them.
"""

import itertools
from typing import Any

import numpy as np

from flaxmill.serve.refusal import Refused
from flaxmill.tasks.signature import Tensor


def content(data: Any, tensor: Tensor, shape: list[int]) -> bytes:
    """Returns the bytes of a tensor, whose numbers are nested as its shape says, or flat.

    Args:
        data: As it is in the JSON.
        tensor: The model's input.
        shape: As the request declares it.

    Raises:
        Refused: It is something else.
    """
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    expected = int(np.prod(shape))
    actual, values = _flat(data)
    if not set(map(type, values)) <= {int, float, bool}:
        raise _not_numbers(tensor, dtype, expected)
    if actual not in ([expected], shape):
        raise Refused(
            400,
            f"'data' of input {tensor.name!r} has shape {actual}; expected {shape}, or "
            f"{expected:,} numbers in a row.",
        )
    try:
        numbers = np.array(values)
    except OverflowError:
        raise _not_numbers(tensor, dtype, expected) from None
    if numbers.dtype.kind == "f" and dtype.kind in "iu" and _are_whole(numbers):
        numbers = numbers.astype(np.int64)  # of clients that know no other numbers
    if numbers.dtype.kind not in {"b": "b", "f": "iuf"}.get(dtype.kind, "iu"):
        raise _not_numbers(tensor, dtype, expected)
    if dtype.kind in "iu":
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        if numbers.min() < least or numbers.max() > most:
            raise Refused(
                400, f"'data' of input {tensor.name!r} must lie between {least} and {most}."
            )
    return numbers.astype(dtype).tobytes()


def _flat(data: Any) -> tuple[list[int], list[Any]]:
    """Returns the shape of nested lists, as far as they are all of one length, and what they hold.

    >>> _flat([[1, 2], [3, 4]]), _flat([[1], [2, 3]])
    (([2, 2], [1, 2, 3, 4]), ([2], [[1], [2, 3]]))
    """
    shape: list[int] = []
    values = [data]
    while values and {list} == set(map(type, values)):
        lengths = set(map(len, values))
        if len(lengths) > 1:
            break
        shape.append(lengths.pop())
        values = list(itertools.chain.from_iterable(values))
    return shape, values


def _are_whole(numbers: np.ndarray) -> bool:
    """Returns whether these are whole numbers, of a size that is exact."""
    return bool((np.abs(numbers) < 1 << 53).all() and (numbers == np.trunc(numbers)).all())


def _not_numbers(tensor: Tensor, dtype: np.dtype, expected: int) -> Refused:
    words = {"b": "times true or false", "f": "numbers"}.get(dtype.kind, "whole numbers")
    return Refused(400, f"'data' of input {tensor.name!r} must be {expected:,} {words}.")
