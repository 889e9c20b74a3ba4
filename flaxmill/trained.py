"""A trained run, to evaluate, to ask, and to look at."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from flaxmill import checkpoint, recipes, weights
from flaxmill import result as results
from flaxmill.checkpoint import Checkpoints
from flaxmill.data.source import Source, Splits
from flaxmill.directory import RunDirectory
from flaxmill.errors import BadInput
from flaxmill.evaluation import measured, padded_batches, total
from flaxmill.log import read_rows
from flaxmill.recipes import Recipe
from flaxmill.signature import Signature


class TrainedRun:
    """A run directory with a result.

    Args:
        path: The run directory.
        recipe: Its recipe, if it is loaded already, or a path where a fork lies now.
        checkpoint: "final", or "best" by validation.

    Raises:
        BadInput: The directory is no run, is not finished, or its recipe is gone or was edited.
    """

    def __init__(
        self, path: str | Path, *, recipe: Recipe | str | None = None, checkpoint: str = "final"
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
        self.manifest = self.directory.read("manifest.json")
        self.signature = Signature.load(self.path / "signature.json")
        if checkpoint not in ("final", "best"):
            raise BadInput(f"--checkpoint {checkpoint!r}: expected final or best.")
        self._which = checkpoint
        self._given_recipe = recipe

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl."""
        return read_rows(self.path / "metrics.jsonl")

    @property
    def has_report(self) -> bool:
        """Whether report.html was written."""
        return (self.path / "report.html").exists()

    @functools.cached_property
    def recipe(self) -> Recipe:
        """The recipe that was trained."""
        if isinstance(self._given_recipe, Recipe):
            return self._given_recipe
        file = self._given_recipe or self.identity["recipe_file"]
        if file is None:
            return recipes.load(self.recipe_name)
        if not Path(file).is_file():
            raise BadInput(
                f"the recipe of {self.path} lay at {file} and is gone: give --recipe FILE. "
                f"A record of it is {self.path / 'recipe.py'}."
            )
        recipe = recipes.load(str(file))
        if recipe.sha256 != self.identity["recipe_sha256"]:
            raise BadInput(
                f"the recipe {file} was edited since {self.path} was trained: give --recipe FILE "
                f"with the text of then. A record of it is {self.path / 'recipe.py'}."
            )
        return recipe

    @functools.cached_property
    def config(self) -> Any:
        """The config that was trained, as the recipe's own class."""
        fields = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.identity["config"].items()
        }
        try:
            return self.recipe.module.Config(**fields)
        except TypeError as error:
            raise BadInput(
                f"{self.path} was trained by another version of {self.recipe_name}, whose config "
                f"had other fields ({error}). A record of it is {self.path / 'recipe.py'}."
            ) from None

    def splits(self, data: str | None = None) -> Splits:
        """Returns the run's data, or the same kind of data from another place.

        Raises:
            BadInput: The run's own data is not there, or has other content than when it trained.
        """
        if data is not None:
            return self.recipe.module.data(dataclasses.replace(self.config, data=data))
        then, config = self.identity["data"], self.config
        if getattr(config, "data", None) == "auto":  # what it came to then, not what it is now
            config = dataclasses.replace(
                config, data="sketches" if then["drawn"] else "fashion-mnist"
            )
        splits = self.recipe.module.data(config)
        if dict(splits.digests) != then["digests"]:
            raise BadInput(
                f"{self.path} was trained on {then['title']}; what is here now ({splits.title}) "
                f"has other content: put the data of then back, or give --data."
            )
        return splits

    @property
    def step(self) -> int:
        """Training steps of the weights that are used."""
        if self._which == "final":
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

        The averages where the run kept any; verified against the checkpoint's digests. In a run of
        several seeds, each has a first axis that counts the models.
        """
        checkpoints = Checkpoints(self.directory.checkpoints)
        checkpoint.check_kept(checkpoints, self.step, self._which)
        try:
            found, _ = checkpoints.restore(self.step)
        except checkpoint.Damaged as damage:
            raise BadInput(
                f"the checkpoint of step {self.step:,} is damaged: {damage}. The training command "
                f"with --fresh makes it again, bit for bit."
            ) from None
        return weights.to_use(found)

    @functools.cached_property
    def model(self) -> nnx.Module:
        """The trained model, in its evaluation mode; several seeds answer as an ensemble."""
        module = self.recipe.module
        # Shapes alone: initial values would take seconds of small compilations, for nothing.
        model = nnx.eval_shape(lambda: module.model(self.config, self.signature, nnx.Rngs(0)))
        graphdef, params, model_state = nnx.split(model, nnx.Param, ...)
        kept = {"params": params, "model_state": model_state}
        models = []
        for arrays in self._arrays_of_each():
            found = weights.renamed(kept, arrays, where=str(self.path))
            found = jax.tree.map(jax.numpy.asarray, found)
            models.append(nnx.merge(graphdef, found["params"], found["model_state"]))
        return results.ensemble(models, self.signature)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were trained: one, or as many as ``--seeds`` said."""
        first = self.identity["seed"]
        return tuple(range(first, first + self.identity.get("seeds", 1)))

    def _arrays_of_each(self) -> list[dict[str, np.ndarray]]:
        """Returns the weights of the model of each seed, by name."""
        arrays = self.arrays()
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
            split: Which part of it.

        Returns:
            Recipe, split, number of examples, metrics, step and ``weights_sha256``.
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
        }

    def logits(self, source: Source) -> np.ndarray:
        """Returns the model's output for every example of a source."""
        name = self.signature.inputs[0].name
        parts = [
            (_applied(self.model, batch[name]), mask) for batch, mask in padded_batches(source)
        ]
        return np.concatenate([np.asarray(part)[mask] for part, mask in parts])

    def classify(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the probability of each class for inputs as in the data."""
        return np.asarray(jax.nn.softmax(_applied(self.model, inputs)), np.float64)

    def predict(self, pictures: Any, *, top: int = 1) -> list[dict[str, Any]]:
        """Classifies pictures.

        Args:
            pictures: One or many paths, Pillow pictures, or arrays as in the data.
            top: How many classes to name for each.

        Returns:
            For each picture: its name if it has one, and the likeliest labels with their
            probabilities, the likeliest first.
        """
        from flaxmill.data.pictures import prepare

        _, height, width, channels = self.signature.inputs[0].shape
        if isinstance(pictures, np.ndarray):
            grey_batch = channels == 1 and pictures.shape[1:] == (height, width)
            pictures = pictures if pictures.ndim == 4 or grey_batch else pictures[None]
        elif not isinstance(pictures, Sequence) or isinstance(pictures, str):
            pictures = [pictures]
        if not len(pictures):
            raise BadInput("predict was given no pictures.")
        names = [
            str(p) if isinstance(p, str | Path) else f"picture {i}" for i, p in enumerate(pictures)
        ]
        ready = np.stack([prepare(picture, self.signature) for picture in pictures])
        scores = self.classify(ready)
        labels = self.signature.labels
        answers = []
        for name, row in zip(names, scores, strict=True):
            order = np.argsort(-row, kind="stable")[: max(1, min(top, len(labels)))]
            likeliest = [{"label": labels[i], "probability": float(row[i])} for i in order]
            answers.append({"picture": name, "predictions": likeliest})
        return answers

    def look(self, to: str | Path | None = None) -> Any:
        """Draws 25 test pictures with what the model says: right in green, wrong in red.

        Args:
            to: Where to write a PNG; by default ``look.png`` in the run directory.

        Returns:
            The sheet, which a notebook shows.
        """
        from flaxmill.report import look

        return look.predictions(self, self.splits(), Path(to) if to else self.path / "look.png")

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


@jax.jit
def _applied(model: nnx.Module, inputs: Any) -> Any:
    return model(inputs)
