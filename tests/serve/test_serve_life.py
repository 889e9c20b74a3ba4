"""A server under load, as it stops, loads a new export, loses a worker, or is full."""

import asyncio
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import serving
from commands import command
from serving import INFER, Client, Served, pictures

from flaxmill.machine import files
from flaxmill.serve.server import terminal_closed
from flaxmill.trained.exported import Exported

CLIENTS = 64


class Load:
    """Clients that ask as fast as they are answered, each about its own pictures.

    Args:
        server: Whom to ask.
        export: What it serves.
    """

    def __init__(self, server: Served, export: Path) -> None:
        self._server = server
        self._model = Exported(export, engine="onnx")
        self.answered = 0
        self.ended = 0
        self._running = True

    async def _ask(self, seed: int) -> None:
        client = Client(self._server.port)
        batch = pictures(seed, 1 + seed % 3)
        sent, expected = serving.request(batch), self._model.outputs(batch)["logits"]
        while self._running:
            try:
                answer = await client.ask(sent)
            except ConnectionRefusedError:  # it no longer listens, and has taken nothing
                self.ended += 1
                return
            assert answer.status == 200
            np.testing.assert_allclose(serving.outputs(answer)["logits"], expected, atol=1e-4)
            self.answered += 1
        client.close()

    async def run(self, *steps: int) -> None:
        """Asks, and after so many answers each sends the server a signal; then goes on as long."""
        clients = [asyncio.create_task(self._ask(seed)) for seed in range(CLIENTS)]
        for step in steps:
            seen = self.answered
            while self.answered < seen + 300 and not any(c.done() for c in clients):
                await asyncio.sleep(0)
            self._server.process.send_signal(step)
        seen = self.answered
        while self.answered < seen + 300 and not all(c.done() for c in clients):
            await asyncio.sleep(0)
        if signal.SIGTERM not in steps:
            self._running = False
        await asyncio.gather(*clients)


def test_sigterm_under_load_fails_no_request(shipped: Path, tmp_path: Path) -> None:
    with serving.serving(shipped, tmp_path / "log") as server:
        load = Load(server, shipped)
        asyncio.run(load.run(signal.SIGTERM))
        assert server.process.wait(30) == 0
        assert load.ended == CLIENTS
        assert load.answered >= 300
        assert server.log()[-1]["event"] == "stopped"
        assert server.log()[-1]["aborted"] == 0
        noted = [line["status"] for line in server.log() if "status" in line]
        assert noted == [200] * load.answered


