"""Sheets of examples: the data, the data as augmented, and what a run says of it."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flaxmill import recipes
from flaxmill.data.augment import Mixing, Transform
from flaxmill.data.listings.layouts import cached_scans
from flaxmill.data.source import Splits, known_labels
from flaxmill.errors import BadInput
from flaxmill.recipes import Recipe
from flaxmill.recipes.loading import border
from flaxmill.report import answered, choosing, figures
from flaxmill.report.letters import showable
from flaxmill.report.sheets import Sheet, drawing, titled, written
from flaxmill.tasks.signature import Signature
from flaxmill.trained.run import TrainedRun

COLUMNS = 5  # an example as it is, and as augmentation changes it in four epochs
_READ_BYTES = 64 * 2**20  # of pictures that are read for a summary


@cached_scans()
def draw(
    what: str,
    *,
    augmented: bool = False,
    wrong: bool = False,
    classes: Sequence[str] = (),
    split: str | None = None,
    preset: str | None = None,
    data_from: str | None = None,
    recipe: str | None = None,
    trust: bool = False,
    to: Path | None = None,
) -> Sheet:
    """Draws the data of a recipe, or the predictions of a run.

    Args:
        what: A recipe's name or ``.py`` file, or else a run directory.
        augmented: Show training examples as augmentation changes them.
        wrong: Show a run's wrong answers alone, the surest first.
        classes: Show examples with these labels alone.
        split: Which part of the data; by default a recipe's training data, and a run's test data.
        preset: Which of a recipe's presets; by default the one that training takes.
        data_from: Another place to take the data from.
        recipe: A file that holds the text of a run's recipe.
        trust: Run the recipe file that a run was trained by, though it was never trained here.
        to: The PNG to write.

    Raises:
        BadInput: There is no such recipe or run, or ``recipe`` or ``wrong`` was given for a recipe,
            or ``preset`` for a run; or there is no such example.
    """
    if augmented and (wrong or split not in (None, "train")):
        raise BadInput(
            f"--augmented shows training examples as augmentation changes them: leave "
            f"{'--wrong' if wrong else f'--split {split}'} out."
        )
    if recipes.is_recipe(what) or not (os.sep in what or Path(what).is_dir()):
        loaded = recipes.load(what)
        if recipe is not None:
            raise BadInput(
                f"--recipe {recipe} says where a run's recipe lies, and {what} is a recipe: "
                f"leave --recipe out, or give a run directory (./{what} where the name is both)."
            )
        if wrong:
            raise BadInput(
                f"--wrong shows what a run answers wrongly, and {what} is a recipe: leave --wrong "
                f"out, or give a run directory (./{what} where the name is both)."
            )
        config = loaded.preset(preset)
        config = config if data_from is None else replace(config, data=data_from)
        config, _ = border.resolved(loaded, config)
        path = to or Path(f"{loaded.name}-{'augmented' if augmented else 'data'}.png")
        how: dict[str, Any] = {"classes": classes, "split": split or "train"}
        return data(loaded, config, border.splits(loaded, config), path, augmented=augmented, **how)
    trained = TrainedRun(what, recipe=recipe, trust=trust)
    if preset is not None:
        raise BadInput(f"--preset {preset}: {what} is a run, which has its config: leave it out.")
    how = {"augmented": augmented, "wrong": wrong, "classes": classes, "split": split}
    return of_run(trained, to, data_from, **how)


def of_run(
    trained: TrainedRun,
    to: Path | None,
    data_from: str | None,
    *,
    augmented: bool,
    wrong: bool,
    classes: Sequence[str],
    split: str | None,
) -> Sheet:
    """Draws the predictions of a run, or what augmentation makes of its data; as `draw`."""
    path = to or trained.path / ("augmented.png" if augmented else "look.png")
    splits = trained.splits(data_from)
    if augmented:
        how: dict[str, Any] = {"augmented": True, "classes": classes}
        return data(trained.recipe, trained.config, splits, path, **how)
    how = {"wrong": wrong, "classes": classes, "split": split or "test"}
    return answered.draw(trained, splits, path, **how)


def data(
    recipe: Recipe,
    config: Any,
    splits: Splits,
    path: Path,
    *,
    augmented: bool = False,
    classes: Sequence[str] = (),
    split: str = "train",
) -> Sheet:
    """Draws 25 examples with their labels, or five for training augmented four times.

    Args:
        recipe: Says what the augmentation is.
        config: Its config.
        splits: The data.
        path: The PNG to write.
        augmented: Show what augmentation makes of them.
        classes: Of which labels; of any if there are none.
        split: Which part of the data.

    Raises:
        BadInput: There is no such class, split or example.
    """
    signature = border.signature(recipe, config, splits)
    indices = choosing.indices(splits, split, classes)
    chosen = splits[split].take(indices)
    names, legend = showable(splits.labels)
    captions = signature.output_kind.names(np.asarray(chosen["label"]), names)
    if augmented:
        transform, mixing = _changes(recipe, config, len(names))
        examples, captions = _augmented(signature, transform, mixing, chosen, captions, names)
        seen = "in two epochs, and mixed in two" if mixing else "and in four epochs"
        kind = f"as stored, {seen}"
    else:
        examples = signature.input_kind.displayable(chosen)
        kind = f"{choosing.called(split)} examples{choosing.named(classes)}"
    title = titled(splits, kind)
    figure = figures.sheet(examples, captions, title=title, **drawing(signature))
    return written(figure, path, *_summary(signature, splits), *legend)


def _changes(recipe: Recipe, config: Any, classes: int) -> tuple[Transform | None, Mixing | None]:
    """Returns what a recipe does to each training example, and to a batch of them.

    Raises:
        BadInput: It does neither.
    """

    def of(config: Any) -> tuple[Transform | None, Mixing | None]:
        mixes = hasattr(recipe.module, "mixing")  # not every recipe can
        mixing = recipe.call("mixing", config, classes) if mixes else None
        return recipe.call("augment", config), mixing

    changes = of(config)
    if not any(changes):
        presets = recipe.module.PRESETS
        others = [name for name in presets if any(of(presets[name]))]
        hint = f" It has some with --preset {' or '.join(others)}." if others else ""
        raise BadInput(f"{recipe.name} trains without augmentation under this config.{hint}")
    return changes


def _augmented(
    signature: Signature,
    transform: Transform | None,
    mixing: Mixing | None,
    chosen: Any,
    truths: list[str],
    names: list[str],
) -> tuple[list[Any], list[str]]:
    """Returns rows of one example each: as stored, then as four epochs would see it.

    Where a recipe mixes, the last two are mixed with the row above, as in a batch of these rows.
    """
    few = {name: array[:COLUMNS] for name, array in chosen.items()}
    shown = signature.input_kind.displayable
    columns = [(shown(few), truths[:COLUMNS])]
    count = len(few["label"])
    ids = np.arange(count, dtype=np.uint32)
    change = jax.jit(jax.vmap(transform)) if transform else lambda batch, keys: batch
    for epoch in range(1, COLUMNS):
        keys = jax.random.split(jax.random.key(epoch), count)
        inputs = few | {"id": ids, "epoch": np.full_like(ids, epoch)}
        batch = change(jax.tree.map(jax.numpy.asarray, inputs), keys)
        captions = [f"epoch {epoch}"] * count
        if mixing and epoch > COLUMNS - 3:
            batch = mixing(batch, key=jax.random.key(epoch))
            captions = [_shares(label, names) for label in np.asarray(batch["label"])]
        columns.append((shown(batch, changed=True), captions))
    examples = [some[row] for row in range(count) for some, _ in columns]
    return examples, [captions[row] for row in range(count) for _, captions in columns]


def _shares(label: np.ndarray, names: list[str]) -> str:
    """Describes how much of each class is in a mixed picture, most first, in two lines."""
    order = np.argsort(-label, kind="stable")[:2]
    return "\n".join(f"{label[at]:.0%} {names[at]}" for at in order if label[at] >= 0.005)


def _summary(signature: Signature, splits: Splits) -> list[str]:
    """Describes the data in words."""
    lines, taken = [splits.note or splits.title], signature.inputs[0].name
    for name in ("train", "validation", "test"):
        source = splits[name]
        if len(source):
            count = min(len(source), max(1, _READ_BYTES // source[0][taken].nbytes))
            about, mean = signature.input_kind.summary(source, np.arange(count))
            labels = known_labels(source)
            if labels is None:
                labels = np.asarray(source.take(np.arange(count))["label"])
            counts = signature.output_kind.counts(labels, len(splits.labels))
            of = "" if count == len(source) else f" in the first {count:,}"
            least, most = counts.min(), counts.max()
            each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            lines += [about] * (name == "train")
            lines.append(f"{name}: {len(source):,} examples, {each} a class, {mean}{of}")
    return lines
