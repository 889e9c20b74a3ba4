"""The learning-rate range test: with every recipe's own loop, and without a trace."""

import copy
import dataclasses
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_runs
from commands import command, words
from hearing import Heard
from PIL import Image

from flaxmill import recipes
from flaxmill.commands.lr_find import describe
from flaxmill.commands.range_test import diverged, find
from flaxmill.commands.train import execute
from flaxmill.errors import BadInput
from flaxmill.machine.clock import Clock
from flaxmill.machine.progress import Words
from flaxmill.maths.optim import Ramp
from flaxmill.maths.rate_curve import judge, smoothed
from flaxmill.recipes import images
from flaxmill.report import rates
from flaxmill.report.figures import save_png
from flaxmill.trained.run import TrainedRun
from flaxmill.training.options import Options

RATES = np.geomspace(1e-5, 10, 150)


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# What is suggested.


def curve(lowest: float, noise: float = 0.0) -> list[float]:
    """Returns losses that fall up to a rate and rise beyond it."""
    away = np.log10(RATES / lowest)
    losses = 2.3 - 1.5 / (1 + np.exp(-3 * (away + 1))) + np.where(away > 0, 4 * away, 0)
    return (losses + noise * np.random.default_rng(0).standard_normal(150)).tolist()


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("lowest", [1e-3, 0.03, 0.5])
def test_the_suggestion_is_where_the_loss_is_about_to_rise(lowest: float, noise: float) -> None:
    found = judge(RATES, curve(lowest, noise), diverged=False)
    assert found.suggestion is not None
    assert 0.3 * lowest < found.suggestion < 1.7 * lowest
    assert found.steepest is not None
    assert 0.02 * lowest < found.steepest < 0.5 * lowest
    assert found.tenth is not None
    assert 0.02 * lowest < found.tenth < 0.15 * lowest


def test_an_end_that_is_not_finite_does_not_hide_the_rest() -> None:
    whole, losses = curve(0.03), curve(0.03)[:120]
    ended = judge(RATES, [*losses, 1e30, math.nan], diverged=True)
    assert ended.suggestion == judge(RATES, whole, diverged=False).suggestion
    assert np.isfinite(ended.smoothed).all()
    told = json.loads(json.dumps(ended.json(), allow_nan=False))
    assert told["losses"][-2:] == [1e30, None]
    assert len(told["rates"]) == len(told["smoothed"]) == 122


def test_nothing_is_suggested_where_no_rate_trains() -> None:
    found = judge(RATES, (2.3 + 0.01 * np.sin(np.arange(150))).tolist(), diverged=False)
    assert (found.suggestion, found.steepest, found.tenth) == (None, None, None)


def test_smoothing_does_not_lag() -> None:
    straight = np.linspace(3, 1, 50)
    np.testing.assert_allclose(smoothed(straight)[15:-15], straight[15:-15], atol=0.01)


# The rate of each step.


def test_a_ramp_is_a_schedule_in_the_place_of_a_number() -> None:
    ramp = Ramp(1e-4, 1.0, 5)
    found = [float(ramp(step)) for step in range(5)]
    np.testing.assert_allclose(found, np.geomspace(1e-4, 1, 5), rtol=1e-6)  # in float32
    doubled = (2 * ramp * 3 / 3)(4)
    assert float(doubled) == pytest.approx(2.0)
    assert isinstance(ramp, float)
    assert math.isnan(ramp + 1)
    again = copy.deepcopy(ramp)  # as a config's fields are copied, to tell a run by
    assert (again.first, again.last, again.steps) == (1e-4, 1.0, 5)


def test_what_waits_for_its_head_has_the_rates_that_it_will_train_with() -> None:
    config = dataclasses.replace(
        images.Config(), learning_rate=Ramp(1e-3, 1.0, 100), optimizer="sgd", momentum=0.0,
        weight_decay=0.0, frozen=0.2, body_rate=0.1,
    )  # fmt: skip
    params = {"body": jnp.ones(2), "head": jnp.ones(2)}
    tx = images.optimizer(config, 100, given=True)
    state = tx.init(params)
    for step in range(100):
        found: Any = tx.update(params, state, params)
        updates, state = found
        ratio = float(updates["body"][0] / updates["head"][0])
        assert ratio == pytest.approx(0.0 if step < 20 else 0.1)


def test_a_few_uneven_batches_are_no_divergence() -> None:
    for losses in ([0.05, 0.4], [0.002, 0.002, 0.05], [0.01] * 8 + [0.5]):
        assert not diverged(losses)
    assert diverged([0.01] * 12 + [5.0])
    assert diverged([0.01, math.nan])


class Asked(Ramp):
    """A ramp that notes the steps that it, or a multiple of it, is asked about."""

    steps_asked: ClassVar[list[Any]] = []

    def __call__(self, step: Any) -> jax.Array:
        self.steps_asked.append(step)
        return super().__call__(step)

    def __mul__(self, factor: float) -> Ramp:
        return Asked(self.first * factor, self.last * factor, self.steps)

    __rmul__ = __mul__


def test_every_optimizer_of_every_recipe_takes_the_ramp_as_it_is(name: str) -> None:
    module = recipes.load(name).module
    params = {"kernel": jnp.ones((3, 3, 2, 2)), "head": jnp.ones((4, 2)), "bias": jnp.ones(2)}
    for preset, config in module.PRESETS.items():
        ramp = Asked(1e-3, 1e-2, 100)
        tx = module.optimizer(dataclasses.replace(config, learning_rate=ramp), 100)
        state = tx.init(params)
        for step in range(2):
            _, state = tx.update(params, state, params)
            assert {int(asked) for asked in Asked.steps_asked} == {step}, preset
            Asked.steps_asked.clear()


