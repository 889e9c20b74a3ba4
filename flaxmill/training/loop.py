"""The compiled parts of a training loop: a chunk of steps, and an exact evaluation."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array

from flaxmill.data.batches import Chunk
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Source
from flaxmill.devices import parallel
from flaxmill.devices.convolution import loop_convolutions, product_options
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.training import members, returned
from flaxmill.training.evaluation import BATCH_SIZE, total
from flaxmill.training.state import State, picked

Augment = Callable[[Any, Array], Any]
Step = Callable[[State, Any, Array], tuple[State, Sums]]
TRAINING_BRANCH = 1
"""What is folded into the seed's key for training; the initial parameters use the key itself."""


@runtime_checkable
class Runtime(Protocol):
    """The part of a run that compiled functions need."""

    mesh: jax.sharding.Mesh | None
    reading: Reading

    @property
    def clock(self) -> Callable[[str], AbstractContextManager[None]]:
        """Counts the seconds of a ``with`` block for a phase."""
        ...

    def compiled(self, train_chunk: "TrainChunk", step_seconds: float, slow: list[str]) -> None:
        """Is told that the training function is compiled, and how long a step takes."""
        ...


def _read_batch(inputs: Mapping[str, Any], index: Array | int, mesh: Any) -> dict[str, Any]:
    """Returns the batch of one step of a chunk, exactly as stored, whichever gear made it."""

    def at(leaf: Array) -> Array:
        # Of one step alone, the compiler would see that its batch is the same in each turn, compute
        # outside of the loop what depends on that alone, and so fuse and round the rest otherwise.
        leaf = jnp.concatenate([leaf, leaf]) if len(leaf) == 1 else leaf
        return lax.dynamic_index_in_dim(leaf, index, keepdims=False)

    if "resident" in inputs:
        rows = at(inputs["rows"])
        batch = {
            name: array.at[rows].get(mode="promise_in_bounds")
            for name, array in inputs["resident"].items()
        }
    else:
        batch = jax.tree.map(at, inputs["examples"])
    batch |= {"ids": at(inputs["ids"]), "epochs": at(inputs["epochs"])}
    # Both gears go on from one materialised batch, so that they compute the same bits.
    return lax.optimization_barrier(parallel.split_batch(batch, mesh))


