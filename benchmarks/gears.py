"""Trains the same small config in every gear, and compares the weights bit by bit.

    python benchmarks/gears.py [--data fashion-mnist|sketches|DIR]

Each gear, chunk and prefetch is a process of its own. Prints a JSON line for each and one in the
end; fails (status 1) if any two differ.
"""

import argparse
import itertools
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine

# Everything that draws numbers or has a state of its own is on.
OPTIONS = shlex.split(
    "--overfit 2000 --validation 0 --epochs 2.5 --channels 4 8 8 --flip --dropout 0.1 --ema 0.9 "
    "--evaluate-on test --no-report"
)


def weights_after(data: str, gear: str, chunk: int, prefetch: int) -> str:
    """Trains in one gear; returns the digest of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        how = ["--gear", gear, "--chunk", str(chunk), "--prefetch", str(prefetch)]
        command = [sys.executable, "-m", "flaxmill", "train", "fashion_mnist", *OPTIONS, *how]
        command += ["--data", data, "--run", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return json.loads((run / "result.json").read_text())["weights_sha256"]


def main() -> None:
    """Trains in all gears."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="fashion-mnist")
    data = parser.parse_args().data
    digests = []
    for gear, chunk, prefetch in itertools.product(("resident", "streaming"), (1, 7, 64), (0, 4)):
        digests.append(weights_after(data, gear, chunk, prefetch))
        row = {"gear": gear, "chunk": chunk, "prefetch": prefetch, "weights_sha256": digests[-1]}
        print(json.dumps(row), flush=True)
    equal = len(set(digests)) == 1
    summary = {"benchmark": "gears", "runs": len(digests), "equal": equal, "machine": machine()}
    print(json.dumps(summary))
    sys.exit(not equal)


if __name__ == "__main__":
    main()
