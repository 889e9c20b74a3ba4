"""Responses of the Open Inference Protocol, in JSON, or with tensors as bytes after it."""

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

BinaryHead = tuple[list[Header], bytes]
"""Headers and JSON of a response that goes on with bytes."""


@dataclass(frozen=True)
class RequestedOutput:
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
class EncodedResponse:
    """A response's headers and content."""

    headers: list[Header]
    body: bytes


def binary_head(
    signature: Signature, request_id: str | None, count: int, requested: tuple[RequestedOutput, ...]
) -> BinaryHead | None:
    """Returns the beginning of a response before it is computed; None if it is not all bytes.

    Args:
        signature: Of the model.
        request_id: The client's, if it sent one.
        count: Examples.
        requested: The outputs that the client asks for.
    """
    descriptions = []
    for each in requested:
        if each.classes or not each.binary:
            return None
        shape = [count, *each.tensor.shape[1:]]
        size = np.dtype(each.tensor.dtype).itemsize * int(np.prod(shape))
        tensor = {"name": each.tensor.name, "datatype": DATATYPES[each.tensor.dtype]}
        descriptions.append({**tensor, "shape": shape, "parameters": {"binary_data_size": size}})
    header = _json_header(signature, request_id, descriptions)
    return _binary(header), header


def encode_binary(
    head: BinaryHead, requested: tuple[RequestedOutput, ...], outputs: Outputs
) -> EncodedResponse:
    """Encodes a response whose beginning is known."""
    headers, header = head
    numbers = [outputs[each.tensor.name].tobytes() for each in requested]
    return EncodedResponse([*headers], b"".join([header, *numbers]))


def encode(
    signature: Signature,
    request_id: str | None,
    requested: tuple[RequestedOutput, ...],
    outputs: Outputs,
) -> EncodedResponse:
    """Encodes any response.

    Args:
        signature: Of the model.
        request_id: The client's, if it sent one.
        requested: The outputs that the client asks for.
        outputs: All of the model's, [example, …].
    """
    descriptions, blobs = [], []
    for each in requested:
        array = outputs[each.tensor.name]
        if each.classes:
            values = _top_classes(array, each.classes, signature.labels)
            shape, datatype = [len(array), each.classes], "BYTES"
            blob = b"".join(map(_length_prefixed, values)) if each.binary else b""
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
        descriptions.append(tensor)
    header = _json_header(signature, request_id, descriptions)
    headers = _binary(header) if blobs else [(b"content-type", b"application/json")]
    return EncodedResponse(headers, b"".join([header, *blobs]))


def _json_header(
    signature: Signature, request_id: str | None, outputs: list[dict[str, Any]]
) -> bytes:
    """Returns the JSON of a response."""
    fields = {"model_name": signature.name, "model_version": signature.version}
    if request_id is not None:
        fields["id"] = request_id
    return json.dumps({**fields, "outputs": outputs}).encode()


def _binary(header: bytes) -> list[Header]:
    return [
        (b"content-type", b"application/octet-stream"),
        (b"inference-header-content-length", b"%d" % len(header)),
    ]


def _top_classes(scores: np.ndarray, classes: int, labels: tuple[str, ...]) -> list[str]:
    """Returns the likeliest classes of each example in turn, each as score:index:label."""
    order = np.argsort(-scores, axis=-1, kind="stable")[:, :classes]
    return [
        f"{scores[row, index]:f}:{index}:{labels[index]}"
        for row, indices in enumerate(order)
        for index in indices
    ]


def _length_prefixed(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded
