"""The contents of requests: read and unpacked within limits, of one and of all together."""

import asyncio
import ctypes
import functools
import zlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Refused
from flaxmill.serve.response import EncodedResponse
from flaxmill.serve.room import FREE, Room

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

_READ_ON = 4  # times the largest content: what is read, and dropped, before it is refused
_MEMBERS = 100  # of one gzip file; each costs more than its few bytes
_TRIMMED = 4 << 20
"""Bytes of a content from which on what it took besides is given back, in a millisecond or so."""
_PIECE = 64 << 10  # bytes that are unpacked at a time
_COMPRESSED_FROM = 512  # bytes; a shorter answer is sent faster than it is packed


class Contents:
    """The contents of all requests that are under way.

    Args:
        limits: Of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._room = Room(limits.max_buffered_bytes, limits.deadline)
        self._unpacker = ThreadPoolExecutor(1, thread_name_prefix="unpacking")

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Returns a request's content, unpacked; it has room until it is given back with `release`.

        Raises:
            Refused: It is too large, cannot be unpacked, or there is no room for it.
        """
        if int(headers.get(b"content-length", 0)) > _READ_ON * self.limits.max_body_bytes:
            raise self._too_large(last=True)
        message = await receive()
        if not message["more_body"] and b"content-encoding" not in headers:
            return message["body"]
        return await self._read_on(message, headers, receive)

    async def _read_on(
        self, message: Message, headers: dict[bytes, bytes], receive: Receive
    ) -> bytes:
        """Reads what is more than the first piece, or packed, with room for all it may become."""
        body, more = message["body"], message["more_body"]
        most = self.limits.max_body_bytes
        length = int(headers.get(b"content-length", most)) if more else len(body)
        if length > most:
            raise await self._discard(len(body), receive)
        encoding = _encoding(headers)
        taken = _room_for(length)
        if taken and encoding:
            taken += most  # now, not later: if all waited for more, none would give any back
        await self._room.take(taken)
        try:
            if more:
                body = await self._rest(body, receive)
            if encoding:
                unpacked = None if taken else _unpack(body, encoding, FREE)
                if unpacked is None and not taken:
                    await self._room.take(most)
                    taken = most
                if unpacked is None:
                    loop = asyncio.get_running_loop()
                    unpacked = await loop.run_in_executor(
                        self._unpacker, _unpack, body, encoding, most
                    )
                if unpacked is None:
                    raise self._too_large()
                body = unpacked
        except BaseException:
            self._room.give(taken)
            raise
        self._room.give(taken - _room_for(len(body)))
        return body

    async def _rest(self, begin: bytes, receive: Receive) -> bytes:
        """Returns the whole content."""
        content = bytearray(begin)
        loop = asyncio.get_running_loop()
        async with self._room.transfer() as transfer:
            while True:
                message = await receive()
                content += message["body"]
                transfer.received(len(message["body"]), loop.time())
                if len(content) > self.limits.max_body_bytes:
                    raise await self._discard(len(content), receive)
                if not message["more_body"]:
                    break
        whole = bytes(content)
        del content
        if len(whole) > _TRIMMED:
            _give_back()
        return whole

    async def _discard(self, size: int, receive: Receive) -> Refused:
        """Reads and discards the rest of a content that is too large, as far as is reasonable.

        A client that is still sending when its connection closes never sees why.
        """
        more = True
        while more:
            message = await receive()
            size += len(message["body"])
            more = message["more_body"]
            if size > _READ_ON * self.limits.max_body_bytes:
                return self._too_large(last=True)
        return self._too_large()

    def _too_large(self, *, last: bool = False) -> Refused:
        return Refused(
            413,
            f"the request is too large: send at most {self.limits.max_body_bytes:,} bytes.",
            last=last,
        )

    def release(self, content: bytes) -> None:
        """Gives a content's room back."""
        self._room.give(_room_for(len(content)))


def _trimmer() -> Callable[[int], int]:
    """Returns a function that has the C library give free memory back to the system, if it can."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # another one than glibc
        return lambda _: 0


_give_back = functools.partial(_trimmer(), 0)


def _room_for(size: int) -> int:
    """Returns how much room a content takes."""
    return size if size > FREE else 0


def _encoding(headers: dict[bytes, bytes]) -> bytes:
    """Returns how a content is compressed, if it is."""
    encoding = headers.get(b"content-encoding", b"").lower()
    encoding = encoding.removeprefix(b"x-")  # RFC 9110, section 8.4.1.3
    if encoding in (b"identity", b""):
        return b""
    if encoding not in (b"gzip", b"deflate"):
        raise Refused(
            415,
            f"content encoding {encoding[:40].decode('latin-1')!r}: expected gzip or deflate.",
        )
    return encoding


def _unpack(packed: bytes, encoding: bytes, most: int) -> bytes | None:
    """Decompresses gzip or zlib; None if the result is larger than allowed."""
    content = bytearray()
    try:
        for piece in _pieces(packed, encoding):
            content += piece
            if len(content) > most:
                return None
    except zlib.error as error:
        raise Refused(400, f"the {encoding.decode()} data is damaged: {error}.") from None
    return bytes(content)


def _pieces(packed: bytes, encoding: bytes) -> Iterator[bytes]:
    """Unpacks, a piece at a time; in gzip, a member after the other."""
    bits, members = 31 if encoding == b"gzip" else 15, 1
    unpacker = zlib.decompressobj(bits)
    for at in range(0, len(packed), _PIECE):
        rest = packed[at : at + _PIECE]
        while rest:
            if unpacker.eof:
                if encoding != b"gzip":
                    raise zlib.error("something follows it")
                members += 1
                if members > _MEMBERS:
                    raise Refused(413, f"the content has more than {_MEMBERS} members of gzip.")
                unpacker = zlib.decompressobj(bits)
            yield unpacker.decompress(rest, _PIECE)
            rest = unpacker.unused_data or unpacker.unconsumed_tail
    while not unpacker.eof:
        piece = unpacker.decompress(b"", _PIECE)
        if not piece:
            raise zlib.error("it is cut off")
        yield piece


def compress(response: EncodedResponse, accepted: bytes) -> EncodedResponse:
    """Compresses a response as its client accepts it, at the level that costs least.

    Args:
        response: To be sent.
        accepted: The client's header Accept-Encoding.
    """
    if len(response.body) < _COMPRESSED_FROM:
        return response
    codings = [coding.partition(b";") for coding in accepted.lower().split(b",")]
    names = {name.strip() for name, _, weight in codings if weight.replace(b" ", b"") != b"q=0"}
    for name, bits in ((b"gzip", 31), (b"deflate", 15)):
        if name in names:
            packer = zlib.compressobj(1, zlib.DEFLATED, bits)
            body = packer.compress(response.body) + packer.flush()
            return EncodedResponse([*response.headers, (b"content-encoding", name)], body)
    return response
