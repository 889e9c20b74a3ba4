"""A recipe of one's own whose model gives something else than classes: everything but these."""

import numpy as np
import pytest
import small_runs
from commands import command

from flaxmill.export import export
from flaxmill.trained.exported import Exported
from flaxmill.trained.run import TrainedRun

SIGNED = """    found = picture_signature("fashion_mnist", splits, dark_ground=True)
    codes = Tensor("codes", "float32", (-1, 10), "numbers of its own")
    return replace(found, gives="tensors", outputs=(codes,), labels=())
"""
EDITS = (
    ('    return picture_signature("fashion_mnist", splits, dark_ground=True)\n', SIGNED),
    ("len(signature.labels))", "10)"),
    ("tasks.signature import Signature\n", "tasks.signature import Signature, Tensor\n"),
    ("from dataclasses import dataclass\n", "from dataclasses import dataclass, replace\n"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> TrainedRun:
    folder = tmp_path_factory.mktemp("tensors")
    file = small_runs.fork(folder / "codes.py", *EDITS)
    return small_runs.train(str(file), folder / "run")


def test_it_is_asked_evaluated_and_exported_as_any_other(
    run: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = run.splits().test[0]["image"]
    raw = np.asarray(run.outputs(picture[None]), np.float64)[0]
    (answer,) = run.predict([picture])
    np.testing.assert_allclose(answer["output"], raw, rtol=1e-6)
    written = export(run)
    rows = written.parity["formats"]
    assert rows.keys() == {"stablehlo", "onnx", "safetensors"}
    for row in rows.values():
        assert (row["accuracy"], row["disagreements"]) == (None, 0)
        assert row["max_relative_difference"] <= row["tolerance"]["max_relative_difference"]
    for engine in ("jax", "onnx"):
        exported = Exported(written.path, engine=engine)
        assert list(exported.outputs(picture[None])) == ["codes"]
        (again,) = exported.predict([picture])
        np.testing.assert_allclose(again["output"], raw, rtol=1e-4, atol=1e-5)
        small = str(small_runs.SMALL["fashion_mnist"]["data"])
        loss = exported.evaluate(small)["loss"]
        assert loss == pytest.approx(run.result["test"]["loss"], rel=1e-4)
    file = str(next((written.path / "examples").glob("*.png")))
    status, out, _ = command(capsys, "predict", str(written.path), file)
    assert status == 0 and "[" in out and "%" not in out


def test_the_card_and_the_page_speak_of_no_classes(run: TrainedRun) -> None:
    card = (export(run).path / "README.md").read_text()
    assert "numbers of its own" in card and '(codes,) = session.run(["codes"]' in card
    assert "Classes" not in card and "probabilities" not in card
    page = run.report().read_text()
    assert 'id="result"' in page and 'id="confusion"' not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["look"], "this model gives tensors, as its signature says"),
        (["export", "--quantize", "int8"], "is judged by the accuracy that it costs"),
        (["export", "--format", "web"], "leave the format web out"),
    ],
)
def test_what_needs_classes_is_refused(
    run: TrainedRun, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *options = arguments
    status, _, error = command(capsys, verb, str(run.path), *options)
    assert status == 2
    assert words in error
