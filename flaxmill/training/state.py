"""The state of a training: all that changes, and its way into a checkpoint and back."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array

from flaxmill.errors import BadInput
from flaxmill.maths.metrics import Sums
from flaxmill.models import fitting, weights
from flaxmill.training import returned


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """All that training changes; everything else is a function of (config, seed, step).

    As in any pytree, shapes or shardings may stand in the place of the arrays.

    Attributes:
        step: Training steps done, int32 [].
        params: Trainable parameters.
        model_state: The model's other variables, such as batch statistics.
        opt_state: The optimizer's state.
        average: Exponential moving averages of ``(params, model_state)``, or None.
        sums: Metrics summed since the last row of the log; None until the first chunk.
        finite: False once anything in the state is not a number or infinite, bool [].
        graphdef: The model's structure (`flax.nnx.split`).
        members: Number of models. Above 1, all arrays but ``step`` and ``finite``, which are those
            of all the models together, have a first axis that counts them.
    """

    step: Any
    params: Any
    model_state: Any
    opt_state: Any
    average: Any
    sums: Sums | None
    finite: Any
    graphdef: Any = field(metadata={"static": True})
    members: int = field(default=1, metadata={"static": True})

    @property
    def weights(self) -> tuple[Any, Any]:
        """The parameters and model state to evaluate with: their averages where there are any."""
        return self.average if self.average is not None else (self.params, self.model_state)

    def model(self, params: Any, model_state: Any) -> Any:
        """Returns the model with some parameters and model state, to be called in a step."""
        return nnx.merge(self.graphdef, params, model_state, copy=True)

    def after(self, params: Any, opt_state: Any, model_state: Any, *, ema: float = 0) -> "State":
        """Returns the state that a step leaves.

        Args:
            params: The new parameters.
            opt_state: The optimizer's new state.
            model_state: The model's other variables, from `model_state_of`.
            ema: Decay of the moving average of both; 0 for none, as in `create_state`.

        Raises:
            BadInput: The state was created for another kind of average.
        """
        if bool(ema) != (self.average is not None):
            raise BadInput("give create_state and State.after the same ema.")
        average = self.average
        if ema:  # a shorter memory at first, so that the random start is forgotten
            count = self.step.astype(jnp.float32)
            decay = jnp.minimum(ema, (1 + count) / (10 + count))
            blend = functools.partial(_blend, decay=decay)
            average = jax.tree.map(blend, average, (params, model_state))
        new = {"params": params, "opt_state": opt_state, "model_state": model_state}
        return replace(self, **new, average=average)

    def own(self) -> dict[str, Any]:
        """Returns the parts that each model has for itself: all but ``step`` and ``finite``."""
        return {part: getattr(self, part) for part in _OWN}

    def member(self, index: int) -> "State":
        """Returns the state of one model alone."""
        if self.members == 1:
            return self
        # Buffers of its own, which may be donated.
        step, finite = jnp.copy(self.step), jnp.copy(self.finite)
        own = picked(self.own(), index)
        return replace(self, **own, step=step, finite=finite, members=1)

    def with_fresh_sums(self, fresh: Array) -> "State":
        """Sets the sums to zero where ``fresh`` is True."""
        sums = jax.tree.map(lambda leaf: jnp.where(fresh, 0, leaf).astype(leaf.dtype), self.sums)
        return replace(self, sums=sums)

    def checked(self) -> "State":
        """Lets the finite flag fall where anything is not a number or infinite."""
        checks = [
            jnp.isfinite(leaf).all()
            for leaf in jax.tree.leaves(self.own())
            if jnp.issubdtype(leaf.dtype, jnp.floating)
        ]
        return replace(self, finite=self.finite & jnp.stack(checks).all())


def model_state_of(model: nnx.Module) -> Any:
    """Returns a model's variables beside its parameters, such as batch statistics."""
    return nnx.split(model, nnx.Param, ...)[2]


