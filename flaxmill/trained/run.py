"""A trained run, opened to evaluate, predict, and look at."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from flaxmill.data.matching import absent_classes
from flaxmill.data.source import Source, Splits
from flaxmill.errors import BadInput
from flaxmill.machine.progress import figures
from flaxmill.models import weights
from flaxmill.recipes import Recipe
from flaxmill.recipes.loading import mistakes
from flaxmill.tasks.kinds import Tally
from flaxmill.tasks.signature import Signature
from flaxmill.trained.origin import Origin
from flaxmill.trained.prediction import predictions, tallied
from flaxmill.training import result as results
from flaxmill.training.checkpoint import Checkpoints, check_saved
from flaxmill.training.directory import RunDirectory
from flaxmill.training.evaluation import applied, joined, measured, passing_over, scored, total
from flaxmill.training.integrity import Damaged
from flaxmill.training.log import checked_rows, read_rows


class TrainedRun:
    """A run directory with a result.

    Args:
        path: The run directory.
        recipe: Its recipe, if it is loaded already, or a file that holds its text.
        checkpoint: "final", or "best" by validation.
        trust: Run the recipe file that the run was trained by, though it was never trained here.
        opened: The run's own data, where it is open already.

    Raises:
        BadInput: The directory is no run, or is not finished.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        recipe: Recipe | str | None = None,
        checkpoint: str = "final",
        trust: bool = False,
        opened: Splits | None = None,
    ) -> None:
        self.directory = RunDirectory(Path(path))
        self.path = self.directory.path
        self.identity = self.directory.read("config.json")
        self.recipe_name: str = self.identity["recipe"]
        if not self.directory.finished:
            raise BadInput(
                f"{self.path} is not finished: give its training command again to go on with it."
            )
        self.result = self.directory.read("result.json")
        if checkpoint not in ("final", "best"):
            raise BadInput(f"--checkpoint {checkpoint!r}: expected final or best.")
        self._checkpoint, self._opened = checkpoint, opened
        self.signature = Signature.load(self.path / "signature.json").of_weights(checkpoint)
        record = self.path / "recipe.py"
        self._origin = Origin(str(self.path), self.identity, recipe, record=record, trust=trust)

    def __repr__(self) -> str:
        """Returns the path, recipe, seed and test figures in a line."""
        test = figures(self.result["test"])
        preset, seed = self.identity.get("preset"), self.identity["seed"]
        return f"<TrainedRun {self.path}: {self.recipe_name} ({preset}), seed {seed}, test {test}>"

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of manifest.json, which nothing but the report needs."""
        return self.directory.read("manifest.json")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl; of what is missing there, those of the checkpoint."""
        path = self.path / "metrics.jsonl"
        saved = Checkpoints(self.directory.checkpoints).rows(self.result["step"])
        return checked_rows(path, read_rows(path), saved)

    @property
    def has_report(self) -> bool:
        """Whether report.html was written."""
        return (self.path / "report.html").exists()

    @property
    def recipe(self) -> Recipe:
        """The recipe that was trained."""
        return self._origin.recipe

    @property
    def recipe_text(self) -> str:
        """The recipe's text as the run recorded it at its beginning; empty if that is gone."""
        return self._origin.recorded

    @property
    def config(self) -> Any:
        """The config that was trained, as the recipe's own class."""
        return self._origin.config

    def splits(self, data: str | None = None) -> Splits:
        """Returns the run's data, or the same kind of data from another place.

        Where the run had to skip examples, those that cannot be read are passed over as it did.

        Raises:
            BadInput: The run's own data is not there, or has other content than when it trained.
        """
        splits = self._opened if data is None else None
        if splits is None:
            splits = self._origin.splits(data, self.signature)
        if not self.result.get("unreadable", {}).get("count"):
            return splits
        return passing_over(splits)

    @property
    def step(self) -> int:
        """Training steps of the weights that are used."""
        if self._checkpoint == "final":
            return self.result["step"]
        best = self.result.get("best")
        if best is None:
            raise BadInput(
                f"{self.path} held out no validation data, so it has no best checkpoint: "
                f"leave --checkpoint out."
            )
        return best["step"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the weights by name: ``params.…`` and ``model_state.…``.

        The averages where the run has any; verified against the checkpoint's digests. In a run of
        several seeds, each has a first axis that counts the models.
        """
        checkpoints = Checkpoints(self.directory.checkpoints)
        check_saved(checkpoints, self.step, self._checkpoint)
        try:
            arrays, _ = checkpoints.restore(self.step)
        except Damaged as damage:
            raise BadInput(
                f"the checkpoint of step {self.step:,} is damaged: {damage}. The training command "
                f"with --fresh makes it again, bit for bit."
            ) from None
        return weights.to_evaluate(arrays)

    @functools.cached_property
    def model(self) -> nnx.Module:
        """The trained model, in its evaluation mode; several seeds make an ensemble."""
        return self.build(self.arrays())

    def build(self, arrays: Mapping[str, np.ndarray], **changes: Any) -> nnx.Module:
        """Returns the run's model with other weights, in its evaluation mode.

        Args:
            arrays: By name, as from `arrays`.
            changes: Fields of the config to change, such as its ``precision``.

        Raises:
            BadInput: The arrays are not those of such a model.
        """
        recipe, config = self.recipe, dataclasses.replace(self.config, **changes)
        # Shapes alone: initial values would take seconds of small compilations, for nothing.
        model = nnx.eval_shape(lambda: recipe.call("model", config, self.signature, nnx.Rngs(0)))
        graphdef, params, model_state = nnx.split(model, nnx.Param, ...)
        tree = {"params": params, "model_state": model_state}
        models = []
        for member in self._of_each_seed(arrays):
            parts = weights.unflatten(tree, member, where=str(self.path))
            parts = jax.tree.map(jax.numpy.asarray, parts)
            models.append(nnx.merge(graphdef, parts["params"], parts["model_state"]))
        return results.ensemble(models, self.signature)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were trained: one, or as many as in ``--seeds``."""
        first = self.identity["seed"]
        return tuple(range(first, first + self.identity.get("seeds", 1)))

    def _of_each_seed(self, arrays: Mapping[str, np.ndarray]) -> list[Mapping[str, np.ndarray]]:
        """Returns the weights of the model of each seed, by name."""
        if len(self.seeds) == 1:
            return [arrays]
        return [{name: array[i] for name, array in arrays.items()} for i in range(len(self.seeds))]

    def weights_sha256(self) -> str:
        """Returns the digest of the weights that are used."""
        return weights.digest(self.arrays())

    def evaluate(self, data: str | None = None, *, split: str = "test") -> dict[str, Any]:
        """Evaluates exactly: every example once.

        Args:
            data: Another place to take the data from.
            split: Of the data.

        Returns:
            Recipe, split, number of examples, metrics, step and ``weights_sha256``; where there are
            any, also ``absent``, the classes of which there was no example.
        """
        source = self.splits(data)[split]
        means = total(measured(self.recipe.module.measure, self.model), source).means()
        return {
            "recipe": self.recipe_name,
            "split": split,
            "examples": len(source),
            **means,
            "step": self.step,
            "weights_sha256": self.weights_sha256(),
            **absent_classes(source, self.signature.labels),
        }

    def scored(
        self, source: Source, model: nnx.Module | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the model's output for every example of a source, and their labels, in batches.

        Args:
            source: The examples.
            model: Another form of the run's model, as from `build`.
        """
        model = self.model if model is None else model
        where = self.path / "signature.json"
        name = self.signature.inputs[0].name
        return scored(model, source, name, apply=self.apply, where=where)

    def logits(self, source: Source, model: nnx.Module | None = None) -> np.ndarray:
        """Returns the model's output for every example of a source, all of them at once.

        Args:
            source: The examples.
            model: Another form of the run's model, as from `build`.
        """
        return joined(self.scored(source, model))[0]

    def tally(self, source: Source) -> Tally:
        """Returns what is kept of the model's outputs for every example of a source."""
        return tallied(self.scored(source), self.signature)

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the model's output for inputs as in the data."""
        return np.asarray(self.apply(self.model, inputs))

    def classify(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the calibrated probability of each class for inputs as in the data."""
        logits = self.apply(self.model, inputs).astype(jax.numpy.float32)
        outputs = self.signature.output_kind.outputs(logits, self.signature)
        return np.asarray(list(outputs.values())[-1], np.float64)

    def apply(self, model: nnx.Module, inputs: Any) -> Any:
        """Returns the output of a form of the run's model, as from `build`, for inputs.

        Raises:
            BadInput: The recipe's own code does not take them.
        """
        try:
            return applied(model, inputs)
        except Exception as error:
            name = self.signature.inputs[0].name
            problem = mistakes.of_inputs(error, self.recipe.file, name)
            if problem is None:
                raise
            raise problem from error

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

    def look(
        self,
        to: str | Path | None = None,
        *,
        augmented: bool = False,
        wrong: bool = False,
        classes: Sequence[str] = (),
        split: str | None = None,
        data: str | None = None,
    ) -> Any:
        """Draws 25 pictures with the model's predictions: right in green, wrong in red.

        Args:
            to: Where to write a PNG; by default ``look.png`` in the run directory.
            augmented: Draw training examples as augmentation changes them.
            wrong: Draw wrong predictions alone, the surest first.
            classes: Draw pictures with these labels alone.
            split: Of the data; by default the test.
            data: Another place to take the data from.

        Returns:
            The sheet, which a notebook shows.
        """
        from flaxmill.report import look

        which: dict[str, Any] = {"wrong": wrong, "classes": classes, "split": split}
        return look.of_run(self, Path(to) if to else None, data, augmented=augmented, **which)

    def report(self, to: str | Path | None = None, *, data: str | None = None) -> Path:
        """Writes the report page; returns where.

        Args:
            to: The page to write; by default ``report.html`` in the run directory.
            data: Another place to take the data from.
        """
        from flaxmill.report import evidence, page

        target = Path(to) if to else self.path / "report.html"
        page.write_page([evidence.subject(self, data)], target)
        return target

    def export(
        self,
        to: str | Path | None = None,
        *,
        formats: Sequence[str] = (),
        quantize: str | None = None,
        licence: str = "",
        data: str | None = None,
    ) -> Path:
        """Writes the model as files that run elsewhere, each checked; returns their directory.

        Args:
            to: The directory; by default ``export`` in the run directory.
            formats: Of stablehlo, onnx, safetensors and web; all but web if nothing is named.
            quantize: ``int8`` also writes the ONNX graph in eight-bit integers.
            licence: Of the model, in words; by default what its data says.
            data: Another place to take the run's data from.

        Raises:
            CannotGoOn: A file's outputs differ from the model's by more than its tolerance.
        """
        from flaxmill.export import export

        how: dict[str, Any] = {"quantize": quantize, "licence": licence, "data": data}
        return export(self, Path(to) if to else None, formats=formats, **how).path
