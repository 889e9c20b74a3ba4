"""The Open Inference Protocol, version 2, with its extensions for binary data and classification.

Source: https://github.com/kserve/open-inference-protocol (HTTP/REST), and the protocol extensions
in the documentation of Triton Inference Server.
"""

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from flaxmill.errors import BadInput, TooLarge, nearest
from flaxmill.serve import bytes_tensor, json_tensor, response
from flaxmill.serve.batcher import Outputs
from flaxmill.serve.json_values import brief, flag, is_whole, mapping, parse
from flaxmill.serve.refusal import Refused
from flaxmill.serve.response import DATATYPES, BinaryHead, EncodedResponse, RequestedOutput
from flaxmill.tasks.signature import Signature, Tensor, padded_batch

_AT_ONCE_BYTES = 64 << 10  # JSON up to this long is read in three milliseconds, at most
_LONGEST_ID = 4096  # characters; it goes into the response
_REMEMBERED_BYTES = 1024  # a header up to this long is remembered: many requests have the same


@dataclass(frozen=True)
class InferenceRequest:
    """An inference request, parsed.

    Attributes:
        id: The client's name for the request.
        count: How many examples it brings.
        examples: Their bytes, if they came in the JSON; otherwise they follow it.
        outputs: The outputs that it asks for.
        timeout: Seconds that it may wait, if it says so.
        head: The beginning of its response, if that does not depend on the numbers.
    """

    id: str | None
    count: int
    examples: bytes | None
    outputs: tuple[RequestedOutput, ...]
    timeout: float | None
    head: BinaryHead | None


