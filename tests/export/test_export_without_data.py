"""A run whose data is gone is exported and served all the same, and says what it was checked on."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from commands import command
from flax import nnx

from flaxmill.errors import BadInput
from flaxmill.export import directory_of, export, parity
from flaxmill.export.formats import ExportedModel
from flaxmill.export.made import COUNT, made_splits
from flaxmill.models import weights
from flaxmill.tasks.signature import Signature, Tensor
from flaxmill.trained.exported import Exported
from flaxmill.trained.run import TrainedRun

pytestmark = pytest.mark.usefixtures("small_data")


@pytest.fixture
def orphan(trained: TrainedRun, tmp_path: Path) -> Path:
    """A run that was trained on other pictures than those that are here now."""
    copy = Path(shutil.copytree(trained.path, tmp_path / "orphan"))
    config = json.loads((copy / "config.json").read_text())
    config["data"] = {"title": "my pets", "drawn": False, "digests": {"pets": "gone"}}
    (copy / "config.json").write_text(json.dumps(config))
    return copy


def test_it_is_checked_on_made_inputs(orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--format", "stablehlo", "safetensors"]
    status, out, _ = command(capsys, "export", str(orphan), *words)
    assert status == 0
    assert f"each on {COUNT} made inputs, since the run's data is not here; wrote" in out
    assert "accuracy" not in out
    found = json.loads((orphan / "export" / "parity.json").read_text())
    assert (found["split"], found["examples"], found["data"]) == ("made", COUNT, "my pets")
    assert found["reference"]["accuracy"] is None
    for row in found["formats"].values():
        assert row["accuracy"] is None
        assert row["max_relative_difference"] <= row["tolerance"]["max_relative_difference"]
    card = (orphan / "export" / "README.md").read_text()
    assert f"{COUNT} made inputs (random spots) when the files were written" in card
    assert not (orphan / "export" / "examples").exists()
    shipped = Exported(orphan / "export")
    picture = np.zeros((1, 28, 28, 1), np.uint8)
    np.testing.assert_allclose(
        shipped.classify(picture), TrainedRun(orphan).classify(picture), rtol=1e-5
    )


def test_it_is_served_and_the_advice_is_a_command_that_has_the_option(orphan: Path) -> None:
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flaxmill.export.PLAIN", ("stablehlo",))
        assert directory_of(orphan, said.append) == orphan / "export"
    assert f"checked on {COUNT} made inputs, since the run's data is not here" in said[1]
    assert f"export {orphan} --data DIR checks it on test examples" in said[1]


def test_data_that_is_asked_for_must_be_there(orphan: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        export(TrainedRun(orphan), data=str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match=r"--quantize int8 measures ranges on training examples"):
        export(TrainedRun(orphan), quantize="int8")
    assert not (orphan / "export").exists()


def test_what_hinders_serving_names_the_command_that_has_the_options(
    orphan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BadInput("give --recipe FILE.")

    monkeypatch.setattr("flaxmill.export.export", refuse)
    words = r"none can be written: give --recipe FILE\. \(The options are those of .* export "
    with pytest.raises(BadInput, match=words):
        directory_of(orphan, lambda _: None)


@pytest.mark.parametrize("shape", [(28, 28, 1), (16, 40, 3), (1, 1, 3)])
def test_made_pictures_are_coarse_and_fine_and_always_the_same(shape: tuple[int, ...]) -> None:
    signature = Signature(
        name="any",
        takes="picture",
        gives="one_class",
        inputs=(Tensor("image", "uint8", (-1, *shape)),),
        outputs=(Tensor("logits", "float32", (-1, 2)),),
        labels=("cat", "dog"),
    )
    made, again = (made_splits("pets", drawn=False, signature=signature).test for _ in range(2))
    pictures = made.take(np.arange(COUNT))["image"]
    assert (pictures.shape, pictures.dtype) == ((COUNT, *shape), np.uint8)
    np.testing.assert_array_equal(pictures, again.take(np.arange(COUNT))["image"])
    assert pictures.min() < 10 and pictures.max() > 245
    if max(shape[:2]) > 1:
        steps = np.abs(np.diff(pictures.astype(int), axis=2)).mean((1, 2, 3))
        assert steps.min() == 0 and steps.max() > 60


def felt(subject: ExportedModel) -> dict[str, np.ndarray]:
    """Returns how much the model's logits change with each weight: not at all if units are dead."""
    model = subject.run.build(subject.arrays)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    pictures = subject.splits.test.take(np.arange(len(subject.splits.test)))["image"]
    pictures = jax.numpy.asarray(pictures)
    reference = subject.run.logits(subject.splits.test, subject.model)
    signs = np.sign(reference - reference.mean(-1, keepdims=True))

    def total(params: Any) -> Any:
        return (nnx.merge(graphdef, params, rest, copy=True)(pictures) * signs).sum()

    return weights.flatten({"params": jax.device_get(jax.jit(jax.grad(total))(params))})


@pytest.mark.parametrize("made", [False, True], ids=["real", "made"])
def test_one_wrong_weight_of_any_layer_is_refused(trained: TrainedRun, made: bool) -> None:
    splits = trained.splits()
    if made:
        splits = made_splits("", drawn=False, signature=trained.signature)
    subject = ExportedModel.of(trained, splits, "", made=made)

    def compared(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        model = trained.build(arrays)
        found = subject.compare({"it": lambda inputs: np.asarray(trained.apply(model, inputs))})
        assert (found.examples, found.labels is None) == (len(subject.splits.test), made)
        return found.figures["it"]

    same = compared(dict(subject.arrays))
    assert parity.check_exact(same, "onnx", subject.allowed)["max_abs_difference"] == 0
    assert parity.RELATIVE <= subject.allowed < 2e-4
    kernels = {name: of for name, of in felt(subject).items() if name.endswith("kernel")}
    assert len(kernels) == 4
    for name, change in kernels.items():
        wrong = subject.arrays[name].copy()
        wrong.flat[np.abs(change).argmax()] += 0.1 * np.linalg.norm(wrong)
        found = compared({**subject.arrays, name: wrong})
        assert found["max_relative_difference"] > 2 * subject.allowed
