"""A process that reads examples for a thread, so that Python's lock (the GIL) is not in the way.

It is started anew, never forked off a process in which JAX has threads; it ends when the other
side of its pipe does, even one that was killed. Examples come through memory that both share.
"""

import contextlib
import multiprocessing
import pickle
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from flaxmill.data.source import Example
from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine import processes, signals

_ALIGNMENT = 64


def pickle_source(source: Any) -> bytes:
    """Pickles a source for the processes that read from it.

    Raises:
        BadInput: It cannot be pickled.
    """
    try:
        return pickle.dumps(source)
    except Exception as trouble:
        raise BadInput(
            f"{type(source).__name__} is to be read by processes, but it cannot be pickled for "
            f"them ({trouble}). Give it plain attributes (no lambda, lock or open file); or have "
            f"threads read it, without --reader-processes and holds_gil."
        ) from trouble


class ReaderProcess:
    """Takes examples from a source in another process.

    Args:
        source: As `pickle_source` returns it.
        room: Bytes of shared memory; examples of one call that take more are sent, more slowly.

    Raises:
        BadInput: The source cannot be made anew there.
        CannotGoOn: The process has ended.
    """

    def __init__(self, source: bytes, room: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # Python may start a process that tracks the memory.
        with processes.safe_path(), signals.blocked_for_children():
            self._shared = SharedMemory(create=True, size=room)
        arguments = (theirs, source, self._shared.name)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        # Once more: that has had Ctrl-C and SIGTERM through.
        with processes.safe_path(), signals.blocked_for_children():
            self._process.start()
        theirs.close()
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples; the next call overwrites them.

        Raises:
            CannotGoOn: The process has ended.
            Exception: What the source raised there.
        """
        with contextlib.suppress(OSError):  # if it has ended, receiving says so
            self._pipe.send(indices)
        result = self._receive()
        if isinstance(result, _Shared):
            return result.views(_memory(self._shared))
        return result

    def _receive(self) -> Any:
        try:
            result = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise CannotGoOn(
                f"a process that reads examples has ended (exit code {self._process.exitcode}). If "
                f"it was killed, memory may be short: try fewer --readers. A script of yours that "
                f'trains must do so below if __name__ == "__main__".'
            ) from None
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._pipe.close()
        self._process.kill()  # whatever else could ask it to end is this process's to answer
        self._process.join()
        self._shared.unlink()
        with contextlib.suppress(BufferError):  # the last examples are still in use
            self._shared.close()


class _Shared:
    """Shapes, types and offsets of the arrays of examples in shared memory."""

    def __init__(self, examples: Mapping[str, np.ndarray]) -> None:
        self.form: dict[str, tuple[tuple[int, ...], np.dtype, int]] = {}
        self.size = 0
        for name, array in examples.items():
            self.form[name] = array.shape, array.dtype, self.size
            self.size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT

    def views(self, memory: memoryview) -> dict[str, np.ndarray]:
        """Returns the arrays."""
        return {
            name: np.ndarray(shape, dtype, memory, offset)
            for name, (shape, dtype, offset) in self.form.items()
        }


def _serve(pipe: Connection, pickled_source: bytes, shared: str) -> None:
    """Answers with examples until the other side is gone."""
    block = SharedMemory(shared)
    memory = _memory(block)
    with contextlib.suppress(EOFError, OSError):
        try:
            source, result = pickle.loads(pickled_source), None
        except Exception as trouble:
            _send(pipe, _load_error(trouble))
            return
        while True:
            _send(pipe, result)
            indices = pipe.recv()
            try:
                examples = {n: np.asarray(a) for n, a in source.take(indices).items()}
                result = _put(examples, memory)
            except Exception as trouble:
                result = trouble


def _memory(block: SharedMemory) -> memoryview:
    assert block.buf is not None, "it is open"
    return block.buf


def _put(examples: dict[str, np.ndarray], memory: memoryview) -> Any:
    """Copies examples to shared memory; returns them as they are if they do not fit."""
    shared = _Shared(examples)
    if shared.size > len(memory) or any(a.dtype.hasobject for a in examples.values()):
        return examples
    for name, view in shared.views(memory).items():
        view[...] = examples[name]
    return shared


def _load_error(trouble: Exception) -> BadInput:
    return BadInput(
        f"the data cannot be made anew in the processes that are to read it "
        f"({type(trouble).__name__}: {trouble}). Put its class into a module that they can import; "
        f"or have threads read it, without --reader-processes and holds_gil."
    )


def _send(pipe: Connection, result: Any) -> None:
    """Sends examples or an error; of one that cannot be pickled, its message."""
    if isinstance(result, Exception) and not isinstance(result, BadInput | OSError):
        result.add_note("".join(traceback.format_exception(result)))
    try:
        content = pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)
        if isinstance(result, Exception):
            pickle.loads(content)  # some can be pickled, but not made anew
    except Exception:
        content = pickle.dumps(RuntimeError(str(result)))
    pipe.send_bytes(content)
