"""Several processes that share a port, and the parent that looks after them."""

import asyncio
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

import uvloop
from prometheus_client import multiprocess

from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine import files, processes, signals, stopping
from flaxmill.serve.journal import Journal
from flaxmill.serve.metrics import SHARED_FOLDER
from flaxmill.serve.server import Server, serve, stop_accepting, stop_signals, terminal_closed
from flaxmill.serve.settings import Settings

_READY = "ready"
_MOST_DEATHS = 3  # before the first time that all are ready


class _Worker:
    """A process, and the pipe by which it says that it is ready, and sees its parent end."""

    def __init__(self, settings: Settings, listening: socket.socket, pause: float) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(settings, listening, theirs, pause))
        # A hangup waits in the new process too.
        with processes.safe_path(), signals.blocked({signal.SIGHUP}):
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
        self._signals: list[int] = []
        self._journal = Journal()

    def run(self, announce: Callable[[], None]) -> None:
        """Runs until a signal ends it.

        Raises:
            BadInput: The model cannot be served.
            CannotGoOn: Workers die as soon as they start.
        """
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        for number in (*stop_signals(), signal.SIGHUP):
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        with stopping.temporary_folder() as shared:
            os.environ[SHARED_FOLDER] = str(shared)
            try:
                self._look_after(reading, announce)
            finally:
                stop_accepting(self._listening)
                for worker in self._workers:
                    worker.signal(signal.SIGTERM)
                for worker in self._workers:
                    worker.process.join(self._settings.limits.grace + 5)
                    worker.process.kill()
                self._journal.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _look_after(self, reading: int, announce: Callable[[], None]) -> None:
        self._workers = [self._start() for _ in range(self._settings.workers)]
        announced, deaths = False, 0
        while True:
            pipes: dict[Any, _Worker] = {each.pipe: each for each in self._workers}
            readable: list[Any] = wait([reading, *pipes])
            for source in readable:
                if source == reading:
                    os.read(reading, 64)
                    continue
                message = _receive(source)
                if message == _READY:
                    pipes[source].ready, deaths = True, 0
                    continue
                deaths += 1
                if not announced and (message or deaths >= _MOST_DEATHS):
                    raise (
                        BadInput(message)
                        if message
                        else CannotGoOn(
                            f"{deaths} workers ended as they started: the lines above may say why."
                        )
                    )
                self._replace(pipes[source], message, deaths)
            while self._signals:
                if (number := self._signals.pop(0)) != signal.SIGHUP or terminal_closed():
                    return
                for worker in self._workers:
                    worker.signal(number)
            if not announced and all(worker.ready for worker in self._workers):
                announced = True
                announce()

    def _start(self, pause: float = 0.0) -> _Worker:
        return _Worker(self._settings, self._listening, pause)

    def _replace(self, worker: _Worker, reason: str, deaths: int) -> None:
        """Starts another worker in the place of one that ended, later if many did in a row."""
        worker.pipe.close()
        worker.process.join(5)
        worker.process.kill()
        reason = reason or f"exit status {worker.process.exitcode}"
        self._journal.event("a worker ended", reason=reason)
        multiprocess.mark_process_dead(worker.process.pid)
        pause = min(30.0, 0.5 * (deaths - 1))
        self._workers[self._workers.index(worker)] = self._start(pause)


def _receive(pipe: Pipe) -> str:
    """Returns a worker's message: that it is ready, why it cannot be, or nothing as it ended."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return ""


def work(settings: Settings, listening: socket.socket, pipe: Pipe, pause: float) -> None:
    """Serves, as one of several; begins after a pause, unless the parent ends in it."""

    def stop_with_parent(server: Server) -> None:
        asyncio.get_running_loop().add_reader(pipe.fileno(), ended, server)

    def ended(server: Server) -> None:
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        server.stop()

    def announce() -> None:
        pipe.send(_READY)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the parent sends SIGTERM
    files.hold(os.open(os.environ[SHARED_FOLDER], os.O_RDONLY))  # also after a parent's end
    if pause and pipe.poll(pause):
        return
    try:
        uvloop.run(serve(settings, listening, announce, stop_with_parent))
    except BadInput as trouble:
        pipe.send(str(trouble))
