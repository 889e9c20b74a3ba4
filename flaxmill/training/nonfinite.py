"""Finds where a run went wrong: the first step and tensor that is NaN or infinite.

The steps since the last checkpoint are done again, one by one, by the same compiled function, so
that they take the same bits; then the step that fails is walked through operation by operation.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from flaxmill.data.batches import Gear, batches
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Source
from flaxmill.devices import parallel
from flaxmill.machine.clock import Clock
from flaxmill.machine.meter import Meter
from flaxmill.models import weights
from flaxmill.training import members
from flaxmill.training.loop import TrainChunk
from flaxmill.training.run import Run
from flaxmill.training.state import State


@dataclass
class Replay:
    """Stands in for a run while its steps are done again, silently and one at a time."""

    seeds: tuple[int, ...]
    step: int
    gear: Gear
    reading: Reading
    mesh: Any
    meter: Meter

    @contextlib.contextmanager
    def clock(self, phase: str) -> Iterator[None]:
        """Counts nothing."""
        yield

    def compiled(self, train_chunk: TrainChunk, step_seconds: float, slow: list[str]) -> None:
        """Takes no notice."""

    def steps_per_call(self) -> int:
        """Returns 1: each step is looked at."""
        return 1


def locate(run: Run, source: Source, seen: int) -> tuple[int, int, str] | None:
    """Finds the first bad step of a run and its first bad tensor, from its last good state.

    Args:
        run: The run that stopped.
        source: Its training data.
        seen: The step at which it stopped; the first bad one is not beyond it.

    Returns:
        The step, counted from 1, the seed of the model, and the tensor in words; None if the steps
        went well this time, as they may where a recipe's own loop does more than
        `compile_training`'s.
    """
    train_chunk, good = run.train_chunk, run.last_good()
    if train_chunk is None or good is None:
        return None
    schedule, state = run.schedule, parallel.replicate(good, run.mesh)
    gear = replace(run.gear, prefetch=0)
    replay = Replay(run.seeds, int(state.step), gear, run.reading, run.mesh, Meter(Clock()))
    for chunk in batches(source, schedule, replay):
        before = jax.tree.map(jnp.copy, state)
        state, _ = train_chunk(state, chunk)
        if not bool(state.finite):
            every = [members.apart(one, chunk.inputs) for one in (before, state)]
            for seed, (old, inputs), (new, _) in zip(run.seeds, *every, strict=True):
                if not bool(replace(new, finite=jnp.bool_(True)).checked().finite):
                    return chunk.stop, seed, first_bad_tensor(train_chunk, old, new, inputs)
        if chunk.stop >= seen:
            break
    return None


def first_bad_tensor(train_chunk: TrainChunk, before: State, after: State, inputs: Any) -> str:
    """Names the first tensor of a step that is not finite, in words.

    Args:
        train_chunk: The compiled steps.
        before: The state before the step.
        after: The state after it.
        inputs: Of the chunk that begins with the step.
    """
    objective = train_chunk.objective(before, inputs)
    closed = jax.make_jaxpr(lambda *state: objective(*state)[0])(before.params, before.model_state)
    leaves = jax.tree.leaves((before.params, before.model_state))
    found = _walk(closed.jaxpr, closed.consts, *leaves)[1]
    if found is not None:
        return f"the output of {found}, on the way to the loss"
    gradients = jax.grad(objective, has_aux=True)(before.params, before.model_state)[0]
    kept = {"params": after.params, "opt_state": after.opt_state, "model_state": after.model_state}
    for what, tree in (("the gradient of {}", gradients), ("{} after the update", kept)):
        for name, leaf in weights.named(tree).items():
            if not _is_finite(leaf):
                return what.format(name)
    return "a figure of the log"


def _walk(jaxpr: core.Jaxpr, consts: Any, *args: Any) -> tuple[list[Any], str | None]:
    """Evaluates a jaxpr; also returns the first operation whose output is not finite."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    found = None
    for equation in jaxpr.eqns:
        inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
        inner = equation.params.get("jaxpr")
        if equation.primitive.name == "jit" and isinstance(inner, core.ClosedJaxpr):
            outputs, deeper = _walk(inner.jaxpr, inner.consts, *inputs)
            found = found or deeper
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            bound = bound if isinstance(bound, tuple) else ((), bound)
            outputs = equation.primitive.bind(*bound[0], *inputs, **bound[1])
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        if found is None and not all(map(_is_finite, outputs)):
            found = _described(equation)
        values.update(zip(equation.outvars, outputs, strict=True))
    read = [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]
    return read, found


def _is_finite(value: Any) -> bool:
    return not jnp.issubdtype(value.dtype, jnp.floating) or bool(jnp.isfinite(value).all())


def _described(equation: Any) -> str:
    """Returns an operation, its output's shape, and the line of code it comes from."""
    from jax._src import source_info_util  # the only place that knows lines; used in words alone

    shape = equation.outvars[0].aval.str_short()
    return f"{equation.primitive.name} {shape} ({source_info_util.summarize(equation.source_info)})"
