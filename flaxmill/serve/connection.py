"""A client's connection: read within limits of time and size, which the HTTP server itself lacks.

Source: what is kept to is RFC 9112; what is guarded against are clients that send headers or bodies
a byte at a time, endless headers, and clients that never read their answer.
"""

import asyncio
import contextlib
import math
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from flaxmill.serve.refusal import Busy, Header, Refused

if TYPE_CHECKING:
    from flaxmill.serve.front import Front


WHOLE_ANSWER = "flaxmill.whole_answer"
"""The ASGI extension by which an answer that is at hand is sent at once, without checks of it."""

LAST_ANSWER = "flaxmill.last_answer"
"""The ASGI extension by which a connection ends with an answer that its client does see."""

_LINGER_SECONDS = 2.0


class Connection(HttpToolsProtocol):
    """One connection; its ``due`` is when it must have gone on, by the event loop's clock.

    `overdue` is called by the server soon after.
    """

    app: "Front"  # type: ignore[assignment]

    def connection_made(self, transport: Any) -> None:
        """Takes a new connection, if there is room."""
        super().connection_made(transport)
        self._limits = self.app.limits
        self._head: int | None = None  # bytes of a request's head so far, while it is being read
        self._reading_body = False
        self._task: asyncio.Task[None] | None = None
        self._left = math.inf  # bytes that the client had not read when it was overdue
        self._answered: Any = None  # the request whose task runs; one at a time
        self._ended = False  # the last answer is sent
        self._extensions = {WHOLE_ANSWER: self._answer, LAST_ANSWER: self.answer_last}
        self.due = self.loop.time() + self._limits.head_seconds
        if len(self.connections) > 2 * self._limits.connections:
            self.abort()
        elif len(self.connections) > self._limits.connections:
            self._refuse(Busy(f"the server is busy: {self._limits.connections:,} clients use it."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees what the client waited for."""
        super().connection_lost(exc)
        self.due = math.inf
        self._forget()

    def _forget(self) -> None:
        """Lets nobody answer any more what was asked."""
        for cycle in (self.cycle, self._answered):  # more may have been read than is answered
            if cycle is not None:
                cycle.disconnected = True
        if self._task is not None and self._task is not asyncio.current_task(self.loop):
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Reads what came."""
        if self._ended or self.transport.is_closing():
            return
        if self._head is None and not self._reading_body:  # a request begins
            self._head = 0
            self.due = self.loop.time() + self._limits.head_seconds
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > self._limits.max_head_bytes:
            self._refuse(
                Refused(431, f"headers may be {self._limits.max_head_bytes:,} bytes at most.")
            )

    def on_headers_complete(self) -> None:
        """Begins to answer; the content may still be on its way."""
        self._head = None
        self._reading_body = True
        self.due = self.loop.time() + self._limits.body_seconds
        super().on_headers_complete()
        if self.app.stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Notes that a request is here."""
        self._reading_body = False
        self.due = self.loop.time() + self._limits.write_seconds
        super().on_message_complete()
        if not self.pipeline:  # or it would not be seen when the client leaves
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle
        cycle.scope["extensions"] = self._extensions
        self._task = task = self.loop.create_task(cycle.run_asgi(self.app))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _answer(self, head: list[bytes], body: bytes) -> bool:
        """Sends a whole answer at once, unless it must wait for the client to read an older one.

        Args:
            head: Status line and headers.
            body: The content.
        """
        cycle = self._answered
        if cycle.disconnected or cycle.response_started or self.flow.write_paused:
            return False
        for header in cycle.default_headers:
            head.append(b"%b: %b\r\n" % header)
        head.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        self.transport.write(b"".join([*head, body]))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        self.server_state.total_requests += 1
        self._task = None
        self._left = math.inf
        if self.transport.is_closing():
            self.due = self.loop.time() + self._limits.write_seconds
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._head is None and not self._reading_body:
            patience = 1.0 if self.app.stopping else self._limits.keep_alive
            self.due = self.loop.time() + patience

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP."""
        self._refuse(Refused(400, "this is not a request in HTTP/1.1."))

    def overdue(self) -> None:
        """Ends with a client that took too long."""
        left = self.transport.get_write_buffer_size()
        if 0 < left < self._left:  # it reads, slowly
            self._left = left
            self.due = self.loop.time() + self._limits.write_seconds
        elif left or self._ended or self.transport.is_closing():
            self.abort()
        elif self._head is not None:
            seconds = self._limits.head_seconds
            self._refuse(Refused(408, f"the request's headers took more than {seconds:g} seconds."))
        elif self._reading_body and not self.cycle.response_complete:
            seconds = self._limits.body_seconds
            self._refuse(Refused(408, f"the request's content took more than {seconds:g} seconds."))
        elif self._reading_body or self.cycle is None or self.cycle.response_complete:
            self.due = self.loop.time() + self._limits.write_seconds
            self.transport.close()
        else:  # the model has not answered yet, which is not the client's fault
            self.due = self.loop.time() + self._limits.write_seconds

    def _refuse(self, refused: Refused) -> None:
        """Answers before, or instead of, the application."""
        if self.answer_last(refused.status, refused.headers, refused.body):
            self.app.refused(refused, self.client)
        else:  # in the middle of an answer there is no place for another
            self.abort()

    def answer_last(self, status: int, headers: tuple[Header, ...], body: bytes) -> bool:
        """Sends a whole answer and closes, in a moment: what the client still sends is dropped.

        If its connection were closed while it sends, it would see that and not the answer.

        Returns:
            Whether it could be sent.
        """
        cycle = self._answered if self._task is not None else self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            return False
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *headers,
        ]
        lines = [b"%b: %b\r\n" % field for field in fields]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.write_eof()
        self._ended = True
        self.pipeline.clear()
        self._forget()
        self.flow.resume_reading()
        self.due = self.loop.time() + _LINGER_SECONDS
        return True

    def abort(self) -> None:
        """Ends at once, also for the system, which would keep what the client does not read."""
        ended = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # it has ended already
            ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def shutdown(self) -> None:
        """Lets the client send what it is about to send, for a moment, as the server stops."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        elif self._head is None and not self._reading_body:
            self.due = min(self.due, self.loop.time() + 1.0)
