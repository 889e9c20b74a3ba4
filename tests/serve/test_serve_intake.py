"""What large and hostile requests cost: themselves much, and others and the server little."""

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serving
from picture_files import encoded
from PIL import Image
from serving import FORM, INFER, Answer, Served, form, pictures, tensor, with_intake

from flaxmill.errors import CannotGoOn
from flaxmill.serve.intake import Intake
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Busy, Refused
from flaxmill.tasks.signature import Signature

JSON = {"Content_Type": "application/json"}
SECONDS = 3.0
PARTS = [b'{"inputs":[{"name":"image","shape":[1,28,28,1],"datatype":"UINT8","data":[', b"]}]}"]


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG."""
    whole = kind + content
    return len(content).to_bytes(4) + whole + zlib.crc32(whole).to_bytes(4)


SMALL = encoded(Image.fromarray(pictures(0)[0, ..., 0]), "PNG")
TEXTS = SMALL[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)) * 60 + SMALL[33:]
"""A PNG of 60 KB that takes a tenth of a second before its pixels begin."""
SLOW = form(*[TEXTS] * 32)
"""A request that takes longer than any may."""


@pytest.fixture(scope="module")
def signature(shipped: Path) -> Signature:
    return Signature.load(shipped / "signature.json")


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "log"
    options = ("--engine", "onnx", "--read-seconds", str(SECONDS))
    with serving.serving(shipped, log, *options) as running:
        yield running


@pytest.fixture(scope="module")
def patient(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose limit of time is none, however busy the machine is."""
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, "--engine", "onnx", "--read-seconds", "60") as running:
        yield running


def readers(server: Served) -> list[int]:
    """Returns the processes that a server started."""
    return started(server.process.pid)


