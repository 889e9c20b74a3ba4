"""Processes that read what large requests, and all uploads, say.

JSON, forms and pictures may take a hundred times the time and the memory of their bytes. What
reads them has limits of both that the system keeps, and ends by itself beyond them; another takes
its place, and the server has not noticed. One process reads what is small alone, so that this never
waits behind what is large.
"""

import asyncio
import contextlib
import json
import logging
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from flaxmill.errors import CannotGoOn
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Busy, Refused
from flaxmill.tasks.signature import Signature

SIZES = struct.Struct("<II")
"""What goes before each message: the length of its head, and of the bytes that follow that."""

_SMALL_FORM = 256 << 10  # bytes of a request with pictures, up to which it may be small
_SMALL_JSON = 1 << 20  # bytes of numbers that are read in some 20 ms
_MOST_SMALL, _MOST_LARGE = 256, 64  # requests that wait
_NICE = 5  # of the process that reads what is large: the others go first where cores are few
_BUFFERED = 1 << 20  # bytes of a reply that are read ahead
_WRITTEN = 1 << 18  # bytes of a request that are written at a time
_PAUSE = 1.0  # seconds until it is tried again to start a process

_ALONE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # no threads that would idle
_RETURN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Has the C library give memory back to the system as soon as a request is read."""

logger = logging.getLogger(__name__)


class Reply(NamedTuple):
    """A request as a process read it: facts, and bytes that go with them."""

    facts: dict[str, Any]
    content: memoryview


@dataclass(eq=False)
class _Job:
    """A request that waits to be read, or is being read."""

    signature: Signature
    facts: dict[str, Any]
    content: bytes | memoryview
    reply: asyncio.Future[Reply] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Intake:
    """Reads requests, in two processes: one for what is small alone, one for all.

    Args:
        limits: Of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._small: deque[_Job] = deque()
        self._large: deque[_Job] = deque()
        self._arrivals: list[asyncio.Event] = []
        self._supervisors: list[asyncio.Task[None]] = []
        self._failing: set[int] = set()

    @property
    def ready(self) -> bool:
        """Whether the processes are there, or will be in a moment."""
        return not self._failing

    async def start(self) -> None:
        """Starts the processes.

        Raises:
            CannotGoOn: They cannot be started, or end at once.
        """
        starting = [_Process.start(self._limits, nice) for nice in (0, _NICE)]
        try:
            small, large = await asyncio.gather(*starting)
        except OSError as error:
            raise CannotGoOn(f"the processes that read requests do not start: {error}.") from None
        loop = asyncio.get_running_loop()
        self._supervisors = [
            loop.create_task(self._supervise(small, self._small)),
            loop.create_task(self._supervise(large, self._large, self._small)),
        ]

    async def close(self) -> None:
        """Ends the processes, whatever they are at."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)

    async def parse_upload(
        self, signature: Signature, kind: str, query: Mapping[str, str], body: bytes
    ) -> Reply:
        """Reads a request for predictions.

        Args:
            signature: Of the model.
            kind: The content type.
            query: Options that came with the path.
            body: The request's content.

        Returns:
            The examples' names, ``top``, and with the examples as the model takes them what is
            shown of each; see `flaxmill.serve.uploads`.

        Raises:
            Refused: It does not say what it should, or takes too much.
        """
        facts = {"kind": kind, "query": dict(query)}
        return await self._read(signature, facts, body, len(body) <= _SMALL_FORM)

    async def parse_inference(
        self, signature: Signature, content: bytes | memoryview, split: int, following: int
    ) -> Reply:
        """Reads a request for inference.

        Args:
            signature: Of the model.
            content: The JSON, and maybe what follows it.
            split: The length of the JSON.
            following: How many bytes follow it.

        Returns:
            As `flaxmill.serve.open_inference.Inference.to_facts` describes a request; and the
            examples, if they came in the JSON.

        Raises:
            Refused: It does not follow the protocol, does not fit the model, or takes too much.
        """
        facts = {"split": split, "following": following}
        return await self._read(signature, facts, content, len(content) <= _SMALL_JSON)

    async def _read(
        self,
        signature: Signature,
        facts: dict[str, Any],
        content: bytes | memoryview,
        small: bool,
    ) -> Reply:
        """Reads a request; one that turns out not to be small is read as a large one."""
        job = _Job(signature, facts | {"small": small}, content)
        queue, most = (self._small, _MOST_SMALL) if small else (self._large, _MOST_LARGE)
        reply = await self._in_turn(job, queue, most)
        if "large" in reply.facts:
            return await self._read(signature, facts, content, False)
        if (refused := reply.facts.get("refused")) is not None:
            raise Refused(*refused)
        if (trace := reply.facts.get("failed")) is not None:
            raise RuntimeError(f"reading a request failed:\n{trace}")
        return reply

    async def _in_turn(self, job: _Job, queue: deque[_Job], most: int) -> Reply:
        if len(queue) >= most:
            raise Busy("the server is busy: many requests wait to be read.")
        queue.append(job)
        for arrival in self._arrivals:
            arrival.set()
        patience = self._limits.deadline
        expiry = asyncio.get_running_loop().call_later(patience, _give_up, job, queue)
        try:
            return await job.reply
        finally:
            expiry.cancel()
            if job in queue:  # its client has left
                queue.remove(job)

    async def _supervise(self, process: "_Process", *queues: deque[_Job]) -> None:
        """Has a process read one request after another, and replaces it once it has ended."""
        arrival = asyncio.Event()
        self._arrivals.append(arrival)
        try:
            while True:
                process.notify_end(arrival)
                await self._work(process, queues, arrival)
                await process.end()
                process = await self._restart(process)
        finally:
            await process.end()

    async def _work(
        self, process: "_Process", queues: tuple[deque[_Job], ...], arrival: asyncio.Event
    ) -> None:
        while not process.ended:
            if (queue := next(filter(None, queues), None)) is None:
                arrival.clear()
                await arrival.wait()
                continue
            job = queue.popleft()
            try:
                reply = await process.read(job)
            except (OSError, EOFError, ValueError):  # it has ended, or talks nonsense
                trouble = await process.trouble()
                if not job.reply.done():
                    job.reply.set_exception(trouble)
                return
            if not job.reply.done():
                job.reply.set_result(reply)

    async def _restart(self, ended: "_Process") -> "_Process":
        """Replaces a process that ended; tries until it can."""
        while True:
            try:
                process = await _Process.start(self._limits, ended.nice)
            except OSError as error:
                self._failing.add(ended.nice)
                logger.warning("a process that reads requests cannot be started: %s", error)
                await asyncio.sleep(_PAUSE)
            else:
                self._failing.discard(ended.nice)
                return process


def _give_up(job: _Job, queue: deque[_Job]) -> None:
    """Refuses a request that has waited long enough for its turn."""
    if job in queue:
        queue.remove(job)
        if not job.reply.done():
            job.reply.set_exception(Busy("the server is busy: it has much to read."))


class _Process:
    """A process that reads requests, one at a time."""

    def __init__(self, program: subprocess.Popen[bytes], limits: Limits, nice: int) -> None:
        self.nice = nice
        self._program = program
        self._limits = limits
        self._sent_signature: Signature | None = None
        self._jobs: asyncio.StreamWriter
        self._replies: asyncio.StreamReader
        self._loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._watch, name="intake", daemon=True).start()

    @classmethod
    async def start(cls, limits: Limits, nice: int) -> "_Process":
        """Starts a process, and waits until it can read.

        Raises:
            OSError: It cannot be started, or ends at once.
        """
        # It finds what this process finds, and nothing that lies in the current folder.
        where = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        ours, theirs = socket.socketpair()
        with theirs:  # the event loop would fork, with all threads' locks as they are
            program = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "flaxmill.serve.intake_process"),
                    *(json.dumps(asdict(limits)), str(nice)),
                ],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                env=os.environ | where | _ALONE | _RETURN_MEMORY,
                start_new_session=True,  # what is typed at a terminal is for the server alone
            )
        process = cls(program, limits, nice)
        streams = await asyncio.open_connection(sock=ours, limit=_BUFFERED)
        process._replies, process._jobs = streams
        try:
            await process._reply()
        except (OSError, EOFError):
            status = await process.end()
            raise OSError(f"it ended at once, with exit status {status}") from None
        except BaseException:
            await process.end()
            raise
        return process

    def _watch(self) -> None:
        status = self._program.wait()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._status.set_result, status)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._status.done()

    def notify_end(self, ended: asyncio.Event) -> None:
        """Sets an event when it ends."""
        self._status.add_done_callback(lambda _: ended.set())

    async def read(self, job: _Job) -> Reply:
        """Has it read a request.

        Raises:
            OSError: It has ended.
            EOFError: The same.
            ValueError: What it says makes no sense.
        """
        new = job.signature if job.signature is not self._sent_signature else None
        self._sent_signature = job.signature
        head = pickle.dumps((new, job.facts))
        self._jobs.write(SIZES.pack(len(head), len(job.content)) + head)
        content = memoryview(job.content)
        for start in range(0, len(content), _WRITTEN):  # the loop would keep a copy of what waits
            self._jobs.write(content[start : start + _WRITTEN])
            await self._jobs.drain()
        return await self._reply()

    async def _reply(self) -> Reply:
        head, content = SIZES.unpack(await self._replies.readexactly(SIZES.size))
        message = memoryview(await self._replies.readexactly(head + content))
        return Reply(json.loads(bytes(message[:head])), message[head:])

    async def trouble(self) -> Refused:
        """Waits for its end; returns the error for the client whose request it read."""
        status = await self.end()
        if status == -signal.SIGALRM:
            seconds = self._limits.read_seconds
            return Refused(
                413, f"reading the request took more than {seconds:g} seconds: send less at a time."
            )
        logger.warning("a process that reads requests ended with exit status %s", status)
        return Refused(400, "reading the request ended the process that read it.")

    async def end(self) -> int:
        """Ends it, whatever it is at; returns its exit status."""
        self._program.kill()
        self._jobs.close()
        return await asyncio.shield(self._status)
