import collections
import threading
import tracemalloc
from collections.abc import Generator
from typing import Any

import jax
import numpy as np
import pytest
from small_loop import Config, Runtime

from flaxmill.data.batches import Chunk, Gear, Schedule, batches
from flaxmill.data.permutation import order, permute
from flaxmill.data.source import Arrays, Items, Source
from flaxmill.errors import BadInput, Unreadable

LENGTHS = [1, 2, 3, 4, 5, 7, 15, 16, 17, 63, 64, 65, 1000, 4097]


def epoch_order(length: int, *, seed: int = 0, epoch: int = 0) -> np.ndarray:
    return permute(np.arange(length), length, seed=seed, epoch=np.full(length, epoch))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (0, 1), (7, 3), (2**32 - 1, 10**6)])
def test_every_example_once_an_epoch(length: int, seed: int, epoch: int) -> None:
    examples = epoch_order(length, seed=seed, epoch=epoch)
    np.testing.assert_array_equal(np.sort(examples), np.arange(length))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [epoch_order(1000, seed=s, epoch=e).tobytes() for s in range(5) for e in range(5)]
    assert len(set(orders)) == 25
    assert epoch_order(1000).tobytes() == orders[0]


def test_the_order_looks_random() -> None:
    examples = epoch_order(10_000)
    # Of n uniform places, the mean distance from i to its place is n/3, give or take n/4.2/sqrt(n).
    assert np.abs(examples - np.arange(10_000)).mean() == pytest.approx(10_000 / 3, abs=5 * 24)
    assert (np.diff(examples) == 1).sum() < 10  # 1 neighbouring pair in the mean, Poisson


def test_a_small_set_takes_every_order() -> None:
    places, epochs = np.tile(np.arange(3), (600, 1)), np.repeat(np.arange(600), 3).reshape(600, 3)
    seen = collections.Counter(map(tuple, permute(places, 3, seed=0, epoch=epochs).tolist()))
    assert len(seen) == 6
    # 100 of each in the mean, with a standard deviation of 9.
    assert min(seen.values()) > 55
    assert max(seen.values()) < 145


def test_the_first_places_never_change() -> None:
    """A run that is resumed by a later version must see the same examples."""
    assert epoch_order(10).tolist() == FIRST_OF_TEN
    assert epoch_order(1000, seed=3, epoch=2)[:5].tolist() == FIRST_OF_THOUSAND


FIRST_OF_TEN = [7, 5, 1, 8, 6, 3, 4, 0, 9, 2]
FIRST_OF_THOUSAND = [879, 284, 795, 708, 626]


def test_memory_does_not_grow_with_the_data() -> None:
    tracemalloc.start()
    try:
        ids, epochs = order(10**6, 10**6 + 4, 256, 10**9, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000  # bytes; a table of the order would need 4,000,000,000
    assert len(np.unique(ids)) == 4 * 256
    assert ids.max() > 10**8
    assert (epochs == 0).all()


def test_batches_run_across_epoch_ends() -> None:
    ids, epochs = order(0, 5, 4, 10, seed=1)
    assert epochs.tolist() == [[0] * 4, [0] * 4, [0, 0, 1, 1], [1] * 4, [1] * 4]
    np.testing.assert_array_equal(np.sort(ids.reshape(-1)[:10]), np.arange(10))
    np.testing.assert_array_equal(np.sort(ids.reshape(-1)[10:]), np.arange(10))


def test_a_step_does_not_depend_on_where_one_starts() -> None:
    whole, epochs = order(0, 40, 6, 17, seed=2)
    for start, stop in [(0, 1), (13, 14), (7, 40)]:
        part, part_epochs = order(start, stop, 6, 17, seed=2)
        np.testing.assert_array_equal(part, whole[start:stop])
        np.testing.assert_array_equal(part_epochs, epochs[start:stop])


# Schedule.


def schedule(examples: int = 100, **fields: Any) -> Schedule:
    usual: dict[str, Any] = {"epochs": 3.0, "log_every": 0.25, "validation": 100}
    return Schedule(Config(**usual | fields), examples)


def walk(plan: Schedule) -> list[int]:
    stops, step = [], 0
    while step < plan.steps:
        step = plan.next_stop(step)
        stops.append(step)
    return stops


def test_durations_become_steps() -> None:
    plan = schedule()
    assert plan.steps == 30
    assert [s for s in range(1, 31) if plan.logs(s)] == [
        2,
        5,
        8,
        10,
        12,
        15,
        18,
        20,
        22,
        25,
        28,
        30,
    ]
    assert [s for s in range(1, 31) if plan.evaluates(s)] == [10, 20, 30]
    assert plan.evaluates(10) == ("validation",)
    assert plan.epoch(15) == 1.5


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"log_every": 0.37, "evaluate_every": 0.9, "epochs": 2.3},
        {"log_every": 7.0, "evaluate_every": 5.0},
        {"log_every": 1e-9},
        {"epochs": 1e-3},
    ],
)
def test_stops_are_where_there_is_something_to_do(fields: dict[str, float]) -> None:
    plan = schedule(examples=97, **fields)
    due = [s for s in range(1, plan.steps + 1) if plan.logs(s) or plan.evaluates(s)]
    assert walk(plan) == due
    assert plan.logs(plan.steps)
    assert plan.evaluates(plan.steps)


