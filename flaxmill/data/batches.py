"""Which examples each step sees, a pure function of (seed, step), and how they get to the device.

Example ``step * batch_size + i`` of an endless order belongs to place ``i`` of a step's batch. The
order runs across epoch ends; each epoch is a permutation of its own, computed from an index alone,
so the position in the data is one integer and memory does not grow with the data.

Models of several seeds that are trained at once have an order each: what belongs to one of them has
a first axis that counts the seeds.
"""

import collections
import concurrent.futures
import functools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from flaxmill.data.permutation import order
from flaxmill.data.reading.readers import Filled, Reading, read_ahead
from flaxmill.data.source import Source, behind
from flaxmill.devices import parallel
from flaxmill.errors import BadInput
from flaxmill.machine.meter import Meter

_CHUNK_BYTES = 64 * 2**20  # of examples sent at a time, whatever their size
_WAITING_BYTES = 256 * 2**20  # of examples that are made ready ahead of time
_LOOK_SECONDS = 0.002  # between looks whether the device still has work


@runtime_checkable
class Durations(Protocol):
    """What a recipe's ``Config`` says about time, all but ``batch_size`` in epochs."""

    @property
    def epochs(self) -> float:
        """How often every training example is seen."""

    @property
    def batch_size(self) -> int:
        """Examples a step."""

    @property
    def log_every(self) -> float:
        """Epochs between rows of training figures."""

    @property
    def evaluate_every(self) -> float:
        """Epochs between evaluations."""

    @property
    def evaluate_on(self) -> str:
        """The split that those evaluations use."""

    @property
    def validation(self) -> int | float:
        """Training examples held out: how many, or which share; 0 for none."""


class Schedule:
    """All the durations of a run, in steps: when it logs, when it evaluates, when it ends.

    Args:
        config: A recipe's config, in epochs.
        examples: Number of training examples, which is an epoch.

    Attributes:
        steps: Training steps in all.
        batch_size: Examples a step.
        steps_per_epoch: Steps an epoch, not rounded.

    Raises:
        BadInput: A duration or the batch size is not positive.
    """

    def __init__(self, config: Durations, examples: int) -> None:
        for name in ("epochs", "batch_size", "log_every", "evaluate_every"):
            if not 0 < getattr(config, name) < math.inf:
                flag = "--" + name.replace("_", "-")
                raise BadInput(f"{flag} {getattr(config, name)} must be a number greater than 0.")
        if config.batch_size > examples:
            raise BadInput(
                f"--batch-size {config.batch_size:,} is larger than the {examples:,} training "
                f"examples: give a number from 1 to {examples:,}."
            )
        self.batch_size = config.batch_size
        self.steps_per_epoch = examples / config.batch_size
        self.steps = max(1, round(config.epochs * self.steps_per_epoch))
        self._log = max(1.0, config.log_every * self.steps_per_epoch)
        self._evaluate = max(1.0, config.evaluate_every * self.steps_per_epoch)
        held_out = config.evaluate_on != "validation" or config.validation
        self._evaluated = (config.evaluate_on,) if held_out else ()

    def epoch(self, step: int) -> float:
        """Returns how many epochs a number of steps is."""
        return round(step / self.steps_per_epoch, 4)

    def logs(self, step: int) -> bool:
        """Says whether a row of training figures ends with this step (the last one always)."""
        return step == self._next(step - 1, self._log)

    def evaluates(self, step: int) -> tuple[str, ...]:
        """Returns the splits to evaluate after this step."""
        return self._evaluated if step == self._next(step - 1, self._evaluate) else ()

    def next_stop(self, step: int) -> int:
        """Returns the next step after ``step`` at which the host has something to do."""
        stops = [self._next(step, self._log)]
        if self._evaluated:
            stops.append(self._next(step, self._evaluate))
        return min(stops)

    def _next(self, step: int, every: float) -> int:
        """Returns the first multiple of ``every``, in whole steps, that comes after ``step``."""
        count = max(1, math.floor(step / every))
        while round(count * every) <= step:
            count += 1
        return min(round(count * every), self.steps)


