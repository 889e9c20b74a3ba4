"""Arrays that nothing is known of: they are given as they are in the data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.machine import json_forms
from flaxmill.tasks.kinds import Explanations
from flaxmill.tasks.signature import Signature

THING = ("example", "examples")
COLUMNS = 5
CELL = (1.5, 1.5)
DRAWN = ("Made data.", "made by flaxmill itself: the figures show that training works.")
IN_JSON = "which this model's input cannot be given as: use the inference protocol"
BYTES = ""
SUFFIX = ".npy"
SUCH_AS = "ARRAY.npy"
RANDOM = "random numbers"
INSIDE = "Nothing is known of them."
NEEDS = "NumPy"
PREPROCESS = json_forms.anything


def find(words: Sequence[str]) -> list[str]:
    """Refuses arguments: nobody knows how to make arrays of them."""
    _refused()


def as_sequence(value: Any, signature: Signature) -> Sequence[Any]:
    """Returns the arrays of a batch one by one."""
    one = len(signature.inputs[0].shape) - 1
    return [value] if np.ndim(value) == one else list(value)


def display_name(value: Any, index: int) -> str:
    """Returns the number of an array, as its name."""
    return f"example {index}"


def preprocess(value: Any, signature: Signature) -> np.ndarray:
    """Returns an array of the dtype that the model takes."""
    return np.asarray(value, signature.inputs[0].dtype)


def collate(examples: Sequence[np.ndarray], signature: Signature) -> np.ndarray:
    """Returns arrays as a batch."""
    return np.stack(examples)


def _refused(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuses whatever takes files or words.

    Raises:
        BadInput: Always.
    """
    raise BadInput(
        "this model takes arrays of its own, of which nothing is known: ask it in Python, or over "
        "the server's protocol."
    )


from_json = preprocess_uploads = limits_message = to_file = sample = draw = render = _refused


def edge_cases(signature: Signature) -> Iterator[np.ndarray]:
    """Yields nothing: whatever has the right shape is as good as any other."""
    yield from ()


def random_batch(signature: Signature, count: int) -> np.ndarray:
    """Returns normal random numbers, or bytes, the same each time."""
    rng, taken = np.random.default_rng(0), signature.inputs[0]
    shape, dtype = (count, *signature.example_shape), np.dtype(taken.dtype)
    if dtype.kind in "iub":
        return rng.integers(0, 2, shape).astype(dtype)
    return rng.normal(size=shape).astype(dtype)


def standalone_source() -> str:
    """Returns a function that gives an array the dtype that the model takes."""
    return (
        "import numpy as np\n\n\ndef preprocess(array, signature):\n"
        "    return np.asarray(array, signature['inputs'][0]['dtype'])\n"
    )


def displayable(batch: Mapping[str, Any], *, changed: bool = False) -> list[Any]:
    """Returns nothing: there is nothing to see of unknown numbers."""
    return []


def summary(source: Any, indices: np.ndarray) -> tuple[str, str]:
    """Describes the shapes of the arrays of a source."""
    some = source.take(indices)
    shapes = ", ".join(f"{name} {array.dtype}{[*array.shape[1:]]}" for name, array in some.items())
    return f"arrays: {shapes}", f"{len(indices):,} looked at"


def explain(
    model: Any, examples: Any, labels: Any, kind: Any, signature: Signature, *, most: int
) -> Explanations:
    """Explains nothing."""
    return Explanations("", [])
