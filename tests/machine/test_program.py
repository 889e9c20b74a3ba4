"""A command that a message shows runs as it is printed, however flaxmill was started."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from flaxmill.machine import program
from flaxmill.machine.program import command_line, install_command, shell_path

SCRIPTS = sysconfig.get_path("scripts")
SCRIPT = os.path.join(SCRIPTS, "flaxmill")


@pytest.fixture
def bare_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A shell's PATH without flaxmill; returns the current folder."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_its_name_is_enough_where_a_shell_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT])
    assert command_line("train mnist") == "flaxmill train mnist"
    assert command_line() == "flaxmill"


def test_another_program_of_that_name_is_not_meant(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(bare_path / "bin" / "flaxmill")
    started = executable(bare_path / "a place" / "flaxmill")
    monkeypatch.setattr(sys, "argv", [str(started)])
    assert command_line("recipes") == "'a place/flaxmill' recipes"


def test_a_program_that_lies_elsewhere_is_named_in_full(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = executable(bare_path / "venv" / "bin" / "flaxmill")
    monkeypatch.setattr(sys, "argv", [str(started)])
    assert command_line("recipes") == "venv/bin/flaxmill recipes"
    (bare_path / "else").mkdir()
    monkeypatch.chdir(bare_path / "else")
    assert command_line("recipes") == f"{started} recipes"
    monkeypatch.chdir(started.parent)
    assert command_line("recipes") == "./flaxmill recipes"


def test_a_module_is_started_as_a_module_again(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(program.__file__).parents[1] / "__main__.py")])
    assert command_line("recipes") == f"{shlex.quote(sys.executable)} -m flaxmill recipes"
    monkeypatch.setenv("PATH", SCRIPTS)
    assert command_line("recipes") == f"{Path(sys.executable).name} -m flaxmill recipes"


def test_a_notebook_is_told_the_program_beside_its_python(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py"])
    assert command_line("recipes") == f"{shlex.quote(SCRIPT)} recipes"
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(bare_path))  # there is none
    assert command_line("recipes") == f"{shlex.quote(sys.executable)} -m flaxmill recipes"


def test_an_extra_is_installed_by_the_names_of_its_packages(
    bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(install_command("onnx"))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert [word.partition(">")[0] for word in words[4:]] == ["jax2onnx", "onnx", "onnxruntime"]
    core = [re.match(r"[\w-]+", word) for word in shlex.split(install_command())[4:]]
    assert [name[0] for name in core if name][:3] == ["jax", "flax", "optax"]
    monkeypatch.setattr(program, "NAME", "no-such-package")  # a checkout that is not installed
    checkout = Path(program.__file__).parents[2]
    assert shlex.split(install_command("onnx"))[4:] == [f"{checkout}[onnx]"]


def test_paths_are_short_and_quoted(bare_path: Path) -> None:
    assert shell_path(bare_path / "my runs" / "one") == "'my runs/one'"
    assert shell_path("/etc/hosts") == "/etc/hosts"
    assert shell_path("..here") == "..here"


@pytest.mark.parametrize("how", [[SCRIPT], [sys.executable, "-m", "flaxmill"]])
def test_what_help_shows_is_found_by_a_shell_without_flaxmill(how: list[str]) -> None:
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    assert shutil.which("flaxmill", path=environment["PATH"]) is None
    process = subprocess.run([*how, "train"], env=environment, capture_output=True, text=True)
    offered = process.stderr.partition("first: ")[2].partition(" RECIPE")[0]
    again = subprocess.run(
        f"{offered} --help", shell=True, env=environment, capture_output=True, text=True
    )
    assert again.returncode == 0
    assert again.stdout.startswith(f"usage: {offered} RECIPE")
