"""What is kept of a model's outputs says as much as the outputs, and adds up."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from flaxmill.errors import BadInput
from flaxmill.maths.calibration import label_probabilities, log_probabilities
from flaxmill.maths.statistics import Calibration
from flaxmill.maths.suspects import suspects
from flaxmill.tasks.answers import labels as several
from flaxmill.tasks.answers import one_class
from flaxmill.tasks.kinds import Tally

NAMES = ("ant", "bee", "cat", "dog", "elk")


def draw(seed: int, examples: int = 4000, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax: calibrated at temperature 1; then scaled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (examples, 5)).astype(np.float32)
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(-1)  # the Gumbel-max trick
    return logits * np.float32(scale), labels


def draw_labels(seed: int, examples: int) -> tuple[np.ndarray, np.ndarray]:
    """The same where each of several labels holds or not."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (examples, 5)).astype(np.float32)
    labels = (rng.uniform(size=logits.shape) < label_probabilities(logits)).astype(np.float32)
    return logits, labels


def calibration(
    logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0
) -> tuple[Calibration, float]:
    return one_class.tally(logits, labels, temperature).calibration(calibrated=True)


def mistakes(logits: np.ndarray, labels: np.ndarray, most: int) -> np.ndarray:
    return one_class.tally(logits, labels, 1.0).mistakes(most)[0]


def everything(tally: Tally) -> dict[str, Any]:
    """Returns all that the report asks of a tally."""
    bins = {when: tally.calibration(calibrated=when) for when in (False, True)}
    return {
        "confusion": tally.confusion(NAMES),
        "classes": tally.class_metrics(NAMES),
        "mistakes": [column.tolist() for column in tally.mistakes(20)],
        "confident": tally.most_confident(),
        "bins": {when: dataclasses.astuple(found) for when, (found, _) in bins.items()},
        "loss": {when: loss for when, (_, loss) in bins.items()},
        "suspects": suspects(tally.questions()),
    }


@pytest.mark.parametrize("kind", [one_class, several], ids=["one_class", "labels"])
def test_tallies_of_parts_add_up_to_the_tally_of_the_whole(kind: Any) -> None:
    logits, labels = draw(0, 900, 5.0) if kind is one_class else draw_labels(0, 900)
    labels[::150] = labels[1::150]  # some of them are wrong
    cuts = [slice(0, 1), slice(1, 500), slice(500, None)]
    parts = [kind.tally(logits[cut], labels[cut], 2.5) for cut in cuts]
    merged = everything(kind.merge([kind.merge(parts[:2]), parts[2]]))
    np.testing.assert_equal(merged, everything(kind.tally(logits, labels, 2.5)))


def test_the_size_of_a_tally_does_not_depend_on_the_number_of_classes() -> None:
    def kept(classes: int) -> int:
        logits = np.random.default_rng(0).normal(size=(3000, classes)).astype(np.float32)
        tally = one_class.tally(logits, logits.argmax(-1), 1.0)
        fields = (getattr(tally, field.name) for field in dataclasses.fields(tally))
        return sum(field.nbytes for field in fields if isinstance(field, np.ndarray))

    assert kept(2) == kept(2000) < 3000 * 2000 * 4 / 50


def test_the_loss_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    expected = -(math.log(0.25) + math.log(0.8)) / 2
    assert calibration(logits, np.array([1, 2]))[1] == pytest.approx(expected)
    # However hot, three classes cost no more than a guess among three.
    assert calibration(logits, np.array([1, 2]), 1e9)[1] == pytest.approx(math.log(3))


def test_calibrated_predictions_have_a_small_error_and_scaled_ones_a_large_one() -> None:
    logits, labels = draw(2, examples=40_000)
    # Each of the 15 bins' accuracy has a deviation of at most sqrt(0.25 / count), which adds up to
    # sqrt(15 * 0.25 / 40,000) = 0.0097 over all; three times as large is beyond chance.
    assert calibration(logits, labels)[0].error < 0.0097
    assert calibration(logits * 4, labels)[0].error > 3 * 0.0097
    assert calibration(logits * 4, labels, 4.0)[0].error < 0.0097
    assert calibration(logits / 4, labels)[0].error > 3 * 0.0097


def test_calibration_counts_every_example_once_at_any_temperature() -> None:
    logits, labels = draw(3)
    for temperature in (0.001, 1.0, 1000.0):
        bins, _ = calibration(logits, labels, temperature)
        assert bins.counts.sum() == len(labels)
        mean = np.nansum(bins.accuracy * bins.counts) / len(labels)
        assert mean == pytest.approx((logits.argmax(-1) == labels).mean())


def test_the_worst_mistakes_are_wrong_and_ordered_by_confidence() -> None:
    logits, labels = draw(7)
    worst = mistakes(logits, labels, 50)
    confidence = np.exp(log_probabilities(logits).max(-1))
    wrong = logits.argmax(-1) != labels
    assert wrong[worst].all() and len(set(worst.tolist())) == 50
    assert (np.diff(confidence[worst]) <= 0).all()
    others = np.setdiff1d(np.flatnonzero(wrong), worst)
    assert confidence[others].max() <= confidence[worst].min()


def test_the_worst_mistakes_tell_certainties_apart_and_may_be_fewer_than_asked() -> None:
    # The first two both round to a probability of 1; the second's rest is 0 in float64.
    logits = np.array([[50.0, 0.0], [900.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    labels = np.array([1, 1, 1, 1])
    np.testing.assert_array_equal(mistakes(logits, labels, 9), [1, 0, 3])
    assert mistakes(logits[2:3], labels[2:3], 9).shape == (0,)
    alone = np.zeros((3, 1))  # of one class there is no other
    assert mistakes(alone, np.zeros(3, np.int64), 9).shape == (0,)


def test_foreign_labels_and_empty_data_are_named() -> None:
    logits, labels = draw(8, examples=10)
    labels[7] = 5
    with pytest.raises(BadInput, match=r"label of example 7 is 5, .* 5 classes, 0 to 4"):
        one_class.tally(logits, labels, 1.0)
    with pytest.raises(BadInput, match="no example"):
        one_class.tally(logits[:0], labels[:0], 1.0)
