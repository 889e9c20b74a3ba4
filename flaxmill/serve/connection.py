"""A client's connection: one request at a time, read only while there is room for it.

Source: what is kept to is RFC 9112; what is guarded against are clients that send headers or bodies
a byte at a time, endless headers, many requests ahead of their answers, and clients that never read
those.
"""

import asyncio
import contextlib
import http
import math
import socket
import struct
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol, runtime_checkable

from flaxmill.serve.exchange import Exchange
from flaxmill.serve.framing import head_end, read_head
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Busy, Header, Refused
from flaxmill.serve.room import FREE

WHOLE_RESPONSE = "flaxmill.whole_response"
"""The ASGI extension by which an answer that is at hand is sent at once, without checks of it."""

LAST_RESPONSE = "flaxmill.last_response"
"""The ASGI extension by which a connection ends with an answer that its client does see."""

_LINGER_SECONDS = 2.0
_UNREAD_SECONDS = 2.0  # that an answer may wait for its client, however many do
_STATUS = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    for status in http.HTTPStatus
}
_PIECE = memoryview(bytearray(64 << 10))  # of all connections: it is emptied as soon as it is read
_FIRST_PIECE = _PIECE[:FREE]


@runtime_checkable
class Application(Protocol):
    """What answers requests: an ASGI application, and what its connections share."""

    limits: Limits
    stopping: bool
    date: bytes
    connections: set["Connection"]
    tasks: set[asyncio.Task[None]]
    unread: dict["Connection", tuple[int, float]]

    def __call__(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """Answers a request."""
        ...

    def refused(self, refusal: Refused, client: tuple[str, int] | None) -> None:
        """Counts and notes a request that was refused before it could be answered."""
        ...


class Connection(asyncio.BufferedProtocol):
    """One connection; its ``due`` is when it must have gone on, by the event loop's clock.

    `overdue` is called by the server soon after.

    Args:
        app: Answers its requests.
    """

    transport: asyncio.Transport

    def __init__(self, app: Application) -> None:
        self.app = app
        self.loop = asyncio.get_running_loop()
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self.extensions = {WHOLE_RESPONSE: self._respond, LAST_RESPONSE: self.respond_last}
        self._limits = app.limits
        self._received = b""  # and is not read yet
        self._head: int | None = None  # bytes of a request's head so far, while it is being read
        self._exchange: Exchange | None = None  # one at a time
        self._task: asyncio.Task[None] | None = None  # that answers it
        self._paused: float | None = None  # since when nothing more is read
        self._drained: asyncio.Future[None] | None = None  # while the client does not read
        self._left = math.inf  # bytes that it had not read when it was overdue
        self._ended = False  # the last answer is sent

    def connection_made(self, transport: Any) -> None:
        """Takes a new connection, if there is room."""
        self.transport = transport
        self.client = _address(transport.get_extra_info("peername"))
        self.server = _address(transport.get_extra_info("sockname"))
        self.due = self.loop.time() + self._limits.head_seconds
        connections = self.app.connections
        connections.add(self)
        if len(connections) > 2 * self._limits.connections:
            self.abort()
        elif len(connections) > self._limits.connections:
            self._refuse(Busy(f"the server is busy: {self._limits.connections:,} clients use it."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees what the client waited for."""
        self.app.connections.discard(self)
        self.resume_writing()
        self.due = math.inf
        self._ended = True
        self._forget()

    def _forget(self) -> None:
        """Lets nobody answer any more what was asked."""
        self._received = b""
        if self._task is not None and self._task is not asyncio.current_task(self.loop):
            self._task.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Returns where to put what comes: little, until there is known to be room for more."""
        exchange = self._exchange
        more = exchange is not None and exchange.begun and not exchange.responded
        return _PIECE if more else _FIRST_PIECE

    def buffer_updated(self, nbytes: int) -> None:
        """Reads what came."""
        if self.transport.is_closing():
            return
        if not self._ended:
            data = bytes(_PIECE[:nbytes])
            self._received = self._received + data if self._received else data
            self.read_on()
        if self._drops:  # which is fast, so that others get their turn first
            self._pause()
            self.loop.call_soon(self._set_reading)

    def read_on(self) -> None:
        """Reads as far as it may in what came, and has more come if it may."""
        try:
            while self._received and not self._ended:
                if (exchange := self._exchange) is None:
                    if not self._begin():
                        break
                elif exchange.whole or not exchange.wants:
                    break
                else:
                    self._received = exchange.add(self._received)
                    if not exchange.whole:
                        break
                    self.due = self.loop.time() + self._limits.write_seconds
                    if exchange.responded:
                        self._idle()
        except Refused as refused:
            self._refuse(refused)
        self._set_reading()

    def _begin(self) -> bool:
        """Begins to answer a request, if its head is here; the content may still be on its way."""
        now = self.loop.time()
        if self._head is None:
            self._head = 0
            self.due = now + self._limits.head_seconds
        most = self._limits.max_head_bytes
        end = head_end(self._received, self._head, most)
        if not end:
            self._head = len(self._received)
            return False
        exchange = Exchange(read_head(self._received[:end]), self, most - end)
        self._received = self._received[end:]
        self._head = None
        self._exchange = exchange
        limits = self._limits
        self.due = now + (limits.write_seconds if exchange.whole else limits.body_seconds)
        if self.app.stopping:
            exchange.keep_alive = False
        response = self.app(exchange.scope, exchange.receive, exchange.send)
        self._task = task = self.loop.create_task(response)
        self.app.tasks.add(task)
        task.add_done_callback(self._done)
        return True

    def _done(self, task: asyncio.Task[None]) -> None:
        """Ends with a client that got no answer, which is a defect of ours."""
        self.app.tasks.discard(task)
        if task is self._task and not self._ended:
            self.abort()

    @property
    def _drops(self) -> bool:
        """Whether what comes is not wanted any more."""
        return self._ended or (self._exchange is not None and self._exchange.responded)

    def _set_reading(self) -> None:
        """Reads on while somebody waits for it, and to see the client leave."""
        exchange = self._exchange
        if exchange is None or self._ended:
            pause = False
        else:
            pause = bool(self._received) if exchange.whole else not exchange.wants
        if pause:
            self._pause()
        elif self._paused is not None:
            if not self._drops:
                self.due += self.loop.time() - self._paused  # in which the client could not send
            self._paused = None
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def _pause(self) -> None:
        if self._paused is None and not self.transport.is_closing():
            self._paused = self.loop.time()
            self.transport.pause_reading()

    def pause_writing(self) -> None:
        """Notes that the client does not read; if too many do not, the first have to go."""
        self._drained = self.loop.create_future()
        now, unread = self.loop.time(), self.app.unread
        unread[self] = self.transport.get_write_buffer_size(), now
        while sum(size for size, _ in unread.values()) > self._limits.max_unread_bytes:
            first, (_, since) = next(iter(unread.items()))
            if now - since < _UNREAD_SECONDS:
                break
            first.abort()

    def resume_writing(self) -> None:
        """Notes that the client has read most of what waited for it."""
        self.app.unread.pop(self, None)
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    async def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Sends a whole answer, once the client has read those before."""
        while self._drained is not None:
            await asyncio.shield(self._drained)
        self._respond([_STATUS[status], *(b"%b: %b\r\n" % header for header in headers)], body)

    def _respond(self, head: list[bytes], body: bytes) -> bool:
        """Sends a whole answer at once, unless it must wait for the client to read an older one.

        Args:
            head: Status line and headers.
            body: The content.
        """
        exchange = self._exchange
        if exchange is None or exchange.responded or self._ended or self._drained is not None:
            return False
        exchange.end()
        head.append(self.app.date)
        head.append(b"\r\n" if exchange.keep_alive else b"connection: close\r\n\r\n")
        self.transport.write(b"".join([*head, body if exchange.method != "HEAD" else b""]))
        self._task = None
        self._left = math.inf
        if exchange.keep_alive:
            if exchange.whole:
                self._idle()
            self.read_on()
        elif exchange.whole:
            self.due = self.loop.time() + self._limits.write_seconds
            self.transport.close()
        else:
            self._linger()
        return True

    def _idle(self) -> None:
        """Waits for the next request."""
        self._exchange = None
        patience = 1.0 if self.app.stopping else self._limits.keep_alive
        self.due = self.loop.time() + patience

    def overdue(self) -> None:
        """Ends with a client that took too long."""
        left = self.transport.get_write_buffer_size()
        exchange, limits = self._exchange, self._limits
        if 0 < left < self._left:  # it reads, slowly
            self._left = left
            self.due = self.loop.time() + limits.write_seconds
        elif left or self._ended or self.transport.is_closing():
            self.abort()
        elif self._head is not None:
            seconds = limits.head_seconds
            self._refuse(Refused(408, f"the request's headers took more than {seconds:g} seconds."))
        elif exchange is None or exchange.responded:
            self.due = self.loop.time() + limits.write_seconds
            self.transport.close()
        elif exchange.whole:  # it is not the client who is slow
            self.due = self.loop.time() + limits.write_seconds
        elif self._paused is not None:  # nor here: it keeps the time that it had left
            now = self.loop.time()
            self.due, self._paused = now + self.due - self._paused, now
        else:
            seconds = limits.body_seconds
            self._refuse(Refused(408, f"the request's content took more than {seconds:g} seconds."))

    def _refuse(self, refused: Refused) -> None:
        """Answers before, or instead of, the application."""
        if self.respond_last(refused.status, refused.headers, refused.body):
            self.app.refused(refused, self.client)
        else:  # what is wrong belongs to a request that has its answer
            self.transport.close()

    def respond_last(self, status: int, headers: tuple[Header, ...], body: bytes) -> bool:
        """Sends a whole answer and closes, in a moment: what the client still sends is dropped.

        If its connection were closed while it sends, it would see that and not the answer.

        Returns:
            Whether it could be sent.
        """
        if self._ended or (self._exchange is not None and self._exchange.responded):
            return False
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *headers,
        ]
        lines = [b"%b: %b\r\n" % field for field in fields]
        self.transport.write(b"".join([_STATUS[status], *lines, b"\r\n", body]))
        self._linger()
        return True

    def _linger(self) -> None:
        """Closes in a moment."""
        self.transport.write_eof()
        self._ended = True
        self._forget()
        self._set_reading()
        self.due = self.loop.time() + _LINGER_SECONDS

    def abort(self) -> None:
        """Ends at once, also for the system, which would keep what the client does not read."""
        self.app.unread.pop(self, None)
        ended = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it has ended already
            ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def shutdown(self) -> None:
        """Lets the client send what it is about to send, for a moment, as the server stops."""
        if self._exchange is not None:
            self._exchange.keep_alive = False
        elif self._head is None:
            self.due = min(self.due, self.loop.time() + 1.0)


def _address(of: Any) -> tuple[str, int] | None:
    return (str(of[0]), int(of[1])) if isinstance(of, tuple) else None
