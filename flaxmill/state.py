"""The state of a training: all that changes, and its way into a checkpoint and back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from flaxmill import weights
from flaxmill.errors import BadInput
from flaxmill.metrics import Sums


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """All that training changes; everything else is a function of (config, seed, step).

    As in any pytree, shapes or shardings may stand in the place of the arrays.

    Attributes:
        step: Training steps done, int32 [].
        params: Trainable parameters.
        model_state: What else the model keeps, such as batch statistics.
        opt_state: The optimizer's state.
        average: Exponential moving averages of ``(params, model_state)``, or None.
        sums: Metrics summed since the last row of the log; None until the first chunk.
        finite: False once anything in the state is not a number or infinite, bool [].
        graphdef: The model's structure (`flax.nnx.split`).
    """

    step: Any
    params: Any
    model_state: Any
    opt_state: Any
    average: Any
    sums: Sums | None
    finite: Any
    graphdef: Any = field(metadata={"static": True})

    @property
    def weights(self) -> tuple[Any, Any]:
        """The parameters and model state to evaluate with: their averages where there are any."""
        return self.average if self.average is not None else (self.params, self.model_state)


def create_state(
    build: Callable[[nnx.Rngs], nnx.Module],
    seed: int,
    tx: optax.GradientTransformation,
    *,
    ema: float = 0,
) -> State:
    """Returns the state before the first step.

    Args:
        build: Makes the model, given where its initial parameters are drawn from.
        seed: Of those draws.
        tx: The optimizer.
        ema: Decay of the exponential moving average of the weights; 0 keeps none.

    Raises:
        BadInput: The decay is out of its range, or the model keeps random keys of its own.
    """
    if not 0 <= ema < 1:
        raise BadInput(f"--ema {ema} must be from 0 up to, but not, 1.")

    def fresh() -> State:
        model = build(nnx.Rngs(seed))
        model.train()
        graphdef, params, model_state = nnx.split(model, nnx.Param, ...)
        if any(isinstance(leaf, nnx.RngState) for _, leaf in nnx.iter_graph(model)):
            raise BadInput(
                "the model keeps random keys of its own, and a resumed run would draw others: give "
                "rngs= at the call, not to the constructor of Dropout and the like."
            )
        return State(
            step=jnp.int32(0),
            params=params,
            model_state=model_state,
            opt_state=tx.init(params),
            average=(params, model_state) if ema else None,
            sums=None,
            finite=jnp.bool_(True),
            graphdef=graphdef,
        )

    # Compiled as one function, and on CPU without optimisation, for it runs once: a model made
    # operation by operation takes seconds of small compilations before the first step.
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else {}
    return jax.jit(fresh, compiler_options=options)()


_KEPT = ("step", "params", "model_state", "opt_state", "average")
"""The parts of a state that have a form of their own before the first step; sums have none."""


def to_arrays(state: State) -> dict[str, Any]:
    """Returns what a checkpoint holds of a state, by name."""
    kept = {part: getattr(state, part) for part in _KEPT}
    if state.sums is not None:
        kept["sums"] = {"totals": state.sums.totals, "weights": state.sums.weights}
    return weights.named(kept)


def with_arrays(state: State, arrays: Mapping[str, np.ndarray], *, where: str) -> State:
    """Puts a checkpoint's arrays into a state of the same form."""
    sums: dict[str, dict[str, Any]] = {"totals": {}, "weights": {}}
    rest = {}
    for name, array in arrays.items():
        kind, _, metric = name.removeprefix("sums.").partition(".")
        if name.startswith("sums."):
            sums[kind][metric] = array
        else:
            rest[name] = array
    kept = {part: getattr(state, part) for part in _KEPT}
    found = weights.renamed(kept, rest, where=where)
    return replace(state, **found, sums=Sums(**sums))