class Inference:
    """The protocol's view of one model: reads its requests, writes its responses.

    Args:
        signature: Of the model; it has one input.
        max_examples: In one request.
    """

    def __init__(self, signature: Signature, max_examples: int) -> None:
        self.signature = signature
        self.max_examples = max_examples
        self.kind = signature.input_kind
        (self.input,) = signature.inputs
        self.dtype = np.dtype(self.input.dtype).newbyteorder("<")
        self.shape = (-1, *signature.example_shape)
        self.example_bytes = self.dtype.itemsize * math.prod(signature.example_shape)
        self._cached_parse = lru_cache(maxsize=256)(self._parse)

    def metadata(self) -> dict[str, Any]:
        """Returns the protocol's metadata of the model."""
        return {
            "name": self.signature.name,
            "versions": [self.signature.version],
            "platform": "flaxmill",
            "inputs": [self._input_metadata],
            "outputs": [_tensor_metadata(one, one.shape) for one in self.signature.outputs],
        }

    @property
    def _input_metadata(self) -> dict[str, Any]:
        """The input that clients are to send: texts or files where they may, or else the tensor."""
        if self.kind.BYTES:
            return {"name": self.kind.BYTES, "datatype": "BYTES", "shape": [-1]}
        return _tensor_metadata(self.input, self.shape)

    def read(self, body: bytes, header_length: bytes | None) -> tuple[InferenceRequest, Any]:
        """Reads an inference request.

        Args:
            body: The request's content.
            header_length: The value of Inference-Header-Content-Length, if it has one.

        Returns:
            The request, and the bytes of its examples.

        Raises:
            Refused: It does not follow the protocol, or does not fit the model.
        """
        if header_length is None:
            request = self._parse(body, 0)
        else:
            split = _header_length(header_length, len(body))
            if not split:
                return self._raw(body)
            if split <= _REMEMBERED_BYTES:
                request = self._cached_parse(body[:split], len(body) - split)
            else:
                request = self._parse(body[:split], len(body) - split)
            if request.examples is None:
                return request, memoryview(body)[split:]
        return request, request.examples

    def offload(self, body: bytes, header_length: bytes | None) -> tuple[memoryview, int] | None:
        """Returns what of a request another process is to read; None if it is quickly read.

        That is long JSON, and all of a request to a model of texts, or of files.

        Returns:
            The JSON, and maybe what follows it; and the length of the JSON.
        """
        split = len(body) if header_length is None else _header_length(header_length, len(body))
        if split and self.kind.BYTES:
            return memoryview(body), split
        return (memoryview(body)[:split], split) if split > _AT_ONCE_BYTES else None

    def to_facts(
        self, content: bytes, split: int, following: int
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Reads what `offload` returns, in another process than the one that answers.

        Args:
            content: The JSON, and maybe what follows it.
            split: The length of the JSON.
            following: How many bytes follow it.

        Returns:
            What `from_facts` rebuilds the request from, all but its numbers; and these.

        Raises:
            Refused: As of `read`.
        """
        request = self._parse(content[:split], following, content[split:])
        outputs = [(one.tensor.name, one.binary, one.classes) for one in request.outputs]
        facts = {"id": request.id, "count": request.count, "timeout": request.timeout}
        return facts | {"outputs": outputs}, [] if request.examples is None else [request.examples]

    def from_facts(self, facts: dict[str, Any]) -> InferenceRequest:
        """Returns the request that `to_facts` describes, without its examples."""
        known = {tensor.name: tensor for tensor in self.signature.outputs}
        requested = tuple(RequestedOutput(known[name], *how) for name, *how in facts["outputs"])
        head = response.binary_head(self.signature, facts["id"], facts["count"], requested)
        return InferenceRequest(
            facts["id"], facts["count"], None, requested, facts["timeout"], head
        )

    def _raw(self, body: bytes) -> tuple[InferenceRequest, bytes]:
        """Reads a request that is nothing but the bytes of its examples."""
        count, rest = divmod(len(body), self.example_bytes)
        if rest or not count:
            raise Refused(
                400,
                f"a request without JSON holds whole examples of {self.example_bytes:,} bytes, not "
                f"{len(body):,} bytes.",
            )
        self._check_count(count)
        requested = tuple(RequestedOutput(tensor, True, 0) for tensor in self.signature.outputs)
        head = response.binary_head(self.signature, None, count, requested)
        return InferenceRequest(None, count, None, requested, None, head), body

    def _parse(self, header: bytes, following: int, rest: bytes = b"") -> InferenceRequest:
        """Reads the JSON of a request that ``following`` bytes follow, which may be at hand."""
        fields = mapping(parse(header), "the request")
        parameters = mapping(fields.get("parameters", {}), "'parameters'")
        name = fields.get("id")
        if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_ID):
            raise Refused(400, f"'id' must be a string of at most {_LONGEST_ID:,} characters.")
        count, examples = self._examples(fields.get("inputs"), following, rest)
        requested = self._requested(fields.get("outputs"), parameters)
        for unfit in ("sequence_id", "sequence_start", "sequence_end"):
            if parameters.get(unfit):
                raise Refused(400, f"parameter {unfit!r}: this model keeps no state of sequences.")
        timeout = parameters.get("timeout")
        if timeout is not None and (not is_whole(timeout) or timeout < 0):
            raise Refused(400, "parameter 'timeout' must be a number of microseconds.")
        seconds = timeout / 1e6 if timeout else None
        head = response.binary_head(self.signature, name, count, requested)
        return InferenceRequest(name, count, examples, requested, seconds, head)

    def _examples(self, inputs: Any, following: int, rest: bytes) -> tuple[int, bytes | None]:
        """Reads the list of inputs: how many examples, and their bytes if they are here."""
        if not isinstance(inputs, list) or len(inputs) != 1:
            raise Refused(
                400,
                f"'inputs' must be a list of one tensor, {self.input.name!r}; {self._expected}.",
            )
        tensor = mapping(inputs[0], "the input")
        if self.kind.BYTES and tensor.get("datatype") == "BYTES":
            return self._bytes_examples(tensor, rest)
        self._check_tensor(tensor)
        shape: list[int] = tensor["shape"]
        parameters = mapping(tensor.get("parameters", {}), "the input's 'parameters'")
        if "shared_memory_region" in parameters:
            raise Refused(400, "shared memory is not offered: send the tensor in the request.")
        count, size = shape[0], parameters.get("binary_data_size")
        if size is None:
            if following:
                raise Refused(
                    400,
                    f"{following:,} bytes follow the JSON, but the input {self.input.name!r} has "
                    f"no parameter 'binary_data_size'.",
                )
            return count, json_tensor.content(tensor.get("data"), self.input, shape)
        if "data" in tensor:
            raise Refused(400, "the input has both 'data' and 'binary_data_size': send one.")
        if not is_whole(size) or size != count * self.example_bytes or size != following:
            raise Refused(
                400,
                f"'binary_data_size' is {json.dumps(size)[:40]} and {following:,} bytes follow the "
                f"JSON; the shape {shape} takes {count * self.example_bytes:,}.",
            )
        return count, None

    def _bytes_examples(self, tensor: dict[str, Any], following: bytes) -> tuple[int, bytes]:
        """Reads an input of texts or files: how many, and their bytes as the model takes them."""
        if tensor.get("name") != self.kind.BYTES:
            known = [self.kind.BYTES, self.input.name]
            raise Refused(
                400,
                f"there is no input {brief(tensor.get('name'))} of BYTES."
                f"{nearest(str(tensor.get('name'))[:80], known)}",
            )
        files = bytes_tensor.contents(tensor, self.signature, self.max_examples, following)
        named = [(f"{self.kind.THING[0]} {i}", content) for i, content in enumerate(files)]
        try:
            examples = self.kind.preprocess_uploads(named, self.signature, None, small=False)
        except TooLarge as trouble:
            raise Refused(413, f"{trouble} {self.kind.limits_message(None)}.") from None
        except BadInput as trouble:
            raise Refused(400, str(trouble)) from None
        return len(examples), padded_batch(examples, self.signature).tobytes()

    @property
    def _expected(self) -> str:
        datatype = DATATYPES[self.input.dtype]
        return f"the model takes {datatype} of shape {list(self.shape)}"

    def _check_tensor(self, tensor: dict[str, Any]) -> None:
        name, shape, datatype = tensor.get("name"), tensor.get("shape"), tensor.get("datatype")
        if name != self.input.name:
            raise Refused(
                400,
                f"there is no input {brief(name)}.{nearest(str(name)[:80], [self.input.name])}",
            )
        if datatype != DATATYPES[self.input.dtype]:
            raise Refused(
                400,
                f"input {name!r} has datatype {brief(datatype)}; {self._expected}.",
            )
        fits = (
            isinstance(shape, list)
            and all(map(is_whole, shape))
            and len(shape) == len(self.shape)
            and tuple(shape[1:]) == self.shape[1:]
        )
        if not fits or not isinstance(shape, list) or shape[0] < 1:
            raise Refused(400, f"input {name!r} has shape {brief(shape)}; {self._expected}.")
        self._check_count(shape[0])

    def _check_count(self, count: int) -> None:
        if count > self.max_examples:
            raise Refused(
                413,
                f"{count:,} examples are too many for one request: send at most "
                f"{self.max_examples:,} at a time.",
            )

    def _requested(self, outputs: Any, parameters: dict[str, Any]) -> tuple[RequestedOutput, ...]:
        """Reads the list of outputs; without one, all are requested."""
        binary = flag(parameters, "binary_data_output", False)
        known = {tensor.name: tensor for tensor in self.signature.outputs}
        if outputs is None or outputs == []:
            return tuple(RequestedOutput(tensor, binary, 0) for tensor in known.values())
        if not isinstance(outputs, list) or len(outputs) > len(known):
            raise Refused(400, f"'outputs' must be a list of at most {len(known)} tensors.")
        requested = []
        for each in outputs:
            fields = mapping(each, "an output")
            name = fields.get("name")
            if not isinstance(name, str) or name not in known:
                raise Refused(
                    400, f"there is no output {brief(name)}.{nearest(str(name)[:80], known)}"
                )
            options = mapping(fields.get("parameters", {}), "an output's 'parameters'")
            if "shared_memory_region" in options:
                raise Refused(400, "shared memory is not offered: leave it out of 'outputs'.")
            classes = options.get("classification", 0)
            if not is_whole(classes) or classes < 0:
                raise Refused(400, "parameter 'classification' must be a number of classes.")
            as_bytes = flag(options, "binary_data", binary)
            if classes and not self.signature.output_kind.CLASSIFIES:
                raise Refused(400, "this model names no classes: leave 'classification' out.")
            classes = min(classes, known[name].shape[-1])
            requested.append(RequestedOutput(known[name], as_bytes, classes))
        if len({each.tensor.name for each in requested}) < len(requested):
            raise Refused(400, "'outputs' names a tensor twice.")
        return tuple(requested)

    def respond(self, request: InferenceRequest, outputs: Outputs) -> EncodedResponse:
        """Encodes the response to a request.

        Args:
            request: As `read` returned it.
            outputs: The model's, for its examples.
        """
        if request.head is not None:
            return response.encode_binary(request.head, request.outputs, outputs)
        return response.encode(self.signature, request.id, request.outputs, outputs)


def _tensor_metadata(tensor: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": list(shape)}


def _header_length(value: bytes, most: int) -> int:
    if not value.isdigit() or len(value) > 12 or int(value) > most:
        raise Refused(
            400,
            f"Inference-Header-Content-Length is {value[:40].decode('latin-1')!r}; expected the "
            f"length of the JSON, at most the {most:,} bytes of the content.",
        )
    return int(value)
