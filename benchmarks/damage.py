"""Damages checkpoint files, and counts how often the damage is noticed.

    python benchmarks/damage.py RUN [--trials 20] [--seed 0]

RUN is a finished run directory; it is copied, not touched. Each trial flips a random bit of a
random file of the newest checkpoint, or cuts the file at a random place. A trial succeeds when the
checkpoint is refused by name, and the one before it is restored with a warning.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from machine import machine

from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.integrity import Damaged, verify


def damage(path: Path, draw: random.Random) -> str:
    """Flips a bit of a file or cuts it; returns which."""
    content = bytearray(path.read_bytes())
    if draw.random() < 0.5:
        place = draw.randrange(len(content))
        content[place] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(content))
        return f"bit flipped in byte {place:,} of {len(content):,}"
    kept = draw.randrange(len(content))
    path.write_bytes(bytes(content[:kept]))
    return f"cut to {kept:,} of {len(content):,} bytes"


def trial(run: Path, folder: Path, draw: random.Random) -> dict[str, object]:
    """Damages a copy of a run's newest checkpoint; returns what became of it."""
    shutil.copytree(run / "checkpoints", folder / "checkpoints")
    checkpoints = Checkpoints(folder / "checkpoints")
    *_, before, newest = checkpoints.steps()
    files = [p for p in sorted((folder / "checkpoints" / str(newest)).rglob("*")) if p.is_file()]
    files = [path for path in files if path.stat().st_size]
    victim = draw.choice(files)
    what = damage(victim, draw)
    try:
        verify(folder / "checkpoints" / str(newest))
        said = None
    except Damaged as found:
        said = str(found).replace(str(folder), "RUN")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        restored = checkpoints.restore_newest()
    step = None if restored is None else int(restored[0]["step"])
    warned = any("damaged" in str(warning.message) for warning in caught)
    return {
        "file": str(victim.relative_to(folder)),
        "damage": what,
        "said": said,
        "restored_step": step,
        "detected": said is not None and warned and step == before,
    }


def main() -> None:
    """Runs all trials; prints a JSON line for each and one in the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    detected = 0
    for _ in range(arguments.trials):
        with tempfile.TemporaryDirectory() as folder:
            outcome = trial(arguments.run, Path(folder), draw)
        detected += bool(outcome["detected"])
        print(json.dumps(outcome), flush=True)
    summary = {
        "benchmark": "damage",
        "trials": arguments.trials,
        "detected": detected,
        "machine": machine(),
    }
    print(json.dumps(summary))
    sys.exit(detected != arguments.trials)


if __name__ == "__main__":
    main()
