"""Gathers from a trained run what its report page shows."""

from typing import Any

import jax
import numpy as np

from flaxmill.data.source import Source
from flaxmill.log import mean_rows
from flaxmill.report import statistics
from flaxmill.report.page import Subject
from flaxmill.trained import TrainedRun


def subject(trained: TrainedRun, data: str | None = None) -> Subject:
    """Returns all that the page says of a run; this evaluates its model on the test data.

    Args:
        trained: The run.
        data: Another place to take its data from.
    """
    splits = trained.splits(data)
    test = _all(splits.test)
    logits = trained.logits(splits.test)
    held_out = None
    if len(splits.validation):
        held_out = (trained.logits(splits.validation), _all(splits.validation)["label"])
    return Subject(
        name=trained.path.name or str(trained.path),
        recipe=trained.recipe_name,
        preset=trained.identity["preset"],
        seed=trained.identity["seed"],
        data_title=splits.title,
        drawn=splits.drawn,
        seen=splits.seen,
        labels=splits.labels,
        result=trained.result,
        metrics=mean_rows(trained.rows),
        config=trained.identity["config"],
        manifest=trained.manifest,
        test_logits=logits,
        test_labels=test["label"],
        test_pictures=test["image"],
        held_out=held_out,
        saliency=_saliency(trained, logits, test),
    )


def _all(source: Source) -> Any:
    return source.take(np.arange(len(source)))


def _saliency(trained: TrainedRun, logits: np.ndarray, test: Any) -> list[Any]:
    """Returns, for each class, the example it is surest of, and what its score depends on.

    The gradient of the class's score by the pixels (Simonyan et al. 2014, "Deep inside
    convolutional networks", section 3).
    """
    right = logits.argmax(-1) == test["label"]
    found = []
    for label in range(logits.shape[1]):
        members = np.flatnonzero(right & (test["label"] == label))
        if len(members):
            confidence = statistics.log_probabilities(logits[members]).max(-1)
            found.append((label, members[np.argmax(confidence)]))
    if not found:
        return []
    labels, indices = (np.array(column) for column in zip(*found, strict=True))
    pictures = test["image"][indices]

    @jax.jit
    @jax.grad
    def gradient(pixels: jax.Array) -> jax.Array:
        return jax.numpy.take_along_axis(trained.model(pixels), labels[:, None], 1).sum()

    gradients = np.abs(np.asarray(gradient(np.float32(pictures) / 255))).max(-1)
    return [
        (int(label), picture, gradient)
        for label, picture, gradient in zip(labels, pictures, gradients, strict=True)
    ]
