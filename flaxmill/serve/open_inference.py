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
from flaxmill.serve import answer, bytes_tensor, json_tensor
from flaxmill.serve.answer import DATATYPES, Answer, Beginning, Wanted
from flaxmill.serve.batcher import Outputs
from flaxmill.serve.json_values import flag, mapping, parsed, shown, whole
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.signature import Signature, Tensor, padded_batch

_AT_ONCE_BYTES = 64 << 10  # JSON up to this long is read in three milliseconds, at most
_LONGEST_ID = 4096  # characters; it goes into the answer
_REMEMBERED_BYTES = 1024  # a header up to this long is remembered: many requests have the same


@dataclass(frozen=True)
class Question:
    """What a request says in JSON.

    Attributes:
        id: The client's name for the request.
        count: How many examples it brings.
        examples: Their bytes, if they came in the JSON; otherwise they follow it.
        wanted: The outputs that it asks for.
        timeout: Seconds that it may wait, if it says so.
        begun: The beginning of its answer, if that does not depend on the numbers.
    """

    id: str | None
    count: int
    examples: bytes | None
    wanted: tuple[Wanted, ...]
    timeout: float | None
    begun: Beginning | None


class Inference:
    """The protocol's view of one model: reads its requests, writes its answers.

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
        self._remembered = lru_cache(maxsize=256)(self._question)

    def metadata(self) -> dict[str, Any]:
        """Returns what the protocol tells of a model."""
        return {
            "name": self.signature.name,
            "versions": [self.signature.version],
            "platform": "flaxmill",
            "inputs": [self._taken],
            "outputs": [_described(tensor, tensor.shape) for tensor in self.signature.outputs],
        }

    @property
    def _taken(self) -> dict[str, Any]:
        """What clients are told to send: texts or files where they may, or else the tensor."""
        if self.kind.BYTES:
            return {"name": self.kind.BYTES, "datatype": "BYTES", "shape": [-1]}
        return _described(self.input, self.shape)

    def read(self, body: bytes, header_length: bytes | None) -> tuple[Question, Any]:
        """Reads an inference request.

        Args:
            body: The request's content.
            header_length: The value of Inference-Header-Content-Length, if it has one.

        Returns:
            The question, and the bytes of its examples.

        Raises:
            Refused: It does not follow the protocol, or does not fit the model.
        """
        if header_length is None:
            question = self._question(body, 0)
        else:
            split = _length(header_length, len(body))
            if not split:
                return self._raw(body)
            if split <= _REMEMBERED_BYTES:
                question = self._remembered(body[:split], len(body) - split)
            else:
                question = self._question(body[:split], len(body) - split)
            if question.examples is None:
                return question, memoryview(body)[split:]
        return question, question.examples

    def slow(self, body: bytes, header_length: bytes | None) -> tuple[memoryview, int] | None:
        """Returns what of a request another process is to read, if that takes longer.

        That is long JSON, and all of a request to a model of texts, or of files.

        Returns:
            The JSON, and maybe what follows it; and the length of the JSON.
        """
        split = len(body) if header_length is None else _length(header_length, len(body))
        if split and self.kind.BYTES:
            return memoryview(body), split
        return (memoryview(body)[:split], split) if split > _AT_ONCE_BYTES else None

    def described(
        self, content: bytes, split: int, following: int
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Reads what `slow` returns, in another process than the one that answers.

        Args:
            content: The JSON, and maybe what follows it.
            split: The length of the JSON.
            following: How many bytes follow it.

        Returns:
            What `question` makes the question of: all but the numbers, and these.

        Raises:
            Refused: As of `read`.
        """
        asked = self._question(content[:split], following, content[split:])
        wanted = [(each.tensor.name, each.binary, each.classes) for each in asked.wanted]
        said = {"id": asked.id, "count": asked.count, "wanted": wanted, "timeout": asked.timeout}
        return said, [] if asked.examples is None else [asked.examples]

    def question(self, said: dict[str, Any]) -> Question:
        """Returns the question that `described` says, whose examples are at hand."""
        known = {tensor.name: tensor for tensor in self.signature.outputs}
        wanted = tuple(Wanted(known[name], *how) for name, *how in said["wanted"])
        begun = answer.beginning(self.signature, said["id"], said["count"], wanted)
        return Question(said["id"], said["count"], None, wanted, said["timeout"], begun)

    def _raw(self, body: bytes) -> tuple[Question, bytes]:
        """Reads a request that is nothing but the bytes of its examples."""
        count, rest = divmod(len(body), self.example_bytes)
        if rest or not count:
            raise Refused(
                400,
                f"a request without JSON holds whole examples of {self.example_bytes:,} bytes, not "
                f"{len(body):,} bytes.",
            )
        self._check_count(count)
        wanted = tuple(Wanted(tensor, True, 0) for tensor in self.signature.outputs)
        begun = answer.beginning(self.signature, None, count, wanted)
        return Question(None, count, None, wanted, None, begun), body

    def _question(self, header: bytes, following: int, rest: bytes = b"") -> Question:
        """Reads the JSON of a request that ``following`` bytes follow, which may be at hand."""
        asked = mapping(parsed(header), "the request")
        parameters = mapping(asked.get("parameters", {}), "'parameters'")
        name = asked.get("id")
        if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_ID):
            raise Refused(400, f"'id' must be a string of at most {_LONGEST_ID:,} characters.")
        count, examples = self._examples(asked.get("inputs"), following, rest)
        wanted = self._wanted(asked.get("outputs"), parameters)
        for unfit in ("sequence_id", "sequence_start", "sequence_end"):
            if parameters.get(unfit):
                raise Refused(400, f"parameter {unfit!r}: this model keeps no state of sequences.")
        timeout = parameters.get("timeout")
        if timeout is not None and (not whole(timeout) or timeout < 0):
            raise Refused(400, "parameter 'timeout' must be a number of microseconds.")
        patience = timeout / 1e6 if timeout else None
        begun = answer.beginning(self.signature, name, count, wanted)
        return Question(name, count, examples, wanted, patience, begun)

    def _examples(self, inputs: Any, following: int, rest: bytes) -> tuple[int, bytes | None]:
        """Reads the list of inputs: how many examples, and their bytes if they are here."""
        if not isinstance(inputs, list) or len(inputs) != 1:
            raise Refused(
                400,
                f"'inputs' must be a list of one tensor, {self.input.name!r}; {self._expected}.",
            )
        given = mapping(inputs[0], "the input")
        if self.kind.BYTES and given.get("datatype") == "BYTES":
            return self._received(given, rest)
        self._check_tensor(given)
        shape: list[int] = given["shape"]
        parameters = mapping(given.get("parameters", {}), "the input's 'parameters'")
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
            return count, json_tensor.content(given.get("data"), self.input, shape)
        if "data" in given:
            raise Refused(400, "the input has both 'data' and 'binary_data_size': send one.")
        if not whole(size) or size != count * self.example_bytes or size != following:
            raise Refused(
                400,
                f"'binary_data_size' is {json.dumps(size)[:40]} and {following:,} bytes follow the "
                f"JSON; the shape {shape} takes {count * self.example_bytes:,}.",
            )
        return count, None

    def _received(self, given: dict[str, Any], following: bytes) -> tuple[int, bytes]:
        """Reads an input of texts or files: how many, and their bytes as the model takes them."""
        if given.get("name") != self.kind.BYTES:
            known = [self.kind.BYTES, self.input.name]
            raise Refused(
                400,
                f"there is no input {shown(given.get('name'))} of BYTES."
                f"{nearest(str(given.get('name'))[:80], known)}",
            )
        files = bytes_tensor.contents(given, self.signature, self.max_examples, following)
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

    def _check_tensor(self, given: dict[str, Any]) -> None:
        name, shape, datatype = given.get("name"), given.get("shape"), given.get("datatype")
        if name != self.input.name:
            raise Refused(
                400,
                f"there is no input {shown(name)}.{nearest(str(name)[:80], [self.input.name])}",
            )
        if datatype != DATATYPES[self.input.dtype]:
            raise Refused(
                400,
                f"input {name!r} has datatype {shown(datatype)}; {self._expected}.",
            )
        fits = (
            isinstance(shape, list)
            and all(map(whole, shape))
            and len(shape) == len(self.shape)
            and tuple(shape[1:]) == self.shape[1:]
        )
        if not fits or not isinstance(shape, list) or shape[0] < 1:
            raise Refused(400, f"input {name!r} has shape {shown(shape)}; {self._expected}.")
        self._check_count(shape[0])

    def _check_count(self, count: int) -> None:
        if count > self.max_examples:
            raise Refused(
                413,
                f"{count:,} examples are too many for one request: send at most "
                f"{self.max_examples:,} at a time.",
            )

    def _wanted(self, outputs: Any, parameters: dict[str, Any]) -> tuple[Wanted, ...]:
        """Reads the list of outputs; without one, all are meant."""
        binary = flag(parameters, "binary_data_output", False)
        known = {tensor.name: tensor for tensor in self.signature.outputs}
        if outputs is None or outputs == []:
            return tuple(Wanted(tensor, binary, 0) for tensor in known.values())
        if not isinstance(outputs, list) or len(outputs) > len(known):
            raise Refused(400, f"'outputs' must be a list of at most {len(known)} tensors.")
        wanted = []
        for each in outputs:
            asked = mapping(each, "an output")
            name = asked.get("name")
            if not isinstance(name, str) or name not in known:
                raise Refused(
                    400, f"there is no output {shown(name)}.{nearest(str(name)[:80], known)}"
                )
            options = mapping(asked.get("parameters", {}), "an output's 'parameters'")
            if "shared_memory_region" in options:
                raise Refused(400, "shared memory is not offered: leave it out of 'outputs'.")
            classes = options.get("classification", 0)
            if not whole(classes) or classes < 0:
                raise Refused(400, "parameter 'classification' must be a number of classes.")
            as_bytes = flag(options, "binary_data", binary)
            wanted.append(Wanted(known[name], as_bytes, min(classes, known[name].shape[-1])))
        if len({each.tensor.name for each in wanted}) < len(wanted):
            raise Refused(400, "'outputs' names a tensor twice.")
        return tuple(wanted)

    def answer(self, question: Question, outputs: Outputs) -> Answer:
        """Writes the answer to a question.

        Args:
            question: As it was read.
            outputs: The model's, for its examples.
        """
        if question.begun is not None:
            return answer.continued(question.begun, question.wanted, outputs)
        return answer.whole(self.signature, question.id, question.wanted, outputs)


def _described(tensor: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": list(shape)}


def _length(value: bytes, most: int) -> int:
    if not value.isdigit() or len(value) > 12 or int(value) > most:
        raise Refused(
            400,
            f"Inference-Header-Content-Length is {value[:40].decode('latin-1')!r}; expected the "
            f"length of the JSON, at most the {most:,} bytes of the content.",
        )
    return int(value)
