"""Loads servers of one model with many clients at once: flaxmill's, and those others would write.

    python benchmarks/serve.py limits
    python benchmarks/serve.py load --python .venv-peers/bin/python [--rounds 5] [--seconds 4]
        [--clients 1 16 128 1000] [--models CNN ResNet-18]

PYTHON has the peers' packages (``make bench`` sets it up). All servers have the same weights, run
on this machine, and are asked over loopback for single pictures, sent and answered as bytes; every
answer is compared with that of the Flax model to the client's own picture. Each contestant is
tried with one thread, with two, and with two processes, for each number of clients, and the best
of these is measured in rounds, in which the contestants take turns; the others rest meanwhile.
A window waits until other programs take little of the processor, and is measured again if they
did not stay so. What bounds any server, the engines' speed without one, is a part of its own.
Prints JSON lines.
"""

import argparse
import json
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from load import models, processor
from load.client import raise_descriptor_limit
from load.contestants import LITSERVE, NULL, OWN, PLAIN, Server, null, ways
from machine import machine

LOAD = Path(__file__).parent / "load"
Row = dict[str, Any]


def children_seconds() -> float:
    """Returns the processor seconds of the processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def window(server: Server, clients: int, seconds: float) -> Row:
    """Returns what clients found who asked a server for some time; all others rest.

    Beside it, how many cores server and others took, where the system says so.
    """
    command = [sys.executable, str(LOAD / "client.py"), str(server.way.plan)]
    command += ["--port", str(server.port), "--clients", str(clients)]
    command += ["--seconds", str(seconds), "--warm", str(seconds / 4)]
    server.go_on()
    before = spent(server) if processor.known() else []
    began = time.perf_counter()
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    row = json.loads(answer.stdout)
    if before:
        gone = time.perf_counter() - began
        machine, own, client = (
            (after - earlier) / gone for after, earlier in zip(spent(server), before, strict=True)
        )
        row |= {"server_cores": round(own, 2), "other_cores": round(machine - own - client, 2)}
    server.rest()
    return row


def spent(server: Server) -> list[float]:
    """Returns the processor seconds of the machine, of a server, and of clients so far."""
    group = processor.group_seconds(server.process.pid)
    return [processor.machine_seconds(), group, children_seconds()]


def undisturbed(server: Server, clients: int, seconds: float, limits: argparse.Namespace) -> Row:
    """Measures a window again until other programs took little; returns the calmest one."""
    rows: list[Row] = []
    while len(rows) < limits.tries:
        wait_for_calm(limits)
        rows.append(window(server, clients, seconds))
        if rows[-1].get("other_cores", 0) <= limits.others:
            break
    return min(rows, key=lambda row: row.get("other_cores", 0))


def wait_for_calm(limits: argparse.Namespace) -> None:
    """Waits until the processor has little to do, all servers resting, but not for ever."""
    until = time.monotonic() + limits.patience
    while processor.known() and time.monotonic() < until:
        before = processor.machine_seconds()
        time.sleep(0.5)
        if processor.machine_seconds() - before <= 0.5 * limits.others:
            return


def check(row: Row, who: str) -> None:
    """Refuses a contestant that does not do what the others do.

    Raises:
        RuntimeError: Its answers are not those of the model, or there are none.
    """
    if row["wrong"] or not row["answers"]:
        raise RuntimeError(f"{who} does not answer as the model does: {row}")


def best_ways(
    servers: Mapping[str, Mapping[str, Server]], arguments: argparse.Namespace
) -> dict[int, dict[str, str]]:
    """Tries every way of every contestant; returns the best for each number of clients."""
    found: dict[int, dict[str, str]] = {}
    for clients in arguments.clients:
        for who, those in servers.items():
            rates = {}
            for way, server in those.items():
                row = undisturbed(server, clients, arguments.seconds / 2, arguments)
                say({"trial": who, "way": way, **row})
                check(row, f"{who} ({way})")
                rates[way] = row["requests_per_second"]
            found.setdefault(clients, {})[who] = max(rates, key=lambda way: rates[way])
    return found


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns what the rounds of a model showed.

    Returns:
        ``rounds``: how many; ``contestants``: name -> number of clients -> figures, their medians;
        ``ratios``: number of clients -> what flaxmill answers to what others do.
    """
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        forms = models.write(name, folder)
        contestants = ways(forms, arguments.python) | {NULL: {"": null(forms, arguments.python)}}
        servers: dict[str, dict[str, Server]] = {}
        for who, those in contestants.items():
            for way, started in those.items():
                server = stack.enter_context(Server(started, folder / "log"))
                server.wait()
                server.rest()
                servers.setdefault(who, {})[way] = server
        best = best_ways(servers, arguments)
        rows: dict[int, list[dict[str, Row]]] = {clients: [] for clients in arguments.clients}
        for turn in range(arguments.rounds):
            for clients in arguments.clients:
                found = {}
                order = list(servers)
                for who in order[turn % len(order) :] + order[: turn % len(order)]:
                    server = servers[who][best[clients][who]]
                    found[who] = undisturbed(server, clients, arguments.seconds, arguments)
                    say({"model": name, "who": who, **found[who]})
                rows[clients].append(found)
    return {
        "rounds": arguments.rounds,
        "contestants": {
            who: {
                str(clients): {
                    "way": best[clients][who],
                    **medians([r[who] for r in rows[clients]]),
                }
                for clients in arguments.clients
            }
            for who in contestants
        },
        "ratios": {str(clients): ratios(rows[clients]) for clients in arguments.clients},
    }


