"""Writes benchmarks/results.md, and the result tables of the READMEs, from what was measured.

    python benchmarks/resume.py | tee -a benchmarks/results.jsonl
    python benchmarks/table.py

The last summary of each benchmark in results.jsonl counts (a line with ``"benchmark"``).
"""

import json
import re
from pathlib import Path
from typing import Any

import picture_sections
import sections
import sections_augmentation
import sections_export
import sections_texts
from sections import row_of

HERE = Path(__file__).parent
# The headings of the table of accuracies, and what stands behind a deviation.
ENGLISH = ("preset", "seeds", "test accuracy", "lowest", "seconds", " points")
KOREAN = ("프리셋", "시드 수", "테스트 정확도", "최저", "시간(초)", "%p")
FEWEST_SEEDS = 3
READMES = {"README.md": ENGLISH, "README.ko.md": KOREAN}


def summaries() -> dict[str, dict[str, Any]]:
    """Returns the newest summary of each benchmark; presets and folders count as such."""
    found = {}
    for line in (HERE / "results.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for folder, one in row.get("folders", {}).items():
            found[f"{row['benchmark']} {folder}"] = {**row, "folders": {folder: one}}
        if "benchmark" in row and "folders" not in row:
            found[row["benchmark"] + (f" {row['preset']}" if "preset" in row else "")] = row
    return found


def accuracy_rows(found: dict[str, dict[str, Any]], words: tuple[str, ...] = ENGLISH) -> list[str]:
    """Returns the table of accuracies."""
    *columns, points = words
    rows = [row_of(*columns), "|---" * len(columns) + "|"]
    for name, row in found.items():
        if name.startswith("accuracy"):
            sd = row["test_accuracy_sd"]
            deviation = "–" if sd is None else f"{sd * 100:.2f}{points}"  # one seed has none
            rows.append(
                row_of(
                    row["preset"],
                    row["seeds"],
                    f"{row['test_accuracy_mean']:.2%} ± {deviation}",
                    f"{row['test_accuracy_lowest']:.2%}",
                    f"{row['seconds_median']:.0f}",
                )
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
        *sections.known_sets(found),
        *sections_texts.texts(found),
        *sections.speed(found.get("speed")),
        *sections.peers(found.get("peers")),
        *sections.sizes(found.get("sizes")),
        *picture_sections.images(found),
        *sections.networks(found.get("networks")),
        *sections.parity(found.get("parity")),
        *sections_export.parity(found.get("export parity")),
        *sections_export.calibration(found.get("calibration")),
        *sections.choices(found.get("choices quick")),
        *sections.choices(found.get("choices good")),
        *sections.rates(found),
        *sections.gears(found.get("streaming")),
        *picture_sections.reading(found.get("input")),
        *sections.costs(found.get("scaling")),
        *sections_augmentation.cost(found.get("augmentation cost")),
        *sections_augmentation.cost(found.get("augmentation cost on an accelerator")),
        *sections_augmentation.worth(found.get("augmentation worth")),
        *sections.serve(found.get("serve"), found.get("serve limits")),
        *sections.accelerator(found),
    ]
    for name in ("ninety", "resume", "damage", "sketches", "gears", "seeds", "start"):
        if row := found.get(name):
            facts = {key: row[key] for key in row if key not in ("benchmark", "machine")}
            parts += ["", f"## {name}", "", row_of("figure", "value"), "|---|---|"]
            parts += [row_of(key.replace("_", " "), value) for key, value in facts.items()]
    return "\n".join(parts) + "\n"


def texts(found: dict[str, dict[str, Any]]) -> dict[Path, str]:
    """Returns the text that each file should have."""
    made = {HERE / "results.md": page(found)}
    # A README shows what several seeds agree on; of fewer, results.md tells.
    several = {name: row for name, row in found.items() if row.get("seeds", 0) >= FEWEST_SEEDS}
    block = re.compile("(<!-- results -->).*?(<!-- /results -->)", re.DOTALL)
    for name, words in READMES.items():
        table = "\n".join(accuracy_rows(several, words))
        path = HERE.parent / name
        made[path] = block.sub(rf"\1\n\n{table}\n\n\2", path.read_text(encoding="utf-8"))
    return made


def main() -> None:
    """Writes the files."""
    for path, text in texts(summaries()).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
