"""An export directory, to evaluate, to ask, and to serve."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill import engines, files
from flaxmill.data.source import Source
from flaxmill.errors import BadInput, nearest
from flaxmill.evaluation import padded_batches
from flaxmill.signature import Signature, check_format

FORMATS = {"stablehlo": "jax", "onnx": "onnx", "int8": "int8"}
"""The engine that runs each format of an export."""


class Exported:
    """An export directory, as ``flaxmill export`` writes it.

    Args:
        path: The directory.
        engine: ``jax`` runs its StableHLO, ``onnx`` its ONNX file with ONNX Runtime, and ``int8``
            the quantised one.
        threads: How many ONNX Runtime computes with; None leaves that to it.

    Attributes:
        path: The directory.
        signature: What the model takes and gives, and what run it came from.

    Raises:
        BadInput: It is no export directory, lacks what the engine runs, or was damaged.
    """

    def __init__(
        self, path: str | Path, *, engine: str = "jax", threads: int | None = None
    ) -> None:
        if engine not in engines.FILES:
            raise BadInput(f"no engine is called {engine!r}.{nearest(engine, engines.FILES)}")
        self.path = Path(path)
        if not is_export(self.path):
            raise BadInput(
                f"{path} is no export directory (signature.json with parity.json): "
                f"flaxmill export RUN makes one."
            )
        self.signature = Signature.load(self.path / "signature.json")
        check_whole(self.path, engines.FILES[engine])
        self._engine = engines.start(engine, self.path, self.signature, threads=threads)

    @property
    def digest(self) -> str:
        """The ``weights_sha256`` of the run that was exported."""
        return self.signature.run["weights_sha256"]

    def compile(self, sizes: Iterable[int]) -> None:
        """Makes batches of these sizes ready, so that none of them waits for a compiler later."""
        taken = self.signature.inputs[0]
        for size in sizes:
            self._engine(np.zeros((size, *taken.shape[1:]), taken.dtype))

    def outputs(self, inputs: np.ndarray) -> engines.Answers:
        """Returns ``logits`` and ``probabilities`` for a batch of any size.

        Args:
            inputs: Raw, as the signature says: uint8 [batch, height, width, channel] for pictures.

        Raises:
            BadInput: They have another shape or type.
        """
        engines.check_inputs(inputs, self.signature)
        return self._engine(inputs)


def outputs_of(engine: engines.Engine, source: Source, signature: Signature) -> engines.Answers:
    """Returns an engine's answers to every example of a source.

    Args:
        engine: What runs the model.
        source: The examples.
        signature: Names the input among what an example has.
    """
    name = signature.inputs[0].name
    parts = [(engine(batch[name]), mask) for batch, mask in padded_batches(source)]
    return {
        output: np.concatenate([answers[output][mask] for answers, mask in parts])
        for output in parts[0][0]
    }


def is_export(path: Path) -> bool:
    """Says whether a directory was written by ``flaxmill export``."""
    return (path / "signature.json").is_file() and (path / "parity.json").is_file()


def parity(path: Path) -> dict[str, Any]:
    """Returns the content of an export's ``parity.json``.

    Raises:
        BadInput: It is damaged, or of a newer format.
    """
    found = files.read_json(path / "parity.json")
    check_format(found, path / "parity.json")
    return found


def check_whole(path: Path, name: str) -> None:
    """Refuses a file of an export that is missing, or not as it was written.

    Raises:
        BadInput: The message says which formats there are, and how to get another.
    """
    formats = parity(path)["formats"]
    found = next((one for one in formats.values() if one["file"] == name), None)
    if found is None or not (path / name).is_file():
        there = ", ".join(one["file"] for one in formats.values())
        raise BadInput(
            f"{path} holds no {name} (it holds {there}): flaxmill export RUN writes it, the int8 "
            f"one with --quantize int8, those for ONNX with pip install 'flaxmill[onnx]'."
        )
    if files.sha256(path / name) != found["sha256"]:
        raise BadInput(
            f"{path / name} is damaged: it is not the file whose digest parity.json holds. "
            f"Export the run again."
        )
