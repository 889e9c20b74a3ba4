"""Gathers from a trained run what its report page shows."""

from typing import Any

import jax
import numpy as np

from flaxmill import answers
from flaxmill.data.source import labels_known
from flaxmill.log import mean_rows
from flaxmill.report import statistics
from flaxmill.report.page import Subject
from flaxmill.report.pictures import Pictures
from flaxmill.trained import TrainedRun

_MOST_SALIENT = 12  # classes of which a picture is looked into


def subject(trained: TrainedRun, data: str | None = None) -> Subject:
    """Returns all that the page says of a run; this evaluates its model on the test data.

    Args:
        trained: The run.
        data: Another place to take its data from.
    """
    splits = trained.splits(data)
    pictures = Pictures(splits.test)
    logits, labels = trained.scored(splits.test)
    known = labels_known(splits.train)
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
        test_labels=labels,
        test_pictures=pictures,
        test_name=pictures.name,
        train_counts=None if known is None else answers.counts(known, len(splits.labels)),
        held_out=trained.scored(splits.validation) if len(splits.validation) else None,
        saliency=_saliency(trained, logits, labels, pictures),
        recipe_sha256=trained.identity["recipe_sha256"],
        recipe_text=trained.recipe_text,
    )


def _saliency(
    trained: TrainedRun, logits: np.ndarray, labels: np.ndarray, pictures: Any
) -> list[Any]:
    """Returns, for some classes, the example it is surest of, and what its score depends on.

    The gradient of the class's score by the pixels (Simonyan et al. 2014, "Deep inside
    convolutional networks", section 3).
    """
    found = _surest(logits, labels)[:_MOST_SALIENT]
    if not found:
        return []
    classes, indices = (np.array(column) for column in zip(*found, strict=True))
    shown = np.stack([pictures[int(index)] for index in indices])

    @jax.jit
    @jax.grad
    def gradient(pixels: jax.Array) -> jax.Array:
        return jax.numpy.take_along_axis(trained.model(pixels), classes[:, None], 1).sum()

    gradients = np.abs(np.asarray(gradient(np.float32(shown) / 255))).max(-1)
    return [
        (int(label), picture, gradient)
        for label, picture, gradient in zip(classes, shown, gradients, strict=True)
    ]


def _surest(logits: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    """Returns each class of which something was found, and what the model is surest of in it."""
    kind = answers.of_labels(labels)
    said, found = kind.said(logits), []
    for label in range(logits.shape[1]):
        if kind.several:
            members = np.flatnonzero(said[:, label] & (labels[:, label] > 0))
            confidence = logits[members, label]
        else:
            members = np.flatnonzero((said == label) & (labels == label))
            confidence = statistics.log_probabilities(logits[members]).max(-1)
        if len(members):
            found.append((label, int(members[np.argmax(confidence)])))
    return found
