"""Limits that the documentation names are those of the code; its examples leave room for them."""

import re
from dataclasses import asdict
from pathlib import Path

from flaxmill.data.pictures import bounds
from flaxmill.machine import files
from flaxmill.serve.limits import Limits
from flaxmill.tasks.signature import EXAMPLE_BYTES
from flaxmill.training import log

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text("utf-8")


def number(pattern: str, text: str) -> int:
    """Returns the number in a text that a pattern finds."""
    found = re.search(pattern, text)
    assert found is not None, pattern
    return int(found[1])


def test_the_page_of_security_has_every_limit_of_the_server() -> None:
    rows = re.findall(
        r"^\| `--([a-z-]+)` \| ([\d,.]+)(?: (KiB|MiB|s))? \| \S.* \|$",
        page("security"),
        flags=re.M,
    )
    scale = {"KiB": 2**10, "MiB": 2**20}
    said = {
        name.replace("-", "_"): float(number.replace(",", "")) * scale.get(unit, 1)
        for name, number, unit in rows
    }
    assert said == {name: float(value) for name, value in asdict(Limits()).items()}


def test_the_page_of_security_has_the_limits_of_files() -> None:
    text = page("security")
    for row in (
        f"| a JSON file of a run or an export | {files.JSON_BYTES >> 20} MiB,",
        f"| `metrics.jsonl` | {log.BYTES >> 20} MiB |",
        f"| one example of a model | {EXAMPLE_BYTES >> 20} MiB |",
        f"| {files.UNPACKED} times its bytes, or {files.UNPACKED_ANYWAY >> 20} MiB |",
        f"| {files.ROWS_ANYWAY:,}, or one for each {files.ROW_BYTES} bytes |",
        f"| a picture, decoded | {bounds.MOST_BYTES >> 20} MiB, {bounds.MOST_SCANS} scans |",
    ):
        assert row in text


def test_the_page_of_serving_has_the_same() -> None:
    rows = dict(re.findall(r"^\| (`--[a-z-]+`) \| ([^|]+?) \|", page("serving"), flags=re.M))
    told = dict(re.findall(r"^\| (`--[a-z-]+`) \| ([^|]+?) \|", page("security"), flags=re.M))
    shared = rows.keys() & told.keys()
    assert len(shared) >= 15
    assert {name: rows[name] for name in shared} == {
        name: told[name].removesuffix(" s") for name in shared
    }


def test_the_examples_of_serving_leave_room_for_the_limits() -> None:
    """A proxy, systemd and Kubernetes must not cut off what the server takes."""
    text, limits = page("serving"), Limits()
    assert number(r"client_max_body_size (\d+)m;", text) << 20 == limits.max_body_bytes
    assert number(r"LimitNOFILE=(\d+)", text) > 2 * limits.connections
    assert number(r"TimeoutStopSec=(\d+)", text) > limits.grace
    pause = number(r'command: \[sleep, "(\d+)"\]', text)
    assert number(r"terminationGracePeriodSeconds: (\d+)", text) > limits.grace + pause
    idle = number(r"the server takes (\d+) MiB idle", text)
    most = number(r"summed over all processes, was (\d+)\s+MiB", text)
    held = (limits.max_buffered_bytes + limits.max_unread_bytes) >> 20
    granted = (
        number(r"limits: \{memory: (\d+)Gi\}", text) << 10,
        number(r"MemoryMax=(\d+)G", text) << 10,
    )
    assert min(granted) > 1.5 * (idle + most + held)
