"""Times the start: help, and the first training step; and takes the peak memory of a quick run.

    python benchmarks/start.py [--times 5] [--data fashion-mnist]

The first step is done when "Compiled" is printed (the compiled function was tried by then).
Prints JSON lines.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

FLAXMILL = [sys.executable, "-m", "flaxmill"]


def help_seconds() -> float:
    """Returns the seconds that ``flaxmill --help`` takes."""
    began = time.perf_counter()
    subprocess.run([*FLAXMILL, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def first_step_seconds(data: str) -> float:
    """Returns the seconds from the command to its first training step."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*FLAXMILL, "train", "fashion_mnist", "--data", data]
        command += ["--run", str(Path(folder, "run"))]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("Compiled"):
                    seconds = time.perf_counter() - began
                    process.kill()
                    return seconds
    raise RuntimeError("training did not come to its first step")


def quick_run_memory(data: str) -> float:
    """Trains the quick preset with its report; returns the peak memory of the process in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder, "run"))
        command = [*FLAXMILL, "train", "fashion_mnist", "--data", data, "--run", run]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--data", default="fashion-mnist")
    arguments = parser.parse_args()
    helps = [help_seconds() for _ in range(arguments.times)]
    steps = [first_step_seconds(arguments.data) for _ in range(arguments.times)]
    print(json.dumps({"help": helps, "first_step": steps}))
    summary = {
        "benchmark": "start",
        "help_seconds": round(statistics.median(helps), 3),
        "first_step_seconds": round(statistics.median(steps), 2),
        "quick_run_peak_memory_mib": round(quick_run_memory(arguments.data)),
        "machine": machine(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
