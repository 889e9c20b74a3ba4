"""Dividing pictures: every part is as promised, or a message says which numbers would do."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flaxmill.data.listings.dividing import stratified_split
from flaxmill.data.listings.held_out import complete_splits
from flaxmill.data.listings.listing import Listing
from flaxmill.data.source import Items, hold_out
from flaxmill.errors import BadInput

NUMBERS = (0, 1, 2, 5, 0.02, 0.15, 0.5, 0.9)


def listing(labels: np.ndarray, classes: int) -> Listing:
    """A listing of files that do not exist."""
    files = tuple(Path(f"/data/{row}.png") for row in range(len(labels)))
    return Listing(files, labels, tuple(map(str, range(classes))), Path("/data"))


def small_sets() -> Iterator[Listing]:
    """Yields sets of 1 to 30 pictures of 2 to 5 classes, of one label each and of several."""
    dice = np.random.default_rng(0)
    for total in (*range(1, 13), 17, 23, 30):
        for classes in range(2, 6):
            yield listing(dice.integers(0, classes, total).astype(np.int32), classes)
            several = dice.random((total, classes)) < dice.choice([0.15, 0.5])
            yield listing(several.astype(np.float32), classes)


def learnt(part: Listing) -> set[int]:
    """Returns the classes that a part has a picture of."""
    return set(np.flatnonzero(part.labels.any(axis=0)) if part.multi_label else part.labels)


def test_every_part_of_few_pictures_is_as_promised_or_refused() -> None:
    dice, refused, divided = np.random.default_rng(1), 0, 0
    for whole in small_sets():  # all 13,440 choices of numbers take minutes, and hold too
        test, validation = (NUMBERS[place] for place in dice.integers((1, 0), len(NUMBERS)))
        try:
            parts, _ = complete_splits({"train": whole}, validation, test)
        except BadInput as refusal:
            refused += 1
            assert re.search(r"[Aa]dd pictures|give a number|leave nothing", str(refusal))
            continue
        divided += 1
        counts = {name: len(part) for name, part in parts.items()}
        assert counts["train"] > 0 < counts["test"]
        assert bool(counts["validation"]) == bool(validation)
        assert sum(counts.values()) == len(whole)
        assert learnt(parts["train"]) == learnt(whole)  # what can be tested can be learnt
        for name, count in (("test", test), ("validation", validation)):
            if isinstance(count, int) and not whole.multi_label:
                assert counts[name] == count
    assert refused > 10 < divided


@pytest.mark.parametrize("counts", [[2, 2], [2, 2, 2], [3, 1], [2, 2, 1, 1]])
def test_what_a_refusal_advises_is_taken(counts: list[int]) -> None:
    whole = listing(np.repeat(np.arange(len(counts)), counts).astype(np.int32), len(counts))
    with pytest.raises(BadInput, match="so none is left for validation: give") as refusal:
        complete_splits({"train": whole}, 0.15, 0.6)
    advised = re.search(
        r"give --test (\d+) --validation (\d+), or --validation 0", str(refusal.value)
    )
    assert advised is not None
    test, validation = map(int, advised.groups())
    parts, _ = complete_splits({"train": whole}, validation, test)
    assert (len(parts["test"]), len(parts["validation"])) == (test, validation)
    assert len(complete_splits({"train": whole}, 0, 0.6)[0]["test"]) > 0


def test_too_few_pictures_to_be_divided_are_refused() -> None:
    whole = listing(np.arange(3, dtype=np.int32), 3)
    with pytest.raises(
        BadInput,
        match=r"^/data has too few pictures to be divided, 3: every class keeps one to be learnt "
        r"from, so none can be held out, and the test takes one\. Add pictures, or a folder of "
        r"pictures for the test\.$",
    ):
        complete_splits({"train": whole}, 0, 0.15)


def test_as_many_are_held_out_as_was_said_though_a_class_has_one() -> None:
    whole = listing(np.repeat([0, 1], [1, 29]).astype(np.int32), 2)
    assert [len(part) for part in stratified_split(whole, 20)] == [10, 20]
    with pytest.raises(BadInput, match="give a number from 0 to 28"):
        stratified_split(whole, 29)


def test_the_share_that_a_refusal_advises_holds_out_one_or_more() -> None:
    for total in range(1, 31):
        with pytest.raises(BadInput) as refusal:
            hold_out(Items(range(total)), 0.001)
        if share := re.search(r"such as (0\.\d)", str(refusal.value)):
            train, held = hold_out(Items(range(total)), float(share[1]))
            assert len(train) > 0 < len(held)
        else:
            assert str(refusal.value).endswith("does not fit 1 training examples: give 0.")
