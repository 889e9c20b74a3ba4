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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from flaxmill.data.reading.readers import Filled, Reading, read_ahead
from flaxmill.data.schedule import Schedule
from flaxmill.data.sizes import Sized, size_schedule, sources_of, step_examples
from flaxmill.data.source import Source, unwrap_views
from flaxmill.devices import parallel
from flaxmill.errors import BadInput
from flaxmill.machine.meter import Meter

_CHUNK_BYTES = 64 * 2**20  # of examples sent at a time, whatever their size
_WAITING_BYTES = 256 * 2**20  # of examples that are read ahead of time
_LOOK_SECONDS = 0.002  # between looks whether the device still has work


@dataclass(frozen=True)
class Gear:
    """How chunks reach the device; the numbers that a run computes do not depend on it.

    Args:
        name: "resident" (the data lies on the device), "streaming" (examples are sent), or "auto".
        chunk: Most training steps in one call of the compiled function.
        prefetch: Chunks made ahead of time; 0 makes each when it is asked for.
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
        """Resolves "auto": resident if the source can be and its data fits the device."""
        every = sources_of(source)
        can = all(hasattr(part, "resident") for part in every)
        if self.name == "resident" and not can:
            raise BadInput("--gear resident: this data is not in memory; leave --gear out.")
        if self.name != "auto":
            return self
        size = sum(_bytes(part.resident()[0]) for part in every) if can else 0  # pyrefly: ignore
        fits = can and size < parallel.free_bytes() / 2
        return Gear("resident" if fits else "streaming", self.chunk, self.prefetch)

    def bounded(self, step_bytes: int) -> "Gear":
        """Returns a streaming gear that bounds the size of chunks, and of those that wait.

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
class ChunkForm:
    """The arrays of chunks of one size of examples, for a function that is compiled for it.

    Attributes:
        share: Of the examples, that are of this size.
        blank: Makes such inputs on the device, of zeros.
    """

    share: float
    blank: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Chunk:
    """Some consecutive training steps.

    Attributes:
        start: First step.
        stop: The step after the last one: the number of steps done when the chunk is.
        inputs: What the compiled function takes, on the device.
        size: Index of the size of its examples.
        forms: Those of the chunks of every size, if there is more than one.
    """

    start: int
    stop: int
    inputs: dict[str, Any]
    size: int = 0
    forms: tuple[ChunkForm, ...] = ()


@runtime_checkable
class BatchRuntime(Protocol):
    """The part of a run that decides how chunks are made."""

    seeds: tuple[int, ...]
    schedule: Schedule
    step: int
    gear: Gear
    reading: Reading
    mesh: jax.sharding.Mesh | None
    meter: Meter

    def steps_per_call(self) -> int:
        """Returns how many steps one call should have at most, for the host to get its turn."""


