"""A run or an export that came from somebody else, made to have code of its own run."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import picture_files
import pytest
import serving
from commands import command
from jax import export

from flaxmill import recipes
from flaxmill.data.reading.process import ReaderProcess, pickle_source
from flaxmill.data.source import Items
from flaxmill.errors import BadInput
from flaxmill.machine import files
from flaxmill.trained.exported import Exported
from flaxmill.trained.origin import Origin

EVIL = "import pathlib\npathlib.Path({mark!r}).touch()\n"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that is there if something was run."""
    return tmp_path / "it ran"


@pytest.fixture
def received(shipped: Path, tmp_path: Path) -> Path:
    """An export of somebody else."""
    return shutil.copytree(shipped, tmp_path / "received")


def changed(export: Path, name: str, content: bytes) -> None:
    """Puts another file into an export, whose digest agrees."""
    (export / name).write_bytes(content)
    parity = json.loads((export / "parity.json").read_text())
    for row in parity["formats"].values():
        if row["file"] == name:
            row |= {"sha256": files.sha256(export / name), "bytes": len(content)}
    (export / "parity.json").write_text(json.dumps(parity))


@pytest.mark.parametrize("place", ["beside", "inside", "elsewhere"])
def test_an_export_that_names_a_recipe_file_has_it_not_run(
    place: str, received: Path, mark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EVIL.format(mark=str(mark))
    file = {
        "beside": received.parent / "recipe.py",
        "inside": received / "recipe.py",
        "elsewhere": tmp_path / "mine.py",
    }[place]
    file.write_text(text)
    signature = json.loads((received / "signature.json").read_text())
    named = file if place != "beside" else "/nowhere/mine.py"
    signature["run"] |= {"recipe_file": str(named), "recipe_sha256": recipes.digest(text)}
    (received / "signature.json").write_text(json.dumps(signature))
    status, _, error = command(capsys, "evaluate", str(received))
    assert status == 2
    assert "nothing is run unasked. Read " in error
    picture = str(picture_files.save(tmp_path / "a.png"))
    assert command(capsys, "predict", str(received), picture)[0] == 0  # which needs no recipe
    assert not mark.exists()


@pytest.mark.parametrize("recipe", ["../mine", "os", "__init__", "mnist.py", "/tmp/mnist", ""])
def test_an_export_names_no_module_as_a_recipe(recipe: str, received: Path) -> None:
    signature = json.loads((received / "signature.json").read_text())
    signature["run"]["recipe"] = recipe
    (received / "signature.json").write_text(json.dumps(signature))
    with pytest.raises(BadInput, match="of flaxmill, and there is none"):
        Exported(received).evaluate()


def test_whatever_file_a_run_names_is_compared_and_no_more(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(2**40)
    for name in ("pipe", "link", "large", "."):
        identity: dict[str, Any] = {"recipe": "mine", "recipe_sha256": "a" * 64}
        identity["recipe_file"] = str(tmp_path / name)
        with pytest.raises(BadInput, match="give --recipe FILE with the text of then"):
            _ = Origin("runs/one", identity, record=tmp_path / name).recipe
    with pytest.raises(BadInput, match=r"large has more than 4,000,000 characters"):
        recipes.read(tmp_path / "large")


@pytest.mark.parametrize("target", ["xla_ffi_python_cpu_callback", "lapack_sgetrf_ffi", "mine"])
def test_a_model_that_calls_a_function_of_the_machine_is_not_run(
    target: str, received: Path
) -> None:
    taken = Exported(received, engine="jax").signature.inputs[0]

    def model(pictures: Any) -> dict[str, Any]:
        made = jax.ffi.ffi_call(target, jax.ShapeDtypeStruct((1, 10), np.float32))
        called = made(pictures[:1, :1, :10, 0].astype(np.float32), index=np.uint64(2**40))
        return {"logits": called, "probabilities": called}

    trusted = [export.DisabledSafetyCheck.custom_call(target)]
    form = jax.ShapeDtypeStruct((1, *taken.shape[1:]), np.uint8)
    written = export.export(jax.jit(model), disabled_checks=trusted)(form).serialize()
    changed(received, "model.stablehlo", bytes(written))
    words = rf"model\.stablehlo calls a function of the machine \('{target}'\) and not only"
    with pytest.raises(BadInput, match=words):
        Exported(received, engine="jax")


@pytest.mark.parametrize("place", ["../secret", "secret", "link"])
def test_a_model_reads_no_other_file(place: str, received: Path) -> None:
    onnx = pytest.importorskip("onnx")
    for folder in (received, received.parent):
        (folder / "secret").write_bytes(b"a secret" * 1000)
    (received / "link").symlink_to("../secret")
    model = onnx.load(received / "model.onnx")
    weights = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    size = len(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", "0"), ("length", str(size))):
        weights.external_data.add(key=key, value=value)
    changed(received, "model.onnx", model.SerializeToString())
    with pytest.raises(BadInput, match=r"model\.onnx cannot be run by ONNX Runtime"):
        Exported(received, engine="onnx")


@pytest.fixture
def poisoned(tmp_path: Path, mark: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with modules that are called as Python's own."""
    folder = tmp_path / "poisoned"
    folder.mkdir()
    for name in ("json", "pickle", "struct", "socket", "numpy", "sitecustomize", "multiprocessing"):
        (folder / f"{name}.py").write_text(EVIL.format(mark=str(mark)))
    monkeypatch.chdir(folder)
    return folder


def test_readers_take_no_module_from_the_current_folder(poisoned: Path, mark: Path) -> None:
    source = Items([(np.zeros((2, 2), np.uint8), 1)])
    process = ReaderProcess(pickle_source(source), 4096)
    assert process.take(np.array([0]))["image"].shape == (1, 2, 2)
    process.close()
    assert not mark.exists()
    assert "PYTHONSAFEPATH" not in os.environ


def test_workers_take_no_module_from_the_current_folder(
    poisoned: Path, mark: Path, shipped: Path, tmp_path: Path
) -> None:
    # As the program that is installed does: -m would have Python look here.
    code = "import sys; sys.path.pop(0); from flaxmill.__main__ import command; command()"
    program = [sys.executable, "-c", code]
    with serving.serving(shipped, tmp_path / "log", "--workers", "2", program=program) as one:
        assert one.ask("/v2/health/ready").status == 200
    assert not mark.exists()
