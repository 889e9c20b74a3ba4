"""The report page: one self-contained HTML file about one run, or about several side by side."""

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from flaxmill.errors import BadInput
from flaxmill.machine.files import write_atomic
from flaxmill.machine.progress import duration, figure
from flaxmill.maths.suspects import SURE
from flaxmill.report.curves import curves, further
from flaxmill.report.figures import NUM_SERIES
from flaxmill.report.sections import ReportedRun, flat, named_seeds, sections

MOST_ROWS, WEAKEST_ROWS = 60, 20  # classes in a table, and those that stand out of a longer one
NOTHING = "–"  # where a figure does not exist


def write_page(subjects: Sequence[ReportedRun], path: Path) -> None:
    """Writes the page about one run, or the comparison of several, atomically.

    Args:
        subjects: The runs.
        path: The HTML file.

    Raises:
        BadInput: There is no run.
    """
    write_atomic(path, render(subjects))


def render(subjects: Sequence[ReportedRun]) -> str:
    """Returns the text of the page that `write_page` writes."""
    if not subjects:
        raise BadInput("There is no run to report on: name at least one run directory.")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "duration": unbroken_duration, "count": count}
    environment.filters |= {"unbroken": unbroken}
    runs = [sections(subject, number) for number, subject in enumerate(subjects, 1)]
    return environment.get_template("page.html.jinja").render(
        runs=runs,
        curves=curves(subjects),
        further=further(subjects),
        figure=lambda *args: figure(*args).replace(" %", "\xa0%"),  # on one line
        compared=COMPARED,
        comparison=_comparison(runs) if len(runs) > 1 else None,
        series=NUM_SERIES,
        named_seeds=named_seeds,
        nothing=NOTHING,
        sure=SURE,
        most_rows=MOST_ROWS,
        weakest_rows=WEAKEST_ROWS,
    )


def percent(share: int | float, digits: int = 1) -> str:
    r"""Writes a share for people.

    >>> percent(0.9121, 2), percent(float("nan"))
    ('91.21\xa0%', '–')
    """
    return f"{100 * share:.{digits}f}\xa0%" if math.isfinite(share) else NOTHING


def unbroken_duration(seconds: int | float) -> str:
    """Returns a duration in words, with spaces at which no line breaks."""
    return duration(seconds, fine=True).replace(" ", "\xa0")


def unbroken(text: str) -> Markup:
    """Keeps the names of options together at the ends of lines.

    >>> unbroken("longer (--epochs) & more")
    Markup('longer (<span class="option">--epochs</span>) &amp; more')
    """
    return Markup(re.sub(r"(--[a-z][a-z-]*)", r'<span class="option">\1</span>', str(escape(text))))


def count(number: int) -> str:
    """Writes a whole number for people, with its thousands apart."""
    return f"{number:,}"


# Of each figure in which runs are compared: which is the best, and how it is written. Of a recipe's
# own figures nobody knows here which is better.
COMPARED: dict[str, tuple[Callable[..., Any], Callable[..., str]]] = {
    "accuracy": (max, partial(percent, digits=2)),
    "loss": (min, "{:.4f}".format),
    "calibration error": (min, percent),
    "parameters": (min, count),
    "seconds": (min, "{:.1f}".format),
}


def _comparison(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Collects what only several runs side by side have."""
    subjects: list[ReportedRun] = [run["subject"] for run in runs]
    differing = _differing(subjects)
    accuracies = [run["headline"] and run["headline"]["accuracy"] for run in runs]
    repeated = None not in accuracies and {name for name, _ in differing} == {"seed"}
    return {
        "results": _results(runs),
        "differing": differing,
        "other_data": len({(subject.data_title, subject.drawn) for subject in subjects}) > 1,
        "mean": float(np.mean(accuracies)) if repeated else None,
        "deviation": float(np.std(accuracies, ddof=1)) if repeated else None,
        "recalls": _recalls(runs),
    }


def _results(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, tuple[str, bool]]]:
    """Writes each run's figures, and says which are the best as far as they are shown."""
    known, own = [], []
    for run in runs:
        headline, result = run["headline"] or {}, run["subject"].result
        figures = {
            "accuracy": headline.get("accuracy"),
            "loss": headline.get("loss"),
            "calibration error": run["calibration"] and run["calibration"]["states"][0]["error"],
            "parameters": result.get("parameters"),
            "seconds": result.get("seconds", {}).get("total"),
        }
        known.append({name: value for name, value in figures.items() if value is not None})
        own.append(headline.get("more", {}))
    results: list[dict[str, tuple[str, bool]]] = [{} for _ in runs]
    for name, (better, written) in COMPARED.items():
        values = [figures[name] for figures in known if name in figures]
        if not values:
            continue  # a column of nothing
        best = written(better(values)) if len(values) > 1 else None
        texts = [written(figures[name]) if name in figures else NOTHING for figures in known]
        for result, text in zip(results, texts, strict=True):
            result[name] = (text, text == best and len(set(texts)) > 1)
    for name in dict.fromkeys(name for figures in own for name in figures):
        for result, figures in zip(results, own, strict=True):
            shown = figure(name, figures[name]) if name in figures else NOTHING
            result[f"test {name}" if name in COMPARED else name] = (shown, False)
    return results


def _differing(subjects: Sequence[ReportedRun]) -> list[tuple[str, list[str]]]:
    """Lists the fields in which runs differ, with each run's value."""
    fields = [
        {
            "recipe": subject.recipe,
            "preset": subject.preset,
            "seed": named_seeds(subject),
            "data read": subject.data_title,
            "the recipe's text": text,
        }
        | dict(flat(subject.config))
        for subject, text in zip(subjects, _texts(subjects), strict=True)
    ]
    names = dict.fromkeys(name for values in fields for name in values)
    table = [(name, [values.get(name, NOTHING) for values in fields]) for name in names]
    return [(name, values) for name, values in table if len(set(values)) > 1]


def _texts(subjects: Sequence[ReportedRun]) -> list[str]:
    """Describes the versions of a recipe: by their digests, and by how far they are changed."""
    first, *others = (subject.recipe_text for subject in subjects)
    words = [subject.recipe_sha256[:12] for subject in subjects]
    for number, text in enumerate(others, 1):
        if first and text and text != first:
            lines = difflib.unified_diff(first.splitlines(), text.splitlines(), n=0, lineterm="")
            signs = [line[:1] for line in lines][2:]  # after the names of the files
            words[number] += f" (+{signs.count('+')} −{signs.count('-')} lines, against run 1)"
    return words


def _recalls(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[float], float]] | None:
    """Lists each class's recall in every run, and how far apart these are."""
    if any(run["classes"] is None for run in runs):
        return None
    if len({tuple(run["subject"].labels) for run in runs}) > 1:
        return None
    table = []
    for rows in zip(*(run["classes"]["rows"] for run in runs), strict=True):
        recalls = [row[2] for row in rows]
        table.append((rows[0][0], recalls, max(recalls) - min(recalls)))
    return table
