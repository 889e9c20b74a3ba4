"""The model behind a server: its threads, and what is refused before it answers."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.serve import served
from flaxmill.serve.served import Model, available_cores
from flaxmill.serve.settings import Settings


def threads(settings: Settings) -> int:
    """Returns how many threads ONNX Runtime computes with."""
    engine: Any = served._exported(settings)._engine
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
    model = Model(Settings(shipped, "onnx"), lambda examples, seconds: None)
    with pytest.raises(BadInput, match="logits of a black picture is not finite"):
        asyncio.run(model.load())
    assert not model.ready


def test_a_bad_export_leaves_the_old_one(shipped: Path, tmp_path: Path) -> None:
    async def run() -> None:
        export = shutil.copytree(shipped, tmp_path / "export")
        model = Model(Settings(export, "onnx"), lambda examples, seconds: None)
        await model.load()
        before = model.current
        (export / "signature.json").unlink()
        with pytest.raises(BadInput, match="is no export directory"):
            await model.load()
        assert model.current is before

    asyncio.run(run())
