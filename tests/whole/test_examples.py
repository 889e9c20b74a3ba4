"""The example recipes train as they are, and do what the documentation says of them."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_runs
from flax import nnx
from PIL import Image

import flaxmill
from flaxmill import recipes
from flaxmill.commands.request import from_call
from flaxmill.commands.train import execute
from flaxmill.data.source import Items, hold_out
from flaxmill.errors import BadInput, Stopped
from flaxmill.machine.clock import Clock
from flaxmill.machine.progress import Words
from flaxmill.trained.run import TrainedRun

EXAMPLES = Path(__file__).parents[2] / "examples"

# With the fixture small_data: 160 training examples, 10 steps an epoch.
SMALL: dict[str, Any] = {"data": "sketches", "validation": 40, "batch_size": 16, "report": False}


def train(file: Path, run: Path, **fields: Any) -> TrainedRun:
    return flaxmill.train(str(file), run=run, **SMALL | fields)


def test_every_example_is_a_recipe() -> None:
    found = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert found == ["distillation.py", "gan.py", "linen_cnn.py", "torch_dataset.py"]
    lines = {name: len((EXAMPLES / name).read_text().splitlines()) for name in found}
    assert max(lines.values()) <= 170
    for name in found:
        assert "quick" in recipes.load(str(EXAMPLES / name)).module.PRESETS


@pytest.mark.usefixtures("small_data")
def test_a_linen_model_learns_and_is_asked(tmp_path: Path, capsys: Any) -> None:
    run = train(EXAMPLES / "linen_cnn.py", tmp_path / "run", epochs=6.0)
    rows = [row for row in run.rows if row["split"] == "train"]
    assert len(rows) == 6
    assert rows[-1]["accuracy"] > 0.3  # guessing 160 times gives 0.1, with a deviation of 0.024
    assert run.result["compilations"] == 1
    assert run.result["parameters"] == 824_458  # as many as the tutorial's network
    assert "one at a time" not in capsys.readouterr().out  # its convolutions have a fast form
    assert run.evaluate()["weights_sha256"] == run.result["weights_sha256"]
    answer = run.predict([run.splits().test[0]["image"]], top=10)[0]
    total = sum(guess["probability"] for guess in answer["predictions"])
    assert total == pytest.approx(1, abs=1e-5)  # ten float32 numbers


@pytest.mark.usefixtures("small_data")
def test_the_linen_model_computes_what_linen_computes() -> None:
    module = recipes.load(str(EXAMPLES / "linen_cnn.py")).module
    config = module.Config(data="sketches", validation=40)
    splits = module.data(config)
    model = module.model(config, module.signature(config, splits), nnx.Rngs(0))
    _, params, rest = nnx.split(model, nnx.Param, ...)
    assert not jax.tree.leaves(
        rest
    )  # neither keys nor counters: nothing that training might change
    variables = nnx.to_pure_dict(params)["network"]
    pictures = jnp.asarray(splits.train.take(np.arange(4))["image"])
    expected = module.CNN().apply({"params": variables}, pictures.astype(jnp.float32) / 255)
    # the same operations on the same numbers, so the difference is no more than one rounding's
    np.testing.assert_allclose(model(pictures), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("small_data")
def test_a_dataset_gives_the_bits_that_arrays_give(tmp_path: Path, capsys: Any) -> None:
    example = EXAMPLES / "torch_dataset.py"
    one_by_one = train(example, tmp_path / "items", epochs=1.5)
    assert "streaming" in capsys.readouterr().out
    text = example.read_text(encoding="utf-8")
    in_memory = text.replace("Items(Wardrobe(splits.train))", "splits.train")
    assert in_memory != text
    copy = tmp_path / "in_memory.py"
    copy.write_text(in_memory, encoding="utf-8")
    at_once = train(copy, tmp_path / "arrays", epochs=1.5)
    assert "resident" in capsys.readouterr().out
    assert one_by_one.result["weights_sha256"] == at_once.result["weights_sha256"]


class Tensor:
    """Like a PyTorch tensor in main memory: no array, but NumPy can make it one."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


class Tensors:
    """Like a PyTorch ``TensorDataset``: any class with ``len`` and ``[i]``."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return Tensor(np.full((2, 2, 1), index, np.uint8)), index % 3


def test_items_of_tensors_are_stacked_by_name() -> None:
    train, validation = hold_out(Items(Tensors()), 4)
    assert (len(train), len(validation)) == (6, 4)
    batch = validation.take(np.array([3, 0]))
    assert batch["image"].shape == (2, 2, 2, 1)
    assert batch["image"].dtype == np.uint8
    assert batch["image"][:, 0, 0, 0].tolist() == [9, 6]
    assert batch["label"].tolist() == [0, 0]


def twice(file: Path, folder: Path, **fields: Any) -> TrainedRun:
    """Trains an example in one go, and in the other gear with a stop on the way: the same bits."""
    fields = SMALL | {"epochs": 2.0, "log_every": 1.0} | fields
    whole = flaxmill.train(str(file), run=folder / "whole", quiet=True, **fields)
    fields |= {"gear": "streaming", "chunk": 1}
    order = from_call(str(file), None, fields, seed=0, seeds=1, run=folder / "stopped", fresh=False)
    with pytest.raises(Stopped):
        execute(order, small_runs.Interrupting(after=11), Clock())
    assert 0 < int(small_runs.saved(folder / "stopped")["step"]) < whole.result["step"]
    stopped = execute(order, Words(quiet=True), Clock())
    assert stopped is not None
    small_runs.assert_same_run(stopped, whole)
    assert whole.result["compilations"] == 1
    return whole


@pytest.mark.usefixtures("small_data")
def test_two_networks_with_two_optimizers_go_on_bit_for_bit(tmp_path: Path) -> None:
    run = twice(EXAMPLES / "gan.py", tmp_path)
    assert (run.export(formats=["stablehlo"]) / "model.stablehlo").is_file()
    with Image.open(run.path / "drawn.png") as sheet:
        assert min(sheet.size) > 100
    shown = [row["fooled"] for row in run.rows if row["split"] == "train"]
    assert all(0 <= share <= 1 for share in shown)
    first = recipes.load(str(EXAMPLES / "gan.py")).module.Game(10, nnx.Rngs(jax.random.key(0)))
    for part in ("painter", "critic"):  # each by its own gradient
        before, after = (getattr(net, part).layers[0].kernel[...] for net in (first, run.model))
        assert np.abs(before - after).max() > 1e-3


@pytest.mark.usefixtures("small_data")
def test_a_student_learns_from_a_run(tmp_path: Path) -> None:
    teacher = small_runs.train("fashion_mnist", tmp_path / "teacher")
    file = EXAMPLES / "distillation.py"
    student = twice(file, tmp_path, teacher=str(teacher.path), share=1.0)
    alone = train(file, tmp_path / "alone", teacher=str(teacher.path), share=0.0, epochs=2.0)
    assert student.result["weights_sha256"] != alone.result["weights_sha256"]
    with pytest.raises(BadInput, match="there is no run directory"):
        train(file, tmp_path / "none", teacher=str(tmp_path / "nobody"))
