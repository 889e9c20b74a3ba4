"""How much clients may have a server hold, and that nobody waits for those who hold it."""

import asyncio
import contextlib
import gzip
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serving
from serving import INFER, Served, pictures
from watching import resident_megabytes

from flaxmill.serve.refusal import Busy
from flaxmill.serve.room import Room

LARGEST = 16 << 20
MOST_SECONDS = 1.0  # that another's request may wait; without a load on the machine it is 0.1
HEAD = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\n".encode()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, "--quiet") as running:
        running.raw(serving.request(pictures(0)))  # what the first one needs is no attack's
        running.ask(INFER, gzip.compress(b"{}"), Content_Encoding="gzip")
        yield running


class Beside:
    """Another client, who asks for an inference again and again while the block runs."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.longest = 0.0
        self.megabytes = 0.0
        self.statuses: set[int] = set()

    def _ask(self) -> None:
        while not self._end.is_set():
            begun = time.monotonic()
            answer = self._server.raw(serving.request(pictures(0, 64)))
            assert answer is not None
            self.statuses.add(answer.status)
            self.longest = max(self.longest, time.monotonic() - begun)
            self.megabytes = max(self.megabytes, resident_megabytes(self._server.process.pid))

    def __enter__(self) -> "Beside":
        self.before = resident_megabytes(self._server.process.pid)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@contextlib.contextmanager
def connected(server: Served, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            for _ in range(count)
        ]


def send(client: socket.socket, content: bytes) -> None:
    """Sends as much as the server takes within a moment."""
    client.settimeout(0.1)
    with contextlib.suppress(TimeoutError, ConnectionError):
        client.sendall(content)


def stalled(clients: list[socket.socket]) -> None:
    for client in clients:
        send(client, HEAD + b"Content-Length: %d\r\n\r\n" % LARGEST + bytes(LARGEST - 1024))


def parts(clients: list[socket.socket]) -> None:
    for client in clients:
        send(client, HEAD + b"Content-Length: %d\r\n\r\n" % LARGEST + bytes(1_000_000))


def packed(clients: list[socket.socket]) -> None:
    bomb = gzip.compress(bytes(LARGEST))
    lines = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    for client in clients:
        client.sendall(HEAD + lines + bomb)
    for client in clients:
        assert client.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 503")


def ahead(clients: list[socket.socket]) -> None:
    """Sends requests for three seconds, and reads what answers there are all the while."""
    ended = time.monotonic() + 3

    def read(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while client.recv(1 << 16):
                pass

    for client in clients:
        threading.Thread(target=read, args=(client,), daemon=True).start()
    while time.monotonic() < ended:
        for client in clients:
            client.sendall(LIVE * 4000)


@pytest.mark.parametrize(
    ("attack", "clients", "most"),
    [(stalled, 17, 200), (parts, 300, 200), (packed, 40, 200), (ahead, 1, 30)],
)
def test_others_are_answered_meanwhile_and_little_is_held(
    server: Served, attack: Callable[[list[socket.socket]], None], clients: int, most: float
) -> None:
    """The most is of megabytes."""
    with connected(server, clients) as attackers, Beside(server) as beside:
        attack(attackers)
        beside.megabytes = max(beside.megabytes, resident_megabytes(server.process.pid))
    assert beside.statuses == {200}
    assert beside.megabytes - beside.before < most
    assert beside.longest < MOST_SECONDS


def test_who_holds_room_and_sends_nothing_makes_way_for_who_waits(server: Served) -> None:
    with connected(server, 4) as holding:
        stalled(holding)
        begun = time.monotonic()
        answer = server.ask(INFER, bytes(LARGEST))
        assert answer.status == 400
        assert "is not JSON" in answer.json["error"]
        assert time.monotonic() - begun < 8  # and not the 30 seconds that a content may take
        answers = [client.recv(1 << 16) for client in holding[:2]]
    for said in answers:
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"too slowly while others wait" in said


def test_answers_that_nobody_reads_are_not_kept_for_all(shipped: Path, tmp_path: Path) -> None:
    """The client that lets its own wait longest goes, long before 30 seconds are over."""
    asked = LIVE.replace(b"/v2/health/live", b"/page/page.css") * 500
    options = ("--quiet", "--max-buffered-bytes", "200000")

    def unread(stack: contextlib.ExitStack) -> socket.socket:
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        send(client, asked)
        return client

    with (
        serving.serving(shipped, tmp_path / "log", *options) as server,
        contextlib.ExitStack() as stack,
    ):
        first = unread(stack)
        begun = time.monotonic()
        gone = select.poll()
        gone.register(first, 0)  # for its end alone, which is always told
        while not gone.poll(500):
            unread(stack)
        assert time.monotonic() - begun < 20
        assert server.ask("/v2").status == 200


def test_what_is_sent_in_pieces_and_packed_arrives_whole(server: Served) -> None:
    batch = pictures(3, 1000)
    plain = serving.request(batch)
    at = plain.index(b"\r\n\r\n") + 4
    head, content = plain[:at], plain[at:]
    alone = server.raw(plain)
    assert alone is not None and alone.status == 200
    length = b"Content-Length: %d" % len(content)
    chunks = b"".join(
        b"c00\r\n%b\r\n" % content[i : i + 0xC00] for i in range(0, len(content), 0xC00)
    )
    last = content[len(content) // 0xC00 * 0xC00 :]
    chunks = chunks.replace(b"c00\r\n" + last, b"%x\r\n" % len(last) + last) + b"0\r\n\r\n"
    gzipped = gzip.compress(content[:400_000]) + gzip.compress(content[400_000:])
    for sent in (
        head.replace(length, b"Transfer-Encoding: chunked") + chunks,
        head.replace(length, b"Content-Encoding: gzip\r\nContent-Length: %d" % len(gzipped))
        + gzipped,
        head.replace(
            length, b"Content-Encoding: deflate\r\nContent-Length: %d" % len(zlib.compress(content))
        )
        + zlib.compress(content),
    ):
        answer = server.raw(sent)
        assert answer is not None
        assert answer.content == alone.content


def test_room_is_shared_out() -> None:
    async def share() -> None:
        room = Room(1 << 20, 0.05)
        await room.take(700_000)
        large = asyncio.create_task(room.take(100_000))
        await asyncio.sleep(0)
        await room.take(60_000)  # of what is kept for small ones
        assert not large.done()
        room.give(700_000)
        await large
        await room.take(600_000)
        with pytest.raises(Busy, match="it holds as much as it may"):
            await room.take(100_000)
        first, second = (asyncio.create_task(room.take(size)) for size in (300_000, 100_000))
        await asyncio.sleep(0)
        first.cancel()
        room.give(100_000)
        await second
        for size in (60_000, 600_000, 100_000):
            room.give(size)
        await room.take(2 << 20)  # more than there is: alone, and only alone
        with pytest.raises(Busy):
            await room.take(1)
        room.give(2 << 20)
        await room.take(1 << 20)

    asyncio.run(share())


def test_not_everybody_can_wait_for_room() -> None:
    async def crowd() -> list[BaseException | None]:
        room = Room(1 << 20, 0.05)
        await room.take(1 << 20)
        return await asyncio.gather(
            *(room.take(100_000) for _ in range(400)), return_exceptions=True
        )

    refused = asyncio.run(crowd())
    assert all(isinstance(one, Busy) and one.last for one in refused)
