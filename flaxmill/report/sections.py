"""The material of the report page's sections about one run.

Each section is built by a function that returns its material, or None where something it needs is
missing; the template leaves such a section out and keeps the order of the others.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Integer
from markupsafe import Markup

from flaxmill.maths import calibration
from flaxmill.report import advice, class_sections, figures, label_sections, statistics
from flaxmill.report.attribution import COVERED, Attributions
from flaxmill.report.pictures import FileName
from flaxmill.training.log import metrics_in

PHASES = {
    "import": "starting up",
    "data": "reading the data",
    "compile": "compiling",
    "train": "training",
    "waiting": "waiting for data",
    "evaluate": "evaluating",
    "save": "saving",
}
Logits = Float[np.ndarray, "example class"]
Labels = Integer[np.ndarray, " example"] | Float[np.ndarray, "example class"]


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
        test_labels: Their true classes, or a row of zeros and ones each.
        test_pictures: Gives an example by its index: uint8 [height, width, channel], grey (1
            channel) or colour (3).
        test_name: Gives the file that an example was read from.
        train_counts: Number of training examples of each class.
        temperature: What the logits are divided by before they become probabilities; None for
            nothing.
        held_out: Number of examples that were held out to fit the temperature on.
        attributed: What the answers to some test examples rest on.
        recipe_sha256: Digest of the text that the run was begun by.
        recipe_text: That text; empty where the run has no record of it any more.
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
    test_pictures: Any = None
    test_name: Callable[[int], FileName] | None = None
    train_counts: Int[np.ndarray, " class"] | None = None
    temperature: float | None = None
    held_out: int = 0
    attributed: Attributions | None = None
    recipe_sha256: str = ""
    recipe_text: str = ""

    @property
    def several(self) -> bool:
        """Whether any number of labels may hold of an example."""
        return self.test_labels is not None and self.test_labels.ndim == 2


def sections(subject: Subject, number: int) -> dict[str, Any]:
    """Collects the material of a run's sections.

    Args:
        subject: The run.
        number: Of the run on the page, from 1.

    Returns:
        The subject and, by name, each section's material or None.
    """
    scored = subject.test_logits is not None and subject.test_labels is not None
    ways = label_sections if subject.several else class_sections
    found: dict[str, Any] = {
        "headline": _headline(subject),
        "confusion": class_sections.confusion(subject) if scored and not subject.several else None,
        "classes": ways.classes(subject) if scored else None,
        "mistakes": ways.mistakes(subject) if scored else None,
        "temperature": subject.temperature,
    }
    return {
        "number": number,
        "subject": subject,
        "things": "examples" if subject.test_pictures is None else "pictures",
        **found,
        "advice": advice.words(subject, found) if scored else None,
        "seeds": _seeds(subject),
        "calibration": _calibration(subject, number),
        "attributed": _attributed(subject),
        "speed": _speed(subject),
        "details": [
            (
                "What was chosen for these pictures, and why",
                list(flat(subject.manifest.get("chosen", {}))),
            ),
            ("Configuration", list(flat(subject.config))),
            ("Manifest: versions, devices, digests", list(flat(subject.manifest))),
        ],
    }


def _headline(subject: Subject) -> dict[str, Any] | None:
    test = subject.result.get("test")
    if not test:
        return None
    headline = {"loss": test.get("loss"), "examples": test.get("examples"), "accuracy": None}
    named = "exact" if subject.several else "accuracy"
    share = test.get(named)
    headline["more"] = {n: v for n, v in metrics_in(test).items() if n not in ("loss", named)}
    if share is not None and test.get("examples"):
        right = round(share * test["examples"])
        headline |= {
            "accuracy": share,
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


def _calibration(subject: Subject, number: int) -> dict[str, Any] | None:
    if subject.test_logits is None or subject.test_labels is None:
        return None
    state = (label_sections if subject.several else class_sections).calibration_state
    states = []
    for when, divisor in (("before", 1.0), ("after", subject.temperature)):
        if divisor is not None:
            found = state(subject, divisor)
            bins = found["bins"]
            name = f"calibration-{number}-{when}"
            states.append(
                {
                    "error": bins.error,
                    "loss": found["loss"],
                    "svg": Markup(figures.reliability(bins, name=name)),
                    "confidence": float(
                        np.nansum(bins.confidence * bins.counts) / bins.counts.sum()
                    ),
                }
            )
    return {
        "states": states,
        "temperature": subject.temperature,
        "fitted_on": subject.held_out,
        "weight": calibration.weight(subject.held_out),
    }


def _attributed(subject: Subject) -> dict[str, Any] | None:
    if subject.attributed is None:
        return None
    each = [
        {
            "name": subject.labels[one.label],
            "picture": figures.picture_uri(one.picture),
            "heat": figures.lit_uri(one.picture, one.heat),
            "before": one.before,
            "after": one.after,
        }
        for one in subject.attributed.each
    ]
    return {"each": each, "by_features": subject.attributed.by_features, "covered": COVERED}


def _speed(subject: Subject) -> dict[str, Any] | None:
    seconds = dict(subject.result.get("seconds", {}))
    if not seconds:
        return None
    waiting = seconds.pop("waiting", 0.0)
    total = seconds.pop("total", sum(seconds.values()))
    if waiting > 0.005:  # a part of training: here it stands apart
        seconds |= {"train": seconds["train"] - waiting, "waiting": waiting}
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
