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
# The headings of the table of accuracies, and what stands behind a deviation.
ENGLISH = ("preset", "seeds", "test accuracy", "lowest", "seconds", " points")
KOREAN = ("프리셋", "시드 수", "테스트 정확도", "최저", "시간(초)", "%p")
READMES = {"README.md": ENGLISH, "README.ko.md": KOREAN}


def summaries() -> dict[str, dict[str, Any]]:
    """Returns the newest summary of each benchmark; presets count as benchmarks of their own."""
    found = {}
    for line in (HERE / "results.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if "benchmark" in row:
            found[row["benchmark"] + (f" {row['preset']}" if "preset" in row else "")] = row
    return found


def accuracy_rows(found: dict[str, dict[str, Any]], words: tuple[str, ...] = ENGLISH) -> list[str]:
    """Returns the table of accuracies."""
    *columns, points = words
    rows = [_row(*columns), "|---" * len(columns) + "|"]
    for name, row in found.items():
        if name.startswith("accuracy"):
            sd = row["test_accuracy_sd"]
            deviation = "–" if sd is None else f"{sd * 100:.2f}{points}"  # one seed has none
            rows.append(
                _row(
                    row["preset"],
                    row["seeds"],
                    f"{row['test_accuracy_mean']:.2%} ± {deviation}",
                    f"{row['test_accuracy_lowest']:.2%}",
                    f"{row['seconds_median']:.0f}",
                )
            )
    return rows


def _row(*cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


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
        *speed_section(found.get("speed")),
        *peers_section(found.get("peers")),
        *choices_section(found.get("choices quick")),
        *gears_section(found.get("streaming")),
        *costs_section(found.get("scaling")),
    ]
    for name in ("resume", "damage", "sketches", "gears", "seeds", "start"):
        if row := found.get(name):
            facts = {key: row[key] for key in row if key not in ("benchmark", "machine")}
            parts += ["", f"## {name}", "", _row("figure", "value"), "|---|---|"]
            parts += [_row(key.replace("_", " "), value) for key, value in facts.items()]
    return "\n".join(parts) + "\n"


def speed_section(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on the seconds an epoch takes, if they were measured."""
    if row is None:
        return []
    seconds = row["seconds_an_epoch"]
    ratios = {
        "tutorial_loop": 1.0,
        "article": row["article_to_tutorial_loop"],
        "linen_cnn": row["article_to_tutorial_loop"] * row["linen_cnn_to_article"],
    }
    return [
        *("", "## Seconds an epoch (60,000 examples, batch 32)", ""),
        *("| who | seconds | to the plain loop |", "|---|---|---|"),
        *(f"| {who} | {seconds[who]:.1f} | {ratios[who]:.2f} × |" for who in seconds),
    ]


def peers_section(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on other libraries, if they were measured."""
    if row is None:
        return []
    lines = ["", "## Side by side: the tutorial's training, seconds for 60,000 examples", ""]
    lines += [f"Medians of {row['rounds']} rounds, in which the contestants took turns.", ""]
    lines += ["| who | seconds | flaxmill takes |", "|---|---|---|"]
    for who, seconds in row["seconds_an_epoch"].items():
        ratio = row["flaxmill_to"].get(who)
        lines.append(f"| {who} | {seconds:.1f} | {'' if ratio is None else f'{ratio:.2f} ×'} |")
    return lines


def choices_section(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on what each choice of a preset is worth, if that was measured."""
    if row is None:
        return []
    return [
        *("", "## What the choices of quick are worth", ""),
        f"Accuracy on the validation split, mean ± standard deviation over {row['seeds']} seeds "
        "that are not those above; one choice taken back at a time.",
        *("", "| quick | validation accuracy | seconds of training |", "|---|---|---|"),
        *(
            f"| {name} | {one['validation_accuracy']:.2%} ± {one['sd'] * 100:.2f} points "
            f"| {one['train_seconds']:.1f} |"
            for name, one in row["rows"].items()
        ),
    ]


def gears_section(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on the two gears, if they were measured."""
    if row is None:
        return []
    lines = ["", "## Examples a second, by where the data lies", ""]
    lines += [_row("preset", "on the device", "sent while it computes", "ratio")]
    lines += ["|---|---|---|---|"]
    for preset, rates in row["examples_per_second"].items():
        ratio = f"{row['streaming_to_resident'][preset]:.1%}"
        lines.append(_row(preset, rates["resident"], rates["streaming"], ratio))
    return lines


def costs_section(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on what the size of data and model costs, and bfloat16, if measured."""
    if row is None:
        return []
    columns = ("case", "parameters", "a step (ms)", "start (s)", "peak memory (MiB)")
    lines = ["", "## What size and type cost", ""]
    lines += ["The preset quick on 60,000 drawn garments in float32, but for what is said.", ""]
    lines += [_row(*columns), "|---" * len(columns) + "|"]
    for name, case in row["cases"].items():
        step, start = f"{case['step_milliseconds']:.1f}", f"{case['start_seconds']:.1f}"
        memory = f"{case['peak_memory_mib']:.0f}"
        lines.append(_row(name, f"{case['parameters']:,.0f}", step, start, memory))
    return lines


def texts(found: dict[str, dict[str, Any]]) -> dict[Path, str]:
    """Returns the text that each file should have."""
    made = {HERE / "results.md": page(found)}
    block = re.compile("(<!-- results -->).*?(<!-- /results -->)", re.DOTALL)
    for name, words in READMES.items():
        table = "\n".join(accuracy_rows(found, words))
        path = HERE.parent / name
        made[path] = block.sub(rf"\1\n\n{table}\n\n\2", path.read_text(encoding="utf-8"))
    return made


def main() -> None:
    """Writes the files."""
    for path, text in texts(summaries()).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
