"""Commands that ask a model or export it go on in the face of many pictures and lost readers."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import small_runs
from commands import command
from PIL import Image

from flaxmill.export import export
from flaxmill.trained.exported import is_export
from flaxmill.trained.run import TrainedRun


@pytest.fixture(scope="module")
def run(folder: Path, small_data: None) -> TrainedRun:
    return small_runs.train("fashion_mnist", folder / "run")


PEAK = """
import resource
from flaxmill.commands import cli
try:
    cli.main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_photographs_are_made_small_one_after_another(run: TrainedRun, tmp_path: Path) -> None:
    model, photographs = export(run, formats=["stablehlo"]).path, tmp_path / "photographs"
    photographs.mkdir()
    for number in range(16):  # of 36 megabytes each
        Image.new("RGB", (4000, 3000), (number, 0, 0)).save(photographs / f"{number:02}.jpg")

    def peak(files: Path) -> int:
        """Returns the most memory that predict takes for pictures, in megabytes."""
        program = [sys.executable, "-c", PEAK, "predict", str(model), str(files), "--look"]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return int(done.stdout.splitlines()[-1])

    assert peak(photographs) - peak(photographs / "00.jpg") < 150
    assert (tmp_path / "predictions.png").is_file()


def test_an_export_is_written_though_nobody_reads_what_it_says(
    run: TrainedRun, tmp_path: Path
) -> None:
    to = tmp_path / "export"
    words = ["export", str(run.path), "--to", str(to), "--format", "safetensors", "stablehlo"]
    process = subprocess.Popen(
        small_runs.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert not error
    assert is_export(to)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_export_leaves_nothing_behind(
    number: int, run: TrainedRun, tmp_path: Path
) -> None:
    words = ["export", str(run.path), "--to", str(tmp_path / "export")]
    process = subprocess.Popen(
        small_runs.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("stablehlo")  # the other formats are to come
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert error == "flaxmill: stopped; nothing was exported, and what was there before stays.\n"
    assert not list(tmp_path.iterdir())


def test_a_recipe_that_is_not_there_is_named(
    run: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = command(capsys, "evaluate", str(run.path), "--recipe", "absent.py")
    assert status == 2
    assert "--recipe absent.py: there is no such file. A record of it is" in error
