"""The formats of an export: how each is written, and how it compares with the model."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.source import Splits, part
from flaxmill.export import parity
from flaxmill.export.function import Apply, application, exported_signature, stablehlo
from flaxmill.machine import files
from flaxmill.models import weights
from flaxmill.tasks.signature import Signature
from flaxmill.trained import engines, exported
from flaxmill.trained.run import TrainedRun


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A model to export, and the reference that exports are compared with.

    Attributes:
        run: The trained run.
        arrays: Its weights by name.
        apply: The model in float32, as a pure function.
        signature: Of the export.
        splits: The run's data.
        reference: Logits of the model for the test examples, in float32.
        labels: Their true classes, or a row of zeros and ones each; None where these were made.
        allowed: How far logits may lie from the reference, as `parity.allowed` says.
    """

    run: TrainedRun
    arrays: dict[str, np.ndarray]
    apply: Apply
    signature: Signature
    splits: Splits
    reference: np.ndarray
    labels: np.ndarray | None
    allowed: float

    @classmethod
    def of(
        cls, run: TrainedRun, splits: Splits, licence: str, *, made: bool = False
    ) -> "ExportedModel":
        """Prepares the export of a run.

        Args:
            run: The trained run.
            splits: Its data.
            licence: Of the model, in words.
            made: Whether the test examples were made, so that nothing is right of them.
        """
        arrays = run.arrays()
        model = run.build(arrays, **_exactly(run))
        origin = {
            **_without_paths(run.identity),
            "step": run.step,
            "weights_sha256": weights.digest(arrays),
        }
        if left_out := run.result.get("unreadable", {}).get("count"):
            origin["unreadable"] = left_out
        signature = exported_signature(run.signature, licence=licence, run=origin)
        reference, labels = run.scored(splits.test, model)
        perturbed = run.build(parity.perturb(arrays), **_exactly(run))
        some = part(splits.test, 0, min(len(splits.test), parity.ROUNDED_EXAMPLES))
        allowed = parity.allowed(reference, run.logits(some, perturbed))
        return cls(
            run=run,
            arrays=arrays,
            apply=application(model),
            signature=signature,
            splits=splits,
            reference=reference,
            labels=None if made else labels,
            allowed=allowed,
        )

    @property
    def accuracy(self) -> float | None:
        """The model's accuracy on the test examples; None where these were made."""
        return self.compare(self.reference)["accuracy"]

    def compare(self, outputs: np.ndarray) -> dict[str, Any]:
        """Returns how logits for the test examples compare with the reference."""
        kind = self.signature.output_kind
        return parity.compare(outputs, self.reference, self.labels, kind)


def _without_paths(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a run is, without where things lie on this machine: an export is for others."""
    fields = {key: value for key, value in identity.items() if key != "format"}
    if fields["recipe_file"] is not None:
        fields["recipe_file"] = Path(fields["recipe_file"]).name
    if isinstance(data := fields["config"].get("data"), str):
        fields["config"] = {**fields["config"], "data": Path(data).name}
    if fields.get("data"):
        fields["data"] = {key: value for key, value in fields["data"].items() if key != "place"}
    return fields


def _exactly(run: TrainedRun) -> dict[str, str]:
    """Returns the change of the config that makes the model compute in float32."""
    return {"precision": "float32"} if hasattr(run.config, "precision") else {}


def write_formats(
    model: ExportedModel, folder: Path, formats: Sequence[str], quantize: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Writes each format, and yields its name and its figures, which are within its tolerance."""
    if "stablehlo" in formats:
        path = folder / engines.FILES["jax"]
        files.write_atomic(path, stablehlo(model.apply, model.signature))
        row = _measure(model, "jax", path)
        yield "stablehlo", parity.check_exact(row, "stablehlo", model.allowed)
    if quantize or "onnx" in formats or "web" in formats:
        from flaxmill.export.graph import onnx_graph

        graph = onnx_graph(model.apply, model.signature)
        path = folder / engines.FILES["onnx"]
        files.write_atomic(path, graph.SerializeToString())
        yield "onnx", parity.check_exact(_measure(model, "onnx", path), "onnx", model.allowed)
        if quantize:
            from flaxmill.export.int8 import quantized_model

            small = quantized_model(graph, model.splits.train, model.signature)
            path = folder / engines.FILES["int8"]
            files.write_atomic(path, small.SerializeToString())
            measured = _measure(model, "int8", path)
            yield "int8", parity.check_int8(measured, model.accuracy or 0, len(model.reference))
    if "safetensors" in formats:
        yield "safetensors", _write_weights(model, folder / "weights.safetensors")


def _measure(model: ExportedModel, engine: str, path: Path) -> dict[str, Any]:
    """Returns what a file is, and how its answers to the test examples compare."""
    runs = engines.start(engine, path.parent, model.signature)
    outputs = exported.outputs_of(runs, model.splits.test, model.signature)
    return {**parity.of_file(path), **model.compare(outputs["logits"])}


def _write_weights(model: ExportedModel, path: Path) -> dict[str, Any]:
    """Writes the weights by name, reads them back, and has the model answer with them."""
    from safetensors.numpy import save

    facts = {"weights_sha256": model.signature.run["weights_sha256"]}
    files.write_atomic(path, save(model.arrays, metadata=facts))
    read = model.run.build(weights.read_safetensors(path), **_exactly(model.run))
    outputs = model.run.logits(model.splits.test, read)
    row = {**parity.of_file(path), **model.compare(outputs)}
    return parity.check_exact(row, "safetensors", model.allowed)
