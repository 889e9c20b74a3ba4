"""Examples of many requests, gathered into batches: each batch is one call of the model.

The model runs in a thread of its own. While it computes, requests gather; when it is done it takes
what has come, at once, without asking the event loop. So a lone request never waits for company,
and under load batches fill by themselves.
"""

import asyncio
import logging
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from flaxmill.serve.refusal import Busy

Outputs = dict[str, np.ndarray]
ModelFunction = Callable[[np.ndarray], Mapping[str, np.ndarray]]

logger = logging.getLogger(__name__)


def batch_choices(seconds: Mapping[int, float]) -> list[int]:
    """Returns, for each number of waiting examples, the batch size that answers most a second.

    Where a batch costs as much as its examples one by one (a processor), 33 examples are a batch
    of 32 and one that waits; where it costs the same whatever its size (an accelerator), they are
    a padded batch of 64.

    Args:
        seconds: Batch size -> what a batch of that size takes.

    >>> batch_choices({1: 1.0, 2: 2.0, 4: 4.0})[1:]
    [1, 2, 2, 4]
    >>> batch_choices({1: 1.0, 2: 1.0, 4: 1.0})[1:]
    [1, 2, 4, 4]
    """

    def rate(size: int, count: int) -> tuple[float, int]:
        return min(count, size) / seconds[size], min(count, size)

    return [1] + [
        max(sorted(seconds), key=lambda size, count=count: rate(size, count))
        for count in range(1, max(seconds) + 1)
    ]


class _Request:
    """The examples of one request, on their way through one batch or several."""

    __slots__ = ("begun", "count", "due", "examples", "future", "parts")

    def __init__(self, examples: Any, count: int, due: float, future: asyncio.Future) -> None:
        self.examples = examples
        self.count = count
        self.due = due
        self.future = future
        self.begun = 0  # examples that went into batches so far
        self.parts: list[Outputs] = []


class _Piece(NamedTuple):
    """Those examples of a request that go into one batch."""

    request: _Request
    examples: Any
    count: int


class Batcher:
    """Answers concurrent requests together.

    Args:
        model: Takes a batch, gives outputs by name; called by one thread only.
        shape: Of one example.
        dtype: Of its numbers.
        seconds: Batch size -> what a batch of that size takes.
        capacity: Examples that may wait or be computed at a time.
        loop: The event loop that asks.
        max_wait: Seconds to wait for a fuller batch when the model is free.
        on_batch: Called after each batch with its examples and seconds.
    """

    def __init__(
        self,
        model: ModelFunction,
        shape: tuple[int, ...],
        dtype: np.dtype,
        seconds: Mapping[int, float],
        *,
        capacity: int,
        loop: asyncio.AbstractEventLoop,
        max_wait: float = 0.0,
        on_batch: Callable[[int, float], None] | None = None,
    ) -> None:
        self.example_bytes = dtype.itemsize * int(np.prod(shape))
        self.capacity = capacity
        self.waiting = 0
        self._loop = loop
        self._inbox: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        choices = batch_choices(seconds)
        gathering = _Gathering(self._inbox, choices, self.example_bytes, max_wait)
        computing = _Computing(model, shape, dtype, sorted(seconds), loop, on_batch)

        def work() -> None:
            while pieces := gathering.next(computing.fail):
                computing.compute(pieces)

        threading.Thread(target=work, name="model", daemon=True).start()
        # The thread holds no reference to this object: once no request does either, it ends.
        weakref.finalize(self, self._inbox.put, None)

    async def __call__(self, examples: Any, count: int, due: float) -> Outputs:
        """Returns the model's outputs for some examples.

        Args:
            examples: Their bytes, one example after the other.
            count: How many.
            due: When the model must have begun with them, on the monotonic clock.

        Raises:
            Busy: No room for them, or they waited longer than they may.
            Exception: What the model raised for these examples.
        """
        if self.waiting + count > self.capacity:
            raise Busy(
                f"the server is busy: {self.waiting:,} examples wait, {count:,} more would be over "
                f"{self.capacity:,}. Ask again in a second."
            )
        request = _Request(examples, count, due, self._loop.create_future())
        self.waiting += count
        try:
            self._inbox.put(request)
            return await request.future
        finally:  # also when the client has left, whose place is free at once
            self.waiting -= count
            request.examples = None


