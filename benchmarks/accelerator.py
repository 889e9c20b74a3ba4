"""Times training on an accelerator: an epoch of the tutorial, and the way to an accuracy.

    python benchmarks/accelerator.py epoch --python .venv-peers/bin/python [--rounds 5]
    python benchmarks/accelerator.py targets --python .venv-peers/bin/python --preset quick
        --run runs/accelerator [--seeds 3] [--at 0.90 0.94 0.95] [--only compiled]
        [FIELDS OF THE CONFIG]

PYTHON has torch. ``epoch`` is seconds for 60,000 examples: the preset ``article``, the plain loop
and PyTorch in three ways, each a process that trains twice, of which the second time counts.
``targets`` trains a preset and the same in PyTorch, evaluates often, and says how many seconds
after a process started its validation accuracy first reached each target; compiling, evaluating
and saving count. The test set is read once, at the end. Contestants take turns; ``--only`` leaves
those in PyTorch whose names hold none of its words out. Prints JSON lines.

Each call stops by itself after ``--limit`` seconds, and at most a minute more. ``epoch`` then
counts the rounds that are done. ``targets`` has the run of flaxmill that is under way save its
state (SIGTERM), prints no summary, and exits with status 3; the same call again resumes that run
and keeps those that ended, all of them in ``--run``. What is trained in PyTorch keeps no state: it
begins anew, so the limit must be long enough for one of them. What cannot be used, such as another
config in the same ``--run``, is refused with a line that says so, and status 2.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from limit import Deadline
from machine import accelerator, machine
from peers import HERE, OWN, TORCH, loops, medians, own_seconds, peer_seconds, ratios, wanted
from targets import REFUSED, Rows, gathered, outcome, own_rows, torch_options, torch_rows

from flaxmill import recipes
from flaxmill.commands.request import from_command
from flaxmill.data import fetch
from flaxmill.errors import BadInput

STOPPED = 3


def say(line: dict[str, Any]) -> None:
    """Prints a JSON line at once."""
    print(json.dumps(line), flush=True)


def epoch(arguments: argparse.Namespace, deadline: Deadline) -> dict[str, Any]:
    """Times the contestants in turn; a peer that cannot run here is named and left out."""
    peers = wanted(loops(arguments.python, torch=["--device", arguments.device]), arguments.only)
    rounds: list[dict[str, float]] = []
    try:
        while len(rounds) < arguments.rounds:
            found = {OWN: own_seconds(arguments.examples, deadline.left())}
            for name, command in list(peers.items()):
                try:
                    found[name] = peer_seconds(command, arguments.examples, deadline.left())
                except subprocess.CalledProcessError as trouble:
                    say({"failed": name, "said": trouble.stderr[-500:]})
                    del peers[name]
            rounds.append(found)
            say({name: round(value, 3) for name, value in found.items()})
    except subprocess.TimeoutExpired:
        if not rounds:
            sys.exit("The limit was too short for one round: give a longer --limit.")
    return {
        "benchmark": "accelerator",
        "rounds": len(rounds),
        "seconds_an_epoch": medians(rounds, 3),
        "flaxmill_to": ratios(rounds),
    }


def targets(arguments: argparse.Namespace, fields: list[str], deadline: Deadline) -> dict[str, Any]:
    """Trains every seed with each contestant in turn; one that cannot is named and left out."""
    words = ["--preset", arguments.preset, "--evaluate-every", str(arguments.evaluate_every)]
    words += fields
    config = from_command(recipes.load("fashion_mnist"), words, "accelerator.py").config
    told = torch_options(config)
    folder = str(fetch.locate("fashion-mnist"))
    script = [arguments.python, str(HERE / "peers" / "torch_fast_cnn.py"), folder]
    script += ["--device", arguments.device]
    ways = {"flaxmill": None, **wanted(TORCH, arguments.only)}
    arguments.run.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}

    def trained(name: str, seed: int) -> Rows | None:
        place = arguments.run / f"{arguments.preset}-{seed}-{name.replace(', ', '-')}"
        way, chosen = ways[name], ["--seed", str(seed)]
        if way is None:
            return own_rows(place, [*words, *chosen], deadline)
        return torch_rows(Path(f"{place}.jsonl"), [*script, *way], [*told, *chosen], deadline)

    for seed in range(arguments.seeds):
        for name in list(ways):
            try:
                rows = trained(name, seed)
            except subprocess.CalledProcessError as trouble:
                if ways[name] is None:
                    raise
                say({"failed": name, "status": trouble.returncode})
                del ways[name]
                found.pop(name, None)
                continue
            if rows is None:
                say({"stopped": name, "seed": seed, "next": "the same call goes on"})
                sys.exit(STOPPED)
            found.setdefault(name, []).append(outcome(rows, arguments.at))
            say({"contestant": name, "seed": seed, **found[name][-1]})
    return {
        "benchmark": "targets",
        "preset": arguments.preset,
        "seeds": arguments.seeds,
        "evaluate_every": config.evaluate_every,
        "fields": fields,
        "contestants": {name: gathered(outcomes) for name, outcomes in found.items()},
    }


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("what", choices=("epoch", "targets"))
    parser.add_argument("--python", required=True, help="an interpreter with torch")
    parser.add_argument("--device", default="cuda", help="of PyTorch; JAX takes what it finds")
    parser.add_argument("--limit", type=float, default=540, help="seconds of a call")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=60_000, help="of an epoch")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--only", nargs="*", help="peers whose names hold one of these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at", type=float, nargs="+", default=[0.90, 0.94, 0.95])
    parser.add_argument("--evaluate-every", type=float, default=0.05, help="epochs")
    parser.add_argument("--run", type=Path, help="a folder for the runs of targets")
    arguments, fields = parser.parse_known_args()
    deadline = Deadline(arguments.limit)
    kind = accelerator()
    if (kind == "cpu") != (arguments.device == "cpu"):
        sys.exit(f"JAX finds {kind} and PyTorch gets {arguments.device}: both need one device.")
    if arguments.what == "targets" and arguments.run is None:
        parser.error("targets needs --run: a folder for its runs, the same at the next call")
    try:
        if arguments.what == "epoch":
            summary = epoch(arguments, deadline)
        else:
            summary = targets(arguments, fields, deadline)
    except BadInput as trouble:
        parser.exit(REFUSED, f"{parser.prog}: {trouble}\n")
    say({**summary, "machine": {**machine(), "accelerator": kind}})


if __name__ == "__main__":
    main()
