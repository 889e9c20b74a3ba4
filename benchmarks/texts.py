"""Trains presets of text_classification over fixed seeds, beside simple models.

    python benchmarks/texts.py [--presets sst2 nsmc intention] [--seeds 3] [--runs DIR]

FLAXMILL_DATA names the folder that holds sst2 and korean-text. Each seed is a process of its own,
whose test set is read once, at its end, and which is timed from start to exit; with --runs, runs
stay in that folder and are gone on with. Prints JSON lines, a summary of each preset at its end.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine

from flaxmill.data.text import baselines
from flaxmill.recipes import text_classification

MEASURES = ("accuracy", "macro_f1")


def train(preset: str, seed: int, folder: Path) -> dict[str, Any]:
    """Trains one seed; returns what came of it."""
    run = folder / f"{preset}-{seed}"
    command = [sys.executable, "-m", "flaxmill", "train", "text_classification", "--run", str(run)]
    command += ["--preset", preset, "--seed", str(seed), "--no-report", "--no-baselines"]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    result = json.loads((run / "result.json").read_text())
    return {
        "preset": preset,
        "seed": seed,
        **{name: result["test"][name] for name in MEASURES},
        "seconds": round(seconds, 1),
        "compilations": result["compilations"],
        "phases": result["seconds"],
    }


def summary(preset: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns means and deviations over the seeds, beside what simple models reach."""
    splits = text_classification.data(text_classification.PRESETS[preset])
    figures: dict[str, Any] = {}
    for name in MEASURES:
        values = [row[name] for row in rows]
        figures[f"test_{name}_mean"] = statistics.mean(values)
        figures[f"test_{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
        figures[f"test_{name}_lowest"] = min(values)
    return {
        "benchmark": "texts",
        "preset": preset,
        "seeds": len(rows),
        **figures,
        "baselines": baselines.scored(splits),
        "padding": splits.train.padding,
        "sizes": list(splits.sizes),
        "compilations": max(row["compilations"] for row in rows),
        "seconds_median": statistics.median(row["seconds"] for row in rows),
        "machine": machine(),
    }


def main() -> None:
    """Trains every preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=["sst2", "nsmc", "intention"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as nowhere:
        for preset in arguments.presets:
            rows = []
            for seed in range(arguments.seeds):
                rows.append(train(preset, seed, arguments.runs or Path(nowhere)))
                print(json.dumps(rows[-1]), flush=True)
            print(json.dumps(summary(preset, rows)), flush=True)


if __name__ == "__main__":
    main()
