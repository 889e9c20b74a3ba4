"""Examples read by several threads at once, in their order and ahead of their use.

Each request is cut into small pieces, and all readers work on the request that is due first, so
that it is there soon. Each piece goes straight into its place in an array; how the pieces are cut,
and who reads which, changes nothing in the result. A reader is a thread, for decoding mostly
releases Python's lock (the GIL). Each thread has a process that reads for it where that is asked
for, or where a source says that its own decoding holds the lock (``holds_gil = True``).
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from flaxmill.data.reading.process import ReaderProcess, pickle_source
from flaxmill.data.reading.unreadable import none_readable, read_first
from flaxmill.data.source import Example, Source, unwrap_views
from flaxmill.errors import BadInput

Take = Callable[[np.ndarray], Example]
_PIECE_SECONDS = 0.02
"""Duration of a piece: long enough to be worth handing out, short enough to end soon."""
_PIECE_BYTES = 2**20
"""Largest size of a piece, decoded: it exists twice until it is copied to its place."""
_ALIGNMENT = 64
"""In bytes, of arrays that a CPU device can use without a copy."""
_FIRST = 8
"""Examples of the first piece, when it is not known yet how long one takes."""


@dataclass
class Reading:
    """How examples are read, and which of them could not be.

    Attributes:
        readers: How many read at once; 0 for as many as there are cores.
        skip_unreadable: Whether training replaces an example that cannot be read by a neighbour,
            and evaluation leaves it out; otherwise it ends the run.
        processes: Whether they are processes, also where the source does not ask for that.
        unreadable: A message for each example that could not be read, in the order of their use.
    """

    readers: int = 0
    skip_unreadable: bool = False
    processes: bool = False
    unreadable: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.readers < 0:
            raise BadInput(f"--readers {self.readers}: give 1 or more, or 0 for one a core.")

    def count(self) -> int:
        """Returns the number of readers."""
        from flaxmill.devices import parallel

        return self.readers or parallel.threads()

    def first(self, source: Source) -> Example:
        """Returns the first example of a source that can be read.

        Raises:
            Unreadable: The first one cannot be, and is not to be skipped; or none can.
        """
        examples: list[Example] = []

        def read(index: int) -> None:
            examples.append({name: np.asarray(value) for name, value in source[index].items()})

        done, messages = read_first(read, range(len(source)), {}, skip=self.skip_unreadable)
        if not done:
            raise none_readable(len(source), messages)
        return examples[0]


@dataclass
class Filled:
    """The examples of a request, in the order of their ids.

    Attributes:
        arrays: Name -> array whose first axis counts the ids.
        unreadable: Messages about the places whose example could not be read.
    """

    arrays: dict[str, np.ndarray]
    unreadable: dict[int, list[str]] = field(default_factory=dict)

    def messages(self) -> list[str]:
        """Returns the messages, in the order of the places."""
        return [why for place in sorted(self.unreadable) for why in self.unreadable[place]]


def read_ahead(
    source: Source,
    requests: Iterable[tuple[np.ndarray, Any]],
    reading: Reading,
    *,
    ahead: int,
    finish: Callable[[Any, Filled], Any],
    replace: bool = False,
    reuse: bool = False,
    wait: Callable[[Future[Any]], Any] = Future.result,
) -> Iterator[Any]:
    """Reads examples ahead, and yields what ``finish`` makes of them, in the order of the requests.

    Args:
        source: Where examples are read from.
        requests: The ids of examples, in one dimension and always as many; -1 stands for a place
            that stays empty. Beside them, whatever ``finish`` needs to know. Each request is drawn
            when its turn comes.
        reading: How; what could not be read is noted there when it is yielded.
        ahead: How many requests are read, or wait, beyond the one that is asked for.
        finish: Turns the examples of a request into what is yielded, in a reader's thread.
        replace: With ``skip_unreadable``, whether the next example that can be read (the first
            comes after the last) replaces one that cannot; otherwise that is zeros.
        reuse: Whether the arrays can be overwritten once ``finish`` has returned.
        wait: Waits for a result, and returns it.

    Raises:
        Unreadable: An example cannot be read; the message names it.
    """
    readers = _Readers(source, reading, finish, replace=replace, reuse=reuse)
    waiting: deque[Future[Any]] = deque()

    def next_result() -> Any:
        filled, result = wait(waiting.popleft())
        reading.unreadable.update(dict.fromkeys(filled.messages()))
        return result

    try:
        for ids, about in requests:
            waiting.append(readers.read(ids, about))
            if len(waiting) > ahead:
                yield next_result()
        while waiting:
            yield next_result()
    finally:
        readers.close()


class _Request:
    """Examples that are being read."""

    def __init__(self, ids: np.ndarray, about: Any, filled: Filled) -> None:
        self.ids, self.about, self.filled = ids, about, filled
        self.places = np.flatnonzero(ids >= 0)
        self.handed_out = 0
        self.left = len(self.places)
        self.result: Future[Any] = Future()

    def cut(self, count: int) -> np.ndarray:
        """Returns the next places to read examples for."""
        places = self.places[self.handed_out : self.handed_out + count]
        self.handed_out += len(places)
        return places


class _Readers:
    """The threads of `read_ahead`."""

    def __init__(
        self,
        source: Source,
        reading: Reading,
        finish: Callable[[Any, Filled], Any],
        *,
        replace: bool,
        reuse: bool,
    ) -> None:
        self._source, self._skip, self._finish = source, reading.skip_unreadable, finish
        self._replace, self._reuse = replace, reuse
        self._length = len(source)
        first = reading.first(source)
        self._form = {name: (value.shape, value.dtype) for name, value in first.items()}
        self._bytes = max(1, sum(value.nbytes for value in first.values()))
        self._seconds: float | None = None  # that an example takes, the last time one was read
        self._unreadable: dict[int, str] = {}  # so that none is tried over and over
        self._pickled = _pickle_for_processes(source, reading.processes)
        self._open: deque[_Request] = deque()
        self._rooms: list[dict[str, np.ndarray]] = []
        self._closed = False
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"reader-{number}", daemon=True)
            for number in range(reading.count())
        ]
        for thread in self._threads:
            thread.start()

    def read(self, ids: np.ndarray, about: Any) -> Future[Any]:
        """Requests examples; returns the future of them, and of what is made of them."""
        request = _Request(ids, about, Filled(self._room(len(ids))))
        with self._change:
            self._open.append(request)
            self._change.notify_all()
        return request.result

    def close(self) -> None:
        """Ends the threads, after the pieces they are at."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join()

    # In the threads.

    def _work(self) -> None:
        process: ReaderProcess | None = None
        room = max(_PIECE_BYTES, self._bytes) + 2**12
        try:
            while (piece := self._next()) is not None:
                request, places = piece
                try:
                    if self._pickled is not None and process is None:
                        process = ReaderProcess(self._pickled, room)
                    self._fill(self._taking(process), request, places)
                    self._count(request, len(places))
                except BaseException as trouble:
                    self._fail(request, trouble)
        finally:
            if process is not None:
                process.close()

    def _taking(self, process: ReaderProcess | None) -> Take:
        """Returns what reads examples: here, or in a process with the source behind all views."""
        if process is None:
            return self._source.take
        return lambda indices: process.take(unwrap_views(self._source, indices)[1])

    def _next(self) -> tuple[_Request, np.ndarray] | None:
        """Waits for a piece to read; None is the end."""
        with self._change:
            while not self._open and not self._closed:
                self._change.wait()
            if self._closed:
                return None
            request = self._open[0]
            count = _FIRST if self._seconds is None else int(_PIECE_SECONDS / self._seconds)
            share = -(-len(request.places) // len(self._threads))
            count = min(count, share, _PIECE_BYTES // self._bytes)
            places = request.cut(max(1, count))
            if request.handed_out == len(request.places):
                self._open.popleft()
            return request, places

    def _fill(self, take: Take, request: _Request, places: np.ndarray) -> None:
        """Reads examples into their places; one by one where they cannot be read together."""
        ids, start = request.ids[places], time.perf_counter()
        try:
            self._put(request, places, take(ids))
        except Exception:
            for place, index in zip(places.tolist(), ids.tolist(), strict=True):
                self._fill_one(take, request, place, index)
        self._seconds = max(1e-9, (time.perf_counter() - start) / max(1, len(ids)))

    def _fill_one(self, take: Take, request: _Request, place: int, index: int) -> None:
        """Reads an example into its place, or the next one that can be read, or leaves zeros."""
        where = np.array([place])

        def read(at: int) -> None:
            self._put(request, where, take(np.array([at])))

        tries = self._length if self._replace else 1
        candidates = ((index + more) % self._length for more in range(tries))
        done, messages = read_first(read, candidates, self._unreadable, skip=self._skip)
        if not done and self._replace:
            raise none_readable(self._length, messages)
        if not done:
            for array in request.filled.arrays.values():
                array[place] = 0
        if messages:
            request.filled.unreadable[place] = messages

    def _put(self, request: _Request, places: np.ndarray, examples: Example) -> None:
        together = len(places) and places[-1] - places[0] + 1 == len(places)
        where = slice(places[0], places[-1] + 1) if together else places
        for name, (shape, _) in self._form.items():
            values = np.asarray(examples[name])
            if values.shape[1:] != shape:
                raise BadInput(
                    f"example {request.ids[places[0]]:,} has {name!r} of the shape "
                    f"{values.shape[1:]}, the first one of {shape}: all need the same."
                )
            request.filled.arrays[name][where] = values

    def _count(self, request: _Request, read: int) -> None:
        """Completes a request when the last of its examples was read."""
        with self._change:
            request.left -= read
            done = request.left == 0 and not request.result.done()
        if done:
            result = self._finish(request.about, request.filled)
            if self._reuse:
                self._rooms.append(request.filled.arrays)
                request.filled = Filled({}, request.filled.unreadable)
            request.result.set_result((request.filled, result))

    def _fail(self, request: _Request, trouble: BaseException) -> None:
        with self._change:
            if request in self._open:
                self._open.remove(request)
            if not request.result.done():
                request.result.set_exception(trouble)

    def _room(self, length: int) -> dict[str, np.ndarray]:
        """Returns arrays for examples; those that are used again hold their old values."""
        if self._rooms:
            return self._rooms.pop()
        return {
            n: _aligned_zeros((length, *shape), dtype) for n, (shape, dtype) in self._form.items()
        }


def _pickle_for_processes(source: Any, processes: bool) -> bytes | None:
    """Pickles the source behind all views, for processes; None where threads will do."""
    source, _ = unwrap_views(source, np.arange(0))
    wrapped = getattr(source, "items", None)  # of a source that wraps something else
    held = getattr(source, "holds_gil", False) or getattr(wrapped, "holds_gil", False)
    return pickle_source(source) if processes or held else None


def _aligned_zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns zeros that a CPU device can use without a copy; those never written cost nothing."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size].view(dtype).reshape(shape)
