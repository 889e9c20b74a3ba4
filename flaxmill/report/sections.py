"""The material of the report page's sections about one run.

Each section is built by a function that returns its material, or None where something it needs is
missing; the template leaves such a section out and keeps the order of the others.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt8
from markupsafe import Markup

from flaxmill.report import figures, statistics

NUM_MISTAKES = 20
NUM_PAIRS = 5
LARGEST_MATRIX = 30  # classes; more make a table that nobody reads, and a heavy page
PHASES = {
    "import": "starting up",
    "data": "reading the data",
    "compile": "compiling",
    "train": "training",
    "evaluate": "evaluating",
    "save": "saving",
}
SPLITS = {"train": "training", "validation": "validation (held out)", "test": "test"}

Logits = Float[np.ndarray, "example class"]
Labels = Integer[np.ndarray, " example"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What the page needs to know of a run; what is None is left out of the page.

    Attributes:
        name: Of the run, as its directory is called.
        recipe: The recipe's name.
        preset: The preset's name.
        seed: The run's seed; the first of several.
        data_title: Which data it is, for people.
        drawn: Whether the pictures are the built-in drawn sketches instead of real data.
        seen: Whether the test examples are training examples, as under ``--overfit``.
        labels: Names of the classes.
        result: As in result.json.
        metrics: Rows as in metrics.jsonl; of several seeds, their means.
        config: Every field of the recipe's config.
        manifest: As in manifest.json.
        test_logits: Of every test example.
        test_labels: Their true classes.
        test_pictures: The examples, grey (1 channel) or colour (3).
        held_out: Logits and labels of the validation part, on which the temperature is fitted.
        saliency: A class, an example of it, and the gradient of its score by the pixels.
    """

    name: str
    recipe: str
    preset: str
    seed: int
    data_title: str
    drawn: bool
    seen: bool
    labels: Sequence[str]
    result: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    test_logits: Logits | None = None
    test_labels: Labels | None = None
    test_pictures: UInt8[np.ndarray, "example height width channel"] | None = None
    held_out: tuple[np.ndarray, np.ndarray] | None = None
    saliency: Sequence[tuple[int, np.ndarray, np.ndarray]] | None = None


def sections(subject: Subject, number: int) -> dict[str, Any]:
    """Collects the material of a run's sections.

    Args:
        subject: The run.
        number: Of the run on the page, from 1.

    Returns:
        The subject and, by name, each section's material or None.
    """
    return {
        "number": number,
        "subject": subject,
        "things": "examples" if subject.test_pictures is None else "pictures",
        "headline": _headline(subject),
        "seeds": _seeds(subject),
        "confusion": _confusion(subject),
        "classes": _classes(subject),
        "mistakes": _mistakes(subject),
        "calibration": _calibration(subject, number),
        "saliency": _saliency(subject),
        "speed": _speed(subject),
        "details": [
            ("Configuration", list(flat(subject.config))),
            ("Manifest: versions, devices, digests", list(flat(subject.manifest))),
        ],
    }


def _headline(subject: Subject) -> dict[str, Any] | None:
    test = subject.result.get("test")
    if not test:
        return None
    headline = {"loss": test.get("loss"), "examples": test.get("examples"), "accuracy": None}
    if "accuracy" in test and test.get("examples"):
        right = round(test["accuracy"] * test["examples"])
        headline |= {
            "accuracy": test["accuracy"],
            "interval": statistics.wilson_interval(right, test["examples"]),
            "right": right,
        }
    return headline


def _seeds(subject: Subject) -> dict[str, Any] | None:
    """Lists the test figures of the models of several seeds, and of all of them together."""
    result = subject.result
    if "seeds" not in result:
        return None
    means, deviations = result["test_mean"], result["test_sd"]
    return {
        "columns": list(means),
        "rows": [
            (f"Seed {one['seed']}", [one["test"][n] for n in means]) for one in result["seeds"]
        ],
        "spread": [(means[name], deviations[name]) for name in means],
        "together": [result["test"][name] for name in means],
    }


def named_seeds(subject: Subject) -> str:
    """Returns the seed of a run, or the first and the last of several."""
    seeds = subject.result.get("seeds", ())
    return f"{subject.seed} to {seeds[-1]['seed']}" if seeds else str(subject.seed)


def curves(subjects: Sequence[Subject]) -> list[dict[str, Any]]:
    """Draws each figure that the metrics hold over the epochs.

    Args:
        subjects: One run, of which every split is drawn, or several, of which training is drawn and
            the validation part, or the test where there is none.

    Returns:
        For each figure its title, its SVG text, its legend and where its lines end.
    """
    alone, drawn = len(subjects) == 1, []
    for figure, title in (("loss", "Loss"), ("accuracy", "Accuracy")):
        lines = []
        for number, subject in enumerate(subjects):
            rows = [row for row in subject.metrics if row.get(figure) is not None]
            splits = [split for split in SPLITS if any(row["split"] == split for row in rows)]
            if not alone and "validation" in splits:
                splits = [split for split in splits if split != "test"]
            for split in splits:
                lines.append(
                    figures.Line(
                        name=SPLITS[split] if alone else f"run {number + 1} {SPLITS[split]}",
                        epochs=[row["epoch"] for row in rows if row["split"] == split],
                        values=[row[figure] for row in rows if row["split"] == split],
                        series=list(SPLITS).index(split) if alone else number,
                        dashed=split == "train",
                    )
                )
        if lines:
            svg = figures.curves(lines, name=figure, percent=figure == "accuracy")
            legend = [(line.series, line.dashed, line.name) for line in lines]
            if not alone:  # a colour is a run, and dashes are told once
                legend = [(i, False, f"{i + 1} {run.name}") for i, run in enumerate(subjects)]
            ends = [(line.name, line.values[-1]) for line in lines]
            drawn.append({"title": title, "svg": Markup(svg), "legend": legend, "ends": ends})
    return drawn


