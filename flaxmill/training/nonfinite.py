"""Finds where a run went wrong: the first step and tensor that are NaN or infinite.

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
from flaxmill.training.gradients import plain_gradients
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
        """Does nothing."""
        yield

    def compiled(self, train_chunk: TrainChunk, step_seconds: float, slow: list[str]) -> None:
        """Does nothing."""

    def steps_per_call(self) -> int:
        """Returns 1: each step is checked."""
        return 1


def find_nonfinite(run: Run, source: Source, stopped_at: int) -> tuple[int, int, str] | None:
    """Finds the first bad step of a run and its first bad tensor, from its last good state.

    Args:
        run: The run that stopped.
        source: Its training data.
        stopped_at: The step at which it stopped; the first bad one is not beyond it.

    Returns:
        The step, counted from 1, the seed of the model, and the tensor in words; None if the steps
        went well this time, as they may where a recipe's own loop does more than the step.
    """
    train_chunk, start = run.train_chunk, run.last_good()
    if train_chunk is None or start is None:
        return None
    state = parallel.replicate(start, run.mesh)
    gear = replace(run.gear, prefetch=0)
    replay = Replay(
        run.seeds, run.schedule, int(state.step), gear, run.reading, run.mesh, Meter(Clock())
    )
    for chunk in batches(source, replay):
        before = jax.tree.map(jnp.copy, state)
        state, _ = train_chunk(state, chunk)
        if not bool(state.finite):
            divided = [members.apart(one, chunk.inputs) for one in (before, state)]
            for seed, (old, inputs), (new, _) in zip(run.seeds, *divided, strict=True):
                if not bool(replace(new, finite=jnp.bool_(True)).checked().finite):
                    return chunk.stop, seed, first_bad_tensor(train_chunk, old, new, inputs)
        if chunk.stop >= stopped_at:
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
    with plain_gradients():
        arguments = train_chunk.given(before, inputs)
        closed = jax.make_jaxpr(train_chunk.step)(before, *arguments)
    walk = _Walk()
    walk.through(closed.jaxpr, closed.consts, *jax.tree.leaves((before, *arguments)))
    trees = {"params": after.params, "opt_state": after.opt_state, "model_state": after.model_state}
    bad = [name for name, leaf in weights.flatten(trees).items() if not _is_finite(leaf)]
    if walk.first_bad and not walk.backwards:
        return f"the output of {walk.first_bad}, on the way to the loss"
    if walk.first_bad and walk.in_gradient:
        params = [name.removeprefix("params.") for name in bad if name.startswith("params.")]
        of = f" of {params[0]}" if params else ""
        return f"the gradient{of}: the output of {walk.first_bad}"
    return f"{bad[0]} after the update" if bad else "a figure of the log"


class _Walk:
    """Evaluates a step operation by operation.

    Attributes:
        first_bad: The first operation whose output is not finite, in words; empty if there is none.
        in_gradient: Whether that is an operation of a gradient.
        backwards: Whether the backward pass had begun by then.
    """

    def __init__(self) -> None:
        self.first_bad, self.in_gradient, self.backwards = "", False, False

    def through(self, jaxpr: core.Jaxpr, consts: Any, *args: Any) -> list[Any]:
        """Evaluates a jaxpr; returns its outputs."""
        values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
        for equation in jaxpr.eqns:
            inputs = [v.val if isinstance(v, core.Literal) else values[v] for v in equation.invars]
            inner = equation.params.get("jaxpr")
            stack = str(equation.source_info.name_stack)
            in_gradient = "jvp(" in stack or "transpose(" in stack
            if not self.first_bad:
                self.backwards |= in_gradient
            if equation.primitive.name == "jit" and isinstance(inner, core.ClosedJaxpr):
                outputs = self.through(inner.jaxpr, inner.consts, *inputs)
            else:
                outputs = rebind(equation, equation.params, inputs)
            if not self.first_bad and not all(map(_is_finite, outputs)):
                self.first_bad, self.in_gradient = _describe(equation), in_gradient
            values.update(zip(equation.outvars, outputs, strict=True))
        return [v.val if isinstance(v, core.Literal) else values[v] for v in jaxpr.outvars]


def _is_finite(value: Any) -> bool:
    return not jnp.issubdtype(value.dtype, jnp.floating) or bool(jnp.isfinite(value).all())


def _describe(equation: Any) -> str:
    """Returns an operation, its output's shape, and the line of code it comes from."""
    from jax._src import source_info_util  # the only place that knows lines; used in words alone

    shape = equation.outvars[0].aval.str_short()
    return f"{equation.primitive.name} {shape} ({source_info_util.summarize(equation.source_info)})"
