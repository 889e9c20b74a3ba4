"""What a step is made of: a loss summed over its batch, and its gradient, at once or in parts."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from flaxmill.devices import parallel
from flaxmill.devices.convolution import fast_convolutions
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.training import returned

Objective = Callable[[Any, Any, Any, Array], tuple[Array, tuple[Sums, Any]]]
Gradient = Callable[[Any, Any, Any, Array], tuple[Any, tuple[Sums, Any]]]

_PLAIN: contextvars.ContextVar[bool] = contextvars.ContextVar("plain", default=False)


@contextlib.contextmanager
def plain_gradients() -> Iterator[None]:
    """Has gradients computed as they are written, so that each operation can be looked at.

    No fast forms, whose operations have no lines in a model, and no loop over parts.
    """
    before = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(before)


def summed(loss: Callable[..., Measures], *args: Any, **kwargs: Any) -> Sums:
    """Calls a recipe's loss, and sums what it returns for each example.

    Args:
        loss: ``loss(model, batch, *, key) -> {name: (value per example, weight per example)}``.
        args: What it is called with.
        kwargs: The same, by name.

    Raises:
        BadInput: It returns something else; the message says what, and what is expected.
    """
    return Sums.of(returned.measures(loss, loss(*args, **kwargs)))


def gradient(objective: Objective, *, parts: int = 1) -> Gradient:
    """Returns the function that computes the gradient of an objective by the parameters.

    Convolutions are computed in forms that are fast inside a compiled loop.

    Args:
        objective: From parameters, model state, batch and key to the mean loss, and beside it the
            sums and the new model state. The sums have a ``loss``, by whose weights the gradients
            of the parts of a batch are averaged.
        parts: Parts that a batch is computed in, one after another, which takes less memory. The
            gradients are those of the whole batch; batch statistics are those of each part.

    Returns:
        From the same to the gradients, and what the objective returns beside.

    Raises:
        BadInput: When it is called: the batch does not divide into so many parts.
    """
    if plain := _PLAIN.get():

        def gradient_of(*args: Any) -> tuple[Any, tuple[Sums, Any]]:
            aux = objective(*args)[1]  # by itself, before what only the gradient needs
            return jax.grad(objective, has_aux=True)(*args)[0], aux
    else:
        gradient_of = jax.grad(fast_convolutions(objective), has_aux=True)
    if parts == 1:
        return gradient_of

    def gradients(params: Any, model_state: Any, batch: Mapping[str, Array], key: Array) -> Any:
        size = len(jax.tree.leaves(batch)[0])
        parallel.check_parts(parts, size)
        cut = functools.partial(lax.dynamic_slice_in_dim, slice_size=size // parts)

        def of_part(part: Any, model_state: Any) -> Any:
            part_batch = jax.tree.map(lambda array: cut(array, part * (size // parts)), batch)
            return gradient_of(params, model_state, part_batch, jax.random.fold_in(key, part))

        def add(part: Any, carry: Any) -> Any:
            gradients, (sums, model_state) = carry
            more, (part_sums, model_state) = of_part(part, model_state)
            weight = part_sums.weights["loss"]  # a part's mean counts by how much is in it
            gradients = jax.tree.map(lambda old, new: old + weight * new, gradients, more)
            return gradients, (sums.merge(part_sums), model_state)

        zeros = jax.tree.map(jnp.zeros_like, params)
        empty = Sums.empty(jax.eval_shape(of_part, 0, model_state)[1][0])
        carry = (zeros, (empty, model_state))
        if plain:
            gradients, (sums, model_state) = functools.reduce(
                lambda carry, part: add(part, carry), range(parts), carry
            )
        else:
            gradients, (sums, model_state) = lax.fori_loop(0, parts, add, carry)
        total = jnp.maximum(sums.weights["loss"], 1e-30)
        return jax.tree.map(lambda leaf: leaf / total, gradients), (sums, model_state)

    return gradients
