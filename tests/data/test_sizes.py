import itertools
from typing import Any

import jax
import numpy as np
import pytest
from small_loop import Config, Runtime

from flaxmill.data.batches import Gear, Schedule, batches
from flaxmill.data.sizes import Sized, SizeSchedule, choose_sizes, step_examples
from flaxmill.data.source import known_labels
from flaxmill.data.text.splits import pad_to_sizes
from flaxmill.errors import BadInput

SIZES = (2, 4, 8)


def source(count: int = 60, **how: Any) -> Sized:
    """Texts of 1 to 8 tokens; example i has the label i and tokens that tell it."""
    lengths = [1 + (7 * i * i + i) % 8 for i in range(count)]
    tokens = [[1000 * length + i + 1 for length in range(n)] for i, n in enumerate(lengths)]
    return pad_to_sizes(tokens, np.arange(count, dtype=np.int32), SIZES, **how)


def test_each_example_is_padded_to_the_smallest_size_that_holds_it() -> None:
    texts = source()
    assert [some.arrays["tokens"].shape[1] for some in texts.sources] == [2, 4, 8]  # pyrefly: ignore
    for size, part in enumerate(texts.sources):
        for i, label in enumerate(part.arrays["label"].tolist()):  # pyrefly: ignore
            tokens = part[i]["tokens"]
            assert np.count_nonzero(tokens) == texts.lengths[label]
            assert not tokens[texts.lengths[label] :].any()
            assert size == 0 or texts.lengths[label] > SIZES[size - 1]


def test_as_a_source_all_are_of_the_largest_size_and_in_their_order() -> None:
    texts = source()
    batch = texts.take(np.array([5, 3, 59, 5]))
    assert batch["label"].tolist() == [5, 3, 59, 5]
    assert batch["tokens"].shape == (4, 8)
    assert (batch["tokens"] != 0).sum(1).tolist() == texts.lengths[[5, 3, 59, 5]].tolist()
    assert texts[-1]["label"] == 59
    assert known_labels(texts).tolist() == list(range(60))  # pyrefly: ignore
    with pytest.raises(IndexError, match="60 is out of range"):
        texts[60]


def test_padding_is_the_share_of_what_is_computed() -> None:
    texts = pad_to_sizes([[1], [1, 2], [1, 2, 3]], np.zeros(3, np.int32), (2, 4))
    assert texts.padding == pytest.approx(2 / 8)  # 1 of 2, 0 of 2, 1 of 4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="length 3 is longer than the largest size, 2"):
        Sized(source().sources, (1, 2), np.array([3]), ("tokens",))
    with pytest.raises(BadInput, match="give 1 to 8 lengths, smallest first"):
        Sized((), (4, 2), np.array([], np.int64), ("tokens",))
    with pytest.raises(BadInput, match="--stretch 0"):
        source(stretch=0)


def test_sizes_are_chosen_so_that_there_is_little_padding() -> None:
    lengths = np.concatenate([np.arange(1, 41), np.arange(1, 11), np.full(30, 20)])
    sizes = choose_sizes(lengths, most=3)

    def cost(sizes: tuple[int, ...]) -> int:
        return int(np.asarray(sizes)[np.searchsorted(sizes, lengths)].sum())

    every = itertools.combinations(range(1, 40), 2)
    assert cost(sizes) == min(cost((*some, 40)) for some in every)
    assert sizes[-1] == 40
    assert choose_sizes([5, 5, 2], most=6) == (2, 5)
    assert choose_sizes([5, 5, 2], most=1) == (5,)


COUNTS = (500, 37, 1, 210)


def test_no_size_starves_and_an_epoch_is_an_epoch_of_each() -> None:
    schedule = SizeSchedule(COUNTS, batch_size=4, stretch=3)
    counts = np.zeros(4, int)
    for stretch in range(500):
        counts[schedule.size(stretch * 3)] += 1
        epochs = (stretch + 1) * 12 / sum(COUNTS)
        if epochs >= 1:
            ideal = epochs * np.array(COUNTS) / 12
            # within the stretches of the epoch under way, as many as each is to have
            assert (np.abs(counts - ideal) <= np.array(COUNTS) / 12 + 2).all()
    assert counts.sum() == 500
    assert counts.min() == 1  # of the one example: 8 epochs are 0.67 stretches, rounded


def test_each_example_of_a_size_comes_once_in_an_epoch_of_its_own() -> None:
    schedule = SizeSchedule((48, 24), batch_size=4, stretch=2)
    places_of: dict[int, list[int]] = {0: [], 1: []}
    for start in range(0, 18, 2):  # one epoch: 6 stretches and 3
        places, epochs = schedule.order(start, start + 2, seed=5)
        assert not epochs.any()
        places_of[schedule.size(start)] += places.ravel().tolist()
    assert sorted(places_of[0]) == list(range(48))
    assert sorted(places_of[1]) == list(range(24))