def test_sigterm_ends_it_before_it_is_ready_too(shipped: Path) -> None:
    command = [sys.executable, "-m", "flaxmill", "serve", str(shipped), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        status = Path(f"/proc/{process.pid}/status")
        if not status.exists():
            process.kill()
            pytest.skip("needs Linux's /proc, which tells when a signal is taken")
        while not int(status.read_text().split("SigCgt:")[1].split()[0], 16) >> 14 & 1:
            assert process.poll() is None
        process.terminate()
        assert process.wait(60) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert "stopped" in said or "nothing was under way" in said


def test_sighup_under_load_fails_no_request(shipped: Path, tmp_path: Path) -> None:
    export = shutil.copytree(shipped, tmp_path / "export")
    with serving.serving(export, tmp_path / "log") as server:
        load = Load(server, shipped)
        asyncio.run(load.run(signal.SIGHUP, signal.SIGHUP))
        server.await_log("loaded the export anew")
        assert 'reloads_total{result="done"}' in str(server.ask("/metrics").content)
        (export / "model.onnx").write_bytes(b"junk")
        server.process.send_signal(signal.SIGHUP)
        refused = server.await_log("the new export is refused, the old one goes on")
        assert "model.onnx is damaged" in refused["reason"]
        asyncio.run(load.run())
        assert 'reloads_total{result="failed"} 1.0' in str(server.ask("/metrics").content)
        assert server.stop(signal.SIGINT) == 0
        assert {line["status"] for line in server.log() if "status" in line} == {200}


def test_workers_share_the_port_and_are_replaced(shipped: Path, tmp_path: Path) -> None:
    with serving.serving(shipped, tmp_path / "log", "--workers", "2") as server:
        assert "2 workers" in server.said
        load = Load(server, shipped)
        asyncio.run(load.run(signal.SIGHUP))
        prefixes = {line["request"].split("-")[0] for line in server.log() if "request" in line}
        assert len(prefixes) == 2
        counted = server.ask("/metrics").content.decode()
        assert f'requests_total{{route="infer",status="200"}} {load.answered}.0' in counted
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        os.kill(int(children.read_text().split()[-1]), signal.SIGKILL)
        assert server.await_log("a worker ended")["reason"] == "exit status -9"
        asyncio.run(load.run(signal.SIGTERM))
        assert server.process.wait(30) == 0


def test_workers_end_with_their_parent(shipped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    options = ("--workers", "2")
    with serving.serving(shipped, tmp_path / "log", *options, TMPDIR=str(folder)) as server:
        [shared] = folder.iterdir()
        server.process.kill()
        server.process.wait()
        while True:  # until nobody listens any more
            try:
                socket.create_connection(("127.0.0.1", server.port)).close()
            except ConnectionResetError:  # the last one ended in between
                continue
            except ConnectionRefusedError:
                break
    while shared.exists():  # until the last worker has ended
        files.clear_leftovers(folder / "flaxmill")


def test_a_full_queue_says_when_to_come_again(shipped: Path, tmp_path: Path) -> None:
    async def ask_at_once(port: int) -> list[int]:
        clients = [Client(port) for _ in range(60)]
        sent = serving.request(pictures(0, 8))
        answers = await asyncio.gather(*(client.ask(sent) for client in clients))
        for client, answer in zip(clients, answers, strict=True):
            client.close()
            if answer.status == 503:
                assert answer.headers["retry-after"] == "1"
                assert "8 more would be over 16" in answer.json["error"]
        return [answer.status for answer in answers]

    options = ("--queue", "16", "--max-batch", "2", "--engine", "jax")
    with serving.serving(shipped, tmp_path / "log", *options) as server:
        statuses = asyncio.run(ask_at_once(server.port))
        assert set(statuses) == {200, 503}
        assert server.ask(INFER, b"{}").status == 400  # and it goes on
        whole = server.raw(serving.request(pictures(0, 16)))
        assert whole is not None and whole.status == 200


def test_nothing_is_kept_or_sent_but_answers(shipped: Path, tmp_path: Path) -> None:
    """ONNX Runtime's telemetry would begin with an identifier in the user's cache."""
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    with serving.serving(shipped, tmp_path / "log", "--engine", "onnx", **places) as server:
        answer = server.raw(serving.request(pictures(0)))
        assert answer is not None and answer.status == 200
        assert server.stop(signal.SIGUSR1) == 0  # as every signal that would end it
        assert server.log()[-1]["event"] == "stopped"
    assert list(home.iterdir()) == []


def test_a_terminal_that_closes_is_told_from_a_signal_that_somebody_sends() -> None:
    theirs, ours = pty.openpty()
    with open(os.devnull) as nowhere, socket.create_server(("127.0.0.1", 0)) as other:
        others = [nowhere.fileno(), other.fileno()]
        assert not terminal_closed([ours, *others])
        os.close(theirs)
        assert terminal_closed([ours, *others])
        assert not terminal_closed(others)
    os.close(ours)


def test_a_client_that_leaves_frees_its_place(shipped: Path, tmp_path: Path) -> None:
    """Each asks for seconds of work, and there is room for one of them."""
    options = ("--queue", "30000", "--max-batch", "1", "--engine", "jax")
    with serving.serving(shipped, tmp_path / "log", *options) as server:
        large = serving.request(pictures(0, 20_000))
        for number in range(1, 4):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(large)
            while len([line for line in server.log() if "status" in line]) < number:
                assert server.process.poll() is None
        assert [line["status"] for line in server.log() if "status" in line] == [499] * 3
        answer = server.raw(serving.request(pictures(0)))
        assert answer is not None and answer.status == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "70000"], "--port 70000: expected 1 to 65535"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: there is no such host"),
        (["--host", "203.0.113.1"], "cannot listen at 203.0.113.1, port 8000"),
        (["--max-batch", "48"], "--max-batch 48: expected a power of two"),
        (["--queue", "8"], "--queue 8: must hold a batch, of 64"),
        (["--workers", "0"], "--workers 0: expected 1 or more"),
        (["--threads", "-1"], "--threads -1: expected 1 or more"),
        (["--deadline", "0"], "--deadline: expected more than 0"),
        (["--token-file", "absent"], "--token-file absent cannot be read"),
        (["--engine", "int8"], "model.int8.onnx"),
    ],
)
def test_wrong_options_are_one_message(
    shipped: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = command(capsys, "serve", str(shipped), *options)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_port_that_is_taken_is_one_message(
    shipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, _, err = command(capsys, "serve", str(shipped), "--port", port)
    assert status == 2
    assert f"cannot listen at 127.0.0.1, port {port}: address already in use" in err


def test_no_export_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = command(capsys, "serve", str(tmp_path))
    assert status == 2
    assert str(tmp_path) in err


def test_without_the_extra_it_says_how_to_get_it(shipped: Path) -> None:
    forbid = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'uvloop' else find(name, *a)\n"
        "from flaxmill.commands import cli; cli.main()"
    )
    found = subprocess.run(
        [sys.executable, "-c", forbid, "serve", str(shipped)], capture_output=True, text=True
    )
    assert found.returncode == 2
    assert "serving needs uvloop, which is not installed: python -m pip install" in found.stderr
    assert "'uvloop>" in found.stderr