# With every recipe's own loop.


@pytest.mark.parametrize("name", ["mnist", "images"], indirect=True)  # muon; and one that resolves
def test_rates_are_tried_with_the_recipes_own_loop(
    name: str, small_data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order = small_runs.order(name, tmp_path / "run", learning_rate=0.123)
    order = dataclasses.replace(order, run=None).resolved()
    found = find(order, Words(quiet=True), 30, 1e-4, 100.0)
    assert 10 <= len(found.losses) <= 30
    assert math.log(10) / 3 < found.losses[0] < 3 * math.log(10)  # it knows nothing yet
    assert found.diverged or found.smoothed[-1] > found.smoothed.min()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", small_runs.NAMES, indirect=True)
def test_a_dry_run_says_what_would_be_done_and_leaves_nothing(
    name: str, small_data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order = small_runs.order(name, tmp_path / "runs" / "dry", Options(dry_run=True), overfit=8)
    heard = Heard()
    assert execute(order, heard, Clock()) is None
    assert list(tmp_path.iterdir()) == []
    text = "\n".join(heard.lines)
    assert re.search("8 training (example|text)s alone", text)
    assert "8 validation, 8 test" in text
    for fact in ("parameters  ", "steps       25 of 16", "device      1 × cpu", "training takes"):
        assert fact in text
    assert " ms" in text
    assert "MB on the device" in text


# The command.


SMALL = small_runs.flags(small_runs.SMALL["fashion_mnist"])


def test_the_command_writes_a_picture_and_touches_no_run(
    trained: TrainedRun, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = digests(trained.path)
    options = [*SMALL, "--steps", "40", "--from", "0.0001", "--to", "100"]
    options += ["--init-from", str(trained.path), "--json"]
    status, printed, trouble = command(capsys, "lr-find", "fashion_mnist", *options)
    assert (status, trouble) == (0, "")
    told = json.loads(printed)
    assert told["learning_rate"] == 0.1
    assert told["rates"][0] == pytest.approx(1e-4)
    assert told["losses"][0] < 2.2  # the weights of the run know something
    assert len(told["losses"]) == len(told["rates"]) <= 40
    assert digests(trained.path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["fashion_mnist-lr-find.png"]
    with Image.open("fashion_mnist-lr-find.png") as drawn:
        assert drawn.size == (1050, 630)


def test_the_words_suggest_an_option(tmp_path: Path) -> None:
    found = judge(RATES, curve(0.03), diverged=True)
    begun, *_, suggested = describe(found, now=0.1)
    assert begun == "The loss began at 2.299 and fell to 1.044; at 10 it diverged."
    assert suggested == f"suggested --learning-rate {found.suggestion:g}   (now 0.1)"
    save_png(rates.draw(found, now=0.1, title="a title"), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 10_000

    harmless = judge(RATES, curve(1e3), diverged=False)
    assert "a higher --to may tell more" in describe(harmless, now=0.1)[1]
    flat = judge(RATES, [2.3] * 150, diverged=False)
    assert (
        "No rate from 1e-05 to 10 made the loss fall: nothing is suggested"
        in describe(flat, 0.1)[-1]
    )
    save_png(rates.draw(flat, now=0.1, title="a title"), tmp_path / "flat.png")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--steps", "3"], "--steps 3: a range test takes 10 steps or more"),
        (["--from", "1", "--to", "0.1"], "--from 1 --to 0.1: the first rate must be above 0"),
        (["--from", "0"], "--from 0 --to 10: the first rate must be above 0"),
        (["--seeds", "2"], "--seeds 2: a range test trains one model"),
        (["--run", "here"], "--run here: a range test keeps no run"),
        (["--fresh"], "--fresh: a range test keeps no run"),
        (["--batch-size", "1000"], "--batch-size 1,000 is larger than the 160 training"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    options: list[str], told: str, small_data: None, capsys: Any
) -> None:
    status, _, trouble = command(capsys, "lr-find", "fashion_mnist", *SMALL, *options)
    assert status == 2
    assert told in words(trouble)


def test_lr_find_takes_a_recipe_first(capsys: Any) -> None:
    status, _, trouble = command(capsys, "lr-find", "--steps", "30")
    assert status == 2
    assert "lr-find takes the recipe first: flaxmill lr-find RECIPE [OPTIONS]." in trouble
    status, printed, _ = command(capsys, "lr-find", "--help")
    assert status == 0
    assert "flaxmill lr-find RECIPE --help lists all options" in printed


def test_a_fork_that_computes_with_its_rate_is_told_so(small_data: None, tmp_path: Path) -> None:
    edit = ("    rate = config.learning_rate\n", "    rate = config.learning_rate + 0.0\n")
    fork = small_runs.fork(tmp_path / "mine.py", edit)
    order = dataclasses.replace(small_runs.order(str(fork), tmp_path), run=None)
    with pytest.raises(BadInput, match=r"cannot be tried: its optimizer\(\) computes .* nan must"):
        find(order, Words(quiet=True), 30, 1e-4, 1.0)
    edit = (
        "    return optim.sgd(\n        rate,",
        "    return optim.sgd(\n        lambda _: rate + 0.0,",
    )
    fork = small_runs.fork(tmp_path / "mine.py", edit)
    order = dataclasses.replace(
        small_runs.order(str(fork), tmp_path, schedule="constant"), run=None
    )
    with pytest.raises(BadInput, match=r"computes with config\.learning_rate, which is a schedule"):
        find(order, Words(quiet=True), 30, 1e-4, 1.0)
