"""From what a person gives to named answers, whatever computes the probabilities."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature


def predictions(
    given: Any, signature: Signature, classify: Callable[[np.ndarray], np.ndarray], *, top: int
) -> list[dict[str, Any]]:
    """Answers what a person gives.

    Args:
        given: One or many, as the ``as_sequence`` of the model's kind of input takes them.
        signature: Of the model.
        classify: From a batch as the model takes it to probabilities [example, class].
        top: How many classes to name for each.

    Returns:
        For each: its name if it has one, and what is said of it, as the ``decode`` of the model's
        kind of answers has it: the likeliest labels with their probabilities, the likeliest first.
        Where any number of labels may hold, also ``labels``: all those whose probability is above
        one half.

    Raises:
        BadInput: There are none, or one of them cannot be read.
    """
    kind, (thing, things) = signature.input_kind, signature.input_kind.THING
    every = kind.as_sequence(given, signature)
    if not len(every):
        raise BadInput(f"predict was given no {things}.")
    ready = kind.collate([kind.preprocess(one, signature) for one in every], signature)
    return [
        {thing: kind.display_name(one, index), **answer(row, signature, top)}
        for index, (one, row) in enumerate(zip(every, classify(ready), strict=True))
    ]


def answer(probabilities: np.ndarray, signature: Signature, top: int) -> dict[str, Any]:
    """Returns what is said of one example, as JSON has it.

    Args:
        probabilities: One for each class.
        signature: Of the model.
        top: How many classes to name; at least one is named.
    """
    return signature.output_kind.decode(probabilities, signature.labels, top)
