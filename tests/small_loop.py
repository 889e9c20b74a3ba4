"""A model, a loss and a runtime that are just enough for a training loop."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from flaxmill.data.batches import Gear, Schedule, batches
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Arrays
from flaxmill.machine.clock import Clock
from flaxmill.machine.meter import Meter
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import Step, TrainChunk, compile_steps
from flaxmill.training.state import State, create_state, model_state_of


class Model(nnx.Module):
    """Dense layers, batch statistics and dropout: everything that a state can hold."""

    def __init__(self, rngs: nnx.Rngs, *, dropout: float = 0.0) -> None:
        self.dense = nnx.Linear(3, 5, rngs=rngs)
        self.norm = nnx.BatchNorm(5, rngs=rngs)
        self.dropout = nnx.Dropout(dropout)
        self.head = nnx.Linear(5, 1, rngs=rngs)

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        return self.head(self.dropout(nnx.tanh(self.norm(self.dense(x))), rngs=rngs))[:, 0]


def loss(model: Any, batch: Any, *, key: jax.Array) -> Measures:
    """Squares of the errors, for one example each."""
    error = model(batch["x"], rngs=nnx.Rngs(dropout=key)) - batch["y"]
    return {"loss": (error**2, jnp.ones_like(error))}


def measure(model: Any, batch: Any) -> Measures:
    """The same figures for evaluation."""
    error = model(batch["x"]) - batch["y"]
    return {"loss": (error**2, jnp.ones_like(error)), "y": (batch["y"], jnp.ones_like(error))}


def source(length: int = 40) -> Arrays:
    """Examples with something to learn in them."""
    x = np.random.default_rng(0).normal(size=(length, 3)).astype(np.float32)
    return Arrays({"x": x, "y": (x[:, 0] - x[:, 1] * x[:, 2]).astype(np.float32)})


@dataclass
class Runtime:
    """The part of a run that batches and compiled functions need, and what it was told."""

    gear: Gear = field(default_factory=lambda: Gear("resident", 8, 0))
    schedule: Schedule = field(default_factory=lambda: schedule())
    seeds: tuple[int, ...] = (3,)
    step: int = 0
    mesh: Any = None
    reading: Reading = field(default_factory=Reading)
    meter: Meter = field(default_factory=lambda: Meter(Clock()))
    most: int = 1000
    slow: list[str] = field(default_factory=list)
    times_compiled: int = 0
    train_chunk: Any = None
    seconds: float = 0.0

    @property
    def seed(self) -> int:
        return self.seeds[0]

    @contextlib.contextmanager
    def clock(self, phase: str) -> Iterator[None]:
        yield

    def compiled(self, train_chunk: TrainChunk, step_seconds: float, slow: list[str]) -> None:
        self.times_compiled += 1
        self.train_chunk, self.seconds, self.slow = train_chunk, step_seconds, slow

    def steps_per_call(self) -> int:
        return self.most


@dataclass(frozen=True)
class Config:
    """Durations: ten steps of ten examples, or as many as are asked for."""

    epochs: float = 2.5
    batch_size: int = 10
    log_every: float = 1.0
    evaluate_every: float = 1.0
    evaluate_on: str = "validation"
    validation: int | float = 0


def schedule() -> Schedule:
    """Returns the durations of ten steps on what `source` gives."""
    return Schedule(Config(), 40)


def usual_step(
    loss: Callable[..., Measures],
    tx: optax.GradientTransformation,
    *,
    ema: float = 0,
    accumulate: int = 1,
) -> Step:
    """Returns the step that recipes have."""

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, Sums]:
        def objective(params: Any, model_state: Any, batch: Any, key: jax.Array) -> Any:
            net = state.model(params, model_state)
            sums = summed(loss, net, batch, key=key)
            return sums.mean("loss"), (sums, model_state_of(net))

        found = gradient(objective, parts=accumulate)
        gradients, (sums, model_state) = found(state.params, state.model_state, batch, key)
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.after(params, opt_state, model_state, ema=ema), sums

    return step


def train(
    run: Runtime,
    *,
    build: Callable[[nnx.Rngs], Any] = Model,
    objective: Callable[..., Measures] = loss,
    tx: optax.GradientTransformation | None = None,
    augment: Any = None,
    ema: float = 0,
    accumulate: int = 1,
    data: Arrays | None = None,
    **durations: Any,
) -> tuple[State, list[dict[str, float]]]:
    """Trains as a recipe does; also returns each chunk's and seed's means, of how many examples."""
    data, tx = data or source(), tx or optax.sgd(0.1, momentum=0.9)
    run.schedule = Schedule(Config(**durations), len(data))
    state = create_state(build, run.seeds, tx, ema=ema)
    train_chunk = compile_steps(
        usual_step(objective, tx, ema=ema, accumulate=accumulate), run, augment
    )
    means = []
    for chunk in batches(data, run):
        state, sums = train_chunk(state, chunk)
        for one in sums.apart():
            means.append(one.means() | {"examples": float(one.weights["loss"])})
    return state, means
