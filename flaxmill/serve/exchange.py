"""A request and its answer, between a connection and the application, as ASGI has them."""

import asyncio
import urllib.parse
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from flaxmill.serve.framing import Chunks, Head
from flaxmill.serve.refusal import Header

Message = dict[str, Any]

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@runtime_checkable
class Peer(Protocol):
    """The connection that a request came by, as far as it matters here."""

    transport: asyncio.Transport
    client: Any
    server: Any
    extensions: Any

    def read_on(self) -> None:
        """Reads on, for somebody waits for it."""
        ...

    async def respond(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """Sends an answer."""
        ...


class Exchange:
    """One request; its content is read from the connection when the application asks for it.

    Args:
        head: Of the request.
        connection: Where it came from.
        most_framing: Bytes that may lie between the content's chunks and behind them.

    Attributes:
        method: Of the request.
        scope: What the application is told.
        whole: Whether all of the content came.
        begun: Whether the application has some of it.
        responded: Whether the answer is sent; what still comes of the content is dropped.
        keep_alive: Whether another request may follow.
    """

    __slots__ = (
        *("begun", "keep_alive", "method", "responded", "scope", "whole"),
        *("_chunks", "_connection", "_content", "_left", "_start", "_waiter", "_waits"),
    )

    def __init__(self, head: Head, connection: Peer, most_framing: int) -> None:
        path = head.path.decode()
        self.method = head.method
        self.scope: Message = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.version,
            "method": head.method,
            "scheme": "http",
            "path": urllib.parse.unquote(path) if "%" in path else path,
            "raw_path": head.path,
            "query_string": head.query,
            "root_path": "",
            "headers": head.fields,
            "client": connection.client,
            "server": connection.server,
            "extensions": connection.extensions,
        }
        self.whole = head.length == 0
        self.begun = self.responded = False
        self.keep_alive = head.keep_alive
        self._connection = connection
        self._chunks = Chunks(most_framing) if head.length is None else None
        self._left = head.length or 0
        self._content = b""
        self._waiter: asyncio.Future[None] | None = None
        self._start: Message = {}
        self._waits = head.waits and not self.whole

    @property
    def wants(self) -> bool:
        """Whether content may be read: it is asked for, dropped, or the first."""
        return self.responded or self._waiter is not None or not (self._content or self.begun)

    def add(self, data: bytes) -> bytes:
        """Takes what is content; returns the rest, which may have to be read again with more.

        Raises:
            Refused: It is not framed as content must be.
        """
        if self._chunks is None:
            content, rest = data[: self._left], data[self._left :]
            self._left -= len(content)
            self.whole = not self._left
        else:
            content, rest = self._chunks.read(data)
            self.whole = self._chunks.ended
        if not self.responded:
            self._waits = False
            self._content = self._content + content if self._content else content
            waiter = self._waiter
            if waiter is not None and (content or self.whole) and not waiter.done():
                waiter.set_result(None)
                self._waiter = None
        return rest

    async def receive(self) -> Message:
        """Returns content that came, or waits for it; after all of it, for ever."""
        if self._waits:
            self._waits = False
            self._connection.transport.write(_CONTINUE)
        if not self._content and (self.begun or not self.whole):
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            try:
                self._connection.read_on()
                await waiter
            finally:
                self._waiter = None
        self.begun = True
        content, self._content = self._content, b""
        return {"type": "http.request", "body": content, "more_body": not self.whole}

    async def send(self, message: Message) -> None:
        """Sends an answer, which is one start and one body."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        status, headers = self._start["status"], self._start["headers"]
        await self._connection.respond(status, headers, message.get("body", b""))

    def end(self) -> None:
        """Notes that the answer is sent."""
        self.responded = True
        self._content = b""
        self.keep_alive = self.keep_alive and not self._waits
