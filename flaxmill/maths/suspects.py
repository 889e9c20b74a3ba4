"""Which labels of the test are probably wrong, where the model can be believed about that.

A model that errs often is sure of many wrong things, so that its disagreement with a label says
little. Two rules decide, both by probabilities that were calibrated on held-out examples, and by
test examples, which the model was not trained on either:

1. *More disagreement than its own errors explain.* If every label were right, the model's own
   probabilities say how many labels would be as improbable to it as one is, or more: the sum of all
   its probabilities up to that one. Labels are suspected, the least probable first, as long as this
   explains less than half of them, so that more than half are expected to be wrong, and as long as
   chance would make so many fewer than once in a hundred tests. (Labels are counted beside what the
   model's confidence predicts, as in Northcutt, Jiang and Chuang 2021, "Confident learning:
   estimating uncertainty in dataset labels"; the limit is a false discovery rate of one half,
   Benjamini and Hochberg 1995, with these probabilities in the place of p-values.)
2. *Sureness that is borne out.* The model says something else with a probability of 0.9 or more;
   and of all its answers of that class that were so sure, 97 % agree with the labels, out of so
   many that this can hardly be below 90 % (95 % Wilson interval). Of ten widely used test sets,
   3.3 % of the labels are wrong (Northcutt, Athalye and Mueller 2021, "Pervasive label errors in
   test sets destabilize machine learning benchmarks"): where sure answers disagree with more, it
   is rather the model that does not know the class.

Where a model is sure at random, far beyond what a temperature can mend, rule 2 alone protects.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from flaxmill.maths.statistics import wilson_interval

SURE = 0.9
"""From this probability on, the model is sure of an answer."""
_AGREEING, _AT_LEAST = 0.97, 0.9  # share of sure answers that agree with the labels, and its bound
_CHANCE = 0.01  # that errors alone would make as many
_MOST = 200  # least probable labels that are looked at
_STEPS = 512  # sizes of probabilities that are told apart, to a factor of e: 0.2 % each

BySize = Float[np.ndarray, " size"]
NOTHING = np.zeros(40 * _STEPS + 1)
"""As from `by_size`, of no probabilities. All below exp(-40) are of the first size."""


@dataclass(frozen=True)
class Suspect:
    """An example whose label is probably wrong.

    Attributes:
        index: Of the example.
        sure: Calibrated probability of what the model says in its place.
        agreeing: Of all equally sure answers of that class, those that agree with the labels.
        answers: The number of these answers.
    """

    index: int
    sure: float
    agreeing: int
    answers: int


@dataclass(frozen=True)
class Questions:
    """What a model is asked: of an example its class, or of each of its labels whether it holds.

    Attributes:
        example: Which example each question is of.
        of_label: How probable the label is to the model.
        of_answer: How probable its own answer is.
        answer: A number for each possible answer; equal ones are counted together.
        expected: The probabilities of all answers to all questions, as from `by_size`.
    """

    example: Int[np.ndarray, " question"]
    of_label: Float[np.ndarray, " question"]
    of_answer: Float[np.ndarray, " question"]
    answer: Int[np.ndarray, " question"]
    expected: BySize


def by_size(probabilities: Float[np.ndarray, "..."]) -> BySize:
    """Sums up probabilities by their size; those of parts of a data set add up."""
    places, weights = _place(probabilities.ravel()), probabilities.ravel()
    return np.bincount(places, weights, minlength=len(NOTHING))


def _place(probabilities: Float[np.ndarray, " one"]) -> Int[np.ndarray, " one"]:
    with np.errstate(divide="ignore"):
        steps = np.nan_to_num(np.floor(_STEPS * np.log(probabilities)))
    return np.clip(steps + len(NOTHING) - 1, 0, len(NOTHING) - 1).astype(np.int64)


def suspects(questions: Questions) -> list[Suspect]:
    """Returns the examples whose labels are probably wrong, the least probable labels first.

    Args:
        questions: Of examples that the model was not trained on, with probabilities that were
            calibrated on others which were held out. Otherwise nobody knows what its sureness is
            worth, and nothing may be suspected.
    """
    disagreeing = questions.of_label < questions.of_answer
    order = np.argsort(questions.of_label, kind="stable")
    order = order[disagreeing[order]][:_MOST]
    expected = np.cumsum(questions.expected)[_place(questions.of_label[order])]
    more = [_is_more(count, mean) for count, mean in enumerate(expected.tolist(), 1)]
    order = order[: max(np.flatnonzero(more), default=-1) + 1]
    is_sure = questions.of_answer >= SURE
    by_example: dict[int, Suspect] = {}
    for question in order[is_sure[order]].tolist():
        alike = is_sure & (questions.answer == questions.answer[question])
        agreeing, answers = int((alike & ~disagreeing).sum()), int(alike.sum())
        at_least, _ = wilson_interval(agreeing, answers)
        if agreeing >= _AGREEING * answers and at_least >= _AT_LEAST:
            index = int(questions.example[question])
            sure = float(questions.of_answer[question])
            by_example.setdefault(index, Suspect(index, sure, agreeing, answers))
    return list(by_example.values())


def _is_more(count: int, expected: float) -> bool:
    """Returns whether a count is over twice what is expected, and not by chance (Poisson)."""
    terms = [math.exp(-expected)]
    for number in range(1, count):
        terms.append(terms[-1] * expected / number)
    return expected < count / 2 and 1 - math.fsum(terms) < _CHANCE
