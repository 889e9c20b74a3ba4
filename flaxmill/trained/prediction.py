"""From a person's pictures to named classes, whatever computes the probabilities."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.tasks import answers
from flaxmill.tasks.inputs.picture import CHANNELS, prepare
from flaxmill.tasks.signature import Signature


def predictions(
    pictures: Any, signature: Signature, classify: Callable[[np.ndarray], np.ndarray], *, top: int
) -> list[dict[str, Any]]:
    """Classifies pictures.

    Args:
        pictures: One or many paths, Pillow pictures, or arrays, uint8 [height, width] or [height,
            width, channel]; several arrays may be one, with a first axis that counts them.
        signature: Of the model.
        classify: From prepared pictures, uint8 [batch, height, width, channel], to probabilities
            [batch, class].
        top: How many classes to name for each.

    Returns:
        For each picture: its name if it has one, and the likeliest labels with their probabilities,
        the likeliest first. Where any number of labels may hold, also ``labels``: all those whose
        probability is above one half.

    Raises:
        BadInput: There are none, or one of them cannot be read.
    """
    if isinstance(pictures, np.ndarray):
        pictures = pictures if _is_batch(pictures.shape, signature) else pictures[None]
    elif not isinstance(pictures, Sequence) or isinstance(pictures, str):
        pictures = [pictures]
    if not len(pictures):
        raise BadInput("predict was given no pictures.")
    names = [
        str(p) if isinstance(p, str | Path) else f"picture {i}" for i, p in enumerate(pictures)
    ]
    ready = np.stack([prepare(picture, signature) for picture in pictures])
    rows = classify(ready)
    return [
        {"picture": name, **answer(row, signature, top)}
        for name, row in zip(names, rows, strict=True)
    ]


def _is_batch(shape: tuple[int, ...], signature: Signature) -> bool:
    """Says whether an array holds several pictures, grey ones perhaps without an axis for that."""
    _, height, width, channels = signature.inputs[0].shape
    if len(shape) != 3:
        return len(shape) == 4
    grey_batch = channels == 1 and shape[1:] == (height, width)
    return grey_batch or not (shape == (height, width, channels) or shape[2] in CHANNELS)


def answer(probabilities: np.ndarray, signature: Signature, top: int) -> dict[str, Any]:
    """Returns what is said of one picture, as JSON has it.

    Args:
        probabilities: One for each class.
        signature: Of the model.
        top: How many classes to name; at least one is named.
    """
    found: dict[str, Any] = {}
    if answers.of(signature).several:
        order = np.argsort(-probabilities, kind="stable")
        found["labels"] = [signature.labels[i] for i in order if probabilities[i] > 0.5]
    return {**found, "predictions": likeliest(probabilities, signature.labels, top)}


def likeliest(probabilities: np.ndarray, labels: Sequence[str], top: int) -> list[dict[str, Any]]:
    """Returns the labels with the highest probabilities, the likeliest first.

    Args:
        probabilities: One for each class.
        labels: Class names, in the same order.
        top: How many; at least one is named.
    """
    order = np.argsort(-probabilities, kind="stable")[: max(1, min(top, len(labels)))]
    return [{"label": labels[i], "probability": float(probabilities[i])} for i in order]
