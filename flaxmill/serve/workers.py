"""Several processes that share a port, and the parent that looks after them."""

import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.serve.settings import Settings

_READY = "ready"
_QUICK_DEATHS = 5  # in a row, before any request could be answered in between
_SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class _Worker:
    """A process, and the pipe by which it says that it is ready, and sees its parent end."""

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(settings, listening, theirs))
        self.process.start()
        theirs.close()
        self.ready = False

    def signal(self, number: int) -> None:
        """Sends it a signal, if it is still there."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)


class Workers:
    """Keeps as many workers as were asked for.

    Args:
        settings: Of each.
        listening: The socket that all accept from; it outlives each, so that no client that
            waits in it is lost when one dies.
    """

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        self._settings = settings
        self._listening = listening
        self._workers: list[_Worker] = []
        self._asked: list[int] = []

    def run(self, announce: Callable[[], None]) -> None:
        """Runs until SIGTERM or Ctrl-C.

        Raises:
            BadInput: The model cannot be served.
            CannotGoOn: Workers die as soon as they start.
        """
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)
        with tempfile.TemporaryDirectory(prefix="flaxmill-metrics-") as shared:
            os.environ[_SHARED_FOLDER] = shared
            try:
                self._look_after(reading, announce)
            finally:
                for worker in self._workers:
                    worker.signal(signal.SIGTERM)
                for worker in self._workers:
                    worker.process.join(self._settings.limits.grace + 5)
                    worker.process.kill()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked.append(number)

    def _look_after(self, reading: int, announce: Callable[[], None]) -> None:
        self._workers = [self._start() for _ in range(self._settings.workers)]
        announced, deaths = False, 0
        while True:
            pipes: dict[Any, _Worker] = {worker.pipe: worker for worker in self._workers}
            for some in wait([reading, *pipes]):
                if some == reading:
                    os.read(reading, 64)
                    continue
                worker = pipes[some]
                if self._ready(worker):
                    deaths = 0
                    continue
                deaths += 1
                self._replace(worker, deaths)
            while self._asked:
                if (number := self._asked.pop(0)) != signal.SIGHUP:
                    return
                for worker in self._workers:
                    worker.signal(number)
            if not announced and all(worker.ready for worker in self._workers):
                announced = True
                announce()

    def _start(self) -> _Worker:
        return _Worker(self._settings, self._listening)

    def _ready(self, worker: _Worker) -> bool:
        """Whether what a worker's pipe brings is that it is ready; otherwise it has ended.

        Raises:
            BadInput: What it says is that the model cannot be served.
        """
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        if said != _READY:
            raise BadInput(said)
        worker.ready = True
        return True

    def _replace(self, worker: _Worker, deaths: int) -> None:
        worker.pipe.close()
        worker.process.join(5)
        worker.process.kill()
        status = worker.process.exitcode
        print(
            f'{{"time": {time.time():.3f}, "event": "a worker ended and is replaced", '
            f'"exit": {status}}}',
            file=sys.stderr,
            flush=True,
        )
        if deaths >= _QUICK_DEATHS:
            raise CannotGoOn(
                f"{deaths} workers ended one after the other (the last with exit status {status}): "
                f"the log above says why, if they could."
            )
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.process.pid)
        self._workers[self._workers.index(worker)] = self._start()


def work(settings: Settings, listening: socket.socket, pipe: Pipe) -> None:
    """Serves, as one of several."""
    import asyncio

    import uvloop

    from flaxmill.serve.server import Server, serve

    def stop_with_parent(server: Server) -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), ended, server)

    def ended(server: Server) -> None:
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        server.stop()

    def announce() -> None:
        pipe.send(_READY)

    for number in (signal.SIGINT, signal.SIGHUP):  # until the server takes them: not now
        signal.signal(number, signal.SIG_IGN)
    try:
        uvloop.run(serve(settings, listening, announce, stop_with_parent))
    except BadInput as trouble:
        pipe.send(str(trouble))