def test_nothing_is_evaluated_without_held_out_examples() -> None:
    plan = schedule(validation=0)
    assert not any(plan.evaluates(step) for step in range(1, 31))
    assert walk(plan)[-1] == 30
    assert schedule(validation=0, evaluate_on="test").evaluates(30) == ("test",)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "log_every", "evaluate_every"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_impossible_durations_are_refused(name: str, value: Any) -> None:
    flag = "--" + name.replace("_", "-")
    with pytest.raises(BadInput, match=f"{flag} {value} must be a number greater than 0"):
        Schedule(Config(**{name: value}), 100)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--batch-size 1,001 is larger than the 1,000 training exa"):
        schedule(examples=1000, batch_size=1001)
    assert schedule(examples=1000, batch_size=1000, epochs=2.0).steps == 2


# Gears and chunks.


def source(length: int = 100) -> Arrays:
    image = np.random.default_rng(0).integers(0, 256, (length, 2, 2, 1), np.uint8)
    return Arrays({"image": image, "label": np.arange(length, dtype=np.int32)})


def seen(chunks: list[Chunk]) -> dict[str, np.ndarray]:
    """Returns the examples of every step, whichever way they came."""
    parts = collections.defaultdict(list)
    for chunk in chunks:
        count, inputs = int(chunk.inputs["count"]), chunk.inputs
        assert count == chunk.stop - chunk.start
        if "resident" in inputs:
            rows = np.asarray(inputs["rows"])
            examples = {n: np.asarray(a)[rows] for n, a in inputs["resident"].items()}
        else:
            examples = inputs["examples"]
        for name, array in {**examples, "id": inputs["ids"], "epoch": inputs["epochs"]}.items():
            parts[name].append(np.asarray(array)[:count])
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


@pytest.mark.parametrize("name", ["resident", "streaming"])
@pytest.mark.parametrize(("chunk", "prefetch", "most"), [(1, 4, 9), (7, 0, 9), (64, 2, 3)])
def test_gears_chunks_and_prefetching_bring_the_same_examples(
    name: str, chunk: int, prefetch: int, most: int
) -> None:
    plan = schedule()
    run = Runtime(Gear(name, chunk, prefetch), plan, seeds=(5,), most=most)
    examples = seen(list(batches(source(), run)))
    ids, epochs = order(0, plan.steps, plan.batch_size, 100, seed=5)
    np.testing.assert_array_equal(examples["id"], ids)
    np.testing.assert_array_equal(examples["label"], ids)
    np.testing.assert_array_equal(examples["epoch"], epochs)
    np.testing.assert_array_equal(examples["image"], source().arrays["image"][ids])


