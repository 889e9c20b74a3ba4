"""The calls of Python: they do what the commands do, with the commands' options."""

import dataclasses
import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
from PIL import Image

import flaxmill
from flaxmill import recipes
from flaxmill.commands import calls, cli, train
from flaxmill.commands import report as report_commands
from flaxmill.commands.check import check
from flaxmill.commands.fetch import fetch
from flaxmill.commands.prepare import prepare
from flaxmill.commands.request import TrainRequest, from_call
from flaxmill.data import check as checks
from flaxmill.data.prepare import Preparation
from flaxmill.errors import BadInput
from flaxmill.export import export
from flaxmill.trained.exported import Exported
from flaxmill.trained.run import TrainedRun
from flaxmill.training.options import Options, training_arguments

pytestmark = pytest.mark.usefixtures("small_data")
PAGE = Path(__file__).parents[2] / "docs" / "python.md"
NAMES = {"format": "formats", "class_": "classes"}
"""What a command calls otherwise."""
PRINTED = {"json", "open"}
"""Options that say how a command prints."""
OPENING = {"format", "checkpoint", "recipe", "trust"}
"""Options of `load`, of commands that open a run first."""


def options(call: Callable[..., Any]) -> set[str]:
    given = inspect.signature(call).parameters.values()
    return {one.name for one in given if one.kind is one.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("command", "call", "besides"),
    [
        (cli.evaluate, TrainedRun.evaluate, OPENING),
        (cli.predict, TrainedRun.predict, OPENING | {"look"}),
        (cli.export, TrainedRun.export, OPENING - {"format"}),
        (report_commands.look, calls.look, set()),
        (report_commands.look, TrainedRun.look, OPENING | {"preset"}),
        (report_commands.report, TrainedRun.report, OPENING),
        (fetch, calls.fetch, set()),
        (check, calls.check, set()),
    ],
)
def test_a_call_takes_its_commands_options(
    command: Callable[..., Any], call: Callable[..., Any], besides: set[str]
) -> None:
    expected = options(command) - PRINTED - besides
    taken = set(inspect.signature(call).parameters)
    assert {NAMES.get(name, name) for name in expected} <= taken


def test_prepare_takes_its_commands_options(tmp_path: Path) -> None:
    fields = {field.name for field in dataclasses.fields(Preparation)} - {"sign"}
    named = {"no_draft": "draft", "separator": "sign"}
    found = {named.get(name, name) for name in options(prepare)}
    assert found - {"readers", "to"} == (fields - {"white"}) | {"sign"}
    photos = small_runs.photos()
    made = flaxmill.prepare(photos, to=tmp_path / "made", size=16, channels=1, fit="pad", readers=1)
    assert made == tmp_path / "made"
    with pytest.raises(BadInput, match=r"prepare has no option 'sise'\. Did you mean 'size'"):
        flaxmill.prepare(photos, to=tmp_path / "none", sise=16)


@pytest.mark.parametrize("name", recipes.names())
def test_train_takes_every_option_of_its_command(name: str) -> None:
    recipe = recipes.load(name)
    listed = {
        field.name: field for field in dataclasses.fields(training_arguments(recipe.module.Config))
    }
    beside = set(listed) - {"config", "options"}
    given = {field.name: getattr(Options(), field.name) for field in dataclasses.fields(Options)}
    fields = dataclasses.asdict(recipe.module.PRESETS[recipe.default_preset])
    order = from_call(name, None, {**fields, **given, "keep": 7, "init_from": "here"})
    assert dataclasses.asdict(order.config) == fields
    assert order.options == dataclasses.replace(Options(), keep=7, init_from=Path("here"))
    assert beside <= options(train.train)
    assert beside <= {field.name for field in dataclasses.fields(TrainRequest)}


