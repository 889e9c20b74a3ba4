"""The model behind a server: its threads, and what is refused before it answers."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.serve import served
from flaxmill.serve.served import ServedModel, available_cores
from flaxmill.serve.settings import Settings


def threads(settings: Settings) -> int:
    """Returns how many threads ONNX Runtime computes with."""
    engine: Any = served._load(settings)._engine
    return engine._session.get_session_options().intra_op_num_threads


def test_small_models_have_a_thread_and_large_ones_all(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert threads(Settings(shipped, "onnx")) == 1
    assert threads(Settings(shipped, "onnx", threads=3)) == 3
    monkeypatch.setattr(served, "_LARGE_SECONDS", 0.0)
    assert threads(Settings(shipped, "onnx")) == available_cores()
    assert threads(Settings(shipped, "onnx", workers=100)) == 1


def test_a_model_without_numbers_is_refused(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def outputs(self: Any, inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": np.full((len(inputs), 10), np.nan, np.float32)}

    monkeypatch.setattr(served.Exported, "outputs", outputs)
    model = ServedModel(Settings(shipped, "onnx"), lambda examples, seconds: None)
    with pytest.raises(BadInput, match="logits of an input of zeros is not finite"):
        asyncio.run(model.load())
    assert not model.ready


def test_a_bad_export_leaves_the_old_one(shipped: Path, tmp_path: Path) -> None:
    async def run() -> None:
        export = shutil.copytree(shipped, tmp_path / "export")
        model = ServedModel(Settings(export, "onnx"), lambda examples, seconds: None)
        await model.load()
        before = model.current
        (export / "signature.json").unlink()
        with pytest.raises(BadInput, match="is no export directory"):
            await model.load()
        assert model.current is before

    asyncio.run(run())


def loaded(export: Path) -> ServedModel:
    """Returns what answers for an export."""
    model = ServedModel(Settings(export, "onnx"), lambda examples, seconds: None)
    asyncio.run(model.load())
    return model


def signed(export: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the signature of an export."""
    place = export / "signature.json"
    said = json.loads(place.read_text())
    change(said)
    place.write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda said: said["preprocess"].update(fit="stretch"), "'stretch' at preprocess.fit"),
        (lambda said: said.update(labels=list(range(10))), r"0 at labels\[0\], expected text"),
        (lambda said: said["labels"].__setitem__(9, "\ud800"), "cannot be served: Unicode"),
        (lambda said: said.update(name="a/b"), "name it in their path, and 'a/b' cannot stand"),
        (lambda said: said.update(version=""), "name it in their path, and '' cannot stand"),
        (lambda said: said["preprocess"].update(white=0), "0 at preprocess.white"),
    ],
)
def test_an_export_that_cannot_be_served_is_refused_before_it_answers(
    change: Callable[[dict[str, Any]], Any], words: str, shipped: Path, tmp_path: Path
) -> None:
    export = shutil.copytree(shipped, tmp_path / "export")
    signed(export, change)
    with pytest.raises(BadInput, match=words):
        loaded(export)


def test_a_model_is_asked_all_that_clients_may_ask(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = shutil.copytree(shipped, tmp_path / "export")
    signed(export, lambda said: said.update(gives="tensors"))
    with monkeypatch.context() as patch:  # no pictures are sent to it
        patch.setattr(
            "flaxmill.tasks.inputs.picture.preprocess", lambda *_: pytest.fail("a picture was")
        )
        assert loaded(export).ready

    def wider(self: Any, inputs: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.ones((len(inputs), 11), "<f4") for name in ("logits", "probabilities")}

    monkeypatch.setattr(served.Exported, "outputs", wider)
    with pytest.raises(BadInput, match=r"its logits is float32\[1, 11\] for one example, and"):
        loaded(export)


def test_examples_are_pictures_that_lie_in_the_export_itself(
    shipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export, secret = shutil.copytree(shipped, tmp_path / "export"), tmp_path / "secret.png"
    secret.write_bytes(b"root:x:0:0")
    own = {file.name for file in (export / "examples").iterdir()}
    assert set(loaded(export).current.examples) == own
    examples = export / "examples"
    (examples / "link.png").symlink_to(secret)
    os.mkfifo(examples / "pipe.png")
    (examples / "folder.png").mkdir()
    (examples / "zero.png").symlink_to("/dev/zero")
    (examples / "large.png").write_bytes(bytes(served._EXAMPLE_BYTES + 1))
    (examples / "bell\x07.png").write_bytes(b"")
    (examples / "other.txt").write_bytes(b"")
    assert set(loaded(export).current.examples) == own
    left_out = [record.getMessage() for record in caplog.records]
    assert len(left_out) == 6
    assert any("pipe.png is a named pipe" in words for words in left_out)
    for number in range(served._EXAMPLES):
        (examples / f"00-{number:02}.png").write_bytes(b"")
    assert len(loaded(export).current.examples) == served._EXAMPLES
    shutil.rmtree(examples)
    examples.symlink_to(tmp_path)  # where the secret lies
    assert loaded(export).current.examples == {}
