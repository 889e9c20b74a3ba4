"""Times reading pictures here, with PyTorch's DataLoader and with Grain, and bounds its memory.

    python benchmarks/input.py --python .venv-peers/bin/python [--folder DIR] [--rounds 5]
        [--workers 2] [--part equal draft memory]

PYTHON has torch and torchvision (``make bench`` sets it up); DIR is an image folder, by default
imagefolder/hymenoptera in FLAXMILL_DATA. Every contestant is a process of its own, with as many
threads or processes that read; they take turns, for the speed of a machine drifts. What counts is
the rate between two moments at which nobody has anything left that was read ahead.

``equal``: the folder's pictures, cut to 224 of 256 pixels. Who has other pixels than Pillow is
named, and does not count. ``draft``: JPEGs of 2,000 pixels, made of the same, which flaxmill
decodes no larger than needed; how far its pixels are from those of whole decoding is measured.
``memory``: peak memory of a process that trains on a set ten times as large as its limit. Prints
JSON lines, and a summary that says in the end whether all targets were met (else status 1).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from machine import large_pages, machine
from peers import medians
from PIL import Image
from reading.ways import source

HERE = Path(__file__).parent
OWN = "flaxmill"
PASSES = {"checked": 1, "begin": 4, "end": 14, "passes": 16}
"""In passes over the files: whose pixels are compared, when the clock starts and stops, and all."""
CUT = {"size": 224, "resize": 256}
SIDE, LARGE, QUALITY = 2000, 24, 90  # of the JPEGs that are made: longer side, number, quality
TARGETS = {"equal": 1.0, "draft": 1.5}
LIMIT = 2**30  # bytes of memory that the process may use at most
TIMES = 10  # as large is the set that it reads


def contestants(python: str, plan: Path, *, draft: bool) -> dict[str, list[str]]:
    """Returns the commands of all contestants.

    Args:
        python: An interpreter with torch.
        plan: What they read.
        draft: Whether flaxmill decodes JPEGs no larger than needed.
    """
    own = [sys.executable, str(HERE / "reading" / "ways.py"), str(plan)]
    drafted = ["--draft"] if draft else []
    torch = [python, str(HERE / "peers" / "torch_input.py"), str(plan)]
    return {
        OWN: [*own, *drafted],
        f"{OWN}, processes": [*own, "--way", "flaxmill-processes", *drafted],
        "Grain, threads": [*own, "--way", "grain-threads"],
        "Grain, processes": [*own, "--way", "grain-processes"],
        "PyTorch, Pillow": [*torch, "--way", "pillow"],
        "PyTorch, torchvision decodes": [*torch, "--way", "io-pillow"],
        "PyTorch, torchvision decodes and resizes": [*torch, "--way", "io"],
    }


def compared(commands: Mapping[str, list[str]], rounds: int) -> dict[str, Any]:
    """Returns the rates of all contestants, and whose pixels are equal to which.

    Args:
        commands: What each runs.
        rounds: How often.
    """
    found: list[dict[str, float]] = []
    pixels: dict[str, list[str]] = {}
    for _ in range(rounds):
        found.append({})
        for name, command in commands.items():
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            row = json.loads(answer.stdout.splitlines()[-1])
            found[-1][name], pixels[name] = row["pictures_per_second"], row["sha256"]
        print(json.dumps({name: round(rate) for name, rate in found[-1].items()}), flush=True)
    return {"rates": found, "pixels": pixels}


def summary(found: Mapping[str, Any], *, equal: bool) -> dict[str, Any]:
    """Returns medians, and how flaxmill stands to the best of the others in the same round.

    Args:
        found: From `compared`.
        equal: Whether only contestants with the same pixels count.
    """
    rates, pixels = found["rates"], found["pixels"]
    same = [name for name in pixels if pixels[name] == pixels["PyTorch, Pillow"]]
    ours = [name for name in pixels if name.startswith(OWN)]
    rivals = [name for name in pixels if name not in ours and (name in same or not equal)]
    shares = {
        name: float(np.median([one[name] / max(one[rival] for rival in rivals) for one in rates]))
        for name in ours
    }
    return {
        "pictures_per_second": medians(rates, 0),
        "same_pixels": same,
        "to_the_best": {name: round(share, 3) for name, share in shares.items()},
    }


def large(files: list[str], folder: Path) -> list[str]:
    """Makes JPEGs of 2,000 pixels; returns their paths."""
    made = []
    for file in files[:: max(1, len(files) // LARGE)][:LARGE]:
        with Image.open(file) as picture:
            scale = SIDE / max(picture.size)
            size = (round(picture.width * scale), round(picture.height * scale))
            made.append(str(folder / f"{len(made)}.jpg"))
            picture.convert("RGB").resize(size).save(made[-1], quality=QUALITY)
    return made


def apart(plan: dict[str, Any]) -> dict[str, float]:
    """Returns how far pixels of draft mode are from those of decoding whole pictures."""
    ids = np.arange(len(plan["files"]))
    whole, draft = (
        source(plan, draft=draft).take(ids)["image"].astype(int) for draft in (False, True)
    )
    difference = np.abs(whole - draft)
    return {"mean_difference": round(difference.mean(), 3), "most": int(difference.max())}


def memory(files: list[str], workers: int) -> dict[str, Any]:
    """Returns the peak memory of a process that trains on more than it may keep."""
    pictures = TIMES * LIMIT // (CUT["size"] ** 2 * 3)
    with tempfile.TemporaryDirectory() as folder:
        plan, run = Path(folder, "plan.json"), Path(folder, "run")
        passes = -(-pictures // len(files))
        plan.write_text(json.dumps({"files": files, "passes": passes, "workers": workers, **CUT}))
        command = [sys.executable, "-m", "reading.memory", str(plan), str(run)]
        how = {"stdout": subprocess.DEVNULL, "cwd": HERE, "env": large_pages()}
        process = subprocess.Popen(command, **how)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        seconds = json.loads((run / "result.json").read_text())["seconds"]
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 2**10)
    row = {"pictures": passes * len(files), "decoded_bytes": TIMES * LIMIT, "peak_bytes": peak}
    row |= {"limit_bytes": LIMIT, "bounded": peak <= LIMIT}
    row |= {"waiting_share": round(seconds["waiting"] / seconds["train"], 3)}
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    """Runs the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="an interpreter with torch and torchvision")
    data = os.environ.get("FLAXMILL_DATA", "data")
    parser.add_argument("--folder", type=Path, default=Path(data, "imagefolder", "hymenoptera"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part", nargs="+", default=["equal", "draft", "memory"])
    arguments = parser.parse_args()
    files = sorted(str(path.resolve()) for path in arguments.folder.rglob("*.jp*g"))
    if not files:
        parser.error(f"no JPEGs in {arguments.folder}")
    met, parts = True, {}
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.json")
        for part in set(arguments.part) & set(TARGETS):
            draft = part == "draft"
            used = large(files, Path(folder)) if draft else files
            asked = {"files": used, "workers": arguments.workers, **PASSES, **CUT}
            # Every process fills whole batches of the first pass, whose pixels are compared.
            fitting = (n for n in range(1, 65) if len(used) % (n * arguments.workers) == 0)
            asked["batch"] = max(fitting, default=1)
            plan.write_text(json.dumps(asked))
            commands = contestants(arguments.python, plan, draft=draft)
            parts[part] = summary(compared(commands, arguments.rounds), equal=not draft)
            parts[part] |= apart(asked) if draft else {}
            met &= parts[part]["to_the_best"][OWN] >= TARGETS[part]
            met &= draft or OWN in parts[part]["same_pixels"]
    if "memory" in arguments.part:
        parts["memory"] = memory(files, arguments.workers)
        met &= parts["memory"]["bounded"]
    about = {"rounds": arguments.rounds, "workers": arguments.workers, "pictures": len(files)}
    print(json.dumps({"benchmark": "input", **about, **parts, "met": met, "machine": machine()}))
    sys.exit(not met)


if __name__ == "__main__":
    main()
