"""Files of a run that are emptied, replaced or taken away, between two attempts or during one."""

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_runs
from test_directory import IDENTITY

from flaxmill.errors import BadInput, CannotGoOn, Stopped
from flaxmill.machine.clock import Clock
from flaxmill.machine.progress import Words
from flaxmill.trained.run import TrainedRun
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.directory import RunDirectory
from flaxmill.training.log import checked_rows
from flaxmill.training.options import Options

OFTEN = Options(report=False, save_every=0)
MANY = "has 0 rows, and had"


class Acting(Words):
    """Says nothing, remembers what was said, and does something when the n-th epoch is told."""

    def __init__(self, after: int = 0, act: Callable[[], Any] = lambda: None) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []
        self._left, self._act = after, act

    def say(self, text: str) -> None:
        self.lines.append(text)
        self._left -= text.startswith("Epoch")
        if self._left == 0 and text.startswith("Epoch"):
            self._act()


def train(run: Path, words: Words | None = None) -> TrainedRun:
    return small_runs.train("mnist", run, OFTEN, words=words or Acting())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> TrainedRun:
    """A finished run."""
    return train(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> Path:
    """A run that was stopped on its way."""
    run = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.raises(Stopped):
        train(run, Acting(3, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    return run


def test_what_is_lost_between_attempts_is_told_and_made_again(
    stopped: Path, whole: TrainedRun, tmp_path: Path
) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    for name in ("metrics.jsonl", "recipe.py", "manifest.json"):
        (run / name).write_bytes(b"")
    shutil.rmtree(run / "tensorboard")
    words = Acting()
    with pytest.warns(UserWarning, match=rf"metrics\.jsonl {MANY} \d+: those that the checkpoint"):
        resumed = train(run, words)
    small_runs.assert_same_run(resumed, whole)
    assert resumed.result["best"]["step"] == whole.result["best"]["step"]
    output = "\n".join(words.lines)
    assert f"{run / 'manifest.json'} is missing or empty: what it said of the attempts" in output
    assert f"{run / 'recipe.py'} is missing or empty: it is written again." in output
    assert (run / "recipe.py").read_bytes() == (whole.path / "recipe.py").read_bytes()
    assert list((run / "tensorboard").iterdir())


def test_a_run_whose_checkpoints_are_gone_says_so_and_its_log_is_kept_whole(
    stopped: Path, whole: TrainedRun, tmp_path: Path
) -> None:
    run = shutil.copytree(stopped, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")

    def act() -> None:
        (run / "metrics.jsonl").unlink()
        shutil.rmtree(run / "tensorboard")

    words = Acting(2, act)
    with pytest.warns(UserWarning, match=r"metrics\.jsonl was changed or taken away while"):
        small_runs.assert_same_run(train(run, words), whole)
    assert "No checkpoint of this run is there: it begins again." in words.lines
    assert list((run / "tensorboard").iterdir())


def test_the_log_of_a_finished_run_is_read_from_its_checkpoint_where_it_is_lost(
    whole: TrainedRun, tmp_path: Path
) -> None:
    trained = TrainedRun(shutil.copytree(whole.path, tmp_path / "run"))
    (trained.path / "metrics.jsonl").unlink()
    (trained.path / "manifest.json").unlink()  # which nothing but the report needs
    with pytest.warns(UserWarning, match=MANY):
        assert trained.rows == whole.rows


def test_rows_that_are_not_those_of_the_checkpoint_are_told(tmp_path: Path) -> None:
    rows = [{"step": step, "split": "train", "loss": step / 4} for step in range(1, 6)]
    for logged, words in (
        (rows[1:], "has 4 rows, and had 5"),
        ([*rows[:4], rows[4] | {"loss": 0.0}, {**rows[4], "step": 6}], "has other rows than were"),
    ):
        with pytest.warns(UserWarning, match=rf"log {words}"):
            assert checked_rows(tmp_path / "log", logged, rows)[:5] == rows
    assert checked_rows(tmp_path / "log", rows, rows[:3]) == rows  # without a word


@pytest.mark.parametrize("name", ["٣", "٩٩٩", "00999", "²", "9_9"])
def test_only_what_is_called_as_a_step_is_a_checkpoint(
    name: str, stopped: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(stopped / "checkpoints", tmp_path / "checkpoints")
    known = Checkpoints(folder).steps()
    shutil.copytree(folder / str(known[-1]), folder / name)
    (folder / "1000").write_text("a file, and no folder")
    assert Checkpoints(folder).steps() == known
    restored = Checkpoints(folder).restore_newest()
    assert restored is not None
    assert (folder / name).is_dir()  # neither read nor set aside


@pytest.mark.parametrize("how", ["renamed", "replaced"])
def test_a_directory_that_goes_while_a_run_trains_ends_it(
    how: str, stopped: Path, whole: TrainedRun, tmp_path: Path
) -> None:
    run, aside = tmp_path / "run", tmp_path / "aside"

    def act() -> None:
        run.rename(aside)
        if how == "replaced":
            shutil.copytree(stopped, run)

    words = rf"{run} was renamed, replaced or deleted while this run trained in it, or its file lo"
    with pytest.raises(CannotGoOn, match=words):
        train(run, Acting(2, act))
    if how == "replaced":  # by another run, into which nothing was written
        assert small_runs.figures(run) == small_runs.figures(stopped)
    else:
        assert not run.exists()
        small_runs.assert_same_run(train(aside), whole)


def test_a_directory_is_known_by_its_lock(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with directory.locked():
        place = directory.place()
        with pytest.warns(UserWarning, match=r"config\.json is gone: it is written again"):
            directory.check_place(place, IDENTITY)
        assert directory.read("config.json")["seed"] == IDENTITY.seed
        directory.check_place(place, IDENTITY)
        for harm in ((directory.path / "lock").unlink, lambda: shutil.rmtree(directory.path)):
            harm()
            with pytest.raises(CannotGoOn, match="or its file lock was: nothing more is written"):
                directory.check_place(place, IDENTITY)


@pytest.mark.parametrize("named", [True, False])
def test_checkpoints_without_a_config_are_not_gone_on_with(
    named: bool, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order = small_runs.order("mnist", Path("run"), OFTEN)
    place = Path("run") if named else Path("runs") / f"mnist-{order.preset}-0"
    shutil.copytree(stopped, place)
    (place / "config.json").unlink()
    with pytest.raises(BadInput, match=r"holds other files and no run \(no config\.json\)"):
        small_runs.execute(replace(order, run=place if named else None), Acting(), Clock())
