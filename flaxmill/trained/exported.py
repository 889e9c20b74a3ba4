"""An export directory, opened to evaluate, predict, and serve."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from flaxmill.data.matching import absent_classes
from flaxmill.errors import BadInput, nearest
from flaxmill.machine import files, json_forms
from flaxmill.machine.program import command_line, install_command
from flaxmill.maths.metrics import Sums
from flaxmill.tasks.signature import Signature
from flaxmill.trained import engines
from flaxmill.trained.origin import Origin
from flaxmill.trained.prediction import predictions
from flaxmill.training import run_files
from flaxmill.training.evaluation import measured, passing_over, taken, total

ENGINES = {"stablehlo": "jax", "onnx": "onnx", "int8": "int8"}
"""The engine that runs each format of an export."""


class Exported:
    """An export directory, as ``flaxmill export`` writes it.

    Args:
        path: The directory.
        engine: ``jax`` runs its StableHLO, ``onnx`` its ONNX file with ONNX Runtime, and ``int8``
            the quantised one; None takes the first of these that it holds.
        threads: How many ONNX Runtime computes with; None leaves that to it.

    Attributes:
        path: The directory.
        signature: The model's inputs and outputs, and the run that it came from.
        parity: How its formats compare with the trained model.

    Raises:
        BadInput: It is no export directory, lacks what the engine runs, or was damaged.
    """

    def __init__(
        self, path: str | Path, *, engine: str | None = None, threads: int | None = None
    ) -> None:
        if engine is not None and engine not in engines.FILES:
            raise BadInput(f"no engine is called {engine!r}.{nearest(engine, engines.FILES)}")
        self.path = Path(path)
        if not is_export(self.path):
            raise BadInput(
                f"{path} is no export directory (signature.json with parity.json): "
                f"{command_line('export RUN')} makes one."
            )
        self.signature = Signature.load(self.path / "signature.json")
        _check_origin(self.path, self.signature, json_forms.record({"weights_sha256": _DIGEST}))
        self.parity = parity(self.path)
        if engine is None:
            engine = next((ENGINES[n] for n in ENGINES if n in self.parity["formats"]), "jax")
        _check_whole(self.path, engines.FILES[engine], self.parity)
        self._engine = engines.start(engine, self.path, self.signature, threads=threads)

    def __repr__(self) -> str:
        """Returns the path, name, classes and formats in a line."""
        formats = ", ".join(self.parity["formats"])
        classes = f"{len(self.signature.labels)} classes"
        return f"<Exported {self.path}: {self.signature.name}, {classes}, as {formats}>"

    @property
    def digest(self) -> str:
        """The ``weights_sha256`` of the run that was exported."""
        return self.signature.run["weights_sha256"]

    def compile(self, sizes: Iterable[int]) -> None:
        """Compiles for batches of these sizes, so that none of them has to wait for it later."""
        shape, dtype = self.signature.example_shape, self.signature.inputs[0].dtype
        for size in sizes:
            self._engine(np.zeros((size, *shape), dtype))

    def outputs(self, inputs: np.ndarray) -> engines.Outputs:
        """Returns ``logits`` and ``probabilities`` for a batch of any size.

        Args:
            inputs: Raw, as the signature says: uint8 [batch, height, width, channel] for pictures.

        Raises:
            BadInput: They have another shape or type.
        """
        engines.check_inputs(inputs, self.signature)
        return self._engine(inputs)

    def classify(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the calibrated probability of each class for inputs as in the data."""
        return self.outputs(inputs)[self.signature.outputs[-1].name]

    def predict(self, pictures: Any, *, top: int = 1) -> list[dict[str, Any]]:
        """Classifies pictures.

        Args:
            pictures: One or many paths, Pillow pictures, or arrays of uint8.
            top: How many classes to name for each.

        Returns:
            For each picture: its name if it has one, and the likeliest labels with their calibrated
            probabilities, the likeliest first.
        """
        return predictions(pictures, self.signature, self.classify, top=top)

    def evaluate(
        self,
        data: str | None = None,
        *,
        split: str = "test",
        recipe: str | None = None,
        trust: bool = False,
    ) -> dict[str, Any]:
        """Evaluates exactly, with the metrics of the recipe: every example once.

        Args:
            data: Another place to take the data from.
            split: Of the data.
            recipe: A file that holds the text of its recipe.
            trust: Run the recipe file that it was trained by, though it was never trained here.

        Returns:
            As `flaxmill.trained.run.TrainedRun.evaluate`.
        """
        _check_origin(self.path, self.signature, run_files.EXPORTED)
        run = self.signature.run
        record = self.path.absolute().parent / "recipe.py"  # of the run that an export lies in
        origin = Origin(str(self.path), run, recipe, record=record, trust=trust)
        splits = origin.splits(data, self.signature)
        source = (passing_over(splits) if run.get("unreadable") else splits)[split]
        measure = origin.recipe.module.measure
        name, first = self.signature.inputs[0].name, self.signature.outputs[0].name

        where = self.path / "signature.json"

        def sums(batch: Mapping[str, Any], mask: Any) -> Sums:
            return measured(measure, _Recorded(self.outputs(taken(batch, name, where))[first]))(
                batch, mask
            )

        return {
            "recipe": run["recipe"],
            "split": split,
            "examples": len(source),
            **total(sums, source).means(),
            "step": run["step"],
            "weights_sha256": self.digest,
            **absent_classes(source, self.signature.labels),
        }


