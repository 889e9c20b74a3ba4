"""Whom a server sends away: clients that are slow, large, many, or of other sites."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import numpy as np
import pytest
import serving
from serving import INFER, Answer, Client, Served, pictures

SECONDS = 1.0


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with little patience and little room."""
    short = f"--head-seconds {SECONDS} --body-seconds {SECONDS} --keep-alive {SECONDS}"
    small = "--max-body-bytes 100000 --connections 8 --max-batch 4"
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, *short.split(), *small.split()) as running:
        yield running


@contextlib.contextmanager
def connected(server: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        yield client


def answered(client: socket.socket) -> Answer:
    with HTTPResponse(client) as response:
        response.begin()
        return serving._answer(response)


def drip(client: socket.socket, text: bytes) -> None:
    """Sends a byte at a time, as long as the server listens."""
    client.settimeout(0.05)
    with contextlib.suppress(ConnectionError):
        for byte in text:
            client.sendall(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                if client.recv(1, socket.MSG_PEEK) is not None:
                    break
    client.settimeout(30)


HEAD = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("before", "dripped", "words"),
    [
        (b"", b"GET /v2 HTTP/1.1\r\nX-Long: " + b"x" * 1000, "headers took more than 1 seconds"),
        (HEAD, b"x" * 1000, "content took more than 1 seconds"),
    ],
)
def test_a_slow_client_is_sent_away(
    server: Served, before: bytes, dripped: bytes, words: str
) -> None:
    with connected(server) as client:
        begun = time.monotonic()
        client.sendall(before)
        drip(client, dripped)
        answer = answered(client)
        assert SECONDS <= time.monotonic() - begun < 10 * SECONDS
    assert answer.status == 408
    assert words in answer.json["error"]
    assert answer.headers["connection"] == "close"


def test_a_silent_client_is_sent_away(server: Served) -> None:
    with connected(server) as client:
        assert client.recv(100) == b""  # closed, since there is no request to answer


def test_an_idle_connection_is_closed_after_a_while(server: Served) -> None:
    with connected(server) as client:
        client.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(client).status == 200
        client.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answered(client).status == 200
        begun = time.monotonic()
        assert client.recv(100) == b""
        assert time.monotonic() - begun > SECONDS / 2


def test_a_client_that_does_not_read_is_dropped(shipped: Path, tmp_path: Path) -> None:
    """Its answers wait for it, but not for ever, and no more of its requests are computed."""
    options = ("--write-seconds", "1", "--quiet")
    with (
        serving.serving(shipped, tmp_path / "log", *options) as server,
        connected(server) as client,
    ):
        large = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(ConnectionError):
            while True:
                client.sendall(large * 100)
        assert server.ask("/v2").status == 200


def test_endless_headers_are_refused(server: Served) -> None:
    answer = server.raw(b"GET /v2 HTTP/1.1\r\n" + b"X-Some: thing\r\n" * 3000)
    assert answer is not None
    assert answer.status == 431
    assert "headers may be 32,768 bytes at most" in answer.json["error"]


def test_a_large_request_is_refused_in_words(server: Served) -> None:
    """Also if its client sends all of it before it reads."""
    for size in (100_001, 300_000, 3_000_000):
        answer = server.ask(INFER, bytes(size))
        assert answer.status == 413
        assert answer.json["error"] == "the request is too large: send at most 100,000 bytes."
    chunked = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = server.raw(chunked + (b"8000\r\n" + bytes(0x8000) + b"\r\n") * 6 + b"0\r\n\r\n")
    assert answer is not None
    assert answer.status == 413
    huge = HEAD.replace(b"5000", b"99999999999")
    answer = server.raw(huge)
    assert answer is not None
    assert answer.status == 413


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
        b"GET /v2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n broken: x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(server: Served, sent: bytes) -> None:
    answer = server.raw(sent)
    assert answer is not None
    assert answer.status == 400
    assert answer.json["error"].startswith("this is not a request in HTTP/1.1: ")


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    async def ask_at_once(sent: list[bytes]) -> list[Answer]:
        client = Client(server.port)
        await client.send(b"".join(sent))
        answers = [await client.receive() for _ in sent]
        client.close()
        return answers

    batches = [pictures(seed, 1 + seed % 3) for seed in range(20)]
    alone = [serving.outputs(a) for b in batches if (a := server.raw(serving.request(b)))]
    together = asyncio.run(ask_at_once([serving.request(batch) for batch in batches]))
    for answer, expected in zip(together, alone, strict=True):
        assert answer.status == 200
        np.testing.assert_allclose(
            serving.outputs(answer)["logits"], expected["logits"], rtol=1e-4, atol=1e-5
        )


def test_more_connections_than_there_is_room_for_are_refused(server: Served) -> None:
    with contextlib.ExitStack() as held:
        first = [held.enter_context(connected(server)) for _ in range(8)]
        for client in first:  # each is in, and is answered
            client.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answered(client).status == 200
        with connected(server) as client:
            answer = answered(client)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert "8 clients use it" in answer.json["error"]
        first[0].sendall(serving.request(pictures(0)))
        assert answered(first[0]).status == 200


def test_other_sites_may_not_use_it(server: Served) -> None:
    rebound = server.ask("/v2", Host="attacker.example")
    assert rebound.status == 400
    assert "this server is not called 'attacker.example'" in rebound.json["error"]
    origin = "https://attacker.example"
    posted = server.ask("/predict", b"", Origin=origin, Content_Type="text/plain")
    assert posted.status == 403
    assert "pages of other sites" in posted.json["error"]
    own = f"http://127.0.0.1:{server.port}"
    assert server.ask("/v2", Origin=own).status == 200
    assert server.ask("/v2", Origin="http://127.0.0.1:1").status == 403
    assert server.ask("/v2", Host="LOCALHOST:80").status == 200
    assert server.ask("/v2", Host="[::1]:80").status == 200


def test_a_token_is_asked_for(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("se-cret\n")
    options = ("--allow-hosts", "My.example.", "--token-file", str(tmp_path / "token"))
    with serving.serving(shipped, tmp_path / "log", *options) as server:
        for path in ("/v2", "/signature.json", "/metrics", "/examples.json", INFER, "/nowhere"):
            for shown in ("", "Bearer no", "Basic se-cret", "Bearer", "Bearer se-cret x"):
                answer = server.ask(path, Authorization=shown)
                assert answer.status == 401
                assert "Authorization: Bearer TOKEN" in answer.json["error"]
                assert answer.headers["www-authenticate"] == "Bearer"
        assert server.ask("/v2", Authorization="Bearer se-cret").status == 200
        assert server.ask("/v2", Authorization="bearer se-cret").status == 200
        assert server.ask(INFER, b"{}", Authorization="Bearer se-cret").status == 400
        for path in ("/v2/health/live", "/v2/health/ready", "/limits.json", "/"):
            assert server.ask(path).status == 200
        assert server.ask("/limits.json").json["token"] is True
        assert server.ask("/v2/health/live", Host="my.example:9").status == 200
        command = Path(f"/proc/{server.process.pid}/cmdline")
        assert not command.exists() or b"se-cret" not in command.read_bytes()
    with serving.serving(shipped, tmp_path / "log", "--host", "0.0.0.0") as server:
        assert server.ask("/v2", Host="any.example").status == 200
        assert "FLAXMILL_TOKEN" in server.await_log("whoever reaches this port")["event"]
    environment = {"FLAXMILL_TOKEN": " other\n"}  # as some secrets arrive
    with serving.serving(shipped, tmp_path / "log", **environment) as server:
        assert server.ask("/v2").status == 401
        assert server.ask("/v2", Authorization="Bearer other").status == 200
