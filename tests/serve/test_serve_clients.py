"""What common clients send, which is legal and looks a little different in each of them."""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serving
from PIL import Image
from serving import INFER, Served, pictures

ONE = pictures(0)
PIXELS = ONE.ravel().tolist()
TENSOR = {"name": "image", "datatype": "UINT8", "shape": list(ONE.shape), "data": PIXELS}
PLAIN = json.dumps({"inputs": [TENSOR]}).encode()
JSON = {"Content_Type": "application/json"}


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, "--engine", "onnx") as running:
        yield running


@pytest.fixture(scope="module")
def expected(server: Served) -> Any:
    return server.ask(INFER, PLAIN).json["outputs"]


@pytest.mark.parametrize(
    "question",
    [
        {"id": None, "parameters": None, "outputs": None, "inputs": [TENSOR]},
        {"inputs": [TENSOR | {"parameters": None}]},
        {"inputs": [TENSOR | {"parameters": {"binary_data_size": None, "content_type": None}}]},
        {"inputs": [TENSOR], "parameters": {"timeout": None, "binary_data_output": None}},
        {
            "inputs": [TENSOR],
            "outputs": [
                {"name": "logits", "parameters": None, "shape": None, "data": None},
                {"name": "probabilities", "parameters": {"classification": None}},
            ],
        },
        {"inputs": [TENSOR | {"data": ONE.tolist()}]},
        {"inputs": [TENSOR | {"data": [float(pixel) for pixel in PIXELS]}]},
    ],
)
def test_optional_members_may_be_null_and_whole_numbers_floats(
    server: Served, expected: Any, question: Any
) -> None:
    answer = server.ask(INFER, json.dumps(question).encode(), **JSON)
    assert (answer.status, answer.json.get("outputs")) == (200, expected), answer.content


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (PLAIN, {"Content_Type": "application/json; charset=utf-8"}),
        (PLAIN, {"Content_Type": "Application/JSON", "Connection": "Keep-Alive"}),
        (PLAIN, {"Accept_Encoding": "br;q=1.0, *;q=0.1", "Accept": "*/*"}),
        (gzip.compress(PLAIN), {"Content_Encoding": "GZIP"}),
        (gzip.compress(PLAIN), {"Content_Encoding": "x-gzip"}),
        (gzip.compress(PLAIN[:99]) + gzip.compress(PLAIN[99:]), {"Content_Encoding": "gzip"}),
        (zlib.compress(PLAIN), {"Content_Encoding": "deflate"}),
        (PLAIN, {"Content_Encoding": "identity"}),
    ],
)
def test_headers_are_spelled_in_many_ways(
    server: Served, expected: Any, content: bytes, headers: dict[str, str]
) -> None:
    answer = server.ask(INFER, content, **headers)
    assert (answer.status, answer.json.get("outputs")) == (200, expected), answer.content


def test_members_of_a_packed_content_are_limited_together(server: Served) -> None:
    half = gzip.compress(bytes(9 << 20))
    for bomb in (half + half, gzip.compress(b"") * 1000):
        answer = server.ask(INFER, bomb, Content_Encoding="gzip")
        assert answer.status == 413
    cut = gzip.compress(PLAIN) + gzip.compress(b"more")[:-3]
    assert server.ask(INFER, cut, Content_Encoding="gzip").status == 400


def test_a_slash_at_the_end_changes_nothing(server: Served, expected: Any) -> None:
    assert server.ask(f"{INFER}/", PLAIN).json["outputs"] == expected
    for path in ("/v2", "/v2/health/ready", "/v2/models/fashion_mnist", "/metrics"):
        assert server.ask(f"{path}/").status == server.ask(path).status == 200
    assert server.ask("/v2//").status == 404


def test_a_client_may_wait_for_leave_to_send(server: Served, expected: Any) -> None:
    head = (
        f"POST {INFER} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nExpect: 100-continue\r\n"
        f"Content-Length: {len(PLAIN)}\r\n\r\n"
    )
    answer = server.raw(head.encode() + PLAIN)
    assert answer is not None
    assert answer.status in (100, 200)


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(ONE[0, ..., 0]).save(file, "PNG")
    return file.getvalue()


def likely(answer: serving.Answer) -> Any:
    assert answer.status == 200, answer.content
    return [one["predictions"] for one in answer.json["predictions"]]


def test_base64_comes_in_lines_and_in_two_alphabets(server: Served) -> None:
    content = picture()
    plain = base64.b64encode(content).decode()
    written = [
        plain,
        base64.encodebytes(content).decode(),  # lines of 76, as e-mail has them
        plain.replace("A", "A\r\n"),
        base64.urlsafe_b64encode(content).decode(),
        plain.rstrip("="),
        f"data:image/png;base64,{plain}",
        f"DATA:image/png;BASE64,{base64.encodebytes(content).decode()}",
    ]
    question = {"pictures": written, "top": None, "seen": None}
    first, *others = likely(server.ask("/predict", json.dumps(question).encode(), **JSON))
    assert others == [first] * (len(written) - 1)
    for wrong in ("no base64!", plain[:-1] + "ü", "A"):
        answer = server.ask("/predict", json.dumps({"pictures": [wrong]}).encode(), **JSON)
        assert answer.status == 400
        assert "picture 0 is not base64" in answer.json["error"]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('name="picture"; filename="shoe.png"', "shoe.png"),
        ("name=picture; filename=shoe.png", "shoe.png"),
        ('name="picture"; filename="신발 👟.png"', "신발 👟.png"),
        ('name="picture"; filename="a \\"b\\".png"', 'a "b".png'),
        ("name=\"picture\"; filename*=UTF-8''%EC%8B%A0%EB%B0%9C.png", "신발.png"),
        ('name="picture"; filename="x.png"; filename*=UTF-8\'\'%EC%8B%A0.png', None),
    ],
)
def test_file_names_of_a_form_come_in_many_forms(
    server: Served, disposition: str, name: str | None
) -> None:
    body = (
        b"--X\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n"
        b"content-type: IMAGE/PNG\r\n\r\n" + picture() + b"\r\n--X--\r\n"
    )
    answer = server.ask("/predict", body, Content_Type="Multipart/Form-Data; boundary=X")
    assert answer.status == 200, answer.content
    (said,) = answer.json["predictions"]
    assert name is None or said["picture"] == name
