"""One process that serves: it listens, ticks, loads anew on SIGHUP, stops in good order."""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from email.utils import formatdate
from typing import Any

from flaxmill.errors import BadInput
from flaxmill.machine import signals
from flaxmill.serve.connection import Connection
from flaxmill.serve.front import Front
from flaxmill.serve.intake import Intake
from flaxmill.serve.journal import Journal
from flaxmill.serve.metrics import Metrics
from flaxmill.serve.served import ServedModel
from flaxmill.serve.settings import Settings

BACKLOG = 2048
_TICK_SECONDS = 0.1
_ACCEPTING_SECONDS = 0.1  # to accept, once asked to stop, what the system has taken already
_ATTACH_FILTER, _RETURN = 26, 0x06  # SO_ATTACH_FILTER, and BPF's instruction "return"


class Server:
    """Serves one model on an open socket.

    Args:
        front: The application.
        announce: Called once it answers.
        stop_on: Signals that stop it.
    """

    def __init__(self, front: Front, announce: Callable[[], None], stop_on: Sequence[int]) -> None:
        self._front = front
        self._announce = announce
        self._stop_on = stop_on
        self._asked_to_stop = self._at_once = False
        self._reloading: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Answers until it is told to stop."""
        self._take_signals()
        self._look_after()
        loop = asyncio.get_running_loop()
        accepting = await loop.create_server(
            lambda: Connection(self._front), sock=listening, backlog=BACKLOG
        )
        gc.collect()
        gc.freeze()  # or Python looks through all that was imported, a tenth of a second each time
        self._announce()
        while not self._asked_to_stop:
            await asyncio.sleep(_TICK_SECONDS)
            self._look_after()
        await self._end(listening, accepting)

    def _look_after(self) -> None:
        """Looks after connections, log and figures, and the clock that answers show."""
        front, now = self._front, asyncio.get_running_loop().time()
        for connection in list(front.connections):
            if connection.due < now:
                connection.overdue()
        front.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        front.metrics.now(front.model.current.batcher.waiting, len(front.connections))
        front.journal.flush()

    async def _end(self, listening: socket.socket, accepting: Any) -> None:
        """Stops accepting, finishes what it has.

        Clients whose connection the system has taken already, and those that are about to send
        another request on an idle one, are answered, with `Connection: close`.
        """
        front = self._front
        front.stopping = True
        front.journal.event("stopping", connections=len(front.connections))
        loop = asyncio.get_running_loop()
        end = loop.time() + front.limits.grace
        if front.settings.workers == 1:  # else the parent does, for all
            stop_accepting(listening)
        await asyncio.sleep(_ACCEPTING_SECONDS)
        while select.select([listening], [], [], 0)[0] and loop.time() < end:
            await asyncio.sleep(0)
        accepting.close()
        for connection in list(front.connections):
            connection.shutdown()
        while (front.connections or front.tasks) and loop.time() < end and not self._at_once:
            await asyncio.sleep(0.02)
            self._look_after()
        left = list(front.connections)
        for connection in left:
            connection.abort()
        front.journal.event("stopped", aborted=len(left))

    def _take_signals(self) -> None:
        """Stops on SIGTERM, Ctrl-C and whatever else would end it, loads anew on SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in self._stop_on:
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.hang_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    def hang_up(self) -> None:
        """Answers SIGHUP, which somebody sends, or the terminal when it is closed."""
        if terminal_closed():
            self.stop()
        else:
            self.reload()

    def stop(self) -> None:
        """Stops in good order; asked twice, at once."""
        self._at_once, self._asked_to_stop = self._asked_to_stop, True

    def reload(self) -> None:
        """Loads the export anew while the old one goes on answering."""
        task = asyncio.get_running_loop().create_task(self._reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _reload(self) -> None:
        front = self._front
        try:
            await front.model.load()
        except Exception as trouble:
            front.metrics.reload("failed")
            known = isinstance(trouble, BadInput)
            words = str(trouble) if known else f"{type(trouble).__name__}: {trouble}"
            front.journal.event("the new export is refused, the old one goes on", reason=words)
        else:
            front.metrics.reload("done")
            digest = front.model.current.digest
            front.journal.event("loaded the export anew", weights_sha256=digest)


async def serve(
    settings: Settings,
    listening: socket.socket,
    announce: Callable[[], None],
    on_start: Callable[[Server], None] | None = None,
) -> None:
    """Loads the model, then answers until told to stop.

    Args:
        settings: What to serve, and how.
        listening: A socket that listens already.
        announce: Called once it answers.
        on_start: Called with the server, to stop it in other ways than by a signal.

    Raises:
        BadInput: The export cannot be served.
    """
    stop_on = stop_signals()
    _raise_descriptor_limit(2 * settings.limits.connections + 64)
    journal = Journal(quiet=settings.quiet)
    logger = logging.getLogger()
    logger.addHandler(journal)
    metrics = Metrics(settings.limits.max_batch)
    model = ServedModel(settings, metrics.batch)
    intake = Intake(settings.limits)
    try:
        with signals.blocked({signal.SIGHUP}):  # until the server takes it
            if not await _started((model.load(), intake.start()), journal, stop_on):
                return
            if not settings.token and not settings.own_names:
                journal.event(
                    "whoever reaches this port may use the server: FLAXMILL_TOKEN or "
                    "--token-file has it ask for a token"
                )
            server = Server(Front(settings, model, metrics, journal, intake), announce, stop_on)
            if on_start is not None:
                on_start(server)
            await server.serve(listening)
    finally:
        await intake.close()
        logger.removeHandler(journal)
        journal.close()


def stop_accepting(listening: socket.socket) -> None:
    """Has the system take no new connections; those that it took can still be accepted.

    Closing the socket instead would break those that wait in it.
    """
    listening.listen(0)
    if sys.platform == "linux":  # and drop the packets that ask for one: an empty packet filter
        drop = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
        program = struct.pack("HP", 1, ctypes.addressof(drop))
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)


def terminal_closed(streams: Iterable[int] = range(3)) -> bool:
    """Returns whether this process was started in a terminal that is no more.

    Args:
        streams: That may belong to it.
    """
    looking, streams = select.poll(), [*streams]
    for stream in streams:
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            looking.register(stream, 0)
    hung_up = any(events & select.POLLHUP for _, events in looking.poll(0))
    return hung_up and not any(map(os.isatty, streams))


def stop_signals() -> list[int]:
    """Returns the signals on which a server stops; what is ignored, or taken already, stays so."""
    return [
        number
        for number in sorted(signals.ending() - {signal.SIGHUP})
        if number in signals.ALWAYS or signal.getsignal(number) is signal.SIG_DFL
    ]


async def _started(
    parts: Iterable[Coroutine[Any, Any, None]], journal: Journal, stop_on: Sequence[int]
) -> bool:
    """Waits for what a server needs; says whether it is there, or was asked to stop before."""
    beginning = asyncio.gather(*parts)
    for number in stop_on:
        asyncio.get_running_loop().add_signal_handler(number, beginning.cancel)
    try:
        await beginning
    except asyncio.CancelledError:
        journal.event("stopped", aborted=0)
        return False
    return True


def _raise_descriptor_limit(count: int) -> None:
    """Lets this process open as many connections as it may take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
