"""Which examples of a split a person wants to see: some of all, of a class, or the worst."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Int

from flaxmill.data.listings.listing import normal
from flaxmill.data.permutation import permute
from flaxmill.data.source import Source, Splits, known_labels
from flaxmill.errors import BadInput, nearest
from flaxmill.tasks.kinds import Tally, output_kind
from flaxmill.training.evaluation import padded_batches

COUNT = 25
"""Examples on a sheet."""
_NAMED = 20  # classes that a message lists


def called(split: str) -> str:
    """Returns what the examples of a split are called."""
    return "training" if split == "train" else split


def indices(splits: Splits, split: str, classes: Sequence[str]) -> Int[np.ndarray, " chosen"]:
    """Returns the indices of 25 examples of a split, always the same.

    Args:
        splits: The data.
        split: Which part of it.
        classes: Names of the labels that they may have; any if there are none.

    Raises:
        BadInput: There is no such split, class or example.
    """
    source = splits[split]
    rows = np.arange(len(source))
    if classes:
        rows = np.flatnonzero(_of(splits, classes, _labels(source)))
    if not len(rows):
        raise BadInput(f"the split {split} has no examples{named(classes)}: nothing was drawn.")
    positions = np.arange(min(COUNT, len(rows)))
    return rows[permute(positions, len(rows), seed=0, epoch=np.zeros_like(positions))]


def wrong_answers(
    splits: Splits, split: str, classes: Sequence[str], tally: Callable[[Source], Tally]
) -> tuple[Int[np.ndarray, " mistake"], int]:
    """Returns which examples are answered wrongly, the surest answers first, and out of how many.

    Args:
        splits: The data.
        split: Which part of it.
        classes: Names of the labels that they may have; any if there are none.
        tally: Asks the model about all examples of a source.

    Raises:
        BadInput: There is no such split or class, or every answer is right.
    """
    if not len(splits[split]):
        raise BadInput(f"the split {split} has no examples: nothing was drawn.")
    _numbers(classes, splits.labels)  # before the model is asked
    tested = tally(splits[split])
    number = len(tested.labels)
    worst, _ = tested.mistakes(number)
    if classes:
        chosen = _of(splits, classes, tested.labels)
        worst, number = worst[chosen[worst]], int(chosen.sum())
    if not len(worst):
        raise BadInput(
            f"every answer to the {called(split)} examples{named(classes)} is right: nothing was "
            f"drawn."
        )
    return worst, number


def _labels(source: Source) -> np.ndarray:
    """Returns the labels of all examples, which are read where they are not known without."""
    if (known := known_labels(source)) is not None:
        return known
    batches = padded_batches(source)
    return np.concatenate([np.asarray(batch["label"])[mask] for batch, mask in batches])


def _of(splits: Splits, classes: Sequence[str], labels: np.ndarray) -> Bool[np.ndarray, " example"]:
    """Returns which examples have one of the classes as their label, or as one of their labels."""
    chosen = _numbers(classes, splits.labels)
    kind = output_kind(splits.gives)
    return np.any([kind.of_class(labels, number) for number in chosen], axis=0)


def _numbers(classes: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Returns the numbers of the classes that a person named.

    Raises:
        BadInput: There is no such class; the message says which was meant, or which there are.
    """
    known = {normal(label): number for number, label in enumerate(labels)}
    for name in classes:
        if normal(name) not in known:
            hint = nearest(name, labels)
            if "Did you mean" not in hint and len(labels) > _NAMED:
                hint = nearest("", labels[:_NAMED])[:-1] + f" and {len(labels) - _NAMED:,} more."
            raise BadInput(f"--class {name!r}: no class is called so.{hint}")
    return [known[normal(name)] for name in classes]


def named(classes: Sequence[str]) -> str:
    """Returns what follows the word examples, where they are of some classes alone."""
    return f" of {' or '.join(map(repr, classes))}" if classes else ""