def _blend(old: Array, new: Array, decay: Array) -> Array:
    """Moves an average towards a new value; counters and other integers simply take it."""
    if not jnp.issubdtype(new.dtype, jnp.floating):
        return new
    blended = (decay * old + (1 - decay) * new).astype(new.dtype)
    return jnp.where(old == new, old, blended)  # what does not change stays, to the bit


_OWN = ("params", "model_state", "opt_state", "average", "sums")
"""The parts of a state that each of several models has for itself."""


@jax.jit
def picked(tree: Any, index: int | Array) -> Any:
    """Takes one place of the first axis of every array: one compiled function for a whole tree."""
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, 0, False), tree)


def stack(states: Sequence[State]) -> State:
    """Puts the states of several models, all at the same step, into one; a single one stays."""
    if len(states) == 1:
        return states[0]
    # On the host, because so many small compilations would take longer.
    parts = jax.device_get([state.own() for state in states])
    own = jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *parts)
    return replace(states[0], **own, members=len(states))


def create_state(
    build: Callable[[nnx.Rngs], nnx.Module],
    seeds: int | Sequence[int],
    tx: optax.GradientTransformation,
    *,
    ema: float = 0,
) -> State:
    """Returns the state before the first step.

    Args:
        build: Makes the model from the ``rngs`` of its initial parameters.
        seeds: Of those ``rngs``. Several seeds make as many models, each the one that its seed
            alone would make.
        tx: The optimizer.
        ema: Decay of the exponential moving average of the weights; 0 keeps none.

    Raises:
        BadInput: The decay is out of its range, ``tx`` is no optimizer, or the model keeps random
            keys of its own.
    """
    returned.transformation(tx)
    if not 0 <= ema < 1:
        raise BadInput(f"--ema {ema} must be from 0 up to, but not, 1.")

    def fresh(key: Array) -> State:
        model = build(nnx.Rngs(key))
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
    # The key is an argument, so that it is compiled once for all seeds.
    compiled = jax.jit(fresh, compiler_options=options)
    all_seeds = [seeds] if isinstance(seeds, int) else seeds
    return stack([compiled(jax.random.key(seed)) for seed in all_seeds])


def begin_with(
    state: State, arrays: Mapping[str, np.ndarray], own: Sequence[str] = ()
) -> tuple[State, tuple[str, ...]]:
    """Takes the weights of one model, and nothing else, from elsewhere; every member gets them.

    Args:
        state: The state before the first step.
        arrays: Weights by name, from ``--init-from``.
        own: Names of parts that each member keeps as they are if the weights from elsewhere lack
            them or have them in another shape, such as ``head``.

    Returns:
        The state with those weights, and notes about them for the user, a sentence each.

    Raises:
        BadInput: The model has no such part, or weights do not fit; all of these are listed.
    """
    states, notes = [], ()
    for index in range(state.members):
        member = state.member(index)
        parts = {"params": member.params, "model_state": member.model_state}
        fitted, notes = fitting.fitted(parts, arrays, own)
        fitted = jax.tree.map(jnp.asarray, fitted)
        average = None if state.average is None else (fitted["params"], fitted["model_state"])
        states.append(replace(member, **fitted, average=jax.tree.map(jnp.copy, average)))
    return stack(states), notes


_SAVED = ("step", "params", "model_state", "opt_state", "average")
"""The parts of a state that have a form of their own before the first step; sums have none."""


def to_arrays(state: State) -> dict[str, Any]:
    """Returns the arrays of a state that a checkpoint holds, by name."""
    parts = {part: getattr(state, part) for part in _SAVED}
    if state.sums is not None:
        parts["sums"] = {"totals": state.sums.totals, "weights": state.sums.weights}
    return weights.flatten(parts)


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
    parts = {part: getattr(state, part) for part in _SAVED}
    restored = weights.unflatten(parts, rest, where=where)
    return replace(state, **restored, sums=Sums(sums["totals"], sums["weights"]))
