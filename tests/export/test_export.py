"""An export answers as the trained model does, says so, and refuses what would not be true."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import small_runs
from commands import command, words
from jax import export as stablehlo
from PIL import Image
from small_runs import ALTERNATIVE

from flaxmill.errors import BadInput
from flaxmill.export import Written, directory_of, export, parity
from flaxmill.export.function import exported_signature
from flaxmill.maths.calibration import log_probabilities
from flaxmill.models import weights
from flaxmill.trained.exported import ENGINES, Exported
from flaxmill.trained.run import TrainedRun


@pytest.fixture(scope="module")
def run(folder: Path, small_data: None) -> TrainedRun:
    """A small network of the fast kind, which averages its answers over two views."""
    how = ALTERNATIVE["fashion_mnist"] | {"validation": 100}  # enough to calibrate by
    return small_runs.train("fashion_mnist", folder / "run", **how)


@pytest.fixture(scope="module")
def written(run: TrainedRun) -> Written:
    """Its export with every format."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "INT8_LOSS", 0.1)  # of 40 examples, few may change their class
        return export(run, quantize="int8")


@pytest.fixture(scope="module")
def reference(run: TrainedRun) -> np.ndarray:
    return run.logits(run.splits().test)


def pictures(run: TrainedRun) -> np.ndarray:
    return run.splits().test.take(np.arange(small_runs.TEST))["image"]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.abs(found - expected).max(-1) / np.abs(expected).max(-1)).max())


