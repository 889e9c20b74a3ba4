"""What requests hold is counted and taken apart before memory is taken for it."""

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from picture_files import encoded
from PIL import Image
from serving import FORM, form, pictures, tensor

from flaxmill.serve import uploads
from flaxmill.serve.limits import Limits
from flaxmill.serve.open_inference import Inference
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.signature import Signature

SMALL = encoded(Image.fromarray(pictures(0)[0, ..., 0]), "PNG")


@pytest.fixture(scope="module")
def signature(shipped: Path) -> Signature:
    return Signature.load(shipped / "signature.json")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["x" * 10_000] + [""] * 50_000, "must be 784 whole numbers"),
        ([1] * 783 + ["x"], "must be 784 whole numbers"),
        ([1] * 783 + [None], "must be 784 whole numbers"),
        ([1] * 783 + [[1]], "must be 784 whole numbers"),
        ([True] * 784, "must be 784 whole numbers"),
        ([1] * 783 + [2**64], "must be 784 whole numbers"),
        ([0.5] * 783 + [10**400], "must be 784 whole numbers"),
        ({"a": 1}, "must be 784 whole numbers"),
        ([1] * 783, "has shape [783]; expected [1, 28, 28, 1], or 784 numbers in a row"),
        ([[1] * 28] * 28, "has shape [28, 28]; expected [1, 28, 28, 1]"),
        (5, "has shape []"),
        ([], "has shape [0]"),
        ([1] * 783 + [256], "must lie between 0 and 255"),
    ],
)
def test_types_and_counts_come_before_any_array(
    signature: Signature, given: Any, words: str
) -> None:
    """NumPy makes each of a list of texts as long as the longest: here, two gigabytes."""
    asked = json.dumps({"inputs": [tensor(pictures(0), data=given)]}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(Refused, match=re.escape(words)):
            Inference(signature, 64).read(asked, None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000 + 100 * len(asked)


def test_pictures_are_counted_before_they_are_decoded(signature: Signature) -> None:
    wrong = json.dumps({"pictures": ["%"] * 33}).encode()
    with pytest.raises(Refused, match="33 pictures are too many: send at most 32"):
        uploads.read(wrong, "application/json", {}, signature, Limits())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"--edge--\r\n", "there are no pictures"),
        (b"before it\r\n" + form(SMALL) + b"and after", None),
        (form(SMALL).replace(b"--edge\r\n", b"--edge \t\r\n"), None),
        (form(SMALL).replace(b"Content-D", b"X-Some: thing\r\ncontent-d"), None),
        (form(SMALL)[:-10], "has no beginning or no end"),
        (form(SMALL).replace(b'name="p"; ', b""), "a part of it has no name"),
        (form(SMALL).replace(b"\r\n\r\n", b" " * 17_000 + b"\r\n\r\n"), "no beginning or no end"),
        (b"--edgeX" + form(SMALL), "no beginning or no end"),
        (form(SMALL).replace(b"edge", b"line"), "its boundary is not in it"),
        (form(*[b""] * 33), "33 pictures are too many"),
        (form(b"").replace(b'filename="a.png"', b"x=y"), "there are no pictures"),
        (
            b'--edge\r\nContent-Disposition: form-data; name="n"\r\n\r\n\r\n' * 100,
            "too many parts",
        ),
    ],
)
def test_forms_are_taken_apart(body: bytes, words: str | None, signature: Signature) -> None:
    if words is None:
        upload = uploads.read(body, FORM, {}, signature, Limits())
        assert upload.files == [("a.png", SMALL)]
    else:
        with pytest.raises(Refused, match=words):
            uploads.read(body, FORM, {}, signature, Limits())