def batches(source: Source, run: BatchRuntime) -> Iterator[Chunk]:
    """Yields the rest of a run as chunks of full batches, made while the device computes.

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


def _spans(source: Source, run: BatchRuntime, most: int) -> Iterator[tuple[int, int]]:
    """Yields the first and last step of each chunk, whose examples are of one size."""
    start, schedule = run.step, run.schedule
    sizes = size_schedule(source, schedule.batch_size)
    while start < schedule.steps:
        stop = min(schedule.next_stop(start), start + min(most, run.steps_per_call()))
        stop = min(stop, sizes.until(start)) if sizes else stop
        yield start, stop
        start = stop


def _wait_for(result: Future[Any], *, meter: Meter) -> Any:
    """Waits for a chunk, and measures how long the device has no work meanwhile."""
    idle_since = None
    while not result.done():
        if idle_since is None and not meter.busy():
            idle_since = time.perf_counter()
        concurrent.futures.wait([result], timeout=_LOOK_SECONDS)
    if idle_since is not None:
        meter.add_wait(time.perf_counter() - idle_since)
    return result.result()


def _resident(source: Any, run: BatchRuntime, gear: Gear) -> Iterator[Chunk]:
    """Puts the data on the device once; a chunk holds rows of it."""
    resident = [_on_device(part, run) for part in sources_of(source)]

    def blank(size: int) -> dict[str, Any]:
        inputs, _ = _inputs(source, run, gear, run.step, run.step)
        inputs["rows"] = np.zeros(inputs["ids"].shape, np.int32)
        return parallel.split_batches(inputs, run.mesh) | {"resident": resident[size][0]}

    forms = _forms(source, blank)

    def make(start: int, stop: int) -> Chunk:
        inputs, (_, places, size) = _inputs(source, run, gear, start, stop)
        arrays, rows = resident[size]
        inputs["rows"] = _pad_steps(rows(places).astype(np.int32), gear.chunk, places.ndim - 2)
        inputs = parallel.split_batches(inputs, run.mesh)
        return Chunk(start, stop, inputs | {"resident": arrays}, size, forms)

    waiting: collections.deque[Future[Chunk]] = collections.deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
    try:
        for span in _spans(source, run, gear.chunk):
            waiting.append(pool.submit(make, *span))
            if len(waiting) > gear.prefetch:
                yield _wait_for(waiting.popleft(), meter=run.meter)
        while waiting:
            yield _wait_for(waiting.popleft(), meter=run.meter)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _on_device(part: Any, run: BatchRuntime) -> tuple[dict[str, Any], Callable[..., np.ndarray]]:
    """Puts data of one size on the device; returns it, and a map from indices to its rows."""
    whole, _ = unwrap_views(part, np.arange(0))
    if hasattr(whole, "verify"):  # it knows digests of what it holds
        whole.verify()
    arrays, rows = part.resident()
    return parallel.replicate({n: np.asarray(a) for n, a in arrays.items()}, run.mesh), rows


def _forms(source: Source, blank: Callable[[int], dict[str, Any]]) -> tuple[ChunkForm, ...]:
    """Returns the forms of chunks of each size; nothing if there is only one."""
    counts = source.counts if isinstance(source, Sized) else []
    return tuple(
        ChunkForm(count / len(source), functools.partial(blank, size))
        for size, count in enumerate(counts)
    )


def _streaming(source: Source, run: BatchRuntime, gear: Gear) -> Iterator[Chunk]:
    """Reads the examples of a chunk and sends them, while the device computes an earlier one."""
    step_size = run.schedule.batch_size * len(run.seeds)
    first = run.reading.first(source)
    gear = gear.bounded(step_size * _bytes(first))
    # On CPU, an array on the device is the host's own; elsewhere it is a copy.
    copied = jax.default_backend() != "cpu"

    def cut(examples: dict[str, Any], size: int, axis: int) -> dict[str, Any]:
        return source.cut(examples, size, axis) if isinstance(source, Sized) else examples

    def blank(size: int) -> dict[str, Any]:
        inputs = _inputs(source, run, gear, run.step, run.step)[0]
        shape = inputs["ids"].shape  # [(seed,) step, batch]
        none = {n: np.zeros((*shape, *value.shape), value.dtype) for n, value in first.items()}
        examples = cut(none, size, len(shape))
        return parallel.split_batches(inputs | {"examples": examples}, run.mesh)

    forms = _forms(source, blank)

    def requests() -> Iterator[tuple[np.ndarray, Any]]:
        for start, stop in _spans(source, run, gear.chunk):
            inputs, (ids, _, size) = _inputs(source, run, gear, start, stop)
            padded = _pad_steps(ids, gear.chunk, ids.ndim - 2, fill=-1)
            yield padded.reshape(-1), (start, stop, padded.shape, inputs, size)

    def send(about: Any, filled: Filled) -> Chunk:
        start, stop, shape, inputs, size = about
        examples = {
            n: array.reshape(*shape, *array.shape[1:]) for n, array in filled.arrays.items()
        }
        examples = cut(examples, size, len(shape))  # [(seed,) step, batch, …]
        sent = parallel.split_batches(inputs | {"examples": examples}, run.mesh)
        if copied:  # so that the host's arrays can be filled again
            jax.block_until_ready(sent)
        return Chunk(start, stop, sent, size, forms)

    return read_ahead(
        source,
        requests(),
        run.reading,
        ahead=gear.prefetch,
        finish=send,
        replace=True,
        reuse=copied,
        wait=functools.partial(_wait_for, meter=run.meter),
    )


def _inputs(
    source: Source, run: BatchRuntime, gear: Gear, start: int, stop: int
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray, int]]:
    """Returns what both gears send, and the ids, places and size index of a chunk's examples."""
    schedule = run.schedule
    sizes = size_schedule(source, schedule.batch_size)
    orders = [step_examples(source, schedule.batch_size, start, stop, seed) for seed in run.seeds]
    keys = [np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32) for seed in run.seeds]
    ids, places, epochs, key = (_stack_seeds(some) for some in (*zip(*orders, strict=True), keys))
    return {
        "count": np.int32(stop - start),
        "fresh": np.bool_(start == 0 or schedule.logs(start)),  # a new row of figures begins here
        "seed": key,
        "ids": _pad_steps(ids.astype(np.uint32), gear.chunk, ids.ndim - 2),
        "epochs": _pad_steps(epochs, gear.chunk, ids.ndim - 2),
    }, (ids, places, sizes.size(start) if sizes else 0)


def _stack_seeds(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks the arrays of several seeds along a first axis; that of one seed stays as it is."""
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def _pad_steps(array: np.ndarray, length: int, axis: int, *, fill: int = 0) -> np.ndarray:
    """Pads an axis to ``length`` steps; the padding is never read."""
    steps = array.shape[axis]
    if steps == length:
        return array
    full = np.full((*array.shape[:axis], length, *array.shape[axis + 1 :]), fill, array.dtype)
    full[(slice(None),) * axis + (slice(steps),)] = array
    return full
