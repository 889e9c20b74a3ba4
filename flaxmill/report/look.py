"""Sheets of pictures: the data, the data as augmented, and what a run says of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from flaxmill import answers, recipes
from flaxmill.data.augment import Mixing, Transform
from flaxmill.data.permutation import permute
from flaxmill.data.source import Source, Splits, labels_known
from flaxmill.errors import BadInput
from flaxmill.recipes import Recipe
from flaxmill.report import figures
from flaxmill.report.letters import showable
from flaxmill.trained import TrainedRun

_COUNT = 25
_READ_BYTES = 64 * 2**20  # of pictures that are read for a summary
_COLUMNS = 5


@dataclass(frozen=True)
class Sheet:
    """A sheet of pictures; a notebook shows it.

    Attributes:
        figure: The drawing.
        path: The PNG that was written.
        words: What it is of, in a few lines.
    """

    figure: Figure
    path: Path
    words: str

    def _repr_png_(self) -> bytes:
        return figures.png(self.figure)


def draw(
    what: str,
    *,
    augmented: bool = False,
    preset: str | None = None,
    data_from: str | None = None,
    recipe: str | None = None,
    to: Path | None = None,
) -> Sheet:
    """Draws the data of a recipe, or the predictions of a run.

    Args:
        what: A recipe's name or ``.py`` file, or else a run directory.
        augmented: Show training examples as augmentation changes them.
        preset: Which of a recipe's presets; by default the one that training takes.
        data_from: Another place to take the data from.
        recipe: Where the fork that a run trained lies now.
        to: The PNG to write.

    Raises:
        BadInput: There is no such recipe or run, or ``recipe`` was given for a recipe, or
            ``preset`` for a run.
    """
    if recipes.is_recipe(what) or not (os.sep in what or Path(what).is_dir()):
        loaded = recipes.load(what)
        if recipe is not None:
            raise BadInput(
                f"--recipe {recipe} says where a run's recipe lies now, and {what} is a recipe: "
                f"leave --recipe out, or give a run directory (./{what} where the name is both)."
            )
        config = loaded.preset(preset)
        config = config if data_from is None else replace(config, data=data_from)
        path = to or Path(f"{loaded.name}-{'augmented' if augmented else 'data'}.png")
        return data(loaded, config, loaded.module.data(config), path, augmented=augmented)
    trained = TrainedRun(what, recipe=recipe)
    if preset is not None:
        raise BadInput(f"--preset {preset}: {what} is a run, which has its config: leave it out.")
    path = to or trained.path / ("augmented.png" if augmented else "look.png")
    splits = trained.splits(data_from)
    if augmented:
        return data(trained.recipe, trained.config, splits, path, augmented=True)
    return predictions(trained, splits, path)


def data(
    recipe: Recipe, config: Any, splits: Splits, path: Path, *, augmented: bool = False
) -> Sheet:
    """Draws 25 training examples with their labels, or five of them augmented four times.

    Args:
        recipe: Says what the augmentation is.
        config: Its config.
        splits: The data.
        path: The PNG to write.
        augmented: Show what augmentation makes of them.
    """
    chosen = splits.train.take(_some(splits.train))
    names, legend = showable(splits.labels)
    if augmented:
        transform, mixing = _changes(recipe, config, len(names))
        pictures, captions = _augmented(transform, mixing, chosen, names)
        seen = "in two epochs, and mixed in two" if mixing else "and in four epochs"
        kind = f"as stored, {seen}"
    else:
        pictures = _as_they_were(chosen)
        captions = answers.names(np.asarray(chosen["label"]), names)
        kind = "training examples"
    figure = figures.sheet(pictures, captions, title=_title(splits, kind), columns=_COLUMNS)
    return _written(figure, path, "\n".join([*_summary(splits), *legend]))


def predictions(trained: TrainedRun, splits: Splits, path: Path) -> Sheet:
    """Draws 25 test examples with what the model says: right in green, wrong in red.

    Args:
        trained: The run.
        splits: The data.
        path: The PNG to write.
    """
    indices = _some(splits.test)
    chosen = splits.test.take(indices)
    names, legend = showable(splits.labels)
    kind = answers.of(trained.signature)
    logits, labels = trained.outputs(chosen["image"]), np.asarray(chosen["label"])
    captions, colours = figures.prediction_captions(labels, kind.said(logits), names)
    right = int(kind.right(logits, labels).sum())
    title = _title(splits, f"test examples, {right} of {len(indices)} right")
    figure = figures.sheet(chosen["image"], captions, colours, title=title, columns=_COLUMNS)
    words = [f"{right} of {len(indices)} test examples are right.", *legend]
    return _written(figure, path, "\n".join(words))


def own_pictures(pictures: Sequence[np.ndarray], said: Sequence[Any], path: Path) -> Path:
    """Draws a person's pictures as the model saw them, with what it says; returns the path."""
    captions = []
    for one in said:
        top = one["predictions"][0]
        several = ", ".join(one["labels"]) or "none" if "labels" in one else None
        captions.append(several or f"{top['label']}\n{top['probability']:.0%}")
    captions, _ = showable(captions)  # what a number stands for was printed
    figure = figures.sheet(
        np.stack(pictures), captions, title="as the model saw them", columns=_COLUMNS
    )
    return _written(figure, path, "").path


