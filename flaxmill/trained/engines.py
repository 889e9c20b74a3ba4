"""Engines that run an exported model: JAX or ONNX Runtime, behind one interface."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput, listed, quoted
from flaxmill.machine.program import install_command
from flaxmill.tasks.signature import Signature, Tensor

Outputs = dict[str, np.ndarray]

FILES = {"jax": "model.stablehlo", "onnx": "model.onnx", "int8": "model.int8.onnx"}
"""The file of an export directory that each engine runs."""


Engine = Callable[[np.ndarray], Outputs]
"""Returns each output by name, for a batch of any size."""


def start(name: str, folder: Path, signature: Signature, *, threads: int | None = None) -> Engine:
    """Returns an engine that runs the model in an export directory.

    Args:
        name: One of `FILES`.
        folder: The export directory.
        signature: Its own.
        threads: How many ONNX Runtime computes with; None leaves that to it. XLA decides for
            itself.

    Raises:
        BadInput: What the engine needs is not installed, or the file is none that it can run.
    """
    path = folder / FILES[name]
    if name == "jax":
        return JaxEngine(path, signature)
    return OnnxEngine(path, signature, threads=threads)


_HARMLESS = {"shape_assertion", "Sharding"}
"""Calls that JAX puts into exports, and XLA takes out again."""


class JaxEngine:
    """Runs ``model.stablehlo``; each size of batch is compiled on its first call.

    Args:
        path: The file.
        signature: Of its inputs and outputs.
    """

    def __init__(self, path: Path, signature: Signature) -> None:
        import jax
        from jax import export
        from jax.interpreters import mlir

        try:
            exported = export.deserialize(bytearray(path.read_bytes()))
            with mlir.make_ir_context():
                module = exported.mlir_module(serialized=False)
                native = set(_custom_calls(module.operation)) - _HARMLESS
                del module  # before its context
        except Exception as error:  # whatever the format's reader raises
            raise BadInput(f"{path} cannot be read as StableHLO: {error}.") from None
        if native:
            raise BadInput(
                f"{path} calls a function of the machine ({listed(native)}) and not only "
                f"operations of StableHLO: such a call is trusted with memory, and is not run."
            )
        here = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
        if here not in exported.platforms:
            raise BadInput(
                f"{path} was exported for {', '.join(exported.platforms)}; JAX finds {here} here: "
                f"set JAX_PLATFORMS=cpu."
            )
        takes = [_form("", array.dtype, array.shape) for array in exported.in_avals]
        _check_same(path, "takes", takes, [replace(array, name="") for array in signature.inputs])
        avals = exported.out_avals
        outputs = exported.out_tree.unflatten(avals)
        pairs = outputs.items() if isinstance(outputs, dict) else (("", array) for array in avals)
        gives = [_form(name, array.dtype, array.shape) for name, array in pairs]
        _check_same(path, "gives", gives, signature.outputs)
        self._path, self._call = path, jax.jit(exported.call)

    def __call__(self, inputs: np.ndarray) -> Outputs:
        """Returns each output by name, for a batch of any size."""
        with _running(self._path):
            return {name: np.asarray(output) for name, output in self._call(inputs).items()}


def _custom_calls(operation: Any) -> Iterator[str]:
    """Yields the native functions that a module's operation calls, and those within it."""
    if operation.name == "stablehlo.custom_call":
        yield operation.attributes["call_target_name"].value
    for region in operation.regions:
        for block in region:
            for inner in block:
                yield from _custom_calls(inner.operation)


class OnnxEngine:
    """Runs an ONNX file with ONNX Runtime, on CPU.

    Args:
        path: The file.
        signature: Of its inputs and outputs.
        threads: How many to compute with; None leaves that to ONNX Runtime.
    """

    def __init__(self, path: Path, signature: Signature, *, threads: int | None = None) -> None:
        runtime: Any = onnxruntime()
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # errors; warnings speak of its own optimisations
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own kinds share no base
            raise BadInput(f"{path} cannot be run by ONNX Runtime: {error}") from None
        for kind, here, there in (
            ("takes", self._session.get_inputs(), signature.inputs),
            ("gives", self._session.get_outputs(), signature.outputs),
        ):
            forms = [_form(one.name, _OF_ONNX.get(one.type, one.type), one.shape) for one in here]
            _check_same(path, kind, forms, there)
        self._path, self._input = path, signature.inputs[0].name
        self._outputs = [output.name for output in signature.outputs]

    def __call__(self, inputs: np.ndarray) -> Outputs:
        """Returns each output by name, for a batch of any size."""
        with _running(self._path):
            outputs = self._session.run(self._outputs, {self._input: inputs})
        return dict(zip(self._outputs, outputs, strict=True))


_OF_ONNX = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16"}
_OF_ONNX |= {f"tensor({name})": name for name in ("uint8", "int8", "int32", "int64", "bool")}


def _form(name: str, dtype: Any, shape: Sequence[Any]) -> str:
    """Describes a tensor; a size that is no number is one that varies."""
    sizes = (str(size) if isinstance(size, int) and size > 0 else "-1" for size in shape)
    return f"{name} {dtype}[{','.join(sizes)}]".strip()


def _check_same(path: Path, what: str, forms: Sequence[str], tensors: Sequence[Tensor]) -> None:
    """Refuses a model whose inputs or outputs are not as its signature says.

    Raises:
        BadInput: The message says what differs.
    """
    expected = [_form(one.name, one.dtype, one.shape) for one in tensors]
    if sorted(forms) != sorted(expected):
        raise BadInput(
            f"{path} {what} {listed(sorted(forms))}, and its signature.json says "
            f"{listed(sorted(expected))}: the two are not of one export. Export the run again."
        )


@contextlib.contextmanager
def _running(path: Path) -> Iterator[None]:
    """Names the file in an error if its model cannot be compiled or run."""
    try:
        yield
    except Exception as error:  # what compilers and runtimes raise shares no base
        words = str(error).strip().partition("\n")[0]
        raise BadInput(f"{path} cannot be run: {quoted(words, 200)}.") from error


def onnxruntime() -> Any:
    """Returns the package onnxruntime, with its telemetry switched off.

    Raises:
        BadInput: It is not installed.
    """
    # It would keep an identifier of this machine, and send events to its makers.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is imported
    try:
        import onnxruntime
    except ImportError:
        raise BadInput(
            f"ONNX Runtime is not installed: {install_command('onnx')}. Without it there is the "
            f"engine jax, and the format stablehlo."
        ) from None
    return onnxruntime


def check_inputs(inputs: np.ndarray, signature: Signature) -> None:
    """Refuses inputs that are not as the signature says.

    Raises:
        BadInput: The message names what they are and what is expected.
    """
    expected = signature.inputs[0]
    axes = expected.shape[1:]
    fits = len(axes) == inputs.ndim - 1 and all(
        isinstance(axis, str) or axis == size
        for axis, size in zip(axes, inputs.shape[1:], strict=True)
    )
    if not fits or inputs.dtype != np.dtype(expected.dtype):
        sides = ["batch", *map(str, expected.shape[1:])]
        raise BadInput(
            f"{expected.name} is {inputs.dtype}[{','.join(map(str, inputs.shape))}], expected "
            f"{expected.dtype}[{','.join(sides)}]."
        )
    if not len(inputs):
        raise BadInput(f"{expected.name} holds no examples: give one or more.")
