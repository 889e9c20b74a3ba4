"""How a training went: every figure of the log over the epochs, a recipe's own as well."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from flaxmill.machine.progress import is_share
from flaxmill.report import figures
from flaxmill.training.log import UNREADABLE, metrics_in

SPLITS = {"train": "training", "validation": "validation (held out)", "test": "test"}
"""What a split is called beside a curve; one of a recipe's own keeps its name."""
TITLES = {"loss": "Loss", "accuracy": "Accuracy", "f1": "F1 of all labels"}
"""What a figure is called above its curves; any other keeps its name, and comes after these."""
_MOST = 12  # diagrams; further figures stand in a table


def curves(subjects: Sequence[Any]) -> list[dict[str, Any]]:
    """Draws each figure that the metrics hold over the epochs.

    Args:
        subjects: One run, of which every split is drawn, or several, of which training is drawn and
            the validation part, or the test where there is none.

    Returns:
        For each figure its title, its SVG text, its legend and where its lines end.
    """
    alone, drawn = len(subjects) == 1, []
    for number, name in enumerate(_names(subjects)[:_MOST]):
        lines = list(_lines(subjects, name))
        # The names of figures are anybody's, and would not do for parts of an SVG.
        svg = figures.curves(lines, name=f"curve-{number}", percent=is_share(name))
        legend = [(line.series, line.dashed, line.name) for line in lines]
        if not alone:  # a colour is a run, and dashes are told once
            legend = [(i, False, f"{i + 1} {run.name}") for i, run in enumerate(subjects)]
        ends = [(line.name, line.values[-1]) for line in lines]
        title = TITLES.get(name, name)
        drawn.append({"title": title, "svg": Markup(svg), "legend": legend, "ends": ends})
    return drawn


def further(subjects: Sequence[Any]) -> list[tuple[str, list[tuple[str, float]]]]:
    """Returns the figures for which there is no diagram, each with where its lines end."""
    return [
        (name, [(line.name, line.values[-1]) for line in _lines(subjects, name)])
        for name in _names(subjects)[_MOST:]
    ]


def _names(subjects: Sequence[Any]) -> list[str]:
    """Returns the names of all figures of the logs: the known ones, then those of recipes."""
    rows = [row for subject in subjects for row in subject.metrics]
    names = dict.fromkeys(name for row in rows for name in metrics_in(row))
    return [*(name for name in TITLES if name in names), *(n for n in names if n not in TITLES)]


def _lines(subjects: Sequence[Any], figure: str) -> Iterator[figures.Line]:
    alone = len(subjects) == 1
    for number, subject in enumerate(subjects):
        by_split: dict[str, list[Mapping[str, Any]]] = {split: [] for split in SPLITS}
        for row in subject.metrics:
            if row["split"] != UNREADABLE and row.get(figure) is not None:
                by_split.setdefault(row["split"], []).append(row)
        if not alone and by_split["validation"]:
            del by_split["test"]
        for place, (split, rows) in enumerate(by_split.items()):
            if not rows:
                continue
            name = SPLITS.get(split, split)
            name = split if subject.seen and split == "validation" else name
            yield figures.Line(
                name=name if alone else f"run {number + 1} {name}",
                epochs=[row["epoch"] for row in rows],
                values=[row[figure] for row in rows],
                series=place if alone else number,
                dashed=split == "train",
            )
