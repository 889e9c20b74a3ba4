"""What a server is told before it serves: where to listen, and whom to let in."""

import contextlib
import socket
from http.client import HTTPConnection
from pathlib import Path

import pytest
import serving
from commands import command

from flaxmill.errors import BadInput
from flaxmill.serve.launch import listen
from flaxmill.serve.settings import Settings


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("127.0.0.1", {"127.0.0.1", "localhost"}),
        ("127.0.0.2", {"127.0.0.2", "localhost"}),
        ("127.1", {"127.1", "127.0.0.1"}),
        ("localhost", {"localhost", "127.0.0.1"}),
        ("::1", {"[::1]", "localhost"}),
        ("::ffff:127.0.0.1", {"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1"}),
        ("0", set()),
        ("0.0.0.0", set()),
        ("::", set()),
    ],
)
def test_the_address_says_whether_others_reach_it(host: str, names: set[str]) -> None:
    try:
        listening = listen(host, 0)
    except BadInput:
        pytest.skip(f"{host} is no address of this machine")
    with listening:
        found = Settings(Path(), host=host, address=listening.getsockname()[0]).own_names
    assert names <= found
    assert bool(names) == bool(found)


def test_every_loopback_address_checks_names(shipped: Path, tmp_path: Path) -> None:
    with serving.serving(shipped, tmp_path / "log", "--host", "127.0.0.2") as server:
        for name, status in (
            ("127.0.0.2", 200),
            (f"127.0.0.2:{server.port}", 200),
            ("localhost.", 200),
            (f"LOCALHOST.:{server.port}", 200),
            ("attacker.example", 400),
            ("127.0.0.2.attacker.example", 400),
        ):
            connection = HTTPConnection("127.0.0.2", server.port, timeout=60)
            with contextlib.closing(connection):
                connection.request("GET", "/v2", headers={"Host": name})
                assert connection.getresponse().status == status, name
        assert not any("whoever reaches" in line.get("event", "") for line in server.log())


def test_a_port_is_one_servers_alone_from_the_start() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port}: address already in use; give another"):
            listen("127.0.0.1", port)
        socket.create_connection(("127.0.0.1", port)).close()  # waits in it


@pytest.mark.parametrize("empty", ["", "\n", " \t\r\n"])
def test_an_empty_token_lets_nobody_in(
    empty: str,
    shipped: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLAXMILL_TOKEN", empty)
    status, _, err = command(capsys, "serve", str(shipped), "--port", "0")
    assert status == 2
    assert "FLAXMILL_TOKEN is empty: set it to the token that clients must show, or unset" in err
    file = tmp_path / "token"
    file.write_text(empty)
    status, _, err = command(capsys, "serve", str(shipped), "--token-file", str(file))
    assert status == 2
    assert f"--token-file {file} is empty: write the token into it" in err


@pytest.mark.parametrize("token", ["two words", "gr\u00fcn", "bell\x07"])
def test_a_token_that_no_client_could_send_is_refused(
    token: str,
    shipped: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLAXMILL_TOKEN", token)
    status, _, err = command(capsys, "serve", str(shipped), "--port", "0")
    assert status == 2
    assert "FLAXMILL_TOKEN must hold ASCII characters without spaces" in err
