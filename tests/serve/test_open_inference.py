"""The Open Inference Protocol, spoken by Triton's own client and by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serving
import tritonclient.http as triton
from serving import INFER, MODEL, Served, pictures, tensor
from tritonclient.utils import InferenceServerException

from flaxmill.trained.exported import Exported


@pytest.fixture(scope="module")
def server(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("log") / "log"
    with serving.serving(shipped, log, "--engine", "onnx") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as connected:
        yield connected


def given(batch: np.ndarray, *, binary: bool = True) -> list[triton.InferInput]:
    asked = triton.InferInput("image", list(batch.shape), "UINT8")
    asked.set_data_from_numpy(batch, binary_data=binary)
    return [asked]


def post(server: Served, question: Any, path: str = INFER, **headers: str) -> serving.Answer:
    content = question if isinstance(question, bytes) else json.dumps(question).encode()
    return server.ask(path, content, **headers)


def test_triton_reads_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.is_model_ready(MODEL, "1")
    assert not client.is_model_ready(MODEL, "2")
    assert not client.is_model_ready("another")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    found = client.get_model_metadata(MODEL, "1")
    assert found["versions"] == ["1"]
    assert found["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}]
    assert found["outputs"][1] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}


@pytest.mark.parametrize("count", [1, 3, 64, 200])
@pytest.mark.parametrize("binary", [True, False])
def test_triton_gets_the_models_answers(
    client: triton.InferenceServerClient, shipped: Path, binary: bool, count: int
) -> None:
    batch = pictures(count, count)
    expected = Exported(shipped, engine="onnx").outputs(batch)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in expected]
    found = client.infer(MODEL, given(batch, binary=binary), outputs=wanted, request_id="mine")
    for name, array in expected.items():
        np.testing.assert_allclose(found.as_numpy(name), array, rtol=1e-4, atol=1e-5)
    said = found.get_response()
    assert (said["id"], said["model_name"], said["model_version"]) == ("mine", MODEL, "1")


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_triton_compresses(client: triton.InferenceServerClient, algorithm: str) -> None:
    batch = pictures(5, 50)
    plain = client.infer(MODEL, given(batch))
    packed = client.infer(
        MODEL,
        given(batch),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    for name in ("logits", "probabilities"):
        np.testing.assert_array_equal(packed.as_numpy(name), plain.as_numpy(name))


@pytest.mark.parametrize("binary", [True, False])
def test_triton_gets_classes(client: triton.InferenceServerClient, binary: bool) -> None:
    batch = pictures(7, 3)
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2)]
    found = client.infer(MODEL, given(batch), outputs=wanted).as_numpy("probabilities")
    numbers = client.infer(MODEL, given(batch)).as_numpy("probabilities")
    assert found is not None and numbers is not None
    labels = client.infer(MODEL, given(batch)).get_response()
    assert labels["outputs"][0]["shape"] == [3, 10]
    for texts, row in zip(found, numbers, strict=True):
        first, second = (
            (text.decode() if isinstance(text, bytes) else text).split(":") for text in texts
        )
        assert int(first[1]) == row.argmax()
        assert float(first[0]) == pytest.approx(row.max(), abs=1e-5)
        assert float(second[0]) == pytest.approx(np.sort(row)[-2], abs=1e-5)


def test_triton_is_told_what_is_wrong(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"there is no model 'another' here"):
        client.infer("another", given(pictures(0)))
    with pytest.raises(InferenceServerException, match="there is no version '7'"):
        client.infer(MODEL, given(pictures(0)), model_version="7")
    wanted = [triton.InferRequestedOutput("logit")]
    with pytest.raises(InferenceServerException, match="Did you mean 'logits'"):
        client.infer(MODEL, given(pictures(0)), outputs=wanted)
    wrong = triton.InferInput("image", [1, 28, 28], "UINT8")
    wrong.set_data_from_numpy(pictures(0)[..., 0])
    with pytest.raises(InferenceServerException, match=r"takes UINT8 of shape \[-1, 28, 28, 1\]"):
        client.infer(MODEL, [wrong])
    wanted = [triton.InferRequestedOutput("logits")]
    wanted[0].set_shared_memory("region", 40)
    with pytest.raises(InferenceServerException, match="shared memory is not offered"):
        client.infer(MODEL, given(pictures(0)), outputs=wanted)
    with pytest.raises(InferenceServerException, match="keeps no state"):
        client.infer(MODEL, given(pictures(0)), sequence_id=3, sequence_start=True)


def test_both_engines_give_the_same_answers(
    client: triton.InferenceServerClient, shipped: Path, tmp_path: Path
) -> None:
    batch = pictures(11, 40)
    found = client.infer(MODEL, given(batch))
    with (
        serving.serving(shipped, tmp_path / "log", "--engine", "jax") as other,
        triton.InferenceServerClient(f"127.0.0.1:{other.port}") as second,
    ):
        assert "engine jax" in other.said
        again = second.infer(MODEL, given(batch))
    for name in ("logits", "probabilities"):
        one, two = found.as_numpy(name), again.as_numpy(name)
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(one.argmax(-1), two.argmax(-1))  # type: ignore[union-attr]


def test_nothing_but_bytes_is_a_request_too(server: Served) -> None:
    batch = pictures(3, 2)
    raw = server.ask(INFER, batch.tobytes(), Inference_Header_Content_Length="0")
    whole = server.raw(serving.request(batch))
    assert whole is not None
    for name, array in serving.outputs(whole).items():
        np.testing.assert_array_equal(array, serving.outputs(raw)[name])
    refused = server.ask(INFER, batch.tobytes()[1:], Inference_Header_Content_Length="0")
    assert refused.status == 400
    assert "holds whole examples of 784 bytes, not 1,567" in refused.json["error"]


ONE = pictures(0)
FLAT = ONE.ravel().tolist()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (b"{", "the request is not JSON"),
        (b"\xff\xfe{", "the request is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"id": ' + b"9" * 5000 + b"}", "the request is not JSON"),
        ([], "the request must be a JSON object, not []"),
        ({}, "'inputs' must be a list of one tensor, 'image'"),
        ({"inputs": [tensor(ONE)] * 2}, "'inputs' must be a list of one tensor"),
        ({"inputs": [tensor(ONE, name="images")]}, "Did you mean 'image'?"),
        ({"inputs": [tensor(ONE, datatype="FP32")]}, 'has datatype "FP32"; the model takes UINT8'),
        ({"inputs": [tensor(ONE, shape=[1, 28, 28])]}, "has shape [1, 28, 28]; the model takes"),
        ({"inputs": [tensor(ONE, shape=[0, 28, 28, 1])]}, "has shape [0, 28, 28, 1]"),
        ({"inputs": [tensor(ONE, shape=[True, 28, 28, 1])]}, "has shape [true, 28, 28, 1]"),
        ({"inputs": [tensor(ONE, shape=[-1, 28, 28, 1])]}, "has shape [-1, 28, 28, 1]"),
        ({"inputs": [tensor(ONE, shape=[10**30, 28, 28, 1])]}, "has shape [1000000"),
        ({"inputs": [tensor(ONE)]}, "'data' of input 'image' must be 784 whole numbers"),
        ({"inputs": [tensor(ONE, data=FLAT[1:])]}, "has shape [783]; expected [1, 28, 28, 1]"),
        ({"inputs": [tensor(ONE, data=[[1], [1, 2]])]}, "must be 784 whole numbers"),
        ({"inputs": [tensor(ONE, data=["a"] * 784)]}, "must be 784 whole numbers"),
        ({"inputs": [tensor(ONE, data=[0.5] * 784)]}, "must be 784 whole numbers"),
        ({"inputs": [tensor(ONE, data=[256, *FLAT[1:]])]}, "must lie between 0 and 255"),
        ({"inputs": [tensor(ONE, data=[-1, *FLAT[1:]])]}, "must lie between 0 and 255"),
        ({"inputs": [tensor(ONE, data=[10**40, *FLAT[1:]])]}, "must be 784 whole numbers"),
        ({"inputs": [tensor(ONE, data=FLAT)], "id": 5}, "'id' must be a string"),
        ({"inputs": [tensor(ONE, data=FLAT)], "parameters": 5}, "'parameters' must be a JSON obj"),
        ({"inputs": [tensor(ONE, data=FLAT)], "outputs": 5}, "'outputs' must be a list"),
        ({"inputs": [tensor(ONE, data=FLAT)], "outputs": [{"name": "x"}]}, 'no output "x"'),
        ({"inputs": [tensor(ONE, data=FLAT)], "outputs": [{"name": "logits"}] * 2}, "twice"),
        (
            {"inputs": [tensor(ONE, data=FLAT)], "parameters": {"timeout": -1}},
            "'timeout' must be a number of microseconds",
        ),
        (
            {"inputs": [tensor(ONE, parameters={"binary_data_size": 784})]},
            "'binary_data_size' is 784 and 0 bytes follow",
        ),
        (
            {"inputs": [tensor(ONE, parameters={"shared_memory_region": "x"})]},
            "shared memory is not offered",
        ),
    ],
)
def test_a_wrong_inference_request_is_answered_in_words(
    server: Served, question: Any, words: str
) -> None:
    answer = post(server, question)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"
    assert words in answer.json["error"]
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "999999", "9" * 40, ""])
def test_a_wrong_header_length_is_answered_in_words(server: Served, length: str) -> None:
    answer = post(server, {}, Inference_Header_Content_Length=length)
    assert answer.status == 400
    assert "expected the length of the JSON, at most the 2 bytes" in answer.json["error"]


def test_too_many_examples_are_refused(server: Served) -> None:
    answer = post(server, {"inputs": [tensor(ONE, shape=[1025, 28, 28, 1])]})
    assert answer.status == 413
    assert "send at most 1,024 at a time" in answer.json["error"]
