"""Answers of the Open Inference Protocol, in JSON, or with tensors as bytes after it."""

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from flaxmill.serve.batcher import Outputs
from flaxmill.serve.refusal import Header
from flaxmill.tasks.signature import Signature, Tensor

DATATYPES = {
    "bool": "BOOL",
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""NumPy's names of types -> the protocol's."""

Beginning = tuple[list[Header], bytes]
"""Headers and JSON of an answer that goes on with bytes."""


@dataclass(frozen=True)
class Wanted:
    """An output that a request asks for.

    Attributes:
        tensor: The output.
        binary: Whether its numbers come as bytes after the JSON.
        classes: How many likeliest classes to name instead of the numbers; 0 for the numbers.
    """

    tensor: Tensor
    binary: bool
    classes: int


@dataclass(frozen=True)
class Answer:
    """A response: its headers, and its content."""

    headers: list[Header]
    body: bytes


def beginning(
    signature: Signature, name: str | None, count: int, wanted: tuple[Wanted, ...]
) -> Beginning | None:
    """Returns what is known of an answer before it is computed, if all of it is to be bytes.

    Args:
        signature: Of the model.
        name: The client's, for the request.
        count: Examples.
        wanted: The outputs that are asked for.
    """
    described = []
    for each in wanted:
        if each.classes or not each.binary:
            return None
        shape = [count, *each.tensor.shape[1:]]
        size = np.dtype(each.tensor.dtype).itemsize * int(np.prod(shape))
        tensor = {"name": each.tensor.name, "datatype": DATATYPES[each.tensor.dtype]}
        described.append({**tensor, "shape": shape, "parameters": {"binary_data_size": size}})
    header = _header(signature, name, described)
    return _binary(header), header


def continued(begun: Beginning, wanted: tuple[Wanted, ...], outputs: Outputs) -> Answer:
    """Writes the bytes of an answer whose beginning is known."""
    headers, header = begun
    numbers = [outputs[each.tensor.name].tobytes() for each in wanted]
    return Answer([*headers], b"".join([header, *numbers]))


def whole(
    signature: Signature, name: str | None, wanted: tuple[Wanted, ...], outputs: Outputs
) -> Answer:
    """Writes an answer of any kind.

    Args:
        signature: Of the model.
        name: The client's, for the request.
        wanted: The outputs that are asked for.
        outputs: All of the model's, [example, …].
    """
    described, blobs = [], []
    for each in wanted:
        array = outputs[each.tensor.name]
        if each.classes:
            values = _classified(array, each.classes, signature.labels)
            shape, datatype = [len(array), each.classes], "BYTES"
            blob = b"".join(map(_counted, values)) if each.binary else b""
        else:
            values = [] if each.binary else array.ravel().tolist()
            shape, datatype = [*array.shape], DATATYPES[each.tensor.dtype]
            blob = array.tobytes() if each.binary else b""
        tensor: dict[str, Any] = {"name": each.tensor.name, "datatype": datatype, "shape": shape}
        if each.binary:
            tensor["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            tensor["data"] = values
        described.append(tensor)
    header = _header(signature, name, described)
    headers = _binary(header) if blobs else [(b"content-type", b"application/json")]
    return Answer(headers, b"".join([header, *blobs]))


def _header(signature: Signature, name: str | None, described: list[dict[str, Any]]) -> bytes:
    """Returns the JSON of an answer."""
    said = {"model_name": signature.name, "model_version": signature.version}
    if name is not None:
        said["id"] = name
    return json.dumps({**said, "outputs": described}).encode()


def _binary(header: bytes) -> list[Header]:
    return [
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", b"%d" % len(header)),
    ]


def _classified(scores: np.ndarray, classes: int, labels: tuple[str, ...]) -> list[str]:
    """Returns the likeliest classes of each example in turn, each as score:index:label."""
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :classes]
    return [
        f"{scores[row, index]:f}:{index}:{labels[index]}"
        for row, indices in enumerate(order)
        for index in indices
    ]


def _counted(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded
