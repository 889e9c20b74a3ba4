"""A model's signature: its inputs and outputs, enough to use it without knowing its recipe."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.machine import files, json_forms
from flaxmill.tasks import kinds

FORMAT = 2
EXAMPLE_BYTES = 64 * 2**20
"""One example of a tensor takes no more: that is a picture of 4,700 × 4,700 pixels in colour."""
_TASKS = {  # task of format 1 -> takes and gives of format 2
    "image-classification": ("picture", "one_class"),
    "image-multilabel-classification": ("picture", "labels"),
}


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: Its name, as in a batch.
        dtype: Its NumPy type.
        shape: Its shape, with -1 for the batch, and the name of another axis whose size varies.
        meaning: What its numbers say.
    """

    name: str
    dtype: str
    shape: tuple[Any, ...]
    meaning: str = ""


@dataclass(frozen=True)
class Signature:
    """What a trained model takes and gives.

    Attributes:
        name: The model's name.
        takes: Its input kind, a module of `flaxmill.tasks.inputs`.
        gives: Its output kind, a module of `flaxmill.tasks.answers`.
        inputs: The tensors that it takes.
        outputs: The tensors that it gives.
        labels: Class names in the order of the outputs.
        preprocess: What is done to a picture or text before the model sees it.
        sizes: Where an axis of the input varies, the sizes that it is padded to, smallest first.
        version: Of the model.
        temperature: What the logits are divided by before they become probabilities; None for
            nothing, where the run held out too few examples to fit it on, or is of a version of
            flaxmill that fitted none when a run finished.
        licence: What the model may be used for, as far as its data says.
        run: What an export came from: its recipe, seed, step, ``weights_sha256`` and more.
        held_out: Number of examples that were held out to fit the temperature on.
        temperatures: Of a run, the temperature of its "final" weights and, where those are others,
            that of its "best".
    """

    name: str
    takes: str
    gives: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...]
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()
    version: str = "1"
    temperature: float | None = None
    licence: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    held_out: int = 0
    temperatures: Mapping[str, float] = field(default_factory=dict)

    @property
    def input_kind(self) -> kinds.InputKind:
        """The kind of its input."""
        return kinds.input_kind(self.takes)

    @property
    def output_kind(self) -> kinds.OutputKind:
        """The kind of its outputs."""
        return kinds.output_kind(self.gives)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example of the input, at the largest of the sizes that vary."""
        axes = self.inputs[0].shape[1:]
        return tuple(self.sizes[-1] if isinstance(axis, str) else axis for axis in axes)

    def of_weights(self, which: str) -> "Signature":
        """Returns a run's signature with the temperature of its "final" or its "best" weights."""
        temperature = self.temperatures.get(which, self.temperatures.get("final"))
        return replace(self, temperature=temperature)

    def as_json(self) -> dict[str, Any]:
        """Returns the signature as JSON of the newest format."""
        return {"format": FORMAT, **asdict(self)}

    def save(self, path: Path) -> None:
        """Writes the signature as JSON."""
        files.write_json(path, self.as_json())

    @classmethod
    def load(cls, path: Path) -> "Signature":
        """Reads a signature, and checks it.

        Raises:
            BadInput: The file is absent, damaged, or of a newer format.
        """
        fields: dict[str, Any] = json_forms.read(path, _form, cure=_CURE, newest=FORMAT)
        if fields.pop("format") == 1:
            fields["takes"], fields["gives"] = _TASKS.get(
                fields.pop("task"), ("tensors", "tensors")
            )
        for kind in ("inputs", "outputs"):
            fields[kind] = tuple(
                Tensor(**one | {"shape": tuple(one["shape"])}) for one in fields[kind]
            )
        fields |= {name: tuple(fields.get(name, ())) for name in ("labels", "sizes")}
        signature = cls(**fields)
        json_forms.check(
            signature.preprocess, signature.input_kind.PREPROCESS, path, _CURE, at="preprocess"
        )
        labels, scores = len(signature.labels), signature.outputs[0].shape[-1]
        if signature.output_kind.CLASSIFIES and labels != scores:
            raise BadInput(f"{path} has {labels} labels for {scores} scores: {_CURE}")
        return signature


def padded_batch(examples: Sequence[np.ndarray], signature: Signature) -> np.ndarray:
    """Collates examples into a batch of the one shape that a server computes with.

    Args:
        examples: As a model takes them.
        signature: Of the model.
    """
    batch = signature.input_kind.collate(examples, signature)
    shape = signature.example_shape
    if batch.shape[1:] == shape:
        return batch
    padded = np.zeros((len(batch), *shape), batch.dtype)
    padded[tuple(map(slice, batch.shape))] = batch
    return padded


_CURE = "Restore it from a copy, or write it anew: train again, or export the run again."


def _dtype(value: Any, where: str) -> None:
    """Accepts the names of dtypes, NumPy's and JAX's, that a tensor may have."""
    json_forms.text(40)(value, where)
    try:
        known = np.dtype(value).name in _DTYPES
    except (TypeError, ValueError, SyntaxError):
        known = False
    if not known:
        json_forms.one_of(*_DTYPES)(value, where)


def _tensor(value: Any, where: str) -> None:
    """Accepts a tensor of which one example fits into memory."""
    _TENSOR(value, where)
    size = math.prod(axis for axis in value["shape"] if isinstance(axis, int) and axis > 0)
    size *= np.dtype(value["dtype"]).itemsize
    if size > EXAMPLE_BYTES:
        raise json_forms.Misfit(
            f"has {value['shape']} at {where}.shape, of which one example takes {size:,} bytes, "
            f"expected up to {EXAMPLE_BYTES:,}"
        )


def _axis(value: Any, where: str) -> None:
    if isinstance(value, str):
        json_forms.text(40)(value, where)
        return
    json_forms.whole(-1, 2**31 - 1)(value, where)
    if value == 0:
        raise json_forms.Misfit(f"has 0 at {where}, expected a size, or -1 for one that varies")


_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_DTYPES += ("bfloat16", "float16", "float32", "float64")
_WORD, _TEXT = json_forms.text(1000), json_forms.text()
_TENSOR = json_forms.record(
    {"name": _WORD, "dtype": _dtype, "shape": json_forms.each(_axis, least=1, most=8)},
    {"meaning": _TEXT},
    closed=True,
)
_TEMPERATURE = json_forms.number(1e-6, 1e6)
_ALWAYS = {
    "format": json_forms.whole(1),
    "name": _WORD,
    "inputs": json_forms.each(_tensor, least=1, most=100),
    "outputs": json_forms.each(_tensor, least=1, most=100),
    "labels": json_forms.each(_TEXT),
}
_SOMETIMES = {
    "preprocess": json_forms.by_name(json_forms.anything),  # the kind of input knows what it is
    "sizes": json_forms.each(json_forms.whole(1, 2**31 - 1), most=8),
    "version": _WORD,
    "temperature": json_forms.maybe(_TEMPERATURE),
    "licence": _TEXT,
    "run": json_forms.by_name(json_forms.anything),
    "held_out": json_forms.whole(),
    "temperatures": json_forms.by_name(_TEMPERATURE),
}
_FORM = json_forms.record(
    {
        **_ALWAYS,
        "takes": json_forms.one_of(*kinds.kind_names("inputs")),
        "gives": json_forms.one_of(*kinds.kind_names("answers")),
    },
    _SOMETIMES,
    closed=True,
)
_FIRST_FORM = json_forms.record({**_ALWAYS, "task": _WORD}, _SOMETIMES, closed=True)


def _form(value: Any, where: str) -> None:
    """Accepts a signature of this format, or of the first."""
    first = isinstance(value, Mapping) and value.get("format") == 1
    (_FIRST_FORM if first else _FORM)(value, where)