@pytest.mark.parametrize(("chunk", "most"), [(64, 10**6), (2, 10**6), (64, 2)])
def test_chunks_follow_on_each_other_and_never_cross_a_stop(chunk: int, most: int) -> None:
    plan = schedule()
    run = Runtime(Gear("resident", chunk, 3), plan, step=4, most=most)
    chunks = list(batches(source(), run))
    assert [c.start for c in chunks] == [4] + [c.stop for c in chunks[:-1]]
    assert chunks[-1].stop == plan.steps
    for one in chunks:
        assert one.stop <= plan.next_stop(one.start)
        assert one.stop - one.start <= min(chunk, most)
        assert one.inputs["ids"].shape == (chunk, 10)  # one shape, so one compilation
        assert bool(one.inputs["fresh"]) == plan.logs(one.start)


def test_a_resumed_run_sees_the_rest() -> None:
    whole = seen(list(batches(source(), Runtime(schedule=schedule()))))
    rest = seen(list(batches(source(), Runtime(schedule=schedule(), step=13))))
    np.testing.assert_array_equal(rest["label"], whole["label"][13:])


def test_an_unreadable_example_stops_the_run() -> None:
    class Broken(Arrays):
        def take(self, indices: np.ndarray) -> Any:
            raise OSError("the disk is gone")

    for prefetch in (0, 2):
        chunks = batches(
            Broken(source().arrays), Runtime(Gear("streaming", 4, prefetch), schedule())
        )
        with pytest.raises(Unreadable, match=r"example \d+ cannot be read: the disk is gone"):
            list(chunks)


def reading() -> list[str]:
    """Returns the names of the threads that make chunks ready."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("batches", "reader"))]


def test_reading_ahead_ends_with_the_loop() -> None:
    chunks = batches(source(), Runtime(Gear("streaming", 1, 4), schedule()))
    next(chunks)
    assert reading()
    assert isinstance(chunks, Generator)
    chunks.close()
    assert reading() == []


def test_auto_takes_the_resident_gear_where_the_data_fits() -> None:
    assert Gear().choose(source()).name == "resident"
    items: Source = Items([(np.zeros((2, 2, 1)), 0)] * 20)
    assert Gear().choose(items).name == "streaming"
    assert Gear("streaming").choose(source()).name == "streaming"
    with pytest.raises(BadInput, match="--gear resident: this data is not in memory"):
        Gear("resident").choose(items)


def test_streamed_chunks_are_of_a_bounded_size() -> None:
    items = [(np.zeros((1024, 1024, 1), np.uint8), np.int32(0))] * 20  # 1 MiB and a label each
    large: Source = Items(items)
    step = 10 * (2**20 + 4)
    assert Gear("streaming", chunk=64).bounded(step).chunk == 6
    assert Gear("streaming", chunk=4).bounded(step).chunk == 4
    assert Gear("streaming", chunk=64).bounded(100 * step).chunk == 1
    assert Gear("streaming", chunk=64).bounded(1000).chunk == 64
    for prefetch, size, most in (
        (9, step, 4),
        (2, step, 2),
        (9, 1000, 9),
        (9, 10**9, 1),
        (0, 1, 0),
    ):
        assert Gear("streaming", prefetch=prefetch).bounded(size).prefetch == most
    chunk = next(batches(large, Runtime(Gear("streaming", 64, 0), schedule(examples=20))))
    assert chunk.inputs["examples"]["image"].shape[:2] == (6, 10)


def test_impossible_gears_are_refused() -> None:
    with pytest.raises(BadInput, match="--gear 'fast': expected auto, resident or streaming"):
        Gear("fast")
    for chunk, prefetch in ((0, 2), (64, -1)):
        with pytest.raises(BadInput, match="--chunk must be at least 1 and --prefetch at least 0"):
            Gear("auto", chunk, prefetch)


def test_batches_are_divided_over_a_mesh() -> None:
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("data",))
    chunk = next(batches(source(), Runtime(Gear("streaming", 4, 0), schedule(), mesh=mesh)))
    shards = chunk.inputs["examples"]["label"].addressable_shards
    assert [shard.data.shape for shard in shards] == [(4, 5), (4, 5)]