def _some(source: Source) -> np.ndarray:
    """Returns the indices of 25 examples, always the same."""
    positions = np.arange(min(_COUNT, len(source)))
    return permute(positions, len(source), seed=0, epoch=np.zeros_like(positions))


def _title(splits: Splits, kind: str) -> str:
    """Returns a sheet's title; a data set's name that cannot be shown is left out."""
    _, hidden = showable([splits.title])
    return kind if hidden else f"{splits.title}: {kind}"


def _as_they_were(chosen: Any) -> list[np.ndarray]:
    """Returns pictures in their own proportions, where these were squashed to a square."""
    pictures = list(chosen["image"])
    if "aspect" not in chosen:
        return pictures
    shown = []
    for picture, aspect in zip(pictures, chosen["aspect"].tolist(), strict=True):
        height, width = picture.shape[:2]
        size = (
            (width, max(1, round(width / aspect)))
            if aspect > 1
            else (round(height * aspect), height)
        )
        image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
        resized = np.asarray(image.resize((max(1, size[0]), size[1])))
        shown.append(resized.reshape(*resized.shape[:2], -1))
    return shown


def _changes(recipe: Recipe, config: Any, classes: int) -> tuple[Transform | None, Mixing | None]:
    """Returns what a recipe does to each training example, and to a batch of them.

    Raises:
        BadInput: It does neither.
    """

    def of(config: Any) -> tuple[Transform | None, Mixing | None]:
        mixing = getattr(recipe.module, "mixing", None)  # not every recipe can
        return recipe.module.augment(config), mixing(config, classes) if mixing else None

    found = of(config)
    if not any(found):
        presets = recipe.module.PRESETS
        others = [name for name in presets if any(of(presets[name]))]
        hint = f" It has some with --preset {' or '.join(others)}." if others else ""
        raise BadInput(f"{recipe.name} trains without augmentation under this config.{hint}")
    return found


def _augmented(
    transform: Transform | None, mixing: Mixing | None, chosen: Any, names: list[str]
) -> tuple[list[np.ndarray], list[str]]:
    """Returns rows of one example each: as stored, then as four epochs would see it.

    Where a recipe mixes, the last two are mixed with the row above, as in a batch of these rows.
    """
    few = {name: array[:_COLUMNS] for name, array in chosen.items()}
    columns = [(_as_they_were(few), answers.names(np.asarray(few["label"]), names))]
    count = len(few["label"])
    ids = np.arange(count, dtype=np.uint32)
    change = jax.jit(jax.vmap(transform)) if transform else lambda batch, keys: batch
    for epoch in range(1, _COLUMNS):
        keys = jax.random.split(jax.random.key(epoch), count)
        given = few | {"id": ids, "epoch": np.full_like(ids, epoch)}
        batch = change(jax.tree.map(jax.numpy.asarray, given), keys)
        captions = [f"epoch {epoch}"] * count
        if mixing and epoch > _COLUMNS - 3:
            batch = mixing(batch, key=jax.random.key(epoch))
            captions = [_shares(label, names) for label in np.asarray(batch["label"])]
        columns.append(([_as_bytes(np.asarray(picture)) for picture in batch["image"]], captions))
    pictures = [shown[row] for row in range(count) for shown, _ in columns]
    return pictures, [captions[row] for row in range(count) for _, captions in columns]


def _shares(label: np.ndarray, names: list[str]) -> str:
    """Says how much of each class is in a mixed picture, most first, in two lines."""
    order = np.argsort(-label, kind="stable")[:2]
    return "\n".join(f"{label[at]:.0%} {names[at]}" for at in order if label[at] >= 0.005)


def _as_bytes(picture: np.ndarray) -> np.ndarray:
    """Returns a picture as bytes; a transformation may have made it floats from 0 to 1."""
    if picture.dtype == np.uint8:
        return picture
    return np.clip(picture * 255, 0, 255).astype(np.uint8)


def _summary(splits: Splits) -> list[str]:
    """Says in words what the data is."""
    lines = [splits.note or splits.title]
    shape = splits.train[0]["image"].shape
    lines.append(f"pictures of {shape[0]}×{shape[1]}, {shape[2]} channel(s), bytes")
    for name in ("train", "validation", "test"):
        source = splits[name]
        if len(source):
            count = min(len(source), max(1, _READ_BYTES // source[0]["image"].nbytes))
            some = source.take(np.arange(count))
            labels = labels_known(source)
            counts = answers.counts(some["label"] if labels is None else labels, len(splits.labels))
            of = "" if count == len(source) else f" in the first {count:,}"
            least, most = counts.min(), counts.max()
            each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            lines.append(
                f"{name}: {len(source):,} examples, {each} a class, "
                f"mean brightness {some['image'].mean():.1f} of 255{of}"
            )
    return lines


def _written(figure: Figure, path: Path, words: str) -> Sheet:
    figures.save_png(figure, path)
    return Sheet(figure, path, words)
