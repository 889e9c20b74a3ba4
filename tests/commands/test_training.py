import shutil
from pathlib import Path
from typing import Any

import pytest
import small_runs
from hearing import Heard

from flaxmill import recipes
from flaxmill.commands.order import Order, configure
from flaxmill.commands.train import fulfil
from flaxmill.data.listings import layouts
from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine.clock import Clock
from flaxmill.machine.progress import Words
from flaxmill.recipes import images
from flaxmill.training.options import Options


def configured(**fields: Any) -> Any:
    return configure(recipes.load("fashion_mnist"), "quick", fields)


def test_fields_replace_those_of_a_preset() -> None:
    config = configured(epochs=2, channels=(4, 8), schedule="constant", validation=0.1, flip=True)
    assert (config.epochs, config.channels, config.validation) == (2, (4, 8), 0.1)
    assert (config.schedule, config.flip) == ("constant", True)
    assert configured() == recipes.load("fashion_mnist").module.PRESETS["quick"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epoch": 1}, r"fashion_mnist has no field 'epoch'. Did you mean 'epochs'\?"),
        ({"epochs": "3"}, "epochs='3': expected float, such as 1.2"),
        ({"epochs": True}, "epochs=True: expected float"),
        ({"batch_size": 64.5}, "batch_size=64.5: expected int, such as 80"),
        ({"flip": 1}, "flip=1: expected bool, such as False"),
        ({"schedule": "cosine"}, "schedule='cosine': expected 'constant' or 'one-cycle', such as"),
        ({"precision": "float16"}, "precision='float16': expected 'float32' or 'bfloat16', such"),
        ({"validation": "all"}, r"validation='all': expected int \| float, such as 5000"),
        ({"channels": (4, 8.0)}, r"channels=\(4, 8.0\): expected tuple\[int, ...\], such as \("),
        ({"channels": 4}, "channels=4: expected tuple"),
    ],
)
def test_what_is_no_field_or_no_value_of_one_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        configured(**fields)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no preset 'quack'. Did you mean 'quick'\?"):
        configure(recipes.load("fashion_mnist"), "quack", {})


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_random_keys_cannot_take_is_refused(seed: int, tmp_path: Path) -> None:
    recipe = recipes.load("fashion_mnist")
    order = Order(
        recipe=recipe, config=configured(), preset="quick", seed=seed, run=tmp_path / "run"
    )
    with pytest.raises(
        BadInput, match=f"--seed {seed}: a seed is a number from 0 to 4,294,967,295"
    ):
        fulfil(order, Words(quiet=True), Clock())
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"batch_size": 161}, "--batch-size 161 is larger than the 160 training examples"),
        ({"epochs": 0.0}, "--epochs 0.0 must be a number greater than 0"),
        ({"validation": 200}, "--validation 200 does not fit 200 training examples"),
        ({"overfit": 161}, "--overfit 161: give a number from 1 to 160"),
        ({"overfit": -1}, "--overfit -1: give a number from 1 to 160"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_before_a_file_is_made(
    fields: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=words):
        small_runs.train("fashion_mnist", tmp_path / "run", **fields)
    assert not (tmp_path / "run").exists()


def test_the_data_is_scanned_and_opened_once_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes are chosen, the model trained and the report written from one look at the folder."""
    looks: list[str] = []

    def counting(module: Any, name: str) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *how: (looks.append(name), real(*how))[1])

    counting(layouts, "_scan")
    counting(images, "data")
    order = small_runs.order("images", tmp_path / "run", Options(), batch_size=0, epochs=0.2)
    assert fulfil(order, Words(quiet=True), Clock()) is not None
    assert sorted(looks) == ["_scan", "data"]
    assert (tmp_path / "run" / "report.html").exists()
    assert images.data(order.resolved().config).labels  # another command looks again
    assert looks.count("_scan") > 2


LOOP = "    for chunk in batches("


@pytest.mark.usefixtures("small_data")
@pytest.mark.parametrize(
    ("edit", "kind", "words"),
    [
        (
            ("    run.finish(", "    return state\n    run.finish("),
            BadInput,
            r"train\(\) in .*mine\.py ended without a result: it calls run\.finish\(state, ",
        ),
        (
            ("    state = run.restore(state)", "    pass"),
            BadInput,
            r"train\(\) must call run\.restore\(state\) first",
        ),
        # Neither a disk nor the memory can be filled in a test without harm to others.
        (
            (LOOP, f"    raise OSError(28, 'No space left on device')\n{LOOP}"),
            CannotGoOn,
            r"the disk with .*run is full\. Make room\. As for this run: nothing was saved yet",
        ),
        (
            (LOOP, f"    raise MemoryError\n{LOOP}"),
            CannotGoOn,
            "the memory of the device is full: try a smaller --batch-size, smaller pictures",
        ),
    ],
    ids=["no finish", "no restore", "full disk", "full memory"],
)
def test_what_goes_wrong_in_a_loop_is_told(
    edit: tuple[str, str], kind: type[Exception], words: str, tmp_path: Path
) -> None:
    fork = small_runs.fork(tmp_path / "mine.py", edit)
    with pytest.raises(kind, match=words):
        small_runs.train(str(fork), tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.usefixtures("small_data")
def test_an_attempt_on_other_devices_says_so(tmp_path: Path) -> None:
    first = small_runs.train("fashion_mnist", tmp_path / "run")
    copy = Path(shutil.copytree(first.path, tmp_path / "copy"))
    (copy / "result.json").unlink()  # as if killed after the last save
    heard = Heard()
    how = Options(mesh="data=8", report=False)
    resumed = small_runs.train("fashion_mnist", copy, how, words=heard)
    said = [line for line in heard.lines if "differs from the one before" in line]
    assert len(said) == 1
    assert said[0].startswith("This attempt differs from the one before in mesh: the order")
    assert resumed.result["attempts"] == 2
    assert resumed.result["weights_sha256"] == first.result["weights_sha256"]
