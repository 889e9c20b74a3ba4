"""Weights by name: what they are called, their digest, and files that a run may start from."""

import difflib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flaxmill.errors import BadInput, quoted
from flaxmill.machine import files, json_forms

_OF_TORCH = (".pth", ".pt", ".bin")  # files that PyTorch writes, which may run programs
_DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8")
_DTYPES += ("BOOL",)  # the types of safetensors that NumPy has
_TENSORS = 10_000  # of a file, at most; the largest networks here have a thousand
_LISTED = 12
"""How many weights of a kind are listed when they do not fit."""


def flatten(tree: Any) -> dict[str, Any]:
    """Returns the arrays of a tree by their paths, such as ``convolutions.0.kernel``."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: Any) -> str:
    if path and path[-1] == jax.tree_util.GetAttrKey("value"):  # nnx.Variable.value
        path = path[:-1]
    return ".".join(jax.tree_util.keystr((part,), simple=True) for part in path)


def unflatten(tree: Any, arrays: Mapping[str, Any], *, where: str) -> Any:
    """Returns a tree with arrays by name in the place of its own.

    Args:
        tree: Has the names, shapes and types that are expected.
        arrays: By name, as from `flatten`.
        where: What the arrays came from, for the message.

    Raises:
        BadInput: Names are missing or unexpected, or a shape or type differs; they are listed.
    """
    expected = flatten(tree)
    missing = [name for name in expected if name not in arrays]
    unexpected = [name for name in arrays if name not in expected]
    misshapen = [
        f"{name} is {form(arrays[name])}, expected {form(leaf)}"
        for name, leaf in expected.items()
        if name in arrays and form(arrays[name]) != form(leaf)
    ]
    if missing or unexpected or misshapen:
        lines = [f"{where} does not fit this model."]
        lines += _lines("missing", missing, unexpected)
        lines += _lines("unexpected", unexpected)
        lines += _lines("misshapen", misshapen)
        raise BadInput(*lines)
    structure = jax.tree.structure(tree)
    return jax.tree.unflatten(structure, [arrays[name] for name in expected])


def _lines(what: str, names: Sequence[str], meant: Sequence[str] = ()) -> list[str]:
    """Returns a line for each name, but not for the hundreds that another model's weights have."""
    lines = []
    for name in names[:_LISTED]:
        near = difflib.get_close_matches(name, meant, n=1)
        lines.append(f"  {what}: {name}" + (f" Did you mean {near[0]!r}?" if near else ""))
    more = len(names) - len(lines)
    return [*lines, f"  {what}: and {more} more"] if more else lines


def form(array: Any) -> str:
    """Returns an array's type and shape, such as ``float32[3,5]``."""
    return f"{np.dtype(array.dtype).name}[{','.join(map(str, array.shape))}]"


def digest(tree: Any) -> str:
    """Returns the SHA-256 of a tree's arrays, in the order of their names.

    Each array counts with its name, type, shape, and bytes in little-endian order.
    """
    hashed = hashlib.sha256()
    for name, leaf in sorted(flatten(jax.device_get(tree)).items()):
        array = np.asarray(leaf)
        hashed.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        little = array.dtype.newbyteorder("<") if array.dtype.kind in "iufc" else array.dtype
        hashed.update(np.ascontiguousarray(array, dtype=little).tobytes())
    return hashed.hexdigest()


def model_digest(params: Any, model_state: Any) -> str:
    """Returns the ``weights_sha256`` of a model."""
    return digest({"params": params, "model_state": model_state})


def count(tree: Any) -> int:
    """Returns the number of numbers in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def to_evaluate(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the weights to evaluate with of a checkpoint's arrays: the averages, if it has any.

    Returns:
        Arrays named ``params.…`` and ``model_state.…``.
    """
    kinds = {"params.": "params.", "model_state.": "model_state."}
    if any(name.startswith("average.") for name in arrays):
        kinds = {"average.0.": "params.", "average.1.": "model_state."}
    return {
        kind + name.removeprefix(prefix): array
        for prefix, kind in kinds.items()
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Reads the weights in a safetensors file.

    Raises:
        BadInput: The file cannot be read as one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        _check_header(path)
        return load_file(path)
    except BadInput:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        cure = ""
        if path.suffix in _OF_TORCH:
            cure = (
                " It looks like PyTorch's: write its state_dict with safetensors.torch.save_file "
                "(docs/networks.md shows how), and give that."
            )
        raise BadInput(f"{path} cannot be read as safetensors: {error}.{cure}") from None


_TENSOR = json_forms.record(
    {
        "dtype": json_forms.text(20),
        "shape": json_forms.each(json_forms.whole(1), most=8),
        "data_offsets": json_forms.each(json_forms.whole(), least=2, most=2),
    }
)
_METADATA = "__metadata__"  # text of anybody's, beside the tensors


def _check_header(path: Path) -> None:
    """Checks the header of a safetensors file, before any of its tensors is read.

    Raises:
        BadInput: It has tensors that are of no use here: too many, without numbers, or of a type
            that NumPy lacks.
        OSError: It cannot be read.
        ValueError: It is no such file.
    """
    with files.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not length <= size - 8:
            raise ValueError("it is cut short, or begins otherwise")
        if length > files.JSON_BYTES:
            raise BadInput(
                f"{path} has a header of {length:,} bytes: up to {files.JSON_BYTES >> 20} MiB are "
                f"read, for the {_TENSORS:,} tensors that a file may have."
            )
        header = files.parse_json(file.read(length))
    cure = "Write the file again."
    json_forms.check(header, json_forms.by_name(json_forms.anything, most=_TENSORS), path, cure)
    tensors = {name: one for name, one in header.items() if name != _METADATA}
    json_forms.check(tensors, json_forms.by_name(_TENSOR), path, cure)
    for name, tensor in tensors.items():
        if tensor["dtype"] not in _DTYPES:
            raise BadInput(
                f"{path}: {quoted(name)} is of the type {quoted(tensor['dtype'])}, which is not "
                f"trained with here: write it as F32 (there are: {', '.join(_DTYPES)})."
            )
