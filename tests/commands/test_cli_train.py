"""The command `train` as a person types it: what it says, refuses, sets aside and goes on with."""

import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import small_runs
from commands import command
from forbidding import forbidden

from flaxmill.commands import cli
from flaxmill.trained.run import TrainedRun

pytestmark = pytest.mark.usefixtures("small_data")
SMALL = small_runs.flags(small_runs.SMALL["fashion_mnist"])


def test_a_finished_run_prints_its_result_again(
    trained: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    options = small_runs.flags(trained.identity["config"])
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "fashion_mnist", *options, "--run", str(trained.path)])
    out = capsys.readouterr().out
    assert not end.value.code
    assert "is finished" in out
    assert f"{trained.result['test']['accuracy']:.2%}".replace("%", " %") in out


def test_a_dry_run_says_what_would_be_done_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = command(capsys, "train", "fashion_mnist", *SMALL, "--dry-run")
    assert status == 0
    for said in (
        "drawn garments (sketches): 160 train, 40 validation, 40 test",
        "25 of 16 examples (epochs: 2.5)",
        "training takes about",
    ):
        assert said in out
    assert "Epoch" not in out
    assert list(tmp_path.iterdir()) == []


def test_fresh_sets_the_old_run_aside_and_trains_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, old = tmp_path / "run", tmp_path / "run-old-1"
    again = ["train", "fashion_mnist", *SMALL, "--no-report", "--run", str(run)]
    assert command(capsys, *again)[0] == 0
    first = (run / "result.json").read_text()
    status, out, _ = command(capsys, *again, "--fresh")
    assert status == 0
    assert f"The old run is now {old}." in out
    assert (old / "result.json").read_text() == first
    second = json.loads((run / "result.json").read_text())
    assert second["weights_sha256"] == json.loads(first)["weights_sha256"]
    assert second["attempts"] == 1


def test_init_from_takes_the_weights_and_nothing_else(
    trained: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    small_runs.fork(
        Path("mine.py"),  # keeps the state that its loop begins with
        ("import jax\n", "import jax\nimport numpy as np\n"),
        ("import State, create_state", "import State, create_state, to_arrays"),
        ("    smoothed =", "    np.savez('begun.npz', **to_arrays(state))\n    smoothed ="),
    )

    def begun(*options: str) -> dict[str, np.ndarray]:
        arguments = ["train", "mine.py", *SMALL, "--ema", "0.9", "--dry-run", *options]
        assert command(capsys, *arguments)[0] == 0
        with np.load("begun.npz") as found:
            return dict(found)

    fresh, taken = begun(), begun("--init-from", str(trained.path))
    given = trained.arrays()
    averages = {name.replace("params.", "average.0."): array for name, array in given.items()}
    expected = fresh | given | averages  # so step and optimizer are as in a fresh state
    assert taken.keys() == expected.keys() == fresh.keys()
    assert taken["step"] == 0
    assert any((fresh[name] != array).any() for name, array in given.items())
    for name, array in expected.items():
        np.testing.assert_array_equal(taken[name], array, err_msg=name)


def test_a_fork_is_trained_then_edited_then_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(capsys, "fork", "fashion_mnist", "mine.py")[0] == 0
    fork, loop = Path("mine.py"), "    for chunk in batches("
    mine = fork.read_text().replace(loop, f'    run.words.say("a loop of mine")\n{loop}')
    fork.write_text(mine)
    train = ["train", "mine.py", *SMALL, "--no-report", "--run", "run"]
    status, out, _ = command(capsys, *train)
    assert status == 0
    assert "a loop of mine" in out

    fork.write_text(mine.replace("a loop of mine", "another loop"))
    status, out, error = command(capsys, *train)
    assert status == 2
    assert "another loop" not in out
    assert f"the recipe {fork.resolve()} was edited: its text had the digest" in error

    # What the run was trained by is read from its own record now, and no --recipe is asked for.
    expected = json.loads(Path("run/result.json").read_text())["weights_sha256"]
    Path("moved").mkdir()
    for _ in ("edited", "gone"):
        status, out, error = command(capsys, "evaluate", "run", "--json")
        assert status == 0, error
        assert json.loads(out)["weights_sha256"] == expected
        if fork.exists():
            fork.rename("moved/mine.py").write_text(mine)
    for file in ("moved/mine.py", "run/recipe.py"):  # the file itself, and the run's record of it
        status, out, _ = command(capsys, "evaluate", "run", "--recipe", file, "--json")
        assert status == 0
        assert json.loads(out)["weights_sha256"] == expected

    record = Path("run/recipe.py").read_text()
    Path("run/recipe.py").write_text(record + "# a line more\n")
    status, _, error = command(capsys, "evaluate", "run")
    assert status == 2
    assert f"lay at {fork.resolve()} and is gone: give --recipe FILE with the text" in error
    assert "run/recipe.py is no record of it any more: its text was changed." in error


def test_the_run_directory_of_another_recipe_is_refused(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fork = small_runs.fork(tmp_path / "mine.py")
    before = {path: path.stat().st_mtime_ns for path in trained.path.rglob("*")}
    status, _, error = command(capsys, "train", str(fork), *SMALL, "--run", str(trained.path))
    assert status == 2
    assert "is a run of the recipe fashion_mnist, not of mine: choose another --run" in error
    assert {path: path.stat().st_mtime_ns for path in trained.path.rglob("*")} == before


def test_a_run_directory_that_may_not_be_written_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # for pytest's own are closed to other users
        run = Path(folder, "run")
        with forbidden(Path(folder), mode=0o555):
            if not os.access(folder, os.X_OK, effective_ids=True):
                pytest.skip(f"needs a temporary folder that every user may enter, not {folder}")
            status, _, error = command(capsys, "train", "fashion_mnist", *SMALL, "--run", str(run))
        assert status == 2
        assert f"the run directory {run} cannot be written (Permission denied): choose" in error
        assert os.listdir(folder) == []


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_goes_on(
    number: signal.Signals, tmp_path: Path, python: str
) -> None:
    options = shlex.split(
        "--data sketches --epochs 40 --channels 2 4 --hidden 8 --no-report --run run"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XLA_FLAGS": ""}
    program = [python, "-m", "flaxmill", "train", "fashion_mnist", *options]

    def start() -> subprocess.Popen[str]:
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(program, cwd=tmp_path, env=environment, **out)

    with start() as process:
        assert process.stdout is not None
        guard = threading.Timer(120, process.kill)
        guard.start()
        for line in process.stdout:
            if line.startswith("Epoch"):
                process.send_signal(number)
                break
        said = process.stdout.read()
    guard.cancel()
    assert process.returncode == 128 + number
    assert f"{number.name}: saving" in said
    step = max(int(path.name) for path in (tmp_path / "run" / "checkpoints").glob("[0-9]*"))
    assert f"flaxmill: stopped; step {step:,} is saved in run, and the same command" in said
    with start() as process:
        assert process.stdout is not None
        resumed = next(line for line in process.stdout if line.startswith("Resuming"))
        process.kill()
    assert f"step {step:,} of" in resumed