def test_a_step_is_the_same_wherever_one_begins() -> None:
    schedule = SizeSchedule(COUNTS, batch_size=4, stretch=5)
    for start in (0, 5, 735, 10_000_000_005):
        whole, epochs = schedule.order(start, start + 5, seed=2)
        for step in range(5):
            one, epoch = schedule.order(start + step, start + step + 1, seed=2)
            np.testing.assert_array_equal(one[0], whole[step])
            np.testing.assert_array_equal(epoch[0], epochs[step])
        assert {schedule.size(start + step) for step in range(5)} == {schedule.size(start)}
        assert schedule.until(start + 2) == start + 5


def test_the_first_turns_never_change() -> None:
    """A run that is resumed by a later version must see the same examples."""
    schedule = SizeSchedule(COUNTS, batch_size=4, stretch=3)
    assert [schedule.size(step) for step in range(0, 36, 3)] == FIRST_SIZES
    assert schedule.order(0, 1, seed=0)[0].tolist() == [FIRST_PLACES]


FIRST_SIZES = [0, 0, 0, 0, 0, 0, 3, 3, 3, 0, 0, 0]
FIRST_PLACES = [270, 300, 41, 231]


def test_sizes_do_not_depend_on_the_seed_and_examples_do() -> None:
    texts = source()
    one, other = (step_examples(texts, 4, 0, 8, seed)[0] for seed in (0, 1))
    assert set(texts.which[one.ravel()]) == set(texts.which[other.ravel()])
    assert one.tolist() != other.tolist()


def chunks(gear: Gear, *, step: int = 0, seeds: tuple[int, ...] = (3,)) -> list[Any]:
    texts = source(stretch=4)
    config = Config(batch_size=5, epochs=3.0, log_every=0.5, evaluate_every=1.0)
    run = Runtime(schedule=Schedule(config, len(texts)), gear=gear, seeds=seeds)
    run.step = step
    steps = []
    for chunk in batches(texts, run):
        inputs, size = chunk.inputs, SIZES[chunk.size]
        for i in range(chunk.stop - chunk.start):
            if "resident" in inputs:
                rows = np.asarray(inputs["rows"])[..., i, :]
                tokens = np.asarray(inputs["resident"]["tokens"])[rows]
                labels = np.asarray(inputs["resident"]["label"])[rows]
            else:
                tokens = np.asarray(inputs["examples"]["tokens"])[..., i, :, :]
                labels = np.asarray(inputs["examples"]["label"])[..., i, :]
            ids = np.asarray(inputs["ids"])[..., i, :]
            assert tokens.shape[-1] == size
            np.testing.assert_array_equal(labels, ids)  # a label is the number of its example
            np.testing.assert_array_equal((tokens != 0).sum(-1), texts.lengths[ids])
            epochs = np.asarray(inputs["epochs"])[..., i, :]
            steps.append((chunk.start + i, ids.tolist(), epochs.tolist(), tokens.tolist()))
    return steps


def test_gears_chunks_and_resuming_give_the_same_steps() -> None:
    whole = chunks(Gear("resident", 64, 2))
    assert [step for step, *_ in whole] == list(range(36))
    assert chunks(Gear("streaming", 7, 0)) == whole
    assert chunks(Gear("streaming", 1, 3)) == whole
    for step in (1, 13, 30):
        assert chunks(Gear("auto", 5, 1), step=step) == whole[step:]


def test_several_seeds_share_the_size_and_have_the_order_of_each() -> None:
    both = chunks(Gear("resident"), seeds=(3, 4))
    for index, seed in enumerate((3, 4)):
        alone = chunks(Gear("resident"), seeds=(seed,))
        assert [(step, ids[index]) for step, ids, *_ in both] == [(s, ids) for s, ids, *_ in alone]


@pytest.mark.parametrize("gear", ["resident", "streaming"])
def test_a_chunk_tells_what_those_of_every_size_look_like(gear: str) -> None:
    texts = source()
    run = Runtime(schedule=Schedule(Config(batch_size=5), len(texts)), gear=Gear(gear, 4))
    chunk = next(iter(batches(texts, run)))
    assert sum(form.share for form in chunk.forms) == pytest.approx(1)
    shapes = [jax.tree.map(np.shape, form.blank()) for form in chunk.forms]
    assert shapes[chunk.size] == jax.tree.map(np.shape, chunk.inputs)
    assert len({str(shape) for shape in shapes}) == 3
