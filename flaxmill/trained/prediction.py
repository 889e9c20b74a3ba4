"""From a person's inputs to predictions, whatever computes the probabilities."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.tasks.kinds import Tally
from flaxmill.tasks.signature import Signature

_MERGED = 64
"""Tallies of batches that are merged at a time."""


def predictions(
    inputs: Any, signature: Signature, classify: Callable[[np.ndarray], np.ndarray], *, top: int
) -> list[dict[str, Any]]:
    """Returns predictions for a person's inputs.

    Args:
        inputs: One or many, as the ``as_sequence`` of the model's input kind takes them.
        signature: Of the model.
        classify: From a batch as the model takes it to probabilities [example, class].
        top: How many classes to name for each.

    Returns:
        For each: its name if it has one, and its prediction as the ``decode`` of the model's output
        kind returns it: the likeliest labels with their probabilities, the likeliest first. Where
        any number of labels may hold, also ``labels``: all those whose probability is above one
        half.

    Raises:
        BadInput: There are none, or one of them cannot be read.
    """
    kind, (thing, things) = signature.input_kind, signature.input_kind.THING
    examples = kind.as_sequence(inputs, signature)
    if not len(examples):
        raise BadInput(f"predict was given no {things}.")
    batch = kind.collate([kind.preprocess(example, signature) for example in examples], signature)
    return [
        {thing: kind.display_name(example, index), **decode(row, signature, top)}
        for index, (example, row) in enumerate(zip(examples, classify(batch), strict=True))
    ]


def decode(probabilities: np.ndarray, signature: Signature, top: int) -> dict[str, Any]:
    """Returns the prediction of one example, as JSON has it.

    Args:
        probabilities: One for each class.
        signature: Of the model.
        top: How many classes to name; at least one is named.
    """
    return signature.output_kind.decode(probabilities, signature.labels, top)


def tallied(scored: Iterable[tuple[np.ndarray, np.ndarray]], signature: Signature) -> Tally:
    """Returns what is kept of a model's outputs for the examples of all batches.

    Args:
        scored: Outputs and labels of each batch.
        signature: Of the model.
    """
    kind, temperature = signature.output_kind, signature.temperature or 1.0
    parts: list[Tally] = []
    for outputs, labels in scored:
        parts.append(kind.tally(outputs, labels, temperature))
        if len(parts) == _MERGED:
            parts = [kind.merge(parts)]
    return kind.merge(parts)
