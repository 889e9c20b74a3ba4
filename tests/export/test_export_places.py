"""An export comes whole to where it is asked for, and one that was damaged is refused in words."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_runs
from commands import command

from flaxmill.errors import BadInput
from flaxmill.export import _replace, export
from flaxmill.serve.limits import USUAL
from flaxmill.serve.settings import settings
from flaxmill.trained.exported import Exported, is_export
from flaxmill.trained.run import TrainedRun


@pytest.fixture(scope="module")
def run(folder: Path, small_data: None) -> TrainedRun:
    return small_runs.train("fashion_mnist", folder / "run")


@pytest.fixture(scope="module")
def written(run: TrainedRun) -> Path:
    return export(run, formats=["stablehlo"]).path


def test_a_link_goes_on_pointing_to_the_export(run: TrainedRun, tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.mkdir()
    link.symlink_to(there)
    for _ in range(2):  # the second replaces the first
        assert export(run, link, formats=["safetensors"]).path == link
        assert link.is_symlink()
        assert is_export(there)
        assert {path.name for path in tmp_path.iterdir()} == {"there", "link"}


def test_what_a_killed_export_left_goes_with_the_next_and_with_a_server(
    run: TrainedRun, tmp_path: Path
) -> None:
    place, left = tmp_path / "export", tmp_path / ".export.0123abcd"
    for start in (
        lambda: export(run, place, formats=["stablehlo"]),
        lambda: settings(place, engine=None, token_file=None, limits=USUAL, workers=1, threads=0),
    ):
        (left / "examples").mkdir(parents=True)
        (left / "signature.json").write_text("{}")
        start()
        assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_what_cannot_be_replaced_as_a_whole_is_said(
    run: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for to, kind in ((".", "the directory that you are in"), ("/", "a mount point")):
        status, _, error = command(capsys, "export", str(run.path), "--to", to)
        assert status == 2
        assert f"{to} is {kind}" in error
        assert f"give --to a new directory, such as {Path(to) / 'export'}" in error
    assert not list(tmp_path.iterdir())


def test_a_place_where_nothing_can_be_made_is_named(
    run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    to = tmp_path / "thesis.tex" / "export"
    status, _, error = command(capsys, "export", str(run.path), "--to", str(to))
    assert status == 2
    assert f"{to} cannot be made (Not a directory): give --to a place that can be" in error


def test_exports_to_one_place_at_once_leave_one_whole(tmp_path: Path) -> None:
    """Many rounds, for the moment in which two meet is short."""
    to, failed, together = tmp_path / "export", [], threading.Barrier(3)

    def replace(name: str) -> None:
        for number in range(100):
            staged = tmp_path / f"{name}-{number}"
            staged.mkdir()
            (staged / "model").write_text(name)
            together.wait()
            try:
                _replace(staged, to)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=replace, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    assert (to / "model").read_text() in "abc"


def test_the_card_speaks_of_what_was_written(
    written: Path, run: TrainedRun, tmp_path: Path
) -> None:
    card = (written / "README.md").read_text()
    assert "With JAX" in card
    assert "model.onnx" not in card
    assert "weights.safetensors" not in card
    assert ".\n\nThe probabilities are the plain softmax" in card  # a paragraph
    code = "\n".join(re.findall("```python\n(.*?)```", card, re.DOTALL))
    assert "def preprocess(" in code
    subprocess.run([sys.executable, "-c", code], cwd=written, check=True, timeout=120)
    card = (
        export(run, tmp_path / "weights", formats=["safetensors"]).path / "README.md"
    ).read_text()
    assert "--init-from weights.safetensors" in card
    assert "## Run it" not in card
    assert "\n\n\n\n" not in card


def _lacking(*keys: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        ("parity.json", _lacking("formats"), "parity.json lacks formats: it was damaged"),
        ("parity.json", _lacking("formats", "stablehlo", "file"), "lacks formats.stablehlo.file"),
        ("parity.json", _lacking("formats", "stablehlo", "sha256"), "Export the run again"),
        ("signature.json", _lacking("inputs", 0), "has 0 values at inputs, expected 1 to"),
        ("signature.json", _lacking("outputs"), "signature.json lacks outputs"),
        (
            "signature.json",
            lambda content: content["inputs"][0].update(dtype="pixels"),
            "has 'pixels' at inputs.0..dtype, expected one of 'bool', 'int8'",
        ),
        (
            "signature.json",
            lambda content: content["inputs"][0].update(shape=[-1, 65536, 65536, 1]),
            "at inputs.0..shape, of which one example takes 4,294,967,296 bytes, expected up to",
        ),
        (
            "signature.json",
            lambda content: content["inputs"][0].update(shape=[-1, 32, 32, 1]),
            r"takes 'uint8.-1,28,28,1.', and its signature.json says 'uint8.-1,32,32,1.': the two",
        ),
        (
            "signature.json",
            lambda content: content["outputs"][0].update(name="scores"),
            "gives 'logits float32.-1,10.', 'probabilities .*says 'probabilities .*'scores float32",
        ),
        ("signature.json", lambda content: content.update(labels=[1] * 10), "has 1 at labels.0."),
        (
            "signature.json",
            lambda content: content["preprocess"].update(fit="stretch"),
            "has 'stretch' at preprocess.fit, expected one of 'pad', 'pad to a square', 'crop', 's",
        ),
        ("signature.json", _lacking("labels", 3), "signature.json has 9 labels for 10 scores"),
        (
            "signature.json",
            _lacking("run", "weights_sha256"),
            "signature.json lacks run.weights_sha256",
        ),
    ],
)
def test_a_damaged_record_is_named(
    file: str, change: Callable[[Any], None], expected: str, written: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    content = json.loads((copy / file).read_text())
    change(content)
    (copy / file).write_text(json.dumps(content))
    with pytest.raises(BadInput, match=expected):
        Exported(copy)


def test_an_export_that_lost_its_origin_still_answers(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    content = json.loads((copy / "signature.json").read_text())
    del content["run"]["data"], content["run"]["config"]
    (copy / "signature.json").write_text(json.dumps(content))
    model = Exported(copy)
    (example, *_) = (copy / "examples").iterdir()
    assert model.predict(example)[0]["picture"] == str(example)
    with pytest.raises(BadInput, match=r"signature\.json lacks run\.config, run\.data: "):
        model.evaluate()


def test_what_the_examples_do_not_have_is_named(written: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    content = json.loads((copy / "signature.json").read_text())
    content["inputs"][0]["name"] = "picture"
    (copy / "signature.json").write_text(json.dumps(content))
    words = r"signature\.json says that the model takes 'picture', and the examples have 'image'"
    with pytest.raises(BadInput, match=words):
        Exported(copy).evaluate()


def test_the_best_checkpoint_is_exported_if_asked_for(
    run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = TrainedRun(run.path, checkpoint="best")
    to = tmp_path / "best"
    words = ["--to", str(to), "--checkpoint", "best", "--format", "stablehlo", "--json"]
    status, out, _ = command(capsys, "export", str(run.path), *words)
    assert status == 0
    assert json.loads(out)["formats"].keys() == {"stablehlo"}
    assert Exported(to).digest == best.weights_sha256()
    assert Exported(to).signature.run["step"] == best.step
