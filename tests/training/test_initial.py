"""Weights from elsewhere, made to fit a model."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.models import fitting, weights
from flaxmill.training.state import State, begin_with, create_state


class Model(nnx.Module):
    """A body and a head."""

    def __init__(self, rngs: nnx.Rngs, *, classes: int = 2) -> None:
        self.body = nnx.Linear(3, 4, rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.head = nnx.Linear(4, classes, rngs=rngs)


def state(*seeds: int, ema: float = 0.0) -> State:
    return create_state(Model, seeds, optax.sgd(0.1), ema=ema)


def pretrained(classes: int = 2, seed: int = 9) -> dict[str, Any]:
    _, params, model_state = nnx.split(Model(nnx.Rngs(seed), classes=classes), nnx.Param, ...)
    arrays = weights.flatten({"params": params, "model_state": model_state})
    return {name: np.asarray(array) + 1 for name, array in arrays.items()}


def names(state: State) -> dict[str, Any]:
    return weights.flatten({"params": state.params, "model_state": state.model_state})


@pytest.mark.parametrize("own", [(), ("head",)])
def test_weights_that_fit_are_taken_all(own: tuple[str, ...]) -> None:
    begun, notes = begin_with(state(0), pretrained(), own)
    note = "The head is taken as well: it has the same shape there and here."
    assert notes == ((note,) if own else ())
    for name, array in names(begun).items():
        np.testing.assert_array_equal(array, pretrained()[name])


def without_head() -> dict[str, Any]:
    return {name: array for name, array in pretrained().items() if ".head." not in name}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (pretrained(classes=7), "The head is new: 7 classes there, 2 here."),
        (without_head(), "The head is new: --init-from has none."),
        (
            without_head() | {"params.head.weight": np.ones((2, 4), np.float32)},
            "The head is new: params.head.weight float32[2,4] there; "
            "params.head.bias float32[2], params.head.kernel float32[4,2] here.",
        ),
    ],
)
def test_a_part_that_does_not_fit_is_each_members_own(arrays: dict[str, Any], words: str) -> None:
    fresh = state(0, 1, ema=0.9)
    begun, notes = begin_with(fresh, arrays, ("head",))
    assert notes == (words,)
    for index in range(2):
        mine, was = names(begun.member(index)), names(fresh.member(index))
        assert np.abs(was["params.head.kernel"]).max() > 0
        for name, array in mine.items():
            expected = was[name] if ".head." in name else arrays[name]
            np.testing.assert_array_equal(array, expected, err_msg=name)
        average = weights.flatten(begun.member(index).average)
        np.testing.assert_array_equal(average["0.head.kernel"], was["params.head.kernel"])
    heads = [names(begun.member(index))["params.head.kernel"] for index in range(2)]
    assert (heads[0] != heads[1]).any()
    assert jax.tree.structure(begun) == jax.tree.structure(fresh)


def test_other_weights_that_do_not_fit_are_refused() -> None:
    arrays = pretrained(classes=7) | {"params.body.kernel": np.ones((3, 5), np.float32)}
    with pytest.raises(BadInput) as refused:
        begin_with(state(0), arrays, ("head",))
    assert str(refused.value).splitlines() == [
        "--init-from does not fit this model.",
        "  misshapen: params.body.kernel is float32[3,5], expected float32[3,4]",
    ]


def test_a_part_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(BadInput, match=r"own='haed': the model has no such part. Did you mean 'he"):
        fitting.fitted({"params": {"head": jnp.ones(2)}}, {}, ("haed",))