class TrainChunk:
    """Runs the steps of a chunk in one call; made by `compile_steps`."""

    def __init__(self, step: Step, run: Runtime, augment: Augment | None) -> None:
        self._step, self._augment, self._run = step, augment, run
        self._calls: dict[int, Callable[..., tuple[State, Sums]]] = {}  # by the size of examples
        self.programs: list[jax.stages.Compiled] = []
        self._previous: Sums | None = None

    def __call__(self, state: State, chunk: Chunk) -> tuple[State, Sums]:
        """Trains on a chunk.

        Args:
            state: Where training stands; its buffers are given up (donated).
            chunk: From `flaxmill.data.batches.batches`.

        Returns:
            The new state, and its metrics summed since the last row of the log.
        """
        if state.sums is None:
            with self._run.clock("compile"):
                state = self._with_sums(state, chunk.inputs)
        if not self._calls:
            with self._run.clock("compile"):
                seconds, slow = self._prepare(state, chunk)
            self._run.compiled(self, seconds, slow)
        state, sums = self._calls[chunk.size](state, chunk.inputs)
        # One call computes and one waits: the device is never idle, and the host, which saves and
        # answers signals, is never further ahead.
        jax.block_until_ready(self._previous)
        self._previous = sums
        return state, sums

    def given(
        self, state: State, inputs: Mapping[str, Any], index: Any = 0
    ) -> tuple[Mapping[str, Any], Array]:
        """Returns what a step of a chunk is given: its batch, augmented, and its key.

        Args:
            state: Before the step.
            inputs: Of the chunk.
            index: The step's place in the chunk.
        """
        batch = _read_batch(inputs, index, self._run.mesh)
        key = jax.random.wrap_key_data(inputs["seed"], impl="threefry2x32")
        # A branch of its own, for the initial parameters were drawn from the seed's first keys.
        augment_key, step_key = jax.random.split(jax.random.fold_in(key, TRAINING_BRANCH))
        ids, epochs = batch.pop("ids"), batch.pop("epochs")
        if self._augment is not None:
            fold = jax.random.fold_in
            keys = jax.vmap(lambda i, e: fold(fold(augment_key, e), i))(ids, epochs)
            known = {"id": ids, "epoch": epochs}  # of what is to happen in turn, and not by chance
            batch = jax.vmap(self._augment)(batch | known, keys)
            batch = returned.augmented(self._augment, batch)
            batch = {name: leaf for name, leaf in batch.items() if name not in known}
        return batch, jax.random.fold_in(step_key, state.step)

    def step(self, state: State, batch: Mapping[str, Any], key: Array) -> tuple[State, Sums]:
        """Does what the recipe's step does, which is checked to give a state and sums."""
        return returned.stepped(self._step, self._step(state, batch, key))

    def _stepped(self, state: State, inputs: Mapping[str, Any], index: Any) -> State:
        """Does one step of a chunk."""
        new, sums = self.step(state, *self.given(state, inputs, index))
        sums = sums if state.sums is None else state.sums.merge(sums)
        return replace(new, step=state.step + 1, sums=sums)

    def _many(self, state: State, inputs: Mapping[str, Any]) -> tuple[State, Sums]:
        state = state.with_fresh_sums(inputs["fresh"])
        state = lax.fori_loop(
            0, inputs["count"], lambda i, state: self._stepped(state, inputs, i), state
        ).checked()
        assert state.sums is not None, "a step leaves its sums in the state"
        return state, state.sums

    def _one(self, state: State, inputs: Mapping[str, Any], index: Array) -> tuple[State, Sums]:
        state = state.with_fresh_sums(inputs["fresh"] & (index == 0))
        state = self._stepped(state, inputs, index).checked()
        assert state.sums is not None, "a step leaves its sums in the state"
        return state, state.sums

    def _with_sums(self, state: State, inputs: Mapping[str, Any]) -> State:
        """Gives a fresh state the metrics that the loss is found to return."""

        def sums(state: State, inputs: Mapping[str, Any]) -> Sums:
            return self.step(state, *self.given(state, inputs))[1]

        zero = Sums.empty(jax.eval_shape(sums, *members.apart(state, inputs)[0]))
        if state.members > 1:
            zero = jax.tree.map(lambda leaf: jnp.zeros((state.members,), leaf.dtype), zero)
        return replace(state, sums=parallel.replicate(zero, self._run.mesh))

    def _prepare(self, state: State, chunk: Chunk) -> tuple[float, list[str]]:
        """Compiles for each size of examples; returns the mean seconds of a step, and what is slow.

        Before the first step, so that none of those to come has to wait for it.
        """
        if not chunk.forms:
            self._calls[chunk.size], slow = self._compile(state, chunk.inputs)
            return self._measure(state, chunk.inputs, chunk.size), slow
        seconds, slow = 0.0, []
        for size, form in enumerate(chunk.forms):
            inputs = form.blank()
            self._calls[size], slow = self._compile(state, inputs)
            seconds += form.share * self._measure(state, inputs, size)
        return seconds, slow

    def _compile(
        self, state: State, inputs: Mapping[str, Any]
    ) -> tuple[Callable[..., tuple[State, Sums]], list[str]]:
        """Compiles the one function that does the training of a run, for one size of examples.

        Where an ordinary convolution is left inside the loop on CPU, which is ten times slower
        there, the steps are dispatched one at a time instead.
        """
        sharding = jax.tree.map(lambda leaf: leaf.sharding, state) if self._run.mesh else None
        options: dict[str, Any] = {"donate_argnums": 0}
        if sharding is not None:
            options["out_shardings"] = (sharding, sharding.sums)
        traced = jax.jit(members.over(self._many), **options).trace(state, inputs)
        compiler_options = parallel.training_options() | product_options(traced.jaxpr.jaxpr)
        slow = loop_convolutions(traced.jaxpr.jaxpr) if jax.default_backend() == "cpu" else []
        if not slow:
            program = traced.lower().compile(compiler_options=compiler_options)
            self.programs.append(program)
            return program, []
        first = members.apart(state, inputs)[0]
        one = jax.jit(self._one, **options).lower(*first, jnp.int32(0))
        one = one.compile(compiler_options=compiler_options)
        self.programs.append(one)

        def one_by_one(state: State, inputs: Mapping[str, Any]) -> tuple[State, Sums]:
            ends = []
            for member, chunk in members.apart(state, inputs):
                sums = member.sums
                for index in range(int(inputs["count"])):
                    member, sums = one(member, chunk, jnp.int32(index))
                assert sums is not None
                ends.append((member, sums))
            return members.together(ends)

        return one_by_one, slow

    def _measure(self, state: State, inputs: Mapping[str, Any], size: int) -> float:
        """Returns the seconds that a step takes, tried on a copy of the state."""
        seconds = 0.0
        room = inputs["ids"].shape[-2]
        for count in (1, min(4, room)):  # the first call warms up
            some = dict(inputs) | {"count": jnp.full_like(inputs["count"], count)}
            # By way of the host: a copy made by JAX would be compiled, for every shape.
            copy = jax.tree.map(lambda leaf: jax.device_put(np.array(leaf), leaf.sharding), state)
            jax.block_until_ready(copy)
            start = time.perf_counter()
            jax.block_until_ready(self._calls[size](copy, some))
            seconds = (time.perf_counter() - start) / count
        return seconds