def test_what_train_does_not_take_is_named() -> None:
    with pytest.raises(BadInput, match=r"no field 'kep'\. Did you mean 'keep'"):
        flaxmill.train("fashion_mnist", kep=2)
    with pytest.raises(BadInput, match=r"keep='many': expected int, such as 3"):
        flaxmill.train("fashion_mnist", keep="many")
    with pytest.raises(BadInput, match=r"channels=\[8, 'x'\]: expected tuple"):
        flaxmill.train("fashion_mnist", channels=[8, "x"])


def test_lists_will_do_for_tuples() -> None:
    assert from_call("fashion_mnist", None, {"channels": [4, 8]}).config.channels == (4, 8)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    small = 'data="sketches", validation=40, batch_size=16, network="tutorial", hidden=16'
    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.M | re.S):
        exec(compile(block.replace('data="sketches"', small), "python.md", "exec"), found)
    run, shipped = found["run"], found["export"]
    assert repr(found["found"]).startswith("<RateCurve: ")
    assert re.fullmatch(
        r"<TrainedRun runs/clothes: fashion_mnist \(quick\), seed 0, test .*>", repr(run)
    )
    assert repr(shipped) == (
        "<Exported runs/clothes/export: fashion_mnist, 10 classes, as stablehlo>"
    )
    assert repr(run.look()).startswith("<Sheet runs/clothes/look.png: ")
    assert isinstance(shipped, Exported)


def test_what_is_written_and_checked_says_so_in_a_line(trained: TrainedRun, tmp_path: Path) -> None:
    written = export(trained, tmp_path / "export", formats=["safetensors"])
    assert repr(written) == (
        f"<Written {tmp_path / 'export'}: safetensors, checked on {small_runs.TEST} examples>"
    )
    checked = flaxmill.check(small_runs.photos(), sheet=tmp_path / "odd.png")
    assert re.fullmatch(r"<Checked .*: 240 pictures, \d+ findings?, \d+ serious>", repr(checked))
    assert checked.lines()[1:] == checks.check(small_runs.photos()).lines()[1:]


def test_arrays_of_any_size_are_fitted_as_pictures_are(trained: TrainedRun) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3), np.uint8)
    expected = trained.predict([Image.fromarray(one) for one in pixels])
    assert trained.predict(pixels) == expected
    assert trained.predict(list(pixels)) == expected
    assert trained.predict(pixels[0]) == trained.predict(Image.fromarray(pixels[0]))
    grey = pixels[..., 0]
    expected = trained.predict([Image.fromarray(one) for one in grey])
    assert trained.predict(grey) == trained.predict(grey[..., None]) == expected
    own = trained.splits().test.take(np.arange(2))["image"]
    assert trained.predict(own)[0]["predictions"][0]["probability"] == pytest.approx(
        trained.classify(own)[0].max()
    )


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.ones((28, 28)), r"not float64: give \(255 \* picture\)\.round\(\)\.astype"),
        (np.full((28, 28), 200.0), r"not float64: give picture\.astype"),
        (
            np.ones((1, 9, 9, 2), np.uint8),
            r"1, 3 or 4 channels as its last axis, not .*\(9, 9, 2\)",
        ),
        (np.ones(9, np.uint8), r"expected a picture \[height, width\]"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_way(
    picture: np.ndarray, words: str, trained: TrainedRun
) -> None:
    with pytest.raises(BadInput, match=words):
        trained.predict(picture)


def test_names_can_be_listed_and_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, flaxmill; names = dir(flaxmill); version = flaxmill.__version__\n"
        "print(*[name for name in ('jax', 'numpy', 'PIL', 'tyro') if name in sys.modules])\n"
        "print(version, *names)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, found = told.stdout.splitlines()
    version, *names = found.split()
    assert not heavy
    assert re.match(r"\d+\.\d+", version)
    assert set(flaxmill.__all__) == set(names)
    assert {"train", "load", "check", "lr_find", "__version__"} <= set(names)
    for name in names:
        assert getattr(flaxmill, name)