@pytest.mark.parametrize("engine", ["jax", "onnx"])
def test_each_engine_answers_as_the_model(
    engine: str, written: Written, run: TrainedRun, reference: np.ndarray
) -> None:
    model = Exported(written.path, engine=engine)
    assert model.digest == run.result["weights_sha256"]
    for count in (1, 3, small_runs.TEST):
        answers = model.outputs(pictures(run)[:count])
        assert {name: (array.shape, array.dtype) for name, array in answers.items()} == {
            "logits": ((count, 10), np.float32),
            "probabilities": ((count, 10), np.float32),
        }
        assert relative(answers["logits"], reference[:count]) < 1e-5
        expected = np.exp(log_probabilities(reference[:count], model.signature.temperature or 1))
        np.testing.assert_allclose(answers["probabilities"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("format", ["stablehlo", "onnx"])
def test_evaluation_of_an_export_is_that_of_its_run(
    format: str, written: Written, run: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    of_run, of_export = (
        json.loads(command(capsys, "evaluate", *words, "--json")[1])
        for words in ([str(run.path)], [str(written.path), "--format", format])
    )
    assert of_export["loss"] == pytest.approx(of_run["loss"], rel=1e-5)
    assert {**of_export, "loss": None} == {**of_run, "loss": None}
    assert {"recipe", "split", "examples", "accuracy", "step", "weights_sha256"} < of_run.keys()


def test_the_directory_is_as_others_rely_on(written: Written, run: TrainedRun) -> None:
    assert {path.name for path in written.path.iterdir()} == {
        *("signature.json", "parity.json", "README.md", "examples"),
        *("model.stablehlo", "model.onnx", "model.int8.onnx", "weights.safetensors"),
    }
    signature = json.loads((written.path / "signature.json").read_text())
    assert signature["format"] == 2
    assert (signature["takes"], signature["gives"]) == ("picture", "one_class")
    assert signature["name"] == "fashion_mnist"
    assert signature["version"] == "1"
    (taken,), given = signature["inputs"], signature["outputs"]
    assert (taken["name"], taken["dtype"], taken["shape"]) == ("image", "uint8", [-1, 28, 28, 1])
    assert [(one["name"], one["dtype"], one["shape"]) for one in given] == [
        ("logits", "float32", [-1, 10]),
        ("probabilities", "float32", [-1, 10]),
    ]
    assert all(one["meaning"] for one in given)
    assert len(signature["labels"]) == 10
    assert {"mode", "resize", "exif", "background"} <= signature["preprocess"].keys()
    assert signature["run"]["weights_sha256"] == run.result["weights_sha256"]
    assert signature["run"]["step"] == run.result["step"]
    assert str(run.path) not in json.dumps(signature)
    assert "flaxmill drew" in signature["licence"]

    found = json.loads((written.path / "parity.json").read_text())
    assert found["format"] == 1
    assert found["examples"] == small_runs.TEST
    assert found["reference"]["accuracy"] == pytest.approx(run.result["test"]["accuracy"])
    assert found["formats"].keys() == {"stablehlo", "onnx", "int8", "safetensors"}
    for name, row in found["formats"].items():
        assert row["bytes"] == (written.path / row["file"]).stat().st_size
        if name != "int8":
            assert row["max_relative_difference"] <= row["tolerance"]["max_relative_difference"]
            assert row["disagreements"] == 0
            assert row["accuracy"] == pytest.approx(found["reference"]["accuracy"])
    assert found["formats"]["safetensors"]["max_abs_difference"] == 0
    small = found["formats"]["int8"]
    assert small["bytes"] < 0.6 * found["formats"]["onnx"]["bytes"]
    assert small["max_abs_difference"] > 0.001  # it was another computation
    card = (written.path / "README.md").read_text()
    for expected in ("model.onnx", "Intended use", "Licence", "Drawn sketches", "Ankle boot"):
        assert expected in card


def test_the_quantised_graph_computes_in_integers(written: Written) -> None:
    graph = onnx.load(written.path / "model.int8.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("QuantizeLinear") >= kinds.count("Conv") > 0
    stored = {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in graph.initializer}
    assert {"INT8", "INT32"} <= stored
    answers = Exported(written.path, engine="int8").outputs(np.zeros((2, 28, 28, 1), np.uint8))
    np.testing.assert_allclose(answers["probabilities"].sum(-1), 1, rtol=1e-5)


def test_stablehlo_is_for_three_kinds_of_device(written: Written) -> None:
    content = (written.path / "model.stablehlo").read_bytes()
    exported = stablehlo.deserialize(bytearray(content))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    (taken,) = exported.in_avals
    assert str(taken.shape[0]) == "batch"
    # On a GPU or TPU too, products are of float32: DEFAULT would round what goes into them.
    text = exported.mlir_module()
    heavy = text.count("stablehlo.convolution(") + text.count("stablehlo.dot_general ")
    assert heavy > 0
    assert "DEFAULT" not in text
    assert text.count("HIGHEST") == 2 * heavy


def test_examples_are_test_pictures_one_of_a_class(written: Written, run: TrainedRun) -> None:
    files = sorted((written.path / "examples").iterdir())
    there = set(run.splits().test.take(np.arange(small_runs.TEST))["label"].tolist())
    assert [int(file.name[:2]) for file in files] == sorted(there)
    stored = {picture.tobytes() for picture in pictures(run)}
    assert all(np.asarray(Image.open(file)).tobytes() in stored for file in files)


def test_weights_begin_another_run(
    written: Written, run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written.path / "weights.safetensors"
    assert weights.digest(weights.read_safetensors(file)) == run.result["weights_sha256"]
    config = dict(run.identity["config"])
    there = {"init_from": str(file), "learning_rate": 1e-9, "dense_rate": 1e-9, "epochs": 0.1}
    options = small_runs.flags({**config, **there})
    status, _, error = command(
        capsys, "train", "fashion_mnist", *options, "--no-report", "--run", str(tmp_path / "on")
    )
    assert not status, error
    ours, begun = run.arrays(), TrainedRun(tmp_path / "on").arrays()
    for name in ours:
        if name.startswith("params"):
            np.testing.assert_allclose(begun[name], ours[name], rtol=1e-3, atol=1e-6)

    options = small_runs.flags({**config, "channels": (16, 8), "init_from": str(file)})
    status, _, error = command(
        capsys, "train", "fashion_mnist", *options, "--run", str(tmp_path / "other")
    )
    assert status == 2
    assert "misshapen: params.network.blocks.1.convolution.kernel is float32[3,3,16,16]" in error
    options = small_runs.flags(
        {**config, "network": "tutorial", "views": "one", "init_from": str(file)}
    )
    status, _, error = command(
        capsys, "train", "fashion_mnist", *options, "--run", str(tmp_path / "third")
    )
    assert status == 2
    assert "missing: params.hidden.kernel" in error
    assert "unexpected: params.network.blocks.0.convolution.kernel" in error


def test_a_format_that_differs_is_not_exported(
    written: Written,
    run: TrainedRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in written.path.rglob("*") if path.is_file()}
    monkeypatch.setattr(parity, "allowed", lambda *_: 1e-12)
    status, out, error = command(capsys, "export", str(run.path), "--format", "onnx")
    assert status == 3
    assert not out
    assert "the format onnx differs from the trained model by" in error
    assert "is allowed (0 of the examples get another answer): nothing was exported" in error
    assert {path: path.read_bytes() for path in before} == before
    assert [path.name for path in written.path.parent.glob(".export*")] == []


def test_what_is_damaged_or_missing_is_named(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written.path, copy)
    content = bytearray((copy / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.onnx").write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.onnx is damaged: it is not the file whose digest"):
        Exported(copy, engine="onnx")
    (copy / "model.int8.onnx").unlink()
    with pytest.raises(BadInput, match=r"holds no model\.int8\.onnx .*--quantize int8"):
        Exported(copy, engine="int8")
    with pytest.raises(BadInput, match=r"no engine is called 'onx'. Did you mean 'onnx'\?"):
        Exported(copy, engine="onx")
    with pytest.raises(BadInput, match="is no export directory"):
        Exported(tmp_path)
    with pytest.raises(BadInput, match=r"image is float32\[1,28,28,1\], expected uint8\[batch,28"):
        Exported(copy).outputs(np.zeros((1, 28, 28, 1), np.float32))
    with pytest.raises(BadInput, match=r"image holds no examples: give one or more\."):
        Exported(copy).outputs(np.zeros((0, 28, 28, 1), np.uint8))
    (copy / "parity.json").write_text('{"format": 2}')
    status, _, error = command(capsys, "evaluate", str(copy))
    assert status == 2
    assert "format 2; this flaxmill reads up to 1" in error


def test_what_cannot_be_exported_is_said(
    run: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    status, _, error = command(capsys, "export", str(run.path), "--to", str(tmp_path / "full"))
    assert status == 2
    assert "full holds other files, and an export would replace them" in error
    assert (tmp_path / "full" / "thesis.tex").exists()
    to = str(tmp_path / "full" / "thesis.tex")
    status, _, error = command(capsys, "export", str(run.path), "--to", to)
    assert status == 2
    assert "thesis.tex is a file: give --to a directory" in error
    status, _, error = command(capsys, "export", str(run.path), "--format", "onx")
    assert status == 2
    assert "'onnx'" in words(error)
    with pytest.raises(BadInput, match=r"no such format. Did you mean 'onnx'\?"):
        export(run, formats=["onx"])
    status, _, error = command(capsys, "evaluate", str(run.path), "--format", "onnx")
    assert status == 2
    assert "--format onnx is of one: flaxmill export RUN makes it" in error


def test_without_onnx_the_others_are_written(
    run: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "jax2onnx", None)  # as if it were not installed
    to = tmp_path / "export"
    status, out, error = command(capsys, "export", str(run.path), "--to", str(to))
    assert status == 0
    assert out.splitlines()[-1] == f"each on {small_runs.TEST} test examples; wrote {to}"
    assert "jax2onnx is not installed: python -m pip install 'jax2onnx>" in error
    assert not (to / "model.onnx").exists()
    assert Exported(to).outputs(pictures(run))["logits"].shape == (small_runs.TEST, 10)
    for asked in (["--format", "onnx"], ["--quantize", "int8"]):
        status, _, error = command(capsys, "export", str(run.path), *asked)
        assert status == 2
        assert "ONNX cannot be written" in error


def test_a_run_means_its_export(run: TrainedRun, written: Written, tmp_path: Path) -> None:
    said: list[str] = []
    assert directory_of(written.path, said.append) == written.path
    assert directory_of(run.path, said.append) == written.path
    assert not said
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy, ignore=shutil.ignore_patterns("export"))
    made = directory_of(copy, said.append)
    assert made == copy / "export"
    assert Exported(made).digest == run.result["weights_sha256"]
    assert said == [f"writing {made}, for {copy} is not exported yet"]
    signature = json.loads((made / "signature.json").read_text())
    signature["run"] |= {"weights_sha256": "of its best checkpoint", "step": 20}
    (made / "signature.json").write_text(json.dumps(signature))
    refused = rf"does not hold the final weights of {copy} but those of step 20: name the export"
    with pytest.raises(BadInput, match=refused):
        directory_of(copy, said.append)
    assert directory_of(made, said.append) == made
    assert len(said) == 1
    with pytest.raises(BadInput, match="is not a run directory"):
        directory_of(tmp_path, said.append)


@pytest.mark.parametrize("format", ENGINES)
def test_predict_asks_an_export(
    format: str, written: Written, run: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = written.path / "examples"
    status, out, _ = command(
        capsys, "predict", str(written.path), str(examples), "--json", "--format", format
    )
    assert status == 0
    rows: list[dict[str, Any]] = list(map(json.loads, out.splitlines()))
    assert [row["picture"] for row in rows] == sorted(map(str, examples.iterdir()))
    seen = np.stack([np.asarray(Image.open(row["picture"]))[..., None] for row in rows])
    expected = Exported(written.path, engine=ENGINES[format]).classify(seen)
    for row, probabilities in zip(rows, expected, strict=True):
        best = row["predictions"][0]
        assert best["probability"] == pytest.approx(probabilities.max(), rel=1e-5)
        assert best["label"] == run.signature.labels[probabilities.argmax()]


def test_an_export_has_no_best_checkpoint(
    written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = command(capsys, "evaluate", str(written.path), "--checkpoint", "best")
    assert status == 2
    assert "is an export, which holds one set of weights" in error


def test_only_logits_are_exported(run: TrainedRun) -> None:
    scores = dataclasses.replace(run.signature.outputs[0], name="scores")
    signature = dataclasses.replace(run.signature, outputs=(scores,))
    with pytest.raises(BadInput, match="gives scores: only models that give logits"):
        exported_signature(signature, licence="", run={})