def started(pid: int) -> list[int]:
    """Returns the processes that the first thread of a process started."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        pytest.skip("needs Linux's /proc, which tells what a process started")
    return [int(one) for one in children.read_text().split()]


def seconds(server: Served) -> float:
    """Returns the processor time that the server took, without the processes that it started."""
    readers(server)
    return ticks(server.process.pid) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, kind: str) -> int:
    """Returns bytes of memory that a process has (VmRSS), or had at most (VmHWM)."""
    found = re.search(rf"{kind}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


@contextlib.contextmanager
def meanwhile(server: Served, content: bytes) -> Iterator[list[Answer]]:
    """Has a client ask for predictions while the block runs; its answer is there afterwards."""
    answers: list[Answer] = []

    def ask() -> None:
        with contextlib.suppress(ConnectionError):
            answers.append(server.ask("/predict", content, Content_Type=FORM))

    client = threading.Thread(target=ask)
    client.start()
    yield answers
    client.join()


def data(values: bytes) -> bytes:
    return values.join(PARTS)


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        (INFER, data(b"[]," * 1_300_000 + b"[]"), "has shape [1300001, 0]"),
        (INFER, data(b'"",' * 1_300_000 + b'""'), "must be 784 whole numbers"),
        (INFER, data(b"{}," * 1_300_000 + b"{}"), "must be 784 whole numbers"),
        (INFER, data(b"[0]," * 1_900_000 + b"[0]"), "takes more than 184,549,376 bytes of memory"),
        (INFER, data(b"1.5," * 1_000_000 + b"0"), "has shape [1000001]"),
        (INFER, data(b"0," * 2_000_000 + b"0"), "values: send at most 2,000,000, or the tensor as"),
        (INFER, b'{"inputs":[{"name":[' + b"[]," * 1_300_000 + b"[]]}]}", "there is no input [[],"),
        ("/predict", b'{"pictures":[' + b'"",' * 1_300_000 + b'""]}', "send at most 32"),
        ("/predict", b'{"pictures":["AAAA"],"top":[' + b"[]," * 1_300_000 + b"[]]}", "'top' must"),
    ],
)
def test_many_values_cost_the_server_itself_little(
    patient: Served, path: str, content: bytes, words: str
) -> None:
    """They took up to seven seconds of the event loop, and a gigabyte."""
    before, pid = seconds(patient), patient.process.pid
    most = max(memory(pid, "VmHWM"), memory(pid, "VmRSS") + (40 << 20))
    answer = patient.ask(path, content, **JSON)
    assert answer.status in (400, 413)
    assert words in answer.json["error"]
    assert seconds(patient) - before < 0.25
    assert memory(pid, "VmHWM") < most
    for reader in readers(patient):
        assert memory(reader, "VmHWM") < Limits().read_bytes + (60 << 20)
        assert memory(reader, "VmRSS") < 80 << 20  # given back


@pytest.mark.parametrize("count", [30, 700])
def test_long_json_is_read_as_short_is(server: Served, count: int) -> None:
    """By another process than the server: some 70 KB at once, more by one that reads all."""
    batch = pictures(count, count)
    binary = server.raw(serving.request(batch))
    assert binary is not None
    expected = serving.outputs(binary)
    for values in (batch.ravel().tolist(), batch.tolist(), batch.astype(float).tolist()):
        asked = {"id": "mine", "inputs": [tensor(batch, data=values)]}
        asked["outputs"] = [{"name": "logits", "parameters": {"binary_data": True}}]
        answer = server.ask(INFER, json.dumps(asked).encode(), **JSON)
        assert answer.status == 200
        np.testing.assert_allclose(serving.outputs(answer)["logits"], expected["logits"], atol=1e-4)
        assert b'"id": "mine"' in answer.content[:200]
    described = tensor(batch, parameters={"binary_data_size": batch.nbytes})
    header = json.dumps({"inputs": [described]}).encode() + b" " * 100_000
    length = {"Inference_Header_Content_Length": str(len(header))}
    answer = server.ask(INFER, header + batch.tobytes(), **length)
    said = {output["name"]: output["data"] for output in answer.json["outputs"]}
    np.testing.assert_allclose(said["logits"], expected["logits"].ravel(), atol=1e-4)


def test_an_id_is_not_longer_than_ids_are(server: Served) -> None:
    asked = {"id": "x" * 5000, "inputs": [tensor(pictures(0), data=pictures(0).tolist())]}
    answer = server.ask(INFER, json.dumps(asked).encode(), **JSON)
    assert answer.status == 400
    assert "'id' must be a string of at most 4,096 characters" in answer.json["error"]


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-16", "no-such-thing"])
def test_names_in_a_form_are_utf_8_whatever_it_says(server: Served, charset: str) -> None:
    """Python's punycode takes quadratic time, and unicode_escape makes half characters."""
    content = form(SMALL, name="\\ud800 신발".encode())
    letters = b"a" * 200_000
    field = b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n%b-%b\r\n'
    content = field % (letters, letters) + content
    before = seconds(server)
    answer = server.ask("/predict", content, Content_Type=f"{FORM}; charset={charset}")
    assert answer.status == 200
    assert answer.json["predictions"][0]["picture"] == "\\ud800 신발"
    assert seconds(server) - before < 0.25


def test_what_takes_too_long_is_ended_and_others_do_not_wait(server: Served) -> None:
    with meanwhile(server, SLOW) as slow:
        busy(server)
        for _ in range(10):
            assert server.ask("/predict", form(SMALL), Content_Type=FORM).status == 200
            assert server.ask("/v2/health/ready").status == 200
        assert not slow
    assert slow[0].status == 413
    assert slow[0].json["error"] == (
        f"reading the request took more than {SECONDS:g} seconds: send less at a time."
    )
    assert server.ask("/predict", form(TEXTS), Content_Type=FORM).status == 200


