"""How a server begins: where it listens, whom it lets in, and what it is started without."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
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


EMPTY = {
    "env": "is empty: set it to the token that clients",
    "file": "is empty: write the token into",
}
UNFIT = dict.fromkeys(EMPTY, "must hold ASCII characters without spaces")


@pytest.mark.parametrize(
    ("token", "words"),
    [
        *((token, EMPTY) for token in ("", "\n", " \t\r\n")),
        *((token, UNFIT) for token in ("two words", "gr\u00fcn", "bell\x07")),
    ],
)
def test_a_token_that_no_client_could_show_is_refused(
    token: str,
    words: dict[str, str],
    shipped: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLAXMILL_TOKEN", token)
    status, _, err = command(capsys, "serve", str(shipped), "--port", "0")
    assert status == 2
    assert f"FLAXMILL_TOKEN {words['env']}" in err
    monkeypatch.delenv("FLAXMILL_TOKEN", raising=False)
    file = tmp_path / "token"
    file.write_text(token, "utf-8")
    status, _, err = command(capsys, "serve", str(shipped), "--token-file", str(file))
    assert status == 2
    assert f"--token-file {file} {words['file']}" in err


@pytest.mark.parametrize("without", ["<&- >&- 2>&-", "2>&1 | true", ">/dev/full"])
def test_it_serves_without_the_usual_streams(without: str, shipped: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = f'( echo $$ >"$PID"; exec "$@" ) {without}'
    command = [sys.executable, "-m", "flaxmill", "serve", str(shipped), "--port", str(port)]
    environment = os.environ | {"PID": str(tmp_path / "pid")}
    shell = ["bash", "-o", "pipefail", "-c", script.replace("$$", "$BASHPID"), "bash", *command]
    with subprocess.Popen(shell, env=environment) as process:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            while connection.sock is None:
                assert process.poll() is None
                with contextlib.suppress(ConnectionRefusedError):
                    connection.connect()
            for _ in range(2):  # its first answer comes after the line that says so
                connection.request("GET", "/v2")
                with connection.getresponse() as response:
                    assert response.status == 200
                    response.read()
        server = int((tmp_path / "pid").read_text())
        streams = [Path(f"/proc/{server}/fd/{number}") for number in range(3)]
        if "&-" in without and streams[0].parent.exists():
            assert [os.readlink(stream) for stream in streams] == [os.devnull] * 3
        os.kill(server, signal.SIGTERM)
        assert process.wait(60) == 0


def test_sighup_before_it_serves_loads_the_export_anew(shipped: Path, tmp_path: Path) -> None:
    """It comes when nothing answers it yet, and when workers are being started."""
    options = ["--port", "0", "--workers", "2"]
    command = [sys.executable, "-m", "flaxmill", "serve", str(shipped), *options]
    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        proc = Path(f"/proc/{process.pid}")
        if not proc.exists():
            process.kill()
            pytest.skip("needs Linux's /proc, which tells when a signal would wait")
        assert process.stdout is not None

        def begins() -> bool:
            assert process.poll() is None
            return not select.select([process.stdout], [], [], 0)[0]

        def waits() -> bool:
            status = (proc / "status").read_text()
            return bool(int(status.split("SigBlk:")[1].split()[0], 16) & 1)

        try:
            while not (waited := waits()) and begins():
                pass
            assert waited
            process.send_signal(signal.SIGHUP)
            while not (proc / "task" / proc.name / "children").read_text() and begins():
                pass
            process.send_signal(signal.SIGHUP)
            assert process.stdout.readline().startswith(b"serving ")
            while b"loaded the export anew" not in log.read_bytes():
                assert process.poll() is None
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert "a worker ended" not in [
        json.loads(line)["event"] for line in log.read_text().splitlines()
    ]