@dataclass(frozen=True)
class Gear:
    """How chunks reach the device; the numbers that a run computes do not depend on it.

    Args:
        name: "resident" (the data lies on the device), "streaming" (examples are sent), or "auto".
        chunk: Most training steps in one call of the compiled function.
        prefetch: Chunks made ready ahead of time; 0 makes each when it is asked for.
    """

    name: str = "auto"
    chunk: int = 64
    prefetch: int = 2

    def __post_init__(self) -> None:
        if self.name not in ("auto", "resident", "streaming"):
            raise BadInput(f"--gear {self.name!r}: expected auto, resident or streaming.")
        if self.chunk < 1 or self.prefetch < 0:
            raise BadInput("--chunk must be at least 1 and --prefetch at least 0.")

    def choose(self, source: Source) -> "Gear":
        """Settles "auto": resident where the source can be and its data fits the device."""
        can = hasattr(source, "resident")
        if self.name == "resident" and not can:
            raise BadInput("--gear resident: this data is not in memory; leave --gear out.")
        if self.name != "auto":
            return self
        fits = can and _bytes(source.resident()[0]) < parallel.free_bytes() / 2  # pyrefly: ignore
        return Gear("resident" if fits else "streaming", self.chunk, self.prefetch)

    def bounded(self, step_bytes: int) -> "Gear":
        """Returns a streaming gear whose chunks, and those that wait, are of a bounded size.

        Args:
            step_bytes: Size of a step's examples.
        """
        # A chunk has room for all its steps, even where the schedule fills few of them.
        chunk = max(1, min(self.chunk, _CHUNK_BYTES // step_bytes))
        prefetch = min(self.prefetch, max(1, _WAITING_BYTES // (chunk * step_bytes)))
        return Gear(self.name, chunk, prefetch)


def _bytes(arrays: Mapping[str, np.ndarray]) -> int:
    return sum(np.asarray(array).nbytes for array in arrays.values())


@dataclass(frozen=True)
class Chunk:
    """Some consecutive training steps.

    Attributes:
        start: First step.
        stop: The step after the last one: the number of steps done when the chunk is.
        inputs: What the compiled function takes, on the device.
    """

    start: int
    stop: int
    inputs: dict[str, Any]


@runtime_checkable
class Runtime(Protocol):
    """The part of a run that decides how chunks are made."""

    seeds: tuple[int, ...]
    schedule: Schedule
    step: int
    gear: Gear
    reading: Reading
    mesh: jax.sharding.Mesh | None
    meter: Meter

    def steps_per_call(self) -> int:
        """Returns how many steps one call should have at most, so that the host is asked often."""


def batches(source: Source, run: Runtime) -> Iterator[Chunk]:
    """Yields the rest of a run as chunks of full batches, made ready while the device computes.

    A chunk never runs across a step at which the run logs or evaluates. It holds up to
    ``run.gear.chunk`` steps, fewer where streamed examples are large; its arrays have room for so
    many, whatever it holds, so that the compiled function has one shape.

    Args:
        source: The training data.
        run: When it stops to log and to evaluate (``run.schedule``), where it begins
            (``run.step``), its seeds, gear, readers and mesh.

    Raises:
        Unreadable: An example cannot be read; the message names it.
    """
    gear = run.gear.choose(source)
    make = _resident if gear.name == "resident" else _streaming
    return make(source, run, gear)


def _spans(run: Runtime, most: int) -> Iterator[tuple[int, int]]:
    """Yields the first and last step of each chunk."""
    start, schedule = run.step, run.schedule
    while start < schedule.steps:
        stop = min(schedule.next_stop(start), start + min(most, run.steps_per_call()))
        yield start, stop
        start = stop


def _arrived(result: Future[Any], *, meter: Meter) -> Any:
    """Waits for a chunk, and measures for how long of that the device has no work."""
    idle_since = None
    while not result.done():
        if idle_since is None and not meter.busy():
            idle_since = time.perf_counter()
        concurrent.futures.wait([result], timeout=_LOOK_SECONDS)
    if idle_since is not None:
        meter.waited(time.perf_counter() - idle_since)
    return result.result()


def _resident(source: Any, run: Runtime, gear: Gear) -> Iterator[Chunk]:
    """Puts the data on the device once; a chunk is the rows in it."""
    whole, _ = behind(source, np.arange(0))
    if hasattr(whole, "verify"):  # it knows digests of what it holds
        whole.verify()
    arrays, rows = source.resident()
    on_device = parallel.replicate({name: np.asarray(a) for name, a in arrays.items()}, run.mesh)

    def make(start: int, stop: int) -> Chunk:
        ids, inputs = _inputs(len(source), run, gear, start, stop)
        inputs["rows"] = _padded(rows(ids).astype(np.int32), gear.chunk, ids.ndim - 2)
        inputs = parallel.split_batches(inputs, run.mesh)
        return Chunk(start, stop, inputs | {"resident": on_device})

    waiting: collections.deque[Future[Chunk]] = collections.deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
    try:
        for span in _spans(run, gear.chunk):
            waiting.append(pool.submit(make, *span))
            if len(waiting) > gear.prefetch:
                yield _arrived(waiting.popleft(), meter=run.meter)
        while waiting:
            yield _arrived(waiting.popleft(), meter=run.meter)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _streaming(source: Source, run: Runtime, gear: Gear) -> Iterator[Chunk]:
    """Reads the examples of a chunk and sends them, while the device computes an earlier one."""
    step_size = run.schedule.batch_size * len(run.seeds)
    gear = gear.bounded(step_size * _bytes(run.reading.first(source)))
    # On CPU, an array on the device is the host's own; elsewhere it is a copy.
    copied = jax.default_backend() != "cpu"

    def requests() -> Iterator[tuple[np.ndarray, Any]]:
        for start, stop in _spans(run, gear.chunk):
            ids, inputs = _inputs(len(source), run, gear, start, stop)
            wanted = _padded(ids, gear.chunk, ids.ndim - 2, fill=-1)
            yield wanted.reshape(-1), (start, stop, wanted.shape, inputs)

    def send(about: Any, filled: Filled) -> Chunk:
        start, stop, shape, inputs = about
        examples = {
            n: array.reshape(*shape, *array.shape[1:]) for n, array in filled.arrays.items()
        }
        sent = parallel.split_batches(inputs | {"examples": examples}, run.mesh)
        if copied:  # so that the host's arrays can be filled again
            jax.block_until_ready(sent)
        return Chunk(start, stop, sent)

    return read_ahead(
        source,
        requests(),
        run.reading,
        ahead=gear.prefetch,
        finish=send,
        replace=True,
        reuse=copied,
        wait=functools.partial(_arrived, meter=run.meter),
    )


def _inputs(
    length: int, run: Runtime, gear: Gear, start: int, stop: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Returns the ids of a chunk's examples, and what both gears send along."""
    schedule = run.schedule
    orders = [order(start, stop, schedule.batch_size, length, seed) for seed in run.seeds]
    keys = [np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32) for seed in run.seeds]
    ids, epochs, key = (_joined(parts) for parts in (*zip(*orders, strict=True), keys))
    return ids, {
        "count": np.int32(stop - start),
        "fresh": np.bool_(start == 0 or schedule.logs(start)),  # a new row of figures begins here
        "seed": key,
        "ids": _padded(ids.astype(np.uint32), gear.chunk, ids.ndim - 2),
        "epochs": _padded(epochs, gear.chunk, ids.ndim - 2),
    }


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Gives the arrays of several seeds a first axis; that of a single one stays as it is."""
    return parts[0] if len(parts) == 1 else np.stack(parts)


def _padded(array: np.ndarray, length: int, axis: int, *, fill: int = 0) -> np.ndarray:
    """Makes room for ``length`` steps on an axis; what the chunk does not fill is never read."""
    steps = array.shape[axis]
    if steps == length:
        return array
    full = np.full((*array.shape[:axis], length, *array.shape[axis + 1 :]), fill, array.dtype)
    full[(slice(None),) * axis + (slice(steps),)] = array
    return full
