"""What a server answers: the protocol, pictures, the page, errors in words."""

import base64
import gzip
import io
import json
import re
import shlex
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serving
from PIL import Image
from serving import INFER, MODEL, Served, pictures

from flaxmill.trained.exported import Exported


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, "--engine", "onnx") as running:
        yield running


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def form(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """Returns the content of a form with files, and its type."""
    parts = [
        b'--edge\r\nContent-Disposition: form-data; name="p"; filename="%b"\r\n\r\n%b\r\n'
        % (name.encode(), content)
        for name, content in files
    ]
    return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"


def test_it_says_when_it_is_ready(server: Served) -> None:
    expected = f"at http://127.0.0.1:{server.port}/ (engine onnx, batches of 1, 2, 4, 8, 16, 32, 64"
    assert expected in server.said


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "there is nothing at /nowhere."),
        ("GET", "/page/../server.py", 404, "there is nothing at"),
        ("GET", "/page/%2e%2e/server.py", 404, "there is nothing at"),
        ("GET", "/examples/..%2fsignature.json", 404, "there is nothing at"),
        ("GET", "/v2/models/another", 404, "there is no model 'another' here, only"),
        ("GET", f"/v2/models/{MODEL}/versions/2", 404, "there is no version '2'"),
        ("POST", f"/v2/models/{MODEL}/versions/1/2/infer", 404, "there is nothing at"),
        ("GET", INFER, 405, f"GET is not for {INFER}."),
        ("DELETE", "/v2", 405, "DELETE is not for /v2."),
        ("BREW", "/v2", 405, "BREW is not for /v2."),
        ("GET", "/predict", 405, "GET is not for /predict."),
    ],
)
def test_errors_have_one_shape(
    server: Served, method: str, path: str, status: int, words: str
) -> None:
    answer = server.ask(path, b"{}" if method == "POST" else None, method)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert words in answer.json["error"]


def test_pictures_are_classified(server: Served, shipped: Path) -> None:
    model = Exported(shipped, engine="onnx")
    files = sorted((shipped / "examples").glob("*.png"))[:3]
    content, kind = form(*((file.name, file.read_bytes()) for file in files))
    answer = server.ask("/predict?top=2&seen=1", content, Content_Type=kind)
    assert answer.status == 200
    assert answer.json["model"] == {"name": MODEL, "version": "1", "weights_sha256": model.digest}
    encoded = [base64.b64encode(file.read_bytes()).decode() for file in files]
    encoded[0] = "data:image/png;base64," + encoded[0]
    asked = {"pictures": encoded, "top": 2, "seen": True}
    again = server.ask("/predict", json.dumps(asked).encode(), Content_Type="application/json")
    for file, one, two in zip(
        files, answer.json["predictions"], again.json["predictions"], strict=True
    ):
        pixels = np.asarray(Image.open(file))[None, :, :, None]
        expected = model.outputs(pixels)["probabilities"][0]
        order = np.argsort(-expected)[:2]
        assert one["picture"] == file.name
        assert [each["label"] for each in one["predictions"]] == [
            model.signature.labels[i] for i in order
        ]
        found = [each["probability"] for each in one["predictions"]]
        np.testing.assert_allclose(found, expected[order], rtol=1e-4, atol=1e-6)
        seen = Image.open(io.BytesIO(base64.b64decode(one["seen"].partition(",")[2])))
        np.testing.assert_array_equal(np.asarray(seen), pixels[0, :, :, 0])
        assert two["seen"] == one["seen"]
        assert [p["label"] for p in two["predictions"]] == [p["label"] for p in one["predictions"]]


ONE = pictures(0)
GOOD = png(ONE[0, :, :, 0])


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (form(), None, 400, "there are no pictures in the request"),
        (form(("a.png", b"text")), None, 400, "a.png is no picture that can be read: expected PNG"),
        (form(("a.png", GOOD[:-30])), None, 400, "a.png is a damaged picture"),
        (form(*[("a.png", GOOD)] * 33), None, 413, "send at most 32"),
        (b"--edge\r\n", "multipart/form-data", 400, "the form is damaged"),
        (b"x" * 100, "multipart/form-data; boundary=edge", 400, "the form is damaged"),
        (GOOD, "image/png", 415, "the content type is 'image/png'; expected multipart/form-data"),
        (b"{}", "application/json", 400, "expected a JSON object with 'pictures'"),
        (b"{", "application/json", 400, "the request is not JSON"),
        (b'{"pictures": []}', "application/json", 400, "there are no pictures"),
        (b'{"pictures": [5]}', "application/json", 400, "picture 0 must be a string"),
        (b'{"pictures": ["%"]}', "application/json", 400, "picture 0 is not base64"),
        (b'{"pictures": ["data:,x"]}', "application/json", 400, "must be of base64"),
        (b'{"pictures": ["A"], "top": 0}', "application/json", 400, "picture 0 is not base64"),
        (b'{"pictures": ["AAAA"], "top": 0}', "application/json", 400, "'top' must be a number"),
        (b'{"pictures": ["AAAA"], "top": true}', "application/json", 400, "'top' must be a number"),
        (b'{"pictures": ["AAAA"], "seen": 2}', "application/json", 400, "'seen' must be 1 or 0"),
    ],
)
def test_a_wrong_upload_is_answered_in_words(
    server: Served, content: Any, kind: str | None, status: int, words: str
) -> None:
    content, kind = content if kind is None else (content, kind)
    answer = server.ask("/predict", content, Content_Type=kind)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert words in answer.json["error"]


