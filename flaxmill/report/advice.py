"""What a run comes to in plain words: what to expect of the model, and what would make it better.

Every sentence follows from figures that the page shows further down; the limits below are rules of
thumb, and chosen so that a sentence which is not there would have said little.
"""

import math
from typing import Any

import numpy as np

from flaxmill.maths.suspects import suspects
from flaxmill.tasks.kinds import Tally

FEW_TESTED = 200  # examples; fewer leave an interval of ten points or more
FEW_TRAINED = 50  # examples of a class
UNEVEN = 5  # times as many examples in the largest class as in the smallest
WEAK = 0.9  # share of a class, or of what was learnt, below which there is something to do
NUM_FILES = 5
NUM_CLASSES = 3


def words(subject: Any, tested: Tally, material: dict[str, Any]) -> dict[str, Any] | None:
    """Returns sentences for the top of the page.

    Args:
        subject: The run.
        tested: What is kept of the model's outputs for its test examples.
        material: Of the sections ``headline``, ``confusion``, ``classes``, ``mistakes``, and the
            ``temperature``.

    Returns:
        ``expect`` (what a person may expect), ``confused``, ``cautions``, ``next`` (what to do),
        and ``files`` with probably wrong labels; None where the test says nothing of new examples.
    """
    headline = material["headline"]
    if subject.seen or headline is None or headline["accuracy"] is None:
        return None
    things = subject.things
    return {
        "expect": _expect(subject, tested, headline, things),
        "confused": _confused(material),
        "cautions": _cautions(subject, headline, things),
        "next": _next(subject, material, things),
        "files": _files(subject, tested, material["temperature"]),
    }


def _expect(subject: Any, tested: Tally, headline: dict[str, Any], things: str) -> list[str]:
    """Describes how many of 100 new examples will be right, and what that is worth."""
    share, (low, high) = headline["accuracy"], headline["interval"]
    all_of = "have every label right" if subject.several else "be right"
    sentences = [
        f"Of 100 new {things} of this kind, about {100 * share:.0f} will {all_of}: most likely "
        f"between {math.floor(100 * low)} and {math.ceil(100 * high)}."
    ]
    if subject.several:
        given, holds = tested.predicted, tested.labels > 0
        hits = (given & holds).sum()
        if given.any() and holds.any():
            sentences.append(
                f"Of 100 labels that it gives, {100 * hits / given.sum():.0f} hold; of 100 that "
                f"hold, it finds {100 * hits / holds.sum():.0f}."
            )
        return sentences
    counts = np.bincount(tested.labels, minlength=len(subject.labels))
    guess = counts.max() / counts.sum()
    always = f"Always saying “{subject.labels[counts.argmax()]}” would be right {100 * guess:.0f} "
    if low <= guess:
        sentences.append(f"{always}times: this model is not clearly better than that yet.")
    elif guess >= 0.2:  # lower, nobody would take it for a feat
        sentences.append(f"{always}times.")
    return sentences


def _confused(material: dict[str, Any]) -> list[str]:
    pairs = (material["confusion"] or {"pairs": []})["pairs"][:NUM_CLASSES]
    return [
        f"{pair['truth']} is taken for {pair['answer']}: {pair['count']:,} of {pair['of']:,} times."
        for pair in pairs
    ]


def _cautions(subject: Any, headline: dict[str, Any], things: str) -> list[str]:
    """Describes what makes the figures less certain, or the data one-sided."""
    cautions = []
    if headline["examples"] < FEW_TESTED:
        cautions.append(
            f"Only {headline['examples']:,} {things} were tested: with more, this page would be "
            f"surer of itself."
        )
    counts = subject.train_counts
    if counts is None or len(counts) < 2:
        return cautions
    least, most = int(counts.min()), int(counts.max())
    rarest, commonest = (subject.labels[i] for i in (counts.argmin(), counts.argmax()))
    if least < FEW_TRAINED:
        cautions.append(f"There are few {things} to learn from: {least:,} of “{rarest}”.")
    if most >= UNEVEN * max(least, 1):
        cautions.append(
            f"The classes are uneven: {most:,} {things} of “{commonest}”, {least:,} of “{rarest}”. "
            f"A model leans towards what it sees most, and the share of right answers hides how it "
            f"does on the rest."
        )
    if not subject.several and most > 0.8 * counts.sum():
        cautions.append(f"More than four in five training {things} are “{commonest}”.")
    return cautions


def _next(subject: Any, material: dict[str, Any], things: str) -> list[str]:
    """Describes what is most likely to make the model better."""
    advice = []
    rows = [row for row in material["classes"]["rows"] if math.isfinite(row[2])]
    weak = sorted(rows, key=lambda row: row[2])[:NUM_CLASSES]
    weak = [f"“{row[0]}” ({100 * row[2]:.0f} % found)" for row in weak if row[2] < WEAK]
    if weak:
        advice.append(
            f"Collect more {things} of {_listed(weak)}: the model misses these most often."
        )
    last = _last(subject, "accuracy")
    if "train" in last and "validation" in last:
        learnt, held = last["train"], last["validation"]
        if learnt - held > 0.1:
            advice.append(
                f"It knows {100 * learnt:.0f} % of its training {things} and {100 * held:.0f} % of "
                f"those held out: more {things}, or weights that were trained on many "
                f"(--init-from), will help more than longer training."
            )
        elif learnt < WEAK:
            advice.append(
                f"It has not learnt its training {things} yet ({100 * learnt:.0f} %): train longer "
                f"(--epochs), or begin with trained weights (--init-from)."
            )
    return advice


def _last(subject: Any, figure: str) -> dict[str, float]:
    """Returns the last value of a figure on each split."""
    return {row["split"]: row[figure] for row in subject.metrics if row.get(figure) is not None}


def _files(subject: Any, tested: Tally, temperature: float | None) -> list[dict[str, Any]]:
    """Returns test files whose label is probably wrong, where the model can be believed."""
    if subject.test_name is None or temperature is None or not len(tested.labels):
        return []  # of what is not calibrated, nobody knows what its sureness is worth
    kind, classes, files = subject.kind, list(subject.labels), []
    for suspect in suspects(tested.questions()):
        this = slice(suspect.index, suspect.index + 1)
        if (file := subject.test_name(suspect.index)).whole:
            files.append(
                {
                    "file": file,
                    "truth": kind.names(tested.labels[this], classes)[0],
                    "answer": kind.names(tested.predicted[this], classes)[0],
                    "suspect": suspect,
                }
            )
        if len(files) == NUM_FILES:
            break
    return files


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
