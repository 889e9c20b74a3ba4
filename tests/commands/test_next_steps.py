"""What a person reads after a training: every command in it runs as it is printed."""

import dataclasses
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import small_runs
from commands import options

from flaxmill import recipes
from flaxmill.commands.train import print_summary
from flaxmill.machine.progress import Words
from flaxmill.trained.run import TrainedRun


def offered(trained: TrainedRun, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Returns the lines of commands."""
    print_summary(Words(), trained)
    return capsys.readouterr().out.partition("Try next:\n")[2].splitlines()


def test_what_the_closing_words_offer_can_be_typed(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = shutil.copytree(trained.path, tmp_path / "a place with spaces")
    commands = [shlex.split(line, comments=True) for line in offered(TrainedRun(place), capsys)]
    assert commands == [
        ["flaxmill", "look", str(place)],
        ["flaxmill", "predict", str(place), "PICTURE.png"],
        ["flaxmill", "serve", str(place)],
        ["flaxmill", "export", str(place)],
        ["flaxmill", "fork", "fashion_mnist", "mine.py"],
    ]


def test_after_a_fork_was_trained_it_is_its_next_version_that_is_offered(
    trained: TrainedRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    fork = recipes.load(str(small_runs.fork(tmp_path / "mine.py")))
    run = TrainedRun(trained.path, recipe=dataclasses.replace(fork))
    run.identity["recipe_file"] = str(fork.file)
    *_, last = offered(run, capsys)
    assert last == (
        "  flaxmill train mine.py --data sketches    # after another edit: a run of its own"
    )
    run.identity["preset"] = "good"
    *_, last = offered(run, capsys)
    assert " train mine.py --preset good --data sketches " in last
    assert {"--preset", "--data"} <= options("train")


def test_the_closing_words_are_found_by_a_shell_without_flaxmill(
    trained: TrainedRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    *most, fork = offered(trained, capsys)
    told = subprocess.run(fork, shell=True, capture_output=True, check=True, text=True)
    assert told.stdout.startswith("wrote mine.py; change it, then: ")
    for line in [*most, told.stdout.partition("then: ")[2]]:
        program, verb, *_ = shlex.split(line, comments=True)
        help = subprocess.run([program, verb, "--help"], capture_output=True, text=True)
        assert f"{program} {verb}" in help.stdout