@pytest.mark.parametrize("size", [(6000, 6000), (20_000, 10), (65_535, 65_535)])
def test_a_picture_that_unpacks_to_too_much_is_not_unpacked(
    server: Served, size: tuple[int, int]
) -> None:
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size[0].to_bytes(4) + size[1].to_bytes(4)
    ihdr = head[12:] + b"\x08\0\0\0\0"
    bomb = head[:8] + b"\0\0\0\r" + ihdr + zlib.crc32(ihdr).to_bytes(4) + b"\0\0\0\0IDAT"
    content, kind = form(("bomb.png", bomb))
    answer = server.ask("/predict", content, Content_Type=kind)
    assert answer.status == 413
    assert "at most 25,000,000 pixels, and 10,000 along either side" in answer.json["error"]


def test_the_page_asks_nobody_else(server: Served) -> None:
    answer = server.ask("/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', answer.content.decode())
    for target in linked:
        assert not target.startswith(("http:", "https:", "//")), target
    page = [target for target in linked if "page/" in target]
    assert page
    for target in page:
        file = server.ask("/" + target.removeprefix("./").removeprefix("/"))
        assert file.status == 200, target
        again = server.ask(
            "/" + target.removeprefix("./").removeprefix("/"), If_None_Match=file.headers["etag"]
        )
        assert (again.status, again.content) == (304, b"")


def test_it_describes_itself(server: Served, shipped: Path) -> None:
    assert server.ask("/signature.json").content == (shipped / "signature.json").read_bytes()
    assert server.ask("/limits.json").json == {
        "max_batch": 64,
        "max_body_bytes": 16 << 20,
        "max_pictures": 32,
        "max_pixels": 25_000_000,
        "token": False,
    }
    names = sorted(file.name for file in (shipped / "examples").iterdir())
    assert server.ask("/examples.json").json == names
    first = server.ask(f"/examples/{names[0]}")
    assert first.content == (shipped / "examples" / names[0]).read_bytes()
    assert first.headers["content-type"] == "image/png"
    paths = server.ask("/openapi.json").json["paths"]
    assert {"/predict", "/v2/models/{name}/infer", "/metrics"} <= set(paths)
    docs = server.ask("/docs")
    assert (docs.status, docs.headers["location"]) == (307, "openapi.json")


def test_head_is_get_without_content(server: Served) -> None:
    answer = server.ask("/signature.json", method="HEAD")
    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(server.ask("/signature.json").content))


def test_request_ids_are_kept_if_they_are_sane(server: Served) -> None:
    assert server.ask("/v2", X_Request_ID="my-id.7").headers["x-request-id"] == "my-id.7"
    made = [server.ask("/v2", X_Request_ID='"}').headers["x-request-id"] for _ in range(2)]
    assert '"' not in made[0]
    assert made[0] != made[1]


def test_compressed_content_is_limited(server: Served) -> None:
    bomb = gzip.compress(bytes(17 << 20))
    answer = server.ask(INFER, bomb, Content_Encoding="gzip")
    assert answer.status == 413
    assert "send at most 16,777,216 bytes" in answer.json["error"]
    assert server.ask(INFER, b"junk", Content_Encoding="gzip").status == 400
    half = gzip.compress(b"{}" * 50)[:-9]
    assert "damaged" in server.ask(INFER, half, Content_Encoding="gzip").json["error"]
    assert server.ask(INFER, b"{}", Content_Encoding="br").status == 415


def test_figures_for_prometheus(server: Served) -> None:
    def figure(name: str) -> float:
        text = server.ask("/metrics").content.decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, flags=re.M)
        return float(found[1]) if found else 0.0

    answered = 'flaxmill_requests_total{route="infer",status="200"}'
    refused = 'flaxmill_requests_total{route="infer",status="400"}'
    names = (
        answered,
        refused,
        "flaxmill_batch_examples_sum",
        'flaxmill_errors_total{status="400"}',
    )
    before = [figure(name) for name in names]
    assert server.raw(serving.request(pictures(0, 3))) is not None
    server.ask(INFER, b"{}")
    after = [figure(name) for name in names]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 3, 1]
    assert 'flaxmill_request_seconds_bucket{le="+Inf",route="infer"}' in str(
        server.ask("/metrics").content
    )
    while figure("flaxmill_queue_examples"):  # it is noted ten times a second
        pass


PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text("utf-8")


@pytest.fixture
def desk(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a picture where the documentation's reader has one."""
    shutil.copy(shipped / "examples" / "07-sneaker.png", tmp_path / "shoe.png")
    monkeypatch.chdir(tmp_path)


def test_the_documented_client_works(
    server: Served, desk: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S)
    exec(compile(block.replace(":8000", f":{server.port}"), "serving.md", "exec"), {})
    assert capsys.readouterr().out.startswith("[[")


def test_the_documented_command_works(server: Served, desk: None) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs the program curl")
    (line,) = re.findall(r"^curl .*", PAGE, flags=re.M)
    command = shlex.split(line.replace(":8000", f":{server.port}"))
    found = subprocess.run([*command, "--silent"], capture_output=True, check=True)
    assert [len(each["predictions"]) for each in json.loads(found.stdout)["predictions"]] == [3]
