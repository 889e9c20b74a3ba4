"""The section of benchmarks/results.md on texts in classes."""

from collections.abc import Mapping
from typing import Any

from sections import row_of

BASELINES = ("naive Bayes model of words and pairs", "linear model of 1 to 3 characters")


def texts(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the lines on the presets of text_classification that were measured."""
    rows = [row for name, row in found.items() if name.startswith("texts ")]
    if not rows:
        return []
    columns = ("preset", "seeds", "test accuracy", "macro F1", *BASELINES, "padding", "seconds")
    lines = ["", "## Texts in classes", "", row_of(*columns), "|---" * len(columns) + "|"]
    for row in rows:
        simple = [row["baselines"][name] for name in BASELINES]
        lines.append(
            row_of(
                row["preset"],
                row["seeds"],
                _spread(row, "accuracy"),
                f"{row['test_macro_f1_mean']:.3f}",
                *(f"{one['accuracy']:.2%}, {one['macro_f1']:.3f}" for one in simple),
                f"{row['padding']:.1%}",
                f"{row['seconds_median']:.0f}",
            )
        )
    return [
        *lines,
        "",
        "Of the simple models: test accuracy, macro F1. The presets were chosen on validation "
        "parts. Padding is the share of what is computed that is none of a text.",
    ]


def _spread(row: Mapping[str, Any], name: str) -> str:
    """Returns a mean and its deviation; one seed has none."""
    mean, sd = row[f"test_{name}_mean"], row[f"test_{name}_sd"]
    return f"{mean:.2%}" if sd is None else f"{mean:.2%} ± {sd * 100:.2f} points"
