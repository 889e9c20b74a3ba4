"""A process that reads examples for a thread, where decoding holds Python's lock (the GIL).

It is started anew, never forked off a process in which JAX has threads; it ends when the other
side of its pipe does, even one that was killed.
"""

import contextlib
import multiprocessing
import pickle
import signal
import traceback
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from flaxmill.data.source import Example
from flaxmill.errors import BadInput, CannotGoOn


def pickled(source: Any) -> bytes:
    """Returns a source as bytes, for the processes that read from it.

    Raises:
        BadInput: It cannot be pickled.
    """
    try:
        return pickle.dumps(source)
    except Exception as trouble:
        raise BadInput(
            f"{type(source).__name__} says that it holds the GIL (holds_gil), so it is read by "
            f"processes, but it cannot be pickled for them ({trouble}). Give it plain attributes "
            f"(no lambda, lock or open file), or take holds_gil away: then threads read it."
        ) from trouble


class ReaderProcess:
    """Takes examples from a source in another process.

    Args:
        source: As `pickled` returns it.

    Raises:
        BadInput: The source cannot be made anew there.
        CannotGoOn: The process has ended.
    """

    def __init__(self, source: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, source), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def take(self, indices: np.ndarray) -> Example:
        """Returns many examples.

        Raises:
            CannotGoOn: The process has ended.
            Exception: What the source raised there.
        """
        with contextlib.suppress(OSError):  # if it has ended, the answer says so
            self._pipe.send(indices)
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise CannotGoOn(
                f"a process that reads examples has ended (exit code {self._process.exitcode}). If "
                f"it was killed, memory may be short: try fewer --readers. A script of yours that "
                f'trains must do so below if __name__ == "__main__".'
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the process, whatever it is at."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, pickled_source: bytes) -> None:
    """Answers with examples until the other side is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to answer
    with contextlib.suppress(EOFError, OSError):
        try:
            source, answer = pickle.loads(pickled_source), None
        except Exception as trouble:
            _send(pipe, _not_made(trouble))
            return
        while True:
            _send(pipe, answer)
            indices = pipe.recv()
            try:
                answer = dict(source.take(indices))
            except Exception as trouble:
                answer = trouble


def _not_made(trouble: Exception) -> BadInput:
    return BadInput(
        f"a source that holds the GIL (holds_gil) cannot be made anew in the processes that are to "
        f"read it ({type(trouble).__name__}: {trouble}). Put its class into a module that they can "
        f"import, or take holds_gil away: then threads read it."
    )


def _send(pipe: Connection, answer: Any) -> None:
    """Sends examples or an error; of one that cannot be pickled, its words."""
    if isinstance(answer, Exception) and not isinstance(answer, BadInput | OSError):
        answer.add_note("".join(traceback.format_exception(answer)))
    try:
        content = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
        if isinstance(answer, Exception):
            pickle.loads(content)  # some can be pickled, but not made anew
    except Exception:
        content = pickle.dumps(RuntimeError(str(answer)))
    pipe.send_bytes(content)
