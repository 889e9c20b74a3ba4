"""The formats of an export: how each is written, and how it compares with the model."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from flaxmill.data.source import Splits, part
from flaxmill.export import parity
from flaxmill.export.function import Apply, application, exported_signature, stablehlo
from flaxmill.machine import files
from flaxmill.models import weights
from flaxmill.tasks.signature import Signature
from flaxmill.trained import engines, exported
from flaxmill.trained.run import TrainedRun
from flaxmill.training.evaluation import padded_batches, taken


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A model to export, and what its exports are compared with.

    Attributes:
        run: The trained run.
        arrays: Its weights by name.
        model: The model in float32, with which exports are compared.
        apply: The same as a pure function.
        signature: Of the export.
        splits: The run's data.
        made: Whether the test examples were made, so that no label of them is right.
        allowed: How far logits may lie from the model's, as `parity.allowed` says.
    """

    run: TrainedRun
    arrays: dict[str, np.ndarray]
    model: nnx.Module
    apply: Apply
    signature: Signature
    splits: Splits
    made: bool
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
        perturbed = run.build(parity.perturb(arrays), **_exactly(run))
        some = part(splits.test, 0, min(len(splits.test), parity.ROUNDED_EXAMPLES))
        reference, rounded = run.logits(some, model), run.logits(some, perturbed)
        return cls(
            run=run,
            arrays=arrays,
            model=model,
            apply=application(model),
            signature=signature,
            splits=splits,
            made=made,
            allowed=parity.allowed(reference, rounded),
        )

    def compare(self, formats: Mapping[str, Callable[[np.ndarray], np.ndarray]]) -> "Compared":
        """Compares formats with the model on every test example; each is read once.

        Args:
            formats: By name, what returns the logits for what the model takes of a batch.
        """
        kind, input_name = self.signature.output_kind, self.signature.inputs[0].name
        own = parity.Comparison(kind)
        others = {name: parity.Comparison(kind) for name in formats}
        known: list[np.ndarray] = []
        for batch, mask in padded_batches(self.splits.test):
            inputs = taken(batch, input_name, self.run.path / "signature.json")
            labels = None if self.made else np.asarray(batch["label"])[mask]
            reference = np.asarray(self.run.apply(self.model, inputs))[mask]
            own.add(reference, reference, labels)
            for name, apply in formats.items():
                others[name].add(apply(inputs)[mask], reference, labels)
            if labels is not None:
                known.append(labels)
        return Compared(
            examples=own.examples,
            accuracy=own.figures()["accuracy"],
            labels=np.concatenate(known) if known else None,
            figures={name: one.figures() for name, one in others.items()},
        )


@dataclasses.dataclass(frozen=True)
class Compared:
    """How formats compare with the model.

    Attributes:
        examples: On so many.
        accuracy: The model's own; None where the examples were made.
        labels: Of the examples; None likewise.
        figures: By the format's name, as from `parity.Comparison.figures`.
    """

    examples: int
    accuracy: float | None
    labels: np.ndarray | None
    figures: Mapping[str, dict[str, Any]]


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
) -> dict[str, Path]:
    """Writes each format; returns the files by the formats' names, in which they are checked."""
    written: dict[str, Path] = {}
    if "stablehlo" in formats:
        written["stablehlo"] = folder / engines.FILES["jax"]
        files.write_atomic(written["stablehlo"], stablehlo(model.apply, model.signature))
    if quantize or "onnx" in formats or "web" in formats:
        from flaxmill.export.graph import onnx_graph

        graph = onnx_graph(model.apply, model.signature)
        written["onnx"] = folder / engines.FILES["onnx"]
        files.write_atomic(written["onnx"], graph.SerializeToString())
        if quantize:
            from flaxmill.export.int8 import quantized_model

            small = quantized_model(graph, model.splits.train, model.signature)
            written["int8"] = folder / engines.FILES["int8"]
            files.write_atomic(written["int8"], small.SerializeToString())
    if "safetensors" in formats:
        from safetensors.numpy import save

        facts = {"weights_sha256": model.signature.run["weights_sha256"]}
        written["safetensors"] = folder / "weights.safetensors"
        files.write_atomic(written["safetensors"], save(model.arrays, metadata=facts))
    return written


def read_back(model: ExportedModel, name: str, path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Opens a file of an export as others will; returns what gives its logits for a batch."""
    if name == "safetensors":
        read = model.run.build(weights.read_safetensors(path), **_exactly(model.run))
        return lambda inputs: np.asarray(model.run.apply(read, inputs))
    started = engines.start(exported.ENGINES[name], path.parent, model.signature)
    return lambda inputs: started(inputs)[model.signature.outputs[0].name]


def check(
    model: ExportedModel, written: Mapping[str, Path], compared: Compared
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the name of each format and its figures, which are within its tolerance.

    Raises:
        CannotGoOn: They are not.
    """
    for name, path in written.items():
        row = {**parity.of_file(path), **compared.figures[name]}
        if name == "int8":
            yield name, parity.check_int8(row, compared.accuracy or 0, compared.examples)
        else:
            yield name, parity.check_exact(row, name, model.allowed)
