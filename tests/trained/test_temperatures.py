"""A run's temperature is fitted once, when it finishes, and whoever gives a probability uses it."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs

from flaxmill.commands.train import print_summary
from flaxmill.export import export
from flaxmill.machine.progress import Words
from flaxmill.maths import calibration
from flaxmill.maths.calibration import fit_temperature, log_probabilities
from flaxmill.report import evidence
from flaxmill.trained.exported import Exported
from flaxmill.trained.run import TrainedRun
from flaxmill.training.evaluation import joined
from flaxmill.training.options import Options

pytestmark = pytest.mark.usefixtures("small_data")


@pytest.fixture(scope="module")
def run(folder: Path, small_data: None) -> TrainedRun:
    """A run that learns next to nothing, so that of equal results the first counts as the best."""
    how: dict[str, Any] = {"validation": calibration.FEWEST, "learning_rate": 1e-5}
    return small_runs.train("fashion_mnist", folder / "run", **how)


def signature(run: TrainedRun) -> dict[str, Any]:
    return json.loads((run.path / "signature.json").read_text())


def heard(run: TrainedRun) -> str:
    """Returns what is said at the end of a run."""
    lines: list[str] = []
    words = Words(quiet=True)
    words.say = lines.append  # pyrefly: ignore
    print_summary(words, run)
    return "\n".join(lines)


def test_both_weights_have_the_temperature_that_fits_them(run: TrainedRun) -> None:
    best = TrainedRun(run.path, checkpoint="best")
    assert best.step < run.step
    held_out = run.splits().validation
    for one, which in ((run, "final"), (best, "best")):
        temperature = one.signature.temperature
        assert temperature == pytest.approx(
            fit_temperature(*joined(one.scored(held_out))), rel=1e-6
        )
        assert temperature == signature(run)["temperatures"][which] != 1
    assert signature(run)["temperature"] == run.signature.temperature
    assert signature(run)["held_out"] == len(held_out) == 100
    sentence = f"calibrated on 100 held-out examples (temperature {run.signature.temperature:.2f})"
    assert f"Probabilities: {sentence}." in heard(run)


def test_predict_export_and_report_are_equally_sure_of_a_picture(
    run: TrainedRun, tmp_path: Path
) -> None:
    pictures = run.splits().test.take(np.arange(3))["image"]
    expected = np.exp(log_probabilities(run.outputs(pictures), run.signature.temperature or 1))
    np.testing.assert_allclose(run.classify(pictures), expected, rtol=1e-5)
    shipped = Exported(export(run, tmp_path / "export", formats=["stablehlo"]).path)
    np.testing.assert_allclose(shipped.classify(pictures), expected, rtol=1e-5)
    (prediction,) = run.predict(pictures[:1])
    assert prediction["predictions"][0]["probability"] == pytest.approx(expected[0].max(), rel=1e-5)
    subject = evidence.subject(run)
    assert (subject.temperature, subject.held_out) == (run.signature.temperature, 100)
    assert shipped.signature.temperature == run.signature.temperature
    assert not shipped.signature.temperatures  # it holds one set of weights
    assert "on\n100 held-out training examples" in (shipped.path / "README.md").read_text()


def test_a_run_of_an_earlier_version_stays_as_it_is_everywhere(
    run: TrainedRun, tmp_path: Path
) -> None:
    old = Path(shutil.copytree(run.path, tmp_path / "old"))
    content = signature(run)
    for name in ("temperatures", "held_out"):
        del content[name]
    (old / "signature.json").write_text(json.dumps({**content, "temperature": None}))
    earlier = TrainedRun(old)
    pictures = earlier.splits().test.take(np.arange(3))["image"]
    expected = np.exp(log_probabilities(earlier.outputs(pictures)))
    np.testing.assert_allclose(earlier.classify(pictures), expected, rtol=1e-5)
    shipped = Exported(export(earlier, formats=["stablehlo"]).path)
    np.testing.assert_allclose(shipped.classify(pictures), expected, rtol=1e-5)
    assert "not calibrated: nothing was held out" in (shipped.path / "README.md").read_text()
    assert "Probabilities: not calibrated, for nothing was held out to" in heard(earlier)


def test_few_held_out_examples_give_no_temperature(run: TrainedRun, trained: TrainedRun) -> None:
    assert (trained.signature.temperature, trained.signature.held_out) == (None, 40)
    assert "40 held-out examples are too few to calibrate by (it takes 100)" in heard(trained)


def test_examples_that_were_trained_on_give_no_temperature(run: TrainedRun) -> None:
    from flaxmill.training import result

    splits = dataclasses.replace(run.splits(), seen=True)
    plain = dataclasses.replace(run.signature, temperature=None, held_out=0, temperatures={})
    assert result.calibrated((), plain, splits, Options().reading()) == plain
