"""What a request brings: read and unpacked within limits, of one request and of all together."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from flaxmill.serve.answer import Answer
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Busy, Refused

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

_READ_ON = 4  # times the largest content: what is read, and dropped, before it is refused
_MEMBERS = 100  # of one gzip file; each costs a copy of what follows it
_COMPRESSED_FROM = 512  # bytes; a shorter answer is sent faster than it is packed


class Contents:
    """The contents of all requests that are under way.

    Args:
        limits: Of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._held = 0

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Returns a request's content, unpacked; it counts until it is given back with `done`.

        Raises:
            Refused: It is too large, or cannot be unpacked.
        """
        most = self.limits.max_body_bytes
        if int(headers.get(b"content-length", 0)) > _READ_ON * most:
            raise self._too_large(last=True)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        body = message["body"]
        if message.get("more_body"):
            body = await self._rest(body, receive)
        if len(body) > most:
            raise self._too_large()
        if b"content-encoding" in headers:
            body = _unpacked(body, headers[b"content-encoding"], most, self._too_large)
        if self._held + len(body) > self.limits.max_buffered_bytes:
            raise Busy("the server is busy: it holds as much as it may of what clients sent.")
        self._held += len(body)
        return body

    async def _rest(self, begin: bytes, receive: Receive) -> bytes:
        """Returns the whole content; of one that is too large, reads some more before refusing.

        A client that is still sending when its connection closes never sees why.
        """
        most = self.limits.max_body_bytes
        parts, size = [begin], len(begin)
        self._held += size
        held = size
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise asyncio.CancelledError
                part = message.get("body", b"")
                size += len(part)
                if size > _READ_ON * most:
                    raise self._too_large(last=True)
                if size <= most:
                    if self._held + len(part) > self.limits.max_buffered_bytes:
                        raise Busy("the server is busy: it holds as much as it may.")
                    parts.append(part)
                    self._held += len(part)
                    held += len(part)
                if not message.get("more_body"):
                    break
        finally:
            self._held -= held
        if size > most:
            raise self._too_large()
        return b"".join(parts)

    def _too_large(self, *, last: bool = False) -> Refused:
        return Refused(
            413,
            f"the request is too large: send at most {self.limits.max_body_bytes:,} bytes.",
            last=last,
        )

    def done(self, content: bytes) -> None:
        """Counts a content no longer."""
        self._held -= len(content)


def _unpacked(body: bytes, encoding: bytes, most: int, too_large: Callable[[], Refused]) -> bytes:
    """Returns what was packed with gzip or zlib, if it is not larger than it may be."""
    encoding = encoding.strip().lower().removeprefix(b"x-")  # RFC 9110, section 8.4.1.3
    if encoding in (b"identity", b""):
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise Refused(
            415,
            f"content encoding {encoding[:40].decode('latin-1')!r}: expected gzip or deflate.",
        )
    several, size = encoding == b"gzip", 0
    parts: list[bytes] = []
    try:
        while body and (several or not parts):
            decompressor = zlib.decompressobj(31 if several else 15)
            parts.append(decompressor.decompress(body, most + 1 - size))
            size += len(parts[-1])
            if size > most or len(parts) > _MEMBERS:
                raise too_large()
            if not decompressor.eof:
                break
            body = decompressor.unused_data
    except zlib.error as error:
        raise Refused(400, f"the content is not {encoding.decode()}: {error}.") from None
    if body or not parts:
        raise Refused(400, f"the content's {encoding.decode()} data is damaged: it ends elsewhere.")
    return b"".join(parts)


def compressed(answer: Answer, accepted: bytes) -> Answer:
    """Packs an answer as its client accepts it, at the level that costs least.

    Args:
        answer: To be sent.
        accepted: The client's header Accept-Encoding.
    """
    if len(answer.body) < _COMPRESSED_FROM:
        return answer
    codings = [coding.partition(b";") for coding in accepted.lower().split(b",")]
    names = {name.strip() for name, _, weight in codings if weight.replace(b" ", b"") != b"q=0"}
    for name, bits in ((b"gzip", 31), (b"deflate", 15)):
        if name in names:
            packer = zlib.compressobj(1, zlib.DEFLATED, bits)
            body = packer.compress(answer.body) + packer.flush()
            return Answer([*answer.headers, (b"content-encoding", name)], body)
    return answer
