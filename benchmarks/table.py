"""Writes benchmarks/results.md, and the result tables of the READMEs, from what was measured.

    python benchmarks/resume.py | tee -a benchmarks/results.jsonl
    python benchmarks/table.py

The last summary of each benchmark in results.jsonl counts (a line with ``"benchmark"``).
"""

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def summaries() -> dict[str, dict[str, Any]]:
    """Returns the newest summary of each benchmark; presets count as benchmarks of their own."""
    found = {}
    for line in (HERE / "results.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "benchmark" in row:
            found[row["benchmark"] + (f" {row['preset']}" if "preset" in row else "")] = row
    return found


def accuracy_rows(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the table of accuracies."""
    rows = ["| preset | seeds | test accuracy | lowest | seconds |", "|---|---|---|---|---|"]
    for name, row in found.items():
        if name.startswith("accuracy"):
            mean, sd = row["test_accuracy_mean"], row["test_accuracy_sd"] or 0
            rows.append(
                f"| {row['preset']} | {row['seeds']} | {mean:.2%} ± {sd * 100:.2f} points "
                f"| {row['test_accuracy_lowest']:.2%} | {row['seconds_median']:.0f} |"
            )
    return rows


def machines(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns a line for each machine, with what was measured on it."""
    measured: dict[str, list[str]] = {}
    for name, row in found.items():
        measured.setdefault(json.dumps(row["machine"]), []).append(name)
    lines = []
    for key, names in measured.items():
        machine = json.loads(key)
        processor, cores = machine.pop("processor"), machine.pop("cores")
        versions = ", ".join(f"{name} {version}" for name, version in machine.items())
        lines.append(f"- {', '.join(names)}: {processor}, {cores} cores; {versions}.")
    return lines


def page(found: dict[str, dict[str, Any]]) -> str:
    """Returns the text of results.md."""
    parts = [
        "# Results",
        "",
        "Written by `python benchmarks/table.py` from `benchmarks/results.jsonl`; not edited by "
        "hand. Accuracies are mean ± standard deviation over the seeds 0, 1, …; the test set was "
        "read once, at the end of each run (`article` shows it after every epoch, as its tutorial "
        "does, and chooses nothing by it). Seconds are medians from process start to exit, "
        "the report left out. Absolute times drift on shared machines; ratios are of "
        "contestants that took turns.",
        "",
        "Measured on:",
        "",
        *machines(found),
        "",
        "## Fashion-MNIST",
        "",
        *accuracy_rows(found),
    ]
    if speed := found.get("speed"):
        parts += ["", "## Seconds an epoch (60,000 examples, batch 32)", ""]
        parts += ["| who | seconds | to the plain loop |", "|---|---|---|"]
        seconds = speed["seconds_an_epoch"]
        ratios = {
            "tutorial_loop": 1.0,
            "article": speed["article_to_tutorial_loop"],
            "linen_cnn": speed["article_to_tutorial_loop"] * speed["linen_cnn_to_article"],
        }
        parts += [f"| {who} | {seconds[who]:.1f} | {ratios[who]:.2f} × |" for who in seconds]
    for name in ("resume", "damage", "sketches", "gears", "start"):
        if row := found.get(name):
            facts = {key: row[key] for key in row if key not in ("benchmark", "machine")}
            facts = ", ".join(f"{key} {value}" for key, value in facts.items())
            parts += ["", f"## {name}", "", facts.replace("_", " ")]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Writes the files."""
    found = summaries()
    (HERE / "results.md").write_text(page(found), encoding="utf-8")
    table = "\n".join(["<!-- results -->", "", *accuracy_rows(found), "", "<!-- /results -->"])
    for name in ("README.md", "README.ko.md"):
        path = HERE.parent / name
        text = path.read_text(encoding="utf-8")
        block = re.compile("<!-- results -->.*?<!-- /results -->", re.DOTALL)
        path.write_text(block.sub(lambda _: table, text), encoding="utf-8")


if __name__ == "__main__":
    main()
