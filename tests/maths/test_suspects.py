"""Which labels the report calls probably wrong."""

import numpy as np
import pytest

from flaxmill.maths.calibration import fit_temperature
from flaxmill.maths.suspects import suspects
from flaxmill.tasks.answers import labels as several
from flaxmill.tasks.answers import one_class


def answers(
    seed: int, spread: float, noise: float, *, examples: int = 2000, overconfident: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Returns a model's logits, labels, which are wrong, and the temperature of other examples.

    The model is as sure as it is right, and then too sure by a factor, as a temperature mends.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (2 * examples, 10))
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    true = (probabilities.cumsum(1) > rng.random((2 * examples, 1))).argmax(1)
    wrong = rng.random(2 * examples) < noise
    labels = np.where(wrong, (true + rng.integers(1, 10, 2 * examples)) % 10, true)
    temperature = fit_temperature(overconfident * logits[examples:], labels[examples:])
    rows = slice(examples)
    return overconfident * logits[rows], labels[rows], wrong[rows], temperature


def test_wrong_labels_are_found_by_a_good_model() -> None:
    named = right = 0
    for seed in range(10):
        logits, labels, wrong, temperature = answers(seed, spread=12, noise=0.01)
        indices = [
            suspect.index
            for suspect in suspects(one_class.tally(logits, labels, temperature).questions())
        ]
        assert 3 <= len(indices) <= wrong.sum()
        named, right = named + len(indices), right + int(wrong[indices].sum())
    assert right > 0.9 * named


@pytest.mark.parametrize("overconfident", [1.0, 4.0])
def test_nothing_is_suspected_by_a_model_that_errs_often(overconfident: float) -> None:
    for seed in range(10):
        how = {"spread": 2.5, "noise": 0.0, "overconfident": overconfident}
        logits, labels, _, temperature = answers(seed, **how)
        assert (logits.argmax(-1) == labels).mean() < 0.65
        assert suspects(one_class.tally(logits, labels, temperature).questions()) == []


def test_labels_that_are_right_are_hardly_ever_suspected() -> None:
    counts = []
    for seed in range(20):
        logits, labels, _, temperature = answers(seed, spread=12, noise=0.0)
        counts.append(len(suspects(one_class.tally(logits, labels, temperature).questions())))
    assert sum(map(bool, counts)) <= 1  # by chance, once in a hundred


def test_few_sure_answers_of_a_class_are_not_enough() -> None:
    labels = np.repeat([0, 1], 20)
    logits = 12 * np.eye(2)[labels]
    labels[0] = 1
    assert (
        suspects(one_class.tally(logits, labels, 1.0).questions()) == []
    )  # of 21 answers that were so sure, 20 agree
    labels = np.repeat([0, 1], 200)
    logits = 12 * np.eye(2)[labels]
    labels[0] = 1
    (suspect,) = suspects(one_class.tally(logits, labels, 1.0).questions())
    assert (suspect.index, suspect.agreeing, suspect.answers) == (0, 199, 200)
    assert suspect.sure == pytest.approx(1 / (1 + np.exp(-12)))


def test_of_several_labels_an_example_is_suspected_once() -> None:
    labels = (np.random.default_rng(0).random((300, 3)) < 0.5).astype(np.float32)
    logits = np.where(labels > 0, 9.0, -9.0)
    labels[5] = 1 - labels[5]
    (suspect,) = suspects(several.tally(logits, labels, 1.0).questions())
    assert suspect.index == 5
