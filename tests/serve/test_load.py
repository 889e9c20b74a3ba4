"""What benchmarks/serve.py counts: right answers alone, whatever a server does."""

import collections
import itertools
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NUMBERS = 3
Answer = Callable[[int, int], list[bytes]]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks can be imported."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.fixture
def serving() -> Iterator[Callable[[Answer], int]]:
    """Starts servers that answer as they are told."""
    servers = []

    def start(answer: Answer) -> int:
        asked: collections.Counter[int] = collections.Counter()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline():
                    while line != b"\r\n":
                        line = self.rfile.readline()
                    picture = self.rfile.read(2)[0]  # its first byte is its number
                    asked[picture] += 1
                    pieces = answer(picture, asked[picture])
                    for piece in pieces:
                        self.wfile.write(piece)
                    if not pieces:
                        return

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

        server = Threads(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def right(picture: int) -> np.ndarray:
    return np.arange(NUMBERS, dtype=np.float32) + picture


def response(numbers: np.ndarray, more: str = "") -> bytes:
    body = b"{}" + numbers.tobytes()
    return f"HTTP/1.1 200 OK\r\n{more}content-length: {len(body)}\r\n\r\n".encode() + body


def measured(port: int, clients: int = 4, seconds: float = 0.3) -> dict[str, Any]:
    from load.client import Load
    from load.client import measured as measure

    plan = {
        "head": np.frombuffer(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", np.uint8),
        "pictures": np.array([[i, 0] for i in range(8)], np.uint8),
        "expected": np.stack([right(i) for i in range(8)]),
    }
    return measure(Load(plan, port, clients, 1e-4), warm=0.1, seconds=seconds)


def test_right_answers_are_counted_and_timed(serving: Any) -> None:
    found = measured(serving(lambda picture, _: [response(right(picture) + 5e-5)]), clients=6)
    assert found["clients"] == 6
    assert found["answers"] >= 12
    assert (found["wrong"], found["lost"], found["statuses"]) == (0, 0, {})
    rate = found["answers"] / found["seconds"]
    assert found["requests_per_second"] == pytest.approx(rate, rel=0.01)
    assert 0 < found["p50_ms"] <= found["p99_ms"] < 1000 * (found["seconds"] + 0.1)
    assert 4e-5 < found["largest_difference"] < 6e-5
    assert 0 < found["client_cores"] < 2


def test_an_answer_in_pieces_is_one_answer(serving: Any) -> None:
    def pieces(picture: int, _: int) -> list[bytes]:
        whole = response(right(picture), "X-Long: " + "x" * 500 + "\r\n")
        return [whole[:3], whole[3:520], whole[520:-5], whole[-5:]]

    found = measured(serving(pieces))
    assert found["answers"] >= 8
    assert (found["wrong"], found["lost"], found["statuses"]) == (0, 0, {})


@pytest.mark.parametrize(
    "numbers",
    [right(3), right(2) + np.float32(2e-4), right(2) * np.float32(np.nan), right(2)[:1]],
    ids=["another's", "inexact", "no number", "too short"],
)
def test_an_answer_that_is_not_the_client_s_own_is_wrong(serving: Any, numbers: Any) -> None:
    given = collections.Counter()

    def mixed(picture: int, _: int) -> list[bytes]:
        given[picture] += 1
        return [response(numbers if picture == 2 else right(picture))]

    found = measured(serving(mixed))
    assert 0 < found["wrong"] <= given[2]
    assert found["wrong"] < found["answers"]
    assert found["largest_difference"] < 1e-6  # of those that were taken for right
    assert found["lost"] == 0


def test_a_request_without_an_answer_is_lost_and_the_client_asks_again(serving: Any) -> None:
    def forgetful(picture: int, count: int) -> list[bytes]:
        return [] if picture == 1 and count % 2 == 0 else [response(right(picture))]

    found = measured(serving(forgetful), seconds=0.6)
    assert found["lost"] > 0
    assert found["wrong"] == 0
    assert found["answers"] >= 8


def test_an_answer_that_never_comes_is_lost(serving: Any, monkeypatch: Any) -> None:
    from load import client

    monkeypatch.setattr(client, "PATIENCE", 0.5)
    monkeypatch.setattr(client, "PAUSE", 0.01)
    forever = threading.Event()

    def silent(picture: int, count: int) -> list[bytes]:
        if picture == 1 and count > 1:
            forever.wait(30)
        return [response(right(picture))]

    found = measured(serving(silent))
    forever.set()
    assert found["lost"] == 1
    assert found["wrong"] == 0


def test_a_client_that_is_told_to_come_later_comes_later(serving: Any) -> None:
    asked = []

    def busy(picture: int, _: int) -> list[bytes]:
        if picture == 1:
            asked.append(time.monotonic())
            return [b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy"]
        return [response(right(picture))]

    found = measured(serving(busy), seconds=1.5)
    assert found["statuses"] == {"503": len(asked) - 1}  # the first came before the clock started
    assert all(later - sooner >= 1 for sooner, later in itertools.pairwise(asked))
    assert (found["wrong"], found["lost"]) == (0, 0)


def test_a_connection_that_the_server_ends_is_opened_again(serving: Any) -> None:
    def closing(picture: int, _: int) -> list[bytes]:
        return [response(right(picture), "Connection: close\r\n")]

    found = measured(serving(closing))
    assert found["answers"] >= 8
    assert (found["wrong"], found["lost"], found["statuses"]) == (0, 0, {})


def test_no_server_is_no_answer(serving: Any) -> None:
    from load.contestants import free_port

    found = measured(free_port(), clients=2)
    assert found["answers"] == 0
    assert found["p50_ms"] is None
    assert found["statuses"]["refused"] >= 2


def test_percentiles_are_values_that_were_measured() -> None:
    from load.client import percentile

    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7
    assert percentile([], 0.5) is None


def test_the_best_way_of_the_others_is_what_flaxmill_is_compared_with() -> None:
    import serve
    from load.contestants import LITSERVE, OWN, PLAIN

    def round_of(*rates: float) -> dict[str, dict[str, float]]:
        names = (*OWN, *PLAIN, LITSERVE)
        return {
            name: {"requests_per_second": rate} for name, rate in zip(names, rates, strict=True)
        }

    rounds = [round_of(30, 20, 10, 5, 4), round_of(10, 40, 5, 10, 8), round_of(1, 1, 1, 1, 1)]
    assert serve.ratios(rounds) == {"the best plain handler": 3.0, LITSERVE: 5.0}


def test_figures_are_medians_and_what_went_wrong_adds_up() -> None:
    import serve

    row: dict[str, Any] = {
        "requests_per_second": 10.0,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "client_cores": 0.1,
        "answers": 5,
        "statuses": {"503": 2},
        "wrong": 0,
        "lost": 0,
        "largest_difference": 1.23456e-6,
    }
    rows = [row, row | {"requests_per_second": 30.0, "statuses": {"503": 1, "refused": 1}}]
    rows.append(row | {"requests_per_second": 20.0, "wrong": 1, "p50_ms": None, "p99_ms": None})
    found = serve.medians(rows)
    assert found["requests_per_second"] == 20
    assert found["p99_ms"] == 2
    assert found["statuses"] == {"503": 5, "refused": 1}
    assert (found["answers"], found["wrong"], found["lost"]) == (15, 1, 0)
    assert found["largest_difference"] == 1.2e-6
    assert found["server_cores"] is None
    serve.check(row, "one that is busy")
    for trouble in ({"wrong": 1}, {"answers": 0}):
        with pytest.raises(RuntimeError, match="a server does not answer as the model does"):
            serve.check(row | trouble, "a server")


def test_servers_under_load_have_a_table() -> None:
    import sections
    from load.contestants import LITSERVE, NULL

    figures = {
        "way": "2 processes",
        "requests_per_second": 1234.5,
        "p50_ms": 0.2512,
        "p99_ms": 1500.0,
        "client_cores": 0.05,
        "answers": 1000,
        "statuses": {"503": 3},
        "wrong": 0,
        "lost": 1,
        "largest_difference": 2e-6,
    }
    contestants = {name: {"1": figures, "1000": figures} for name in ("flaxmill, onnx", NULL)}
    ratio = {"the best plain handler": 1.5, LITSERVE: 2.25}
    model = {"rounds": 3, "contestants": contestants, "ratios": {"1": ratio, "1000": ratio}}
    row = {"models": {"CNN": model}}
    limits = {"models": {"CNN": {"XLA, 1 thread": {"1": 10.4, "2": 1300.0, "4": 1200.0}}}}
    lines = sections.serve(row, limits)
    assert "### CNN, 3 rounds" in lines
    assert "| clients | 1 | 1,000 |" in lines
    assert "| flaxmill, onnx | 1,234 (0.251, 1,500) | 1,234 (0.251, 1,500) |" in lines
    assert f"| flaxmill to {LITSERVE} | 2.25 × | 2.25 × |" in lines
    assert "- flaxmill, onnx: 2 processes (1); 2 processes (1,000)." in lines
    text = " ".join(lines)
    assert (
        "Of 2,000 answers 0 were wrong or another's, 2 were lost; errors: 6 of status 503" in text
    )
    assert "A request cost them 41 µs where" in text
    assert "| engine | 1 | 2 | 4 | the most to 1 |" in lines
    assert "| XLA, 1 thread | 10 | 1,300 | 1,200 | 125.00 × |" in lines
    assert sections.serve(None, limits) == []
    assert "examples a second" not in " ".join(sections.serve(row, None))


def test_a_served_model_answers_its_clients(tmp_path: Path) -> None:
    from load import models, processor
    from load.contestants import Server, ways

    forms = models.write("CNN", tmp_path)
    way = ways(forms, sys.executable)["flaxmill, onnx"]["1 thread"]
    with np.load(way.plan) as plan, Server(way, tmp_path / "log") as server:
        from load.client import Load
        from load.client import measured as measure

        server.wait()
        server.rest()
        if processor.known():
            before = processor.group_seconds(server.process.pid)
            assert before > 0
            assert processor.machine_seconds() > before
        server.go_on()
        load = Load(plan, server.port, 16, models.TOLERANCE)
        found = measure(load, warm=0.1, seconds=0.5)
    assert server.process.poll() is not None
    assert found["answers"] >= 32
    assert (found["wrong"], found["lost"], found["statuses"]) == (0, 0, {})
    assert found["largest_difference"] < 1e-5


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    from load.contestants import Server, Way

    plan = tmp_path / "plan.npz"
    np.savez(plan, allow_pickle=False, head=np.zeros(1, np.uint8), pictures=np.zeros((1, 1)))
    words = "raise SystemExit('the reason')"
    with (
        Server(Way((sys.executable, "-c", words), plan), tmp_path / "log") as server,
        pytest.raises(RuntimeError, match=r"does not answer:\nthe reason"),
    ):
        server.wait()


def test_a_load_that_is_asked_to_stop_leaves_no_server_behind(tmp_path: Path) -> None:
    script = tmp_path / "stopped.py"
    script.write_text(
        f"""
import signal
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import serve
from load.contestants import Server, Way

def measure(name, arguments):
    waiting = Way((sys.executable, "-c", "import signal; signal.pause()"), Path())
    with Server(waiting, Path({str(tmp_path / "log")!r})) as server:
        server.rest()
        print(server.process.pid, flush=True)
        signal.pause()

serve.measure = measure
sys.argv = ["serve.py", "load", "--python", "none", "--models", "CNN"]
serve.main()
"""
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        group = int(process.stdout.readline())
        process.terminate()
        assert process.wait(60) == 143
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
