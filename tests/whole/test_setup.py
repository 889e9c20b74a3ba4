"""Setting up, from a checkout alone: what is too old or broken is told or mended, not met again."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Stands for Python: knows its version, makes environments of its own kind, and notes what else it
# was to do. One whose version is less than 3.11 does as such a Python would.
PYTHON = """#!/bin/bash
version={version}
case "$*" in
    -V) echo "Python $version" ;;
    "-c "*) [ "$version" != 3.10.13 ] ;;
    "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
    "-m pip --version") ;;
    "-m pip install "*) echo "$*" >> installed; [ ! -e offline ] ;;
esac
"""


def python(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PYTHON.replace("{version}", version))
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What `make` reads, and nothing else."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make(checkout: Path, target: str, python: Path) -> tuple[int, str]:
    ended = subprocess.run(
        ["make", target, f"PYTHON={python}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        env={**os.environ, "MAKEFLAGS": ""},
    )
    return ended.returncode, ended.stdout + ended.stderr


def installed(checkout: Path) -> list[str]:
    """Returns which extras were installed, in order."""
    lines = (checkout / "installed").read_text().splitlines()
    assert all("--constraint constraints.txt --editable .[" in line for line in lines)
    return [line.rpartition(".[")[2].rstrip("]") for line in lines]


def test_an_old_python_is_named_before_anything_is_made(checkout: Path) -> None:
    old = python(checkout / "python3.10", "3.10.13")
    status, said = make(checkout, ".venv/.usable", old)
    assert status == 2
    assert f"flaxmill needs Python 3.11 or newer with its module venv, and {old} here is " in said
    assert "Python 3.10.13." in said
    assert not (checkout / ".venv").exists()
    status, said = make(checkout, ".venv/.usable", checkout / "absent")
    assert status == 2
    assert "absent here is missing." in said


def test_an_environment_of_an_older_python_or_a_broken_one_is_made_anew(checkout: Path) -> None:
    new = python(checkout / "python3.11", "3.11.7")
    python(checkout / ".venv/bin/python", "3.10.13")
    for _ in ("of an older Python", "broken"):
        status, said = make(checkout, ".venv/.usable", new)
        assert status == 0, said
        assert "The environment .venv is broken, or older than Python 3.11: it is made anew" in said
        (checkout / ".venv/bin/python").unlink()
        (checkout / ".venv/bin/python").symlink_to("/gone/python3.11")
        (checkout / ".venv/.usable").unlink()
    (checkout / ".venv/bin/python").unlink()
    python(checkout / ".venv/bin/python", "3.11.7")
    (checkout / ".venv/of the user").touch()
    assert "made anew" not in make(checkout, ".venv/.usable", new)[1]
    assert (checkout / ".venv/of the user").exists()


def test_who_trains_waits_for_less_than_who_tests_and_nothing_is_done_twice(checkout: Path) -> None:
    new = python(checkout / "python3.11", "3.11.7")
    (checkout / "offline").touch()
    assert make(checkout, ".venv/.usable", new)[0] == 2  # a failed attempt leaves no stamp
    (checkout / "offline").unlink()
    status, said = make(checkout, ".venv/.usable", new)
    assert status == 0
    assert "Installing into .venv, once, which takes some minutes: what trains" in said
    assert "GB on disk" in said
    make(checkout, ".venv/.usable", new)
    assert installed(checkout) == ["onnx,serve", "onnx,serve"]
    make(checkout, ".venv/.ready", new)
    make(checkout, ".venv/.usable", new)
    assert installed(checkout)[2:] == ["dev"]


def test_pip_on_an_old_python_speaks_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    monkeypatch.setattr(sys, "version", "3.10.13 (main, in 2023)")
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "setup.py"))
    assert end.value.code == "flaxmill needs Python 3.11 or newer, and this is Python 3.10.13."
