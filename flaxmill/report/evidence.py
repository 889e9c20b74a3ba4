"""Gathers from a trained run what its report page shows."""

from typing import Any

import numpy as np

from flaxmill.data.source import known_labels
from flaxmill.report.examples import Examples
from flaxmill.report.page import ReportedRun
from flaxmill.tasks.kinds import Explanations, Tally
from flaxmill.trained.run import TrainedRun
from flaxmill.training.log import mean_rows

_MOST_LOOKED_INTO = 12  # classes of which a picture is looked into
_LEAST_COVERED = 200  # pictures that a model may be shown for it, where fewer were tested


def subject(trained: TrainedRun, data: str | None = None) -> ReportedRun:
    """Returns all that the page shows of a run; this evaluates its model on the test data.

    Args:
        trained: The run.
        data: Another place to take its data from.
    """
    splits = trained.splits(data)
    examples = Examples(splits.test, trained.signature.inputs[0].name)
    kind = trained.signature.output_kind
    tested = known = attributed = None
    if kind.CLASSIFIES:
        tested, known = trained.tally(splits.test), known_labels(splits.train)
        attributed = _attributed(trained, tested, examples)
    return ReportedRun(
        name=trained.path.name or str(trained.path),
        recipe=trained.recipe_name,
        preset=trained.identity.get("preset", ""),
        seed=trained.identity["seed"],
        data_title=splits.title,
        drawn=splits.drawn,
        seen=splits.seen,
        signature=trained.signature,
        result=trained.result,
        metrics=mean_rows(trained.rows),
        config=trained.identity["config"],
        manifest=trained.manifest,
        tested=tested,
        test_examples=examples,
        test_name=examples.name,
        train_counts=None if known is None else kind.counts(known, len(splits.labels)),
        attributed=attributed,
        recipe_sha256=trained.identity["recipe_sha256"],
        recipe_text=trained.recipe_text,
    )


def _attributed(trained: TrainedRun, tested: Tally, examples: Any) -> Explanations | None:
    """Explains some predictions: of each class, the most confident right one."""
    chosen = tested.most_confident()[:_MOST_LOOKED_INTO]
    if not chosen:
        return None
    classes, indices = (np.array(column) for column in zip(*chosen, strict=True))
    signature, most = trained.signature, max(_LEAST_COVERED, len(tested.labels))
    taken, kind = signature.input_kind, signature.output_kind
    shown = taken.collate([examples[int(index)] for index in indices], signature)
    return taken.explain(trained.model, shown, classes, kind, signature, most=most)
