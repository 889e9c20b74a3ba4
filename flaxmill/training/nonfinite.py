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

from flaxmill.data.batches import Gear, Schedule, batches
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Source
from flaxmill.devices import parallel
from flaxmill.devices.jaxprs import rebind
from flaxmill.machine.clock import Clock
from flaxmill.machine.meter import Meter
from flaxmill.models import weights
from flaxmill.training import members
from flaxmill.training.gradients import plainly
from flaxmill.training.loop import TrainChunk
from flaxmill.training.run import Run
from flaxmill.training.state import State


@dataclass
class Replay:
    """Stands in for a run while its steps are done again, silently and one at a time."""

    seeds: tuple[int, ...]
    schedule: Schedule
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
        the step.
    """
    train_chunk, good = run.train_chunk, run.last_good()
    if train_chunk is None or good is None:
        return None
    state = parallel.replicate(good, run.mesh)
    gear = replace(run.gear, prefetch=0)
    replay = Replay(
        run.seeds, run.schedule, int(state.step), gear, run.reading, run.mesh, Meter(Clock())
    )
    for chunk in batches(source, replay):
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
    with plainly():
        given = train_chunk.given(before, inputs)
        closed = jax.make_jaxpr(train_chunk.step)(before, *given)
    walk = _Walk()
    walk.through(closed.jaxpr, closed.consts, *jax.tree.leaves((before, *given)))
    kept = {"params": after.params, "opt_state": after.opt_state, "model_state": after.model_state}
    bad = [name for name, leaf in weights.named(kept).items() if not _is_finite(leaf)]
    if walk.found and not walk.backwards:
        return f"the output of {walk.found}, on the way to the loss"
    if walk.found and walk.in_gradient:
        of = next((name.removeprefix("params.") for name in bad if name.startswith("params.")), "")
        return f"the gradient{f' of {of}' if of else ''}: the output of {walk.found}"
    return f"{bad[0]} after the update" if bad else "a figure of the log"


class _Walk:
    """Evaluates a step operation by operation.

    Attributes:
        found: The first operation whose output is not finite, in words; empty if there is none.
        in_gradient: Whether that is an operation of a gradient.
        backwards: Whether a gradient had been begun by then.
    """

    def __init__(self) -> None:
        self.found, self.in_gradient, self.backwards = "", False, False

    def through(self, jaxpr: core.Jaxpr, consts: Any, *args: Any) -> list[Any]:
        """Evaluates a jaxpr; returns its outputs."""
        values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
        for equation in jaxpr.eqns:
            inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
            inner = equation.params.get("jaxpr")
            stack = str(equation.source_info.name_stack)
            in_gradient = "jvp(" in stack or "transpose(" in stack
            if not self.found:
                self.backwards |= in_gradient
            if equation.primitive.name == "jit" and isinstance(inner, core.ClosedJaxpr):
                outputs = self.through(inner.jaxpr, inner.consts, *inputs)
            else:
                outputs = rebind(equation, equation.params, inputs)
            if not self.found and not all(map(_is_finite, outputs)):
                self.found, self.in_gradient = _described(equation), in_gradient
            values.update(zip(equation.outvars, outputs, strict=True))
        return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def _is_finite(value: Any) -> bool:
    return not jnp.issubdtype(value.dtype, jnp.floating) or bool(jnp.isfinite(value).all())


def _described(equation: Any) -> str:
    """Returns an operation, its output's shape, and the line of code it comes from."""
    from jax._src import source_info_util  # the only place that knows lines; used in words alone

    shape = equation.outvars[0].aval.str_short()
    return f"{equation.primitive.name} {shape} ({source_info_util.summarize(equation.source_info)})"
