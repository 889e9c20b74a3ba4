"""Sets what lr-find suggests beside the learning rates of the presets.

    python benchmarks/lr_find.py [RECIPE/PRESET …]

Prints a JSON line for each: the suggestion, the preset's rate, and the seconds it took.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

PRESETS = ("fashion_mnist/quick", "fashion_mnist/good", "fashion_mnist/article", "mnist/quick")


def suggested(recipe: str, preset: str) -> dict:
    """Runs lr-find; returns what it says."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "flaxmill", "lr-find", recipe, "--preset", preset]
        command += ["--json", "--out", str(Path(folder, "curve.png"))]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main() -> None:
    """Asks for each preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=PRESETS)
    for name in parser.parse_args().presets:
        recipe, _, preset = name.partition("/")
        began = time.perf_counter()
        found = suggested(recipe, preset)
        row = {key: found[key] for key in ("suggestion", "steepest", "tenth", "learning_rate")}
        seconds = round(time.perf_counter() - began, 1)
        said = {"benchmark": f"lr-find {name}", **row, "seconds": seconds, "machine": machine()}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
