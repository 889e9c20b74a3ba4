"""What runs an exported model: JAX or ONNX Runtime, behind one form."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.program import installing
from flaxmill.signature import Signature

Answers = dict[str, np.ndarray]

FILES = {"jax": "model.stablehlo", "onnx": "model.onnx", "int8": "model.int8.onnx"}
"""The file of an export directory that each engine runs."""


Engine = Callable[[np.ndarray], Answers]
"""Returns each output by name, for a batch of any size."""


def start(name: str, folder: Path, signature: Signature, *, threads: int | None = None) -> Engine:
    """Returns an engine that runs the model in an export directory.

    Args:
        name: One of `FILES`.
        folder: The export directory.
        signature: Its own.
        threads: How many ONNX Runtime computes with; None leaves that to it. XLA takes what it
            finds.

    Raises:
        BadInput: What the engine needs is not installed, or the file is none that it can run.
    """
    path = folder / FILES[name]
    return JaxEngine(path) if name == "jax" else OnnxEngine(path, signature, threads=threads)


class JaxEngine:
    """Runs ``model.stablehlo``; each size of batch is compiled when it first comes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        import jax
        from jax import export

        try:
            exported = export.deserialize(bytearray(path.read_bytes()))
        except Exception as error:  # whatever the reader of the format stumbles over
            raise BadInput(f"{path} cannot be read as StableHLO: {error}.") from None
        here = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
        if here not in exported.platforms:
            raise BadInput(
                f"{path} was exported for {', '.join(exported.platforms)}; JAX finds {here} here: "
                f"set JAX_PLATFORMS=cpu."
            )
        self._call = jax.jit(exported.call)

    def __call__(self, inputs: np.ndarray) -> Answers:
        """Returns each output by name, for a batch of any size."""
        return {name: np.asarray(output) for name, output in self._call(inputs).items()}


class OnnxEngine:
    """Runs an ONNX file with ONNX Runtime, on CPU.

    Args:
        path: The file.
        signature: Says how its input and outputs are called.
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
        self._input = signature.inputs[0].name
        self._outputs = [output.name for output in signature.outputs]

    def __call__(self, inputs: np.ndarray) -> Answers:
        """Returns each output by name, for a batch of any size."""
        found = self._session.run(self._outputs, {self._input: inputs})
        return dict(zip(self._outputs, found, strict=True))


def onnxruntime() -> Any:
    """Returns the package onnxruntime, kept from telling its maker that it runs.

    Raises:
        BadInput: It is not installed.
    """
    # It would keep an identifier of this machine, and send events to its makers.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is imported
    try:
        import onnxruntime
    except ImportError:
        raise BadInput(
            f"ONNX Runtime is not installed: {installing('onnx')}. Without it there is the "
            f"engine jax, and the format stablehlo."
        ) from None
    return onnxruntime


def check_inputs(inputs: np.ndarray, signature: Signature) -> None:
    """Refuses inputs that are not as the signature says.

    Raises:
        BadInput: The message names what came and what is expected.
    """
    expected = signature.inputs[0]
    if inputs.shape[1:] != expected.shape[1:] or inputs.dtype != np.dtype(expected.dtype):
        sides = ["batch", *map(str, expected.shape[1:])]
        raise BadInput(
            f"{expected.name} is {inputs.dtype}[{','.join(map(str, inputs.shape))}], expected "
            f"{expected.dtype}[{','.join(sides)}]."
        )
    if not len(inputs):
        raise BadInput(f"{expected.name} holds no examples: give one or more.")