class _Gathering:
    """Takes from the inbox what fits into the next batch."""

    def __init__(
        self,
        inbox: "queue.SimpleQueue[_Request | None]",
        choices: list[int],
        example_bytes: int,
        max_wait: float,
    ) -> None:
        self._inbox = inbox
        self._choices = choices
        self._largest = len(choices) - 1
        self._example_bytes = example_bytes
        self._max_wait = max_wait
        self._open: deque[_Request] = deque()

    def next(self, fail: Callable[[_Request, Exception], None]) -> list[_Piece]:
        """Waits for examples; returns those of the next batch, or none at the very end."""
        while True:
            if not self._open:
                if (first := self._inbox.get()) is None:
                    return []
                self._open.append(first)
            self._take_arrivals()
            self._drop(fail)
            if pieces := self._cut():
                return pieces

    def _take_arrivals(self) -> None:
        count = sum(request.count - request.begun for request in self._open)
        until = time.monotonic() + self._max_wait if self._max_wait else 0.0
        try:
            while count < self._largest:
                if until and (left := until - time.monotonic()) > 0:
                    request = self._inbox.get(timeout=left)
                else:
                    request = self._inbox.get_nowait()
                if request is None:  # the end, which nobody waits for
                    self._inbox.put(None)
                    return
                self._open.append(request)
                count += request.count
        except queue.Empty:
            pass

    def _drop(self, fail: Callable[[_Request, Exception], None]) -> None:
        """Leaves out whoever has gone, and whoever has waited too long."""
        now = time.monotonic()
        waiting: deque[_Request] = deque()
        for request in self._open:
            if request.future.cancelled() or request.examples is None:
                continue
            if request.due < now and not request.begun:
                fail(
                    request, Busy("the server is busy: these examples waited longer than they may.")
                )
                continue
            waiting.append(request)
        self._open = waiting

    def _cut(self) -> list[_Piece]:
        """Returns the pieces of the batch size that answers most a second."""
        count = sum(request.count - request.begun for request in self._open)
        room = self._choices[min(count, self._largest)]
        pieces = []
        while room and self._open:
            request = self._open[0]
            examples = request.examples
            begin, end = request.begun, min(request.count, request.begun + room)
            if end == request.count:
                self._open.popleft()
            if examples is None:  # left between two looks
                continue
            if end - begin < request.count:
                size = self._example_bytes
                examples = memoryview(examples)[begin * size : end * size]
            request.begun = end
            room -= end - begin
            pieces.append(_Piece(request, examples, end - begin))
        return pieces


class _Computing:
    """Calls the model with a batch, and gives each request its own outputs."""

    def __init__(
        self,
        model: ModelFunction,
        shape: tuple[int, ...],
        dtype: np.dtype,
        sizes: list[int],
        loop: asyncio.AbstractEventLoop,
        on_batch: Callable[[int, float], None] | None,
    ) -> None:
        self._model = model
        self._shape = shape
        self._dtype = dtype
        self._sizes = sizes
        self._padding = bytes(max(sizes) * dtype.itemsize * int(np.prod(shape)))
        self._loop = loop
        self._on_batch = on_batch

    def compute(self, pieces: list[_Piece]) -> None:
        """Computes a batch; if that fails, each request alone, so that one harms no other."""
        begun = time.perf_counter()
        try:
            outputs = self._outputs(pieces)
        except Exception as trouble:
            logger.exception("the model failed with a batch of %d requests", len(pieces))
            if len(pieces) == 1:
                self.fail(pieces[0].request, trouble)
            else:
                for piece in pieces:
                    self.compute([piece])
            return
        if self._on_batch is not None:
            self._on_batch(sum(piece.count for piece in pieces), time.perf_counter() - begun)
        done = []
        start = 0
        for request, _, count in pieces:
            part = {name: array[start : start + count] for name, array in outputs.items()}
            start += count
            if count < request.count:
                request.parts.append(part)
                if request.begun < request.count:
                    continue
                part = {
                    name: np.concatenate([each[name] for each in request.parts]) for name in part
                }
            done.append((request.future, part))
        self._notify(_succeed, done)

    def fail(self, request: _Request, trouble: Exception) -> None:
        """Ends a request with an exception."""
        request.examples = None  # what is left of it goes into no other batch
        self._notify(_fail, request.future, trouble)

    def _notify(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:  # the loop has ended, and with it whoever asked
            logger.debug("an answer came after the server's end")

    def _outputs(self, pieces: list[_Piece]) -> Mapping[str, np.ndarray]:
        count = sum(piece.count for piece in pieces)
        size = next(size for size in self._sizes if size >= count)
        parts = [piece.examples for piece in pieces]
        if size > count:
            parts.append(self._padding[: len(self._padding) // self._sizes[-1] * (size - count)])
        batch = np.frombuffer(b"".join(parts), self._dtype).reshape(size, *self._shape)
        return self._model(batch)


def _succeed(answers: list[tuple["asyncio.Future[Outputs]", Outputs]]) -> None:
    for future, outputs in answers:
        if not future.done():  # its client may have left
            future.set_result(outputs)


def _fail(future: "asyncio.Future[Outputs]", trouble: Exception) -> None:
    if not future.done():
        future.set_exception(trouble)
