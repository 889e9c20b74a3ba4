"""Runs of every kind are exported: in half precision, of several seeds, of a fork."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import small_runs
from commands import command
from jax import export as stablehlo

from flaxmill.export import export
from flaxmill.trained.exported import Exported


def test_training_in_half_precision_is_exported_in_float32(folder: Path, small_data: None) -> None:
    run = small_runs.train("fashion_mnist", folder / "half", precision="bfloat16")
    written = export(run, formats=["stablehlo", "onnx"])
    graph = onnx.load(written.path / "model.onnx").graph
    stored = {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in graph.initializer}
    assert stored <= {"FLOAT", "INT64", "INT32"}
    assert (
        "bf16"
        not in stablehlo.deserialize(
            bytearray((written.path / "model.stablehlo").read_bytes())
        ).mlir_module()
    )
    assert written.parity["formats"]["onnx"]["disagreements"] == 0


def test_several_seeds_are_exported_as_the_ensemble_they_are(
    folder: Path, small_data: None
) -> None:
    run = small_runs.train("fashion_mnist", folder / "seeds", seeds=2, validation=0)
    written = export(run)
    model = Exported(written.path, engine="onnx")
    pictures = run.splits().test.take(np.arange(small_runs.TEST))["image"]
    expected = run.classify(pictures)
    np.testing.assert_allclose(model.classify(pictures), expected, rtol=1e-4, atol=1e-6)
    assert model.signature.temperature is None  # nothing was held out to fit it on
    assert "plain softmax" in (written.path / "README.md").read_text()
    assert "whose 2 models answer together" in (written.path / "README.md").read_text()


def test_nothing_of_this_machine_goes_into_an_export(
    folder: Path,
    small_data: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fork = small_runs.fork(folder / "mine.py")
    run = small_runs.train(str(fork), folder / "forked")
    written = export(run, folder / "elsewhere", formats=["stablehlo"])
    content = b"".join(path.read_bytes() for path in written.path.rglob("*") if path.is_file())
    assert str(folder).encode() not in content
    assert Exported(written.path).signature.run["recipe_file"] == "mine.py"
    status, _, error = command(capsys, "evaluate", str(written.path))
    assert status == 2
    assert "lay at mine.py and is gone: give --recipe FILE" in error
    assert f"There is no record of it at {folder / 'recipe.py'}." in error
    monkeypatch.chdir(folder)  # where the file is: it is run if it was trained by this user
    assert command(capsys, "evaluate", str(written.path))[0] == 0
    monkeypatch.setenv("FLAXMILL_TRUSTED", "of another user")
    status, _, error = command(capsys, "evaluate", str(written.path))
    assert status == 2
    assert "nothing is run unasked. Read mine.py; then give --trust to run it" in error
    status, out, error = command(
        capsys, "evaluate", str(written.path), "--recipe", str(fork), "--json"
    )
    assert status == 0, error
    assert json.loads(out)["accuracy"] == run.result["test"]["accuracy"]