def rates(name: str, arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Returns the examples a second that the engines compute, by the size of the batch."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        forms = models.write(name, Path(folder))
        for engine, threads in (("onnx", 1), ("onnx", 2), ("jax", 1), ("jax", 2)):
            command = ["env", f"PJRT_NPROC={threads}", sys.executable, str(LOAD / "rates.py")]
            command += [str(forms.export), "--engine", engine, "--threads", str(threads)]
            wait_for_calm(arguments)
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            label = {"onnx": "ONNX Runtime", "jax": "XLA"}[engine]
            label += f", {threads} thread{'s' * (threads > 1)}"
            found[label] = json.loads(answer.stdout)
            say({"model": name, "engine": label, **found[label]})
    return found


def medians(rows: Sequence[Row]) -> Row:
    """Returns the medians of a contestant's figures, and the sums of what went wrong."""
    names = ("requests_per_second", "p50_ms", "p99_ms", "client_cores", "server_cores")
    found: Row = {}
    for name in names:
        known = [row[name] for row in rows if row.get(name) is not None]
        found[name] = round(statistics.median(known), 3) if known else None
    found["other_cores_most"] = max((row.get("other_cores", 0) for row in rows), default=0)
    statuses: dict[str, int] = {}
    for row in rows:
        for status, count in row["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    wrong, lost = (sum(row[name] for row in rows) for name in ("wrong", "lost"))
    difference = max(row["largest_difference"] for row in rows)
    return found | {
        "answers": sum(row["answers"] for row in rows),
        "statuses": statuses,
        "wrong": wrong,
        "lost": lost,
        "largest_difference": float(f"{difference:.1e}"),
    }


def ratios(rounds: Sequence[Mapping[str, Row]]) -> dict[str, float]:
    """Returns how many requests flaxmill answers for one of the others: medians of the rounds."""

    def rate(one: Mapping[str, Row], names: Sequence[str]) -> float:
        return max(one[name]["requests_per_second"] for name in names if name in one)

    pairs = {"the best plain handler": PLAIN, LITSERVE: (LITSERVE,)}
    return {
        label: round(statistics.median(rate(one, OWN) / rate(one, names) for one in rounds), 2)
        for label, names in pairs.items()
    }


def say(line: Mapping[str, Any]) -> None:
    """Prints a line of JSON at once."""
    print(json.dumps(line), flush=True)


def main() -> None:
    """Measures each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("limits", "load"))
    parser.add_argument("--python", help="an interpreter with the peers' packages")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a window, at least")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 128, 1000])
    parser.add_argument("--models", nargs="+", default=list(models.MODELS), choices=models.MODELS)
    parser.add_argument("--others", type=float, default=0.1, help="cores that others may take")
    parser.add_argument("--tries", type=int, default=5, help="windows until then, at most")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait before each")
    arguments = parser.parse_args()
    raise_descriptor_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    if arguments.part == "limits":
        found = {name: rates(name, arguments) for name in arguments.models}
        say({"benchmark": "serve limits", "models": found, "machine": machine()})
        return
    if arguments.python is None:
        parser.error("load needs --python")
    summary = {
        "benchmark": "serve",
        "seconds": arguments.seconds,
        "models": {name: measure(name, arguments) for name in arguments.models},
        "machine": machine(),
    }
    say(summary)


if __name__ == "__main__":
    main()
