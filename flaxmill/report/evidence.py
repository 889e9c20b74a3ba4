"""Gathers from a trained run what its report page shows."""

from typing import Any

import numpy as np

from flaxmill.data.source import labels_known
from flaxmill.report import statistics
from flaxmill.report.attribution import Attributions, attributions
from flaxmill.report.page import Subject
from flaxmill.report.pictures import Pictures
from flaxmill.tasks import answers
from flaxmill.trained.run import TrainedRun
from flaxmill.training.log import mean_rows

_MOST_LOOKED_INTO = 12  # classes of which a picture is looked into
_LEAST_COVERED = 200  # pictures that a model may be shown for it, where fewer were tested


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
        preset=trained.identity.get("preset", ""),
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
        temperature=trained.signature.temperature,
        held_out=trained.signature.held_out,
        attributed=_attributed(trained, logits, labels, pictures),
        recipe_sha256=trained.identity["recipe_sha256"],
        recipe_text=trained.recipe_text,
    )


def _attributed(
    trained: TrainedRun, logits: np.ndarray, labels: np.ndarray, pictures: Any
) -> Attributions | None:
    """Returns what the answers to some examples rest on: of each class, the surest right one."""
    found = _surest(logits, labels)[:_MOST_LOOKED_INTO]
    if not found:
        return None
    classes, indices = (np.array(column) for column in zip(*found, strict=True))
    shown = np.stack([pictures[int(index)] for index in indices])
    kind, most = answers.of_labels(labels), max(_LEAST_COVERED, len(labels))
    return attributions(trained.model, shown, classes, kind, most=most)


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