def compile_steps(step: Step, run: Runtime, augment: Augment | None = None) -> TrainChunk:
    """Returns the function that trains on chunks, compiled at its first call for each size.

    Args:
        step: ``step(state, batch, key) -> (state, sums)``: the mathematics of one step. The state
            that it returns is made by `State.after`; its sums are of what the log shows.
        run: Knows the devices, and is told how long the compilation took.
        augment: ``augment(example, key) -> example`` for one example, or None. The example also
            has its ``id`` and ``epoch``, which are taken away after that.
    """
    return TrainChunk(step, run, augment)


def compile_evaluation(
    measure: Callable[..., Measures], run: Runtime, *, batch_size: int = BATCH_SIZE
) -> Callable[[State, Source], Sums]:
    """Returns a function that evaluates a state exactly: every example once, no mean of means.

    The model is in its evaluation mode. Each batch is a call of its own, so that ordinary
    convolutions are fast on CPU too.

    Args:
        measure: ``measure(model, batch) -> {name: (value per example, weight per example)}``.
        run: Knows the devices, and how examples are read.
        batch_size: Most examples a call, rounded up to divide over the devices.

    Returns:
        From a state and a source to its sums; those of several members have an axis for them.
    """
    devices = run.mesh.size if run.mesh else 1

    @jax.jit(static_argnums=0, compiler_options=parallel.compiler_options())
    def sums_of(graphdef: Any, weights: Any, batch: Any, mask: Array) -> Sums:
        batch, mask = parallel.split_batch((batch, mask), run.mesh)
        model = nnx.merge(graphdef, *weights, copy=True)
        model.eval()
        return Sums.of(returned.measures(measure, measure(model, batch), len(mask)), mask)

    def evaluate(state: State, source: Source) -> Sums:
        each = [state.weights]
        if state.members > 1:
            each = [picked(state.weights, index) for index in range(state.members)]

        def over(batch: Mapping[str, Any], mask: Any) -> Sums:
            placed = parallel.replicate((batch, mask), run.mesh)
            found = [sums_of(state.graphdef, weights, *placed) for weights in each]
            return Sums.stacked(found) if len(found) > 1 else found[0]

        with run.clock("evaluate"):
            return total(over, source, batch_size, devices=devices, reading=run.reading)

    return evaluate
