"""Memory for what clients send, shared out so that none of them can have all of it.

A content of up to `FREE` bytes always has room: there are only so many connections. A larger one
waits for room before it is read, and its client waits with it. It asks for all it can come to at
once, so that what has begun to be read can always be read to its end. The last quarter is kept for
small ones; and while somebody waits, whoever has room and does not fill it loses it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flaxmill.serve.refusal import Busy, Refused

FREE = 16 << 10
"""Bytes that each request may have without asking; also what is read of it at first."""

_SMALL = 64 << 10  # bytes; up to it a content may have the last quarter too
_PACE = 64 << 10  # bytes that a client sends at least …
_PACE_SECONDS = 2.0  # … in this time, if others wait
_LOOK_SECONDS = 0.25
_MOST_WAITING = 256  # contents; they may all have waited long enough at the same time


def _busy() -> Busy:
    words = "the server is busy: it holds as much as it may of what clients sent."
    return Busy(words, last=True)


class Transfer:
    """A content that is being received, and has room.

    Args:
        timeout: Ends it.
        now: The event loop's time.
    """

    def __init__(self, timeout: asyncio.Timeout, now: float) -> None:
        self._patience = timeout
        self._since = now
        self._left = _PACE

    def received(self, size: int, now: float) -> None:
        """Notes that more of it arrived."""
        self._left -= size
        if self._left <= 0:
            self._left, self._since = _PACE, now

    def hurry(self, now: float) -> None:
        """Ends it if its client keeps no pace."""
        if now - self._since > _PACE_SECONDS and not self._patience.expired():
            self._patience.reschedule(now)


class Room:
    """So many bytes, of which contents take some, and give them back.

    Args:
        size: Bytes.
        timeout: Seconds that a content waits for room.
    """

    def __init__(self, size: int, timeout: float) -> None:
        self._size = size
        self._patience = timeout
        self._taken = 0
        self._small: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._large: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._transfers: set[Transfer] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, size: int) -> None:
        """Takes bytes, in the order in which they were asked for.

        Raises:
            Busy: There was no room for too long, or too many wait for it.
        """
        if not size:
            return
        line = self._small if size <= _SMALL else self._large
        if not line and self._fits(size):
            self._taken += size
            return
        if len(line) >= _MOST_WAITING:
            raise _busy()
        loop = asyncio.get_running_loop()
        admitted = loop.create_future()
        line.append((size, admitted))
        self._watch()
        try:
            async with asyncio.timeout(self._patience):
                await admitted
        except (TimeoutError, asyncio.CancelledError) as ended:
            if not admitted.cancelled():  # let in just as the time was over, or the client left
                self.give(size)
            if isinstance(ended, TimeoutError):
                raise _busy() from None
            raise

    def give(self, size: int) -> None:
        """Gives bytes back."""
        if size:
            self._taken -= size
            self._admit()

    def _fits(self, size: int) -> bool:
        """Returns whether there is room; for one alone there always is."""
        most = self._size if size <= _SMALL else self._size * 3 // 4
        return self._taken + size <= most or not self._taken

    def _admit(self) -> None:
        """Admits those whose turn it is."""
        for line in (self._small, self._large):
            while line:
                size, admitted = line[0]
                if not admitted.done():
                    if not self._fits(size):
                        break
                    self._taken += size
                    admitted.set_result(None)
                line.popleft()

    @asynccontextmanager
    async def transfer(self) -> AsyncIterator[Transfer]:
        """Ends what is done within it, if the client that it waits for keeps others waiting.

        Raises:
            Refused: It was ended.
        """
        try:
            async with asyncio.timeout(None) as timeout:
                transfer = Transfer(timeout, asyncio.get_running_loop().time())
                self._transfers.add(transfer)
                try:
                    yield transfer
                finally:
                    self._transfers.discard(transfer)
        except TimeoutError:
            raise Refused(
                408, "the content comes too slowly while others wait to send theirs.", last=True
            ) from None

    def _watch(self) -> None:
        """Looks now and then for clients that keep others waiting."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_LOOK_SECONDS, self._hurry)

    def _hurry(self) -> None:
        self._timer = None
        self._admit()  # and forgets those who have left
        if self._small or self._large:
            now = asyncio.get_running_loop().time()
            for transfer in self._transfers:
                transfer.hurry(now)
            self._watch()
