"""The material of the report page's sections about one run.

Each section is built by a function that returns its material, or None where something it needs is
missing; the template leaves such a section out and keeps the order of the others.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from markupsafe import Markup

from flaxmill.maths import calibration, statistics
from flaxmill.report import advice, figures
from flaxmill.report.examples import FileName
from flaxmill.tasks.kinds import Explanations, InputKind, OutputKind, Tally
from flaxmill.tasks.signature import Signature
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
NUM_MISTAKES = 20


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """What the page shows of a run; what is None is left out of the page.

    Attributes:
        name: Of the run, as its directory is called.
        recipe: The recipe's name.
        preset: The preset's name.
        seed: The run's seed; the first of several.
        data_title: Which data it is, for people.
        drawn: Whether the pictures are the built-in drawn sketches instead of real data.
        seen: Whether the test examples are training examples, as under ``--overfit``.
        signature: What the model takes and gives, with the names of the classes.
        result: As in result.json.
        metrics: Rows as in metrics.jsonl; of several seeds, their means.
        config: Every field of the recipe's config.
        manifest: As in manifest.json.
        tested: What is kept of the model's outputs for every test example.
        test_examples: Gives what the model took of an example, by its index.
        test_name: Gives the file that an example was read from.
        train_counts: Number of training examples of each class.
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
    signature: Signature
    result: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    tested: Tally | None = None
    test_examples: Any = None
    test_name: Callable[[int], FileName] | None = None
    train_counts: Int[np.ndarray, " class"] | None = None
    attributed: Explanations | None = None
    recipe_sha256: str = ""
    recipe_text: str = ""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes."""
        return self.signature.labels

    @property
    def temperature(self) -> float | None:
        """What the logits are divided by before they become probabilities; None for nothing."""
        return self.signature.temperature

    @property
    def held_out(self) -> int:
        """Number of examples that were held out to fit the temperature on."""
        return self.signature.held_out

    @property
    def taken(self) -> InputKind:
        """The kind of its examples."""
        return self.signature.input_kind

    @property
    def kind(self) -> OutputKind:
        """The kind of its outputs."""
        return self.signature.output_kind

    @property
    def things(self) -> str:
        """The name of its examples, in the plural."""
        return "examples" if self.test_examples is None else self.taken.THING[1]

    @property
    def several(self) -> bool:
        """Whether any number of labels may hold of an example."""
        return self.kind.SEVERAL


def sections(subject: ReportedRun, number: int) -> dict[str, Any]:
    """Collects the material of a run's sections.

    Args:
        subject: The run.
        number: Of the run on the page, from 1.

    Returns:
        The subject and, by name, each section's material or None.
    """
    tested = subject.tested
    material: dict[str, Any] = {
        "headline": _headline(subject),
        "confusion": tested and tested.confusion(subject.labels),
        "classes": tested and tested.class_metrics(subject.labels),
        "mistakes": mistakes(subject),
        "temperature": subject.temperature,
    }
    return {
        "number": number,
        "subject": subject,
        "things": subject.things,
        **material,
        "advice": tested and advice.words(subject, tested, material),
        "seeds": _seeds(subject),
        "calibration": _calibration(subject, number),
        "attributed": _attributed(subject),
        "speed": _speed(subject),
        "details": [
            (
                f"What was chosen for these {subject.things}, and why",
                list(flat(subject.manifest.get("chosen", {}))),
            ),
            ("Configuration", list(flat(subject.config))),
            ("Manifest: versions, devices, digests", list(flat(subject.manifest))),
        ],
    }


def mistakes(subject: ReportedRun) -> list[dict[str, Any]] | None:
    """Returns the wrong predictions that the model was most sure of, with their examples."""
    tested, shown = subject.tested, subject.test_examples
    if shown is None or tested is None:
        return None
    worst, sure = tested.mistakes(NUM_MISTAKES)
    truths = subject.kind.names(tested.labels[worst], subject.labels)
    answers = subject.kind.names(tested.predicted[worst], subject.labels)
    return [
        {
            "file": subject.test_name and subject.test_name(int(index)),
            "shown": Markup(
                subject.taken.render(
                    shown[int(index)], subject.signature, f"{truth}, taken for {answer}"
                )
            ),
            "truth": truth,
            "answer": answer,
            "confidence": float(confidence),
        }
        for index, truth, answer, confidence in zip(worst, truths, answers, sure, strict=True)
    ]


def _headline(subject: ReportedRun) -> dict[str, Any] | None:
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


def _seeds(subject: ReportedRun) -> dict[str, Any] | None:
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


def named_seeds(subject: ReportedRun) -> str:
    """Returns the seed of a run, or the first and the last of several."""
    seeds = subject.result.get("seeds", ())
    return f"{subject.seed} to {seeds[-1]['seed']}" if seeds else str(subject.seed)


def _calibration(subject: ReportedRun, number: int) -> dict[str, Any] | None:
    if subject.tested is None:
        return None
    states = []
    for calibrated in (False,) if subject.temperature is None else (False, True):
        bins, loss = subject.tested.calibration(calibrated=calibrated)
        name = f"calibration-{number}-{'after' if calibrated else 'before'}"
        states.append(
            {
                "error": bins.error,
                "loss": loss,
                "svg": Markup(figures.reliability(bins, name=name)),
                "confidence": float(np.nansum(bins.confidence * bins.counts) / bins.counts.sum()),
            }
        )
    return {
        "states": states,
        "temperature": subject.temperature,
        "fitted_on": subject.held_out,
        "weight": calibration.weight(subject.held_out),
    }


def _attributed(subject: ReportedRun) -> dict[str, Any] | None:
    if subject.attributed is None:
        return None
    each = [
        {
            "name": subject.labels[one.label],
            "shown": Markup(one.html),
            "before": one.before,
            "after": one.after,
        }
        for one in subject.attributed.each
    ]
    return {"each": each, "lead": subject.attributed.lead}


def _speed(subject: ReportedRun) -> dict[str, Any] | None:
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