class _Recorded(nnx.Module):
    """A model whose output is known already, for a recipe's ``measure`` to call."""

    def __init__(self, output: np.ndarray) -> None:
        self.output = nnx.Variable(jnp.asarray(output))

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self.output[...]


def is_export(path: Path) -> bool:
    """Returns whether a directory was written by ``flaxmill export``."""
    return (path / "signature.json").is_file() and (path / "parity.json").is_file()


def parity(path: Path) -> dict[str, Any]:
    """Returns the content of an export's ``parity.json``.

    Raises:
        BadInput: It is damaged, or of a newer format.
    """
    return json_forms.read(path / "parity.json", _PARITY, cure="Export the run again.")


_DIGEST = json_forms.text(64)
_FORMAT = json_forms.record(
    {"file": json_forms.text(100), "sha256": _DIGEST},
    {
        "bytes": json_forms.whole(),
        "max_abs_difference": json_forms.number(0),
        "max_relative_difference": json_forms.number(0),
        "disagreements": json_forms.whole(),
        "accuracy": json_forms.maybe(json_forms.number(0, 1)),
    },
)
_PARITY = json_forms.record(
    {"formats": json_forms.by_name(_FORMAT, most=20)},
    {
        "format": json_forms.whole(1),
        "split": json_forms.text(100),
        "data": json_forms.text(),
        "examples": json_forms.whole(),
    },
)


def _check_origin(path: Path, signature: Signature, form: json_forms.Form) -> None:
    """Refuses an export whose record of its run lacks something.

    Raises:
        BadInput: The message names what is missing.
    """
    where = path / "signature.json"
    json_forms.check(signature.run, form, where, "Export the run again.", at="run")


def _check_whole(path: Path, name: str, parity: Mapping[str, Any]) -> None:
    """Refuses a file of an export that is missing, or not as it was written.

    Raises:
        BadInput: The message says which formats there are, and how to get another.
    """
    formats = parity["formats"].values()
    entry = next((form for form in formats if form["file"] == name), None)
    if entry is None or not (path / name).is_file():
        there = ", ".join(form["file"] for form in formats)
        raise BadInput(
            f"{path} holds no {name} (it holds {there}): {command_line('export RUN')} writes it, "
            f"the int8 one with --quantize int8, those for ONNX after {install_command('onnx')}."
        )
    if files.sha256(path / name) != entry["sha256"]:
        raise BadInput(
            f"{path / name} is damaged: it is not the file whose digest parity.json holds. "
            f"Export the run again."
        )
