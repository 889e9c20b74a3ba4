"""Clothing: which pictures `auto` takes, and that drawn ones are never passed off as real."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import small_runs

from flaxmill.commands import cli
from flaxmill.data.known.clothing import clothing
from flaxmill.data.known.published import DATA_SETS, FASHION_MNIST
from flaxmill.report import look

DRAWN = "drawn garments (sketches)"


@pytest.fixture
def no_real_pictures(
    empty_machine: Path, small_data: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without the real pictures, which no mirror offers."""
    unavailable = dataclasses.replace(FASHION_MNIST, mirrors=())
    monkeypatch.setitem(DATA_SETS, "fashion-mnist", unavailable)


@pytest.mark.usefixtures("no_real_pictures")
def test_auto_draws_what_cannot_be_had() -> None:
    splits, sketches = clothing("auto", validation=40), clothing("sketches", validation=40)
    assert splits.drawn and sketches.drawn
    assert splits.title == DRAWN
    assert splits.note.startswith("The real pictures of Fashion-MNIST could not be had, so")
    assert sketches.note == ""  # they were asked for
    assert splits.digests == sketches.digests
    some = np.arange(9)
    np.testing.assert_array_equal(
        splits.train.take(some)["image"], sketches.train.take(some)["image"]
    )


def test_auto_takes_the_real_pictures_where_they_are(
    real_data: Path, empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAXMILL_DATA", str(real_data.parent))
    splits = clothing("auto")
    assert not splits.drawn
    assert (splits.title, splits.note) == ("Fashion-MNIST", "")


@pytest.mark.usefixtures("no_real_pictures")
def test_a_run_on_drawn_pictures_says_so_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    fields = small_runs.SMALL["fashion_mnist"] | {"data": "auto", "epochs": 0.5}
    assert cli._status("train", "fashion_mnist", *small_runs.flags(fields), "--run", "run") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "could not be had, so these are drawn garments" in first
    assert look.draw("./run").figure.get_suptitle().startswith(DRAWN)
    assert "Drawn sketches, not photographs." in Path("run/report.html").read_text("utf-8")