def busy(server: Served) -> int:
    """Waits until a process that reads requests has much to do; returns it."""
    before = {pid: ticks(pid) for pid in readers(server)}
    while True:
        for pid, spent in before.items():
            if ticks(pid) > spent + 20:
                return pid
        assert server.ask("/v2/health/live").status == 200


def ticks(pid: int) -> int:
    """Returns the processor time of a process, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_process_that_ends_costs_its_own_request_alone(server: Served) -> None:
    before = set(readers(server))
    with meanwhile(server, SLOW) as slow:
        busiest = busy(server)
        os.kill(busiest, signal.SIGSEGV)
    assert slow[0].status == 400
    assert "ended the process that read it" in slow[0].json["error"]
    server.await_log("a process that reads requests ended with exit status -11")
    for pid in before - {busiest}:  # one that has nothing to do is replaced too
        with ending(pid) as ended:
            os.kill(pid, signal.SIGKILL)
            assert ended()
    while before & set(readers(server)):
        assert server.ask("/v2/health/live").status == 200
    large = form(encoded(Image.new("L", (3000, 3000)), "PNG"))
    for content in (form(SMALL), large):
        assert server.ask("/predict", content, Content_Type=FORM).status == 200


@contextlib.contextmanager
def ending(*pids: int) -> Iterator[Callable[[], bool]]:
    """Gives what waits for processes to end, and says whether they did within half a minute."""
    with contextlib.ExitStack() as opened:
        found = [opened.enter_context(os.fdopen(os.pidfd_open(pid))) for pid in pids]
        yield lambda: all(select.select([one], [], [], 30)[0] for one in found)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(shipped: Path, tmp_path: Path, number: int) -> None:
    """Not even one that has much to do; and the server does not wait for it longer than it says."""
    with serving.serving(shipped, tmp_path / "log", "--engine", "onnx", "--grace", "1") as server:
        for pid in readers(server):  # of a terminal's or a service manager's signals, the server's
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        with ending(*readers(server)) as ended, meanwhile(server, SLOW):
            busy(server)
            assert server.stop(number) == (0 if number == signal.SIGTERM else -number)
            assert ended()


def test_what_turns_out_large_makes_way(signature: Signature) -> None:
    """Though its file is small; and who leaves, or waits too long, makes room."""

    async def body(intake: Intake) -> None:
        def ask(content: bytes) -> asyncio.Task[Any]:
            return asyncio.create_task(intake.parse_upload(signature, FORM, {"top": "3"}, content))

        slow = ask(SLOW)
        texts = ask(form(*[TEXTS] * 4))
        read = await ask(form(SMALL))
        assert not texts.done() and not slow.done()
        assert read.facts == {"names": ["a.png"], "top": 3, "seen": []}
        np.testing.assert_array_equal(np.frombuffer(read.content, np.uint8), pictures(0).ravel())
        with pytest.raises(Busy, match="it has much to read"):
            await texts
        left = [ask(SLOW) for _ in range(64)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="many requests wait to be read"):
            await ask(SLOW)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        assert not slow.done()
        with pytest.raises(Busy, match="it has much to read"):
            await ask(SLOW)

    with_intake(Limits(deadline=2.0, read_seconds=60), body)


def test_processes_that_do_not_start_are_told_of(
    signature: Signature, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = sys.executable

    async def body(intake: Intake) -> None:
        await intake.parse_upload(signature, FORM, {}, form(SMALL))
        monkeypatch.setattr(sys, "executable", "/bin/false")
        for pid in started(os.getpid()):
            if b"intake_process" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        while intake.ready:
            await asyncio.sleep(0)
        monkeypatch.setattr(sys, "executable", python)
        while not intake.ready:
            with contextlib.suppress(Refused):  # it may come to one that ended and was not missed
                await intake.parse_upload(signature, FORM, {}, form(SMALL))

    if sys.platform == "linux":
        with_intake(Limits(), body)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CannotGoOn, match="do not start: it ended at once, with exit status 1"):
        with_intake(Limits(), body)
