"""From a person's inputs to predictions, whatever computes the probabilities."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature


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
