"""Where one request ends and the next begins: nothing is understood in two ways."""

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httptools
import numpy as np
import pytest
import serving
from serving import INFER, MODEL, Served, pictures

from flaxmill.serve.framing import Chunks, Head, head_end, read_head
from flaxmill.serve.refusal import Refused

HOST = b"Host: localhost\r\n"
LAST = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, "--head-seconds", "2", "--body-seconds", "2") as running:
        yield running


def statuses(server: Served, *parts: bytes) -> list[int]:
    """Sends bytes, and a last request; returns the status of each answer until the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            client.sendall(part)
        client.sendall(LAST)
        came = b""
        while part := client.recv(1 << 16):
            came += part
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", came)]


def get(*lines: bytes, first: bytes = b"GET /v2 HTTP/1.1", host: bytes = HOST) -> bytes:
    return first + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(lines: bytes, content: bytes) -> bytes:
    return b"POST /v2 HTTP/1.1\r\n" + HOST + lines + b"\r\n" + content


ASKED = serving.request(pictures(0))
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEA\r\nUpgrade: %b\r\n"
REFUSED = {
    "no host": get(host=b""),
    "two hosts": get(b"Host: localhost"),
    "two hosts that differ": get(b"Host: elsewhere"),
    "a host that is none": get(host=b"Host: local host\r\n"),
    "HTTP/2.0": get(first=b"GET /v2 HTTP/2.0"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": get(first=b"GET /v2 HTTP/1.2"),
    "HTTP/0.9": b"GET /v2\r\n\r\n",
    "no space": get(first=b"GET/v2 HTTP/1.1"),
    "two spaces": get(first=b"GET  /v2 HTTP/1.1"),
    "a fragment": get(first=b"GET /v2#x HTTP/1.1"),
    "a path that is none": get(first=b"GET v2 HTTP/1.1"),
    "CONNECT": get(first=b"CONNECT localhost:80 HTTP/1.1"),
    "bytes beyond ASCII in the path": get(first=b"GET /\xff HTTP/1.1"),
    "folded": get(b"X: y", b" z"),
    "folded at first": b"GET /v2 HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n",
    "space before the colon": get(b"Content-Length : 0"),
    "no colon": get(b"Content-Length"),
    "no name": get(b": 0"),
    "NUL": get(b"X: a\0b"),
    "lines that end with LF": b"GET /v2 HTTP/1.1\n" + HOST + b"\r\n",
    "LF alone, to the end": b"GET /v2 HTTP/1.1\nHost: localhost\n\n",
    "LF in a header": get(b"X: y\nContent-Length: 44"),
    "CR in a header": get(b"X: y\rContent-Length: 44"),
    "two lengths": post(b"Content-Length: 44\r\nContent-Length: 0\r\n", SMUGGLED),
    "two equal lengths": post(b"Content-Length: 44\r\nContent-Length: 44\r\n", SMUGGLED),
    "a list of lengths": post(b"Content-Length: 44, 44\r\n", SMUGGLED),
    "a length with a sign": post(b"Content-Length: +44\r\n", SMUGGLED),
    "a negative length": post(b"Content-Length: -1\r\n", SMUGGLED),
    "a hexadecimal length": post(b"Content-Length: 0x2c\r\n", SMUGGLED),
    "an empty length": post(b"Content-Length:\r\n", SMUGGLED),
    "length and chunks": post(b"Content-Length: 49\r\n" + CHUNKED, b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": post(CHUNKED + b"Content-Length: 4\r\n", b"0\r\n\r\n" + SMUGGLED),
    "chunked, identity": post(CHUNKED[:-2] + b", identity\r\n", b"0\r\n\r\n" + SMUGGLED),
    "identity": post(b"Transfer-Encoding: identity\r\n", SMUGGLED),
    "gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "chunked twice": post(CHUNKED * 2, b"0\r\n\r\n" + SMUGGLED),
    "xchunked": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "chunked with a tab": post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "chunks in HTTP/1.0": post(CHUNKED, b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "two tokens": get(b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "a user in the target": get(first=b"GET http://localhost@elsewhere/v2 HTTP/1.1"),
}
CHUNKS = {
    "no size": b"\r\n0\r\n\r\n",
    "a size with a sign": b"+0\r\n\r\n",
    "a size with 0x": b"0x0\r\n\r\n",
    "a size that is too large": b"fffffffffffffffff\r\n",
    "a size with a space": b"0 \r\n\r\n",
    "a size before LF": b"0\n\r\n",
    "an extension with LF": b"0;x\n\r\n\r\n",
    "more than its size": b"2\r\n{}}\r\n0\r\n\r\n",
    "less than its size": b"3\r\n{}\r\n0\r\n\r\n",
    "a trailer that is none": b"0\r\nbroken\r\n\r\n",
    "a length in a trailer": b"0\r\nContent-Length: 44\r\n\r\n",
    "a folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
}
TAKEN = {
    "nothing special": (get(), [200]),
    "a line before it": (b"\r\n" + get(), [200]),
    "a host in the target": (get(first=b"GET http://localhost/v2 HTTP/1.1"), [200]),
    "the host in the target counts": (
        get(first=b"GET http://localhost/v2 HTTP/1.1", host=b"Host: elsewhere\r\n"),
        [200],
    ),
    "another host in the target": (get(first=b"GET http://elsewhere/v2 HTTP/1.1"), [400]),
    "HEAD": (get(first=b"HEAD /v2 HTTP/1.1"), [200]),
    "OPTIONS *": (get(first=b"OPTIONS * HTTP/1.1"), [404]),
    "a header twice": (get(b"Cookie: a", b"Cookie: b"), [200]),
    "GET with content": (get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED, [200]),
    "inference": (ASKED, [200]),
    "two inferences": (ASKED * 2, [200, 200]),
    "upgrade to h2c": (ASKED.replace(b"\r\n", b"\r\n" + UPGRADE % b"h2c", 1), [200]),
    "upgrade to websocket": (ASKED.replace(b"\r\n", b"\r\n" + UPGRADE % b"websocket", 1), [200]),
    "upgrade with a request for content": (
        post(UPGRADE % b"h2c" + b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
        [405],
    ),
    "chunks": (post(CHUNKED, b"2;x=y\r\n{}\r\n0\r\nX: y\r\n\r\n"), [405]),
    "a request in chunks": (
        post(CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        [405],
    ),
    "a request in a trailer": (post(CHUNKED, b"0\r\nX: " + SMUGGLED), [405]),
}


@pytest.mark.parametrize("name", [*REFUSED, *CHUNKS])
def test_what_could_be_understood_in_two_ways_is_refused(server: Served, name: str) -> None:
    sent = REFUSED[name] if name in REFUSED else post(CHUNKED, CHUNKS[name])
    assert statuses(server, sent) == [400]
    half = len(sent) // 2
    assert statuses(server, sent[:half], sent[half:]) == [400]


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_plain_is_answered_and_so_is_what_follows(server: Served, name: str) -> None:
    sent, expected = TAKEN[name]
    assert statuses(server, sent) == [*expected, 200]
    for cut in (1, sent.index(b"\r\n\r\n") + 4, len(sent) - 1):
        assert statuses(server, sent[:cut], sent[cut:]) == [*expected, 200]
    assert statuses(server, *(sent[at : at + 1] for at in range(len(sent))))[-1] == 200


@pytest.mark.parametrize(
    "path",
    [
        *(f"/v2/models/{MODEL}/ready/infer", f"{INFER}/infer", f"/v2/models/{MODEL}//infer"),
        *(f"/v2/models/{MODEL}/versions/1/ready/infer", f"/v2/models/{MODEL}/versions/infer"),
        *(f"/v2/models/{MODEL}/versions/1/2/infer", f"/v2/models/{MODEL}/infer/ready/infer"),
    ],
)
def test_what_only_ends_like_a_route_is_none(server: Served, path: str) -> None:
    answer = server.raw(serving.request(pictures(0), path=path))
    assert answer is not None
    assert answer.status == 404


def test_a_trailer_opens_no_door(shipped: Path, tmp_path: Path) -> None:
    token = b"Authorization: Bearer se-cret\r\n"
    environment = {"FLAXMILL_TOKEN": "se-cret"}
    with serving.serving(shipped, tmp_path / "log", **environment) as server:
        content = b"2\r\n{}\r\n0\r\n%b\r\n"
        asked = b"POST %b HTTP/1.1\r\n" % INFER.encode() + HOST + CHUNKED
        assert statuses(server, asked + token + b"\r\n" + content % b"") == [400, 200]
        assert statuses(server, asked + b"\r\n" + content % token) == [401, 200]
        for cut in range(len(asked) + 12, len(asked) + 30):
            sent = asked + b"\r\n" + content % token
            assert statuses(server, sent[:cut], sent[cut:]) == [401, 200]


@pytest.mark.parametrize(
    ("begin", "endless"),
    [
        (get()[:-2], b"X: y\r\n"),
        (get()[:-2] + b"X: ", b"y"),
        (post(CHUNKED, b"2\r\n{}\r\n0\r\n"), b"X: y\r\n"),
        (post(CHUNKED, b"2\r\n{}\r\n0\r\nX: "), b"y"),
        (post(CHUNKED, b"2;"), b"x"),
        (post(CHUNKED, b""), b"1;xxxxxxxxxxxxx\r\nx\r\n"),
        (post(CHUNKED, b""), b"1\r\nx\r\n"),
    ],
)
def test_what_frames_a_request_is_counted_as_a_whole(
    server: Served, begin: bytes, endless: bytes
) -> None:
    """However it comes: 120,000 bytes in one go, or cut."""
    sent = begin + endless * (120_000 // len(endless))
    for cut in (len(sent), 20_000, 1000):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            for at in range(0, len(sent), cut):
                client.sendall(sent[at : at + cut])
            with client.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


def test_fields_are_counted(server: Served) -> None:
    fits = b"".join(b"X: %d\r\n" % number for number in range(98))
    assert statuses(server, get(fits[:-2])) == [200, 200]
    assert statuses(server, get(fits[:-2], b"X: y", b"X: z")) == [431]


Message = tuple[str, bytes, list[tuple[bytes, bytes]], bytes]


def ours(pieces: list[bytes]) -> list[Message] | None:
    """Returns the requests of a stream, or None if it is refused."""
    found: list[Message] = []
    head: Head | None = None
    chunks: Chunks | None = None
    came = content = b""
    seen = 0
    try:
        for piece in pieces:
            came += piece
            while came:
                if head is None:
                    if not (end := head_end(came, seen, 1 << 15)):
                        seen = len(came)
                        break
                    head, came, content, seen = read_head(came[:end]), came[end:], b"", 0
                    chunks = Chunks(1 << 15) if head.length is None else None
                if chunks is not None:
                    part, came = chunks.read(came)
                    content, whole = content + part, chunks.ended
                else:
                    assert head.length is not None
                    part = came[: head.length - len(content)]
                    content, came = content + part, came[len(part) :]
                    whole = len(content) == head.length
                if not whole:
                    break
                target = head.path + (b"?" + head.query if head.query else b"")
                found.append((head.method, target, head.fields, content))
                head = None
    except Refused:
        return None
    return found


class Theirs:
    """The requests of a stream as another parser reads them, that of Node.js."""

    def __init__(self, stream: bytes) -> None:
        self.found: list[Message] = []
        self._parser = httptools.HttpRequestParser(self)
        with contextlib.suppress(httptools.HttpParserError):  # in what follows the last of them
            self._parser.feed_data(stream)

    def on_message_begin(self) -> None:
        self._target, self._content, self._in_head = b"", b"", True
        self._fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._fields.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, content: bytes) -> None:
        self._content += content

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode()
        self.found.append((method, self._target, self._fields, self._content))


WORDS = (
    *(b"GET /v2 HTTP/1.1\r\n", b"POST /v2?a=b HTTP/1.1\r\n", HOST, CHUNKED, b"\r\n", b"\r\n\r\n"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"X: y\r\n", b"0\r\n\r\n", b"hello"),
    *(
        b"5\r\nhello\r\n",
        b"5;x=y\r\nhello\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"a",
        b" ",
        b"\t",
        b"\n",
        b"\r",
    ),
    *(b"\0", b":", b"Connection: keep-alive\r\n", b"Cookie:  a \t\r\n", b"\xff", b"00000005\r\n"),
)
WHOLE = (
    get(),
    post(b"Content-Length: 5\r\n", b"hello"),
    post(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    post(CHUNKED, b"5;x=y\r\nhello\r\n3\r\nyou\r\n0\r\nX: y\r\n\r\n"),
    ASKED,
)


def test_another_parser_understands_what_is_taken_in_the_same_way() -> None:
    """And whatever the pieces in which it comes."""
    rng = np.random.default_rng(0)
    taken = several = 0
    for _ in range(10_000):
        stream = b"".join(WHOLE[int(at)] for at in rng.integers(0, len(WHOLE), 3))
        for _ in range(int(rng.integers(3))):
            word = WORDS[int(rng.integers(len(WORDS)))]
            at = int(rng.integers(len(stream)))
            stream = stream[:at] + word + stream[at + int(rng.integers(8)) * len(word) // 4 :]
        found = ours([stream])
        cut = int(rng.integers(len(stream)))
        assert found == ours([stream[:cut], stream[cut:]])
        if found is not None and {method for method, *_ in found} <= {"GET", "POST"}:
            assert found == Theirs(stream).found
            taken += 1
            several += len(found) > 1
    assert taken > 3000 and several > 2000