def _matrix(subject: Subject) -> np.ndarray | None:
    if subject.test_logits is None or subject.test_labels is None:
        return None
    predictions = subject.test_logits.argmax(axis=-1)
    return statistics.confusion_matrix(subject.test_labels, predictions, len(subject.labels))


def _confusion(subject: Subject) -> dict[str, Any] | None:
    matrix = _matrix(subject)
    if matrix is None:
        return None
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    order = np.argsort(-wrong, axis=None, kind="stable")[:NUM_PAIRS]
    pairs = [
        {
            "truth": subject.labels[row],
            "answer": subject.labels[column],
            "count": wrong[row, column],
        }
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    ]
    rows = None
    if len(matrix) <= LARGEST_MATRIX:
        rows = [
            (name, list(zip(counts.tolist(), row_shares.tolist(), strict=True)))
            for name, counts, row_shares in zip(subject.labels, matrix, shares, strict=True)
        ]
    return {"rows": rows, "pairs": pairs}


def _classes(subject: Subject) -> dict[str, Any] | None:
    matrix = _matrix(subject)
    if matrix is None:
        return None
    scores = statistics.class_scores(matrix)
    columns = (scores.precision, scores.recall, scores.f1, scores.support)
    rows = list(zip(subject.labels, *(column.tolist() for column in columns), strict=True))
    ranked = sorted((row for row in rows if math.isfinite(row[3])), key=lambda row: row[3])
    return {
        "rows": rows,
        "weakest": ranked[0],
        "strongest": ranked[-1],
        "means": [float(np.nanmean(column)) for column in columns[:3]],
        "incomplete": len(ranked) < len(rows) or not np.isfinite(columns[:3]).all(),
    }


def _mistakes(subject: Subject) -> list[dict[str, Any]] | None:
    logits, labels, pictures = subject.test_logits, subject.test_labels, subject.test_pictures
    if logits is None or labels is None or pictures is None:
        return None
    worst = statistics.worst_mistakes(logits, labels, NUM_MISTAKES)
    confidence = np.exp(statistics.log_probabilities(logits[worst]).max(axis=-1))
    return [
        {
            "picture": figures.picture_uri(pictures[index]),
            "truth": subject.labels[labels[index]],
            "answer": subject.labels[logits[index].argmax()],
            "confidence": float(sure),
        }
        for index, sure in zip(worst, confidence, strict=True)
    ]


def _calibration(subject: Subject, number: int) -> dict[str, Any] | None:
    if subject.test_logits is None or subject.test_labels is None:
        return None
    temperature = (
        None if subject.held_out is None else statistics.fit_temperature(*subject.held_out)
    )
    states = []
    for state, divisor in (("before", 1.0), ("after", temperature)):
        if divisor is not None:
            given = (subject.test_logits, subject.test_labels)
            bins = statistics.calibration(*given, temperature=divisor)
            name = f"calibration-{number}-{state}"
            states.append(
                {
                    "error": bins.error,
                    "loss": statistics.negative_log_likelihood(*given, divisor),
                    "svg": Markup(figures.reliability(bins, name=name)),
                    "confidence": float(np.nansum(bins.confidence * bins.counts)) / len(given[1]),
                }
            )
    fitted_on = 0 if subject.held_out is None else len(subject.held_out[1])
    return {"states": states, "temperature": temperature, "fitted_on": fitted_on}


def _saliency(subject: Subject) -> list[dict[str, Any]] | None:
    return [
        {
            "name": subject.labels[label],
            "picture": figures.picture_uri(picture),
            "heat": figures.heat_uri(gradient),
        }
        for label, picture, gradient in subject.saliency or ()
    ] or None


def _speed(subject: Subject) -> dict[str, Any] | None:
    seconds = dict(subject.result.get("seconds", {}))
    if not seconds:
        return None
    total = seconds.pop("total", sum(seconds.values()))
    phases = [(PHASES.get(phase, phase), spent) for phase, spent in seconds.items()]
    rest = total - sum(seconds.values())
    if rest > 0.005:  # less would be shown as 0.00
        phases.append(("everything else", rest))
    speeds = [
        row["examples_per_second"]
        for row in subject.metrics
        if row["split"] == "train" and row.get("examples_per_second")
    ]
    return {"phases": phases, "total": total, "throughput": speeds and float(np.median(speeds))}


def flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Lists nested fields under dotted names, their values as text.

    >>> list(flat({"seed": 0, "versions": {"jax": "0.10.2"}}))
    [('seed', '0'), ('versions.jax', '0.10.2')]
    """
    for key, field in fields.items():
        if isinstance(field, Mapping) and field:
            yield from flat(field, f"{prefix}{key}.")
        else:
            text = field if isinstance(field, str) else json.dumps(field, ensure_ascii=False)
            yield f"{prefix}{key}", text
