import dataclasses
import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from gil_source import Squares
from small_loop import Runtime
from test_batches import schedule

from flaxmill.data.batches import Gear, batches
from flaxmill.data.reading.readers import Filled, Reading, read_ahead
from flaxmill.data.source import Arrays, Items, Source, part
from flaxmill.errors import BadInput, CannotGoOn, Unreadable
from flaxmill.machine import signals
from flaxmill.maths.metrics import Sums
from flaxmill.training.evaluation import padded_batches, readable, total


@dataclasses.dataclass
class Numbered:
    """Examples that are functions of their index; some of them cannot be read."""

    length: int = 200
    bad: frozenset[int] = frozenset()
    trouble: Callable[[int], Exception] = lambda index: BadInput(f"{index}.png is damaged.")
    before: Callable[[np.ndarray], None] = lambda indices: None
    read: list[int] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: np.array(values[0]) for name, values in self.take(np.array([index])).items()}

    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        self.before(indices)
        for index in indices.tolist():
            if index in self.bad:
                raise self.trouble(index)
        self.read += indices.tolist()
        return {"x": indices.astype(np.float32), "label": indices.astype(np.int32)}


def requests(*ids: list[int], room: int = 8) -> Iterator[tuple[np.ndarray, Any]]:
    for number, some in enumerate(ids):
        yield np.array(some + [-1] * (room - len(some))), number


def alone(number: int, filled: Filled) -> tuple[int, dict[str, np.ndarray]]:
    return number, {name: array.copy() for name, array in filled.arrays.items()}


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("reader")]


@pytest.mark.parametrize(("readers", "ahead"), [(1, 0), (3, 0), (3, 5), (0, 1)])
@pytest.mark.parametrize("reuse", [False, True])
def test_what_is_read_is_what_was_asked_for(readers: int, ahead: int, reuse: bool) -> None:
    id_lists = [list(range(start, start + 2 + start % 7)) for start in range(0, 100, 3)]
    how = {"ahead": ahead, "finish": alone, "reuse": reuse}
    results = list(read_ahead(Numbered(), requests(*id_lists), Reading(readers), **how))
    assert [number for number, _ in results] == list(range(len(id_lists)))
    for ids, (_, arrays) in zip(id_lists, results, strict=True):
        assert arrays["label"][: len(ids)].tolist() == ids
        assert arrays["x"][: len(ids)].tolist() == ids
        assert arrays["label"].dtype == np.int32
    assert threads() == []


def test_all_readers_work_on_what_is_due_first() -> None:
    meeting = threading.Barrier(4, timeout=30)

    def meet(indices: np.ndarray) -> None:
        if 0 not in indices:  # which is read alone before, to see what an example is
            meeting.wait()

    source = Numbered(before=meet)
    results = read_ahead(source, requests([1, 2, 3, 4]), Reading(4), ahead=0, finish=alone)
    assert next(results)[1]["label"][:4].tolist() == [1, 2, 3, 4]


def test_readers_wait_for_whoever_is_behind() -> None:
    drawn: list[int] = []

    def asking() -> Iterator[tuple[np.ndarray, int]]:
        for number in range(100):
            drawn.append(number)
            yield np.arange(8) + number, number

    source = Numbered()
    results = read_ahead(source, asking(), Reading(2), ahead=3, finish=alone)
    assert next(results)[0] == 0
    assert drawn == [0, 1, 2, 3]
    assert isinstance(results, Generator)
    results.close()
    assert len(source.read) <= 1 + 4 * 8
    assert threads() == []


def test_memory_is_used_again_where_that_is_safe() -> None:
    def address(number: int, filled: Filled) -> int:
        return filled.arrays["x"].ctypes.data

    id_lists = [[n] for n in range(50)]
    how = {"ahead": 2, "finish": address}
    again = read_ahead(Numbered(), requests(*id_lists), Reading(2), reuse=True, **how)
    assert len(set(again)) <= 4  # three that are read or wait, and one that is being used


def test_what_the_device_looks_at_stays_as_it_is() -> None:
    """An array on a CPU device is the host's own memory: it must not be filled again."""
    chunks = batches(Numbered(100), Runtime(Gear("streaming", 2, 4), schedule()))
    first = next(chunks).inputs
    images, ids = first["examples"]["label"], first["ids"]
    before = np.array(images)
    assert len(list(chunks)) > 10
    np.testing.assert_array_equal(np.asarray(images), before)
    np.testing.assert_array_equal(before[0], np.asarray(ids)[0])


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        (lambda i: BadInput(f"{i}.png is damaged."), Unreadable, r"^37\.png is damaged\.$"),
        (lambda i: OSError("disk gone"), Unreadable, "^example 37 cannot be read: disk gone$"),
        (lambda i: ZeroDivisionError("a defect"), ZeroDivisionError, "a defect"),
        (lambda i: MemoryError("too little"), MemoryError, "too little"),
    ],
)
def test_an_error_says_which_example_it_is_about(trouble: Any, kind: type, words: str) -> None:
    source = Numbered(bad=frozenset([37]), trouble=trouble)
    results = read_ahead(
        source, requests([1, 2], [36, 37, 38], [3]), Reading(2), ahead=4, finish=alone
    )
    assert next(results)[0] == 0  # what was asked for before is not lost
    with pytest.raises(kind, match=words) as caught:
        next(results)
    notes = getattr(caught.value, "__notes__", [])
    assert notes == (["while example 37 was read"] if kind is ZeroDivisionError else [])
    assert threads() == []


def test_a_failure_to_finish_ends_the_reading() -> None:
    def refuse(number: int, filled: Filled) -> None:
        raise RuntimeError("the device is gone")

    with pytest.raises(RuntimeError, match="the device is gone"):
        next(read_ahead(Numbered(), requests([1]), Reading(2), ahead=0, finish=refuse))
    assert threads() == []


def test_examples_of_several_shapes_are_refused() -> None:
    items: Source = Items([(np.zeros((2, 2)), 0)] * 3 + [(np.zeros((2, 3)), 0)])
    reading = read_ahead(items, requests([1, 2, 3]), Reading(2), ahead=0, finish=alone)
    with pytest.raises(Unreadable, match=r"example 3 has 'image' of the shape \(2, 3\), the first"):
        next(reading)


# Examples that cannot be read.


def skipping(readers: int = 3) -> Reading:
    return Reading(readers, skip_unreadable=True)


def test_a_neighbour_takes_the_place_of_an_unreadable_example() -> None:
    source = Numbered(50, bad=frozenset([0, 7, 8, 49]))
    for readers, room in ((1, 8), (3, 11)):
        reading, id_lists = skipping(readers), ([5, 6, 7], [49, 8, 3], [7])
        how = {"ahead": 2, "finish": alone, "replace": True}
        results = list(read_ahead(source, requests(*id_lists, room=room), reading, **how))
        labels = [array["label"][: len(w)] for (_, array), w in zip(results, id_lists, strict=True)]
        assert np.concatenate(labels).tolist() == [5, 6, 9, 1, 9, 3, 9]
        # In the order of their use, once each.
        assert list(reading.unreadable) == [f"{i}.png is damaged." for i in (7, 8, 49, 0)]


def test_without_one_readable_example_there_is_nothing_to_take() -> None:
    source = Numbered(5, bad=frozenset(range(5)))
    with pytest.raises(Unreadable, match=r"none of the 5 examples can be read. One of them: 0.png"):
        skipping().first(source)
    vanishing = Numbered(5)

    def vanish(number: int, filled: Filled) -> None:
        vanishing.bad = frozenset(range(5))

    how = {"ahead": 0, "finish": vanish, "replace": True}
    results = read_ahead(vanishing, requests([1], [2]), skipping(), **how)
    next(results)
    with pytest.raises(Unreadable, match=r"none of the 5 examples can be read"):
        next(results)


def sums_of(batch: Any, mask: Any) -> Sums:
    values = jnp.asarray(batch["x"])
    return Sums.of({"x": (values, jnp.ones_like(values))}, jnp.asarray(mask))


def test_an_evaluation_leaves_out_what_cannot_be_read() -> None:
    bad = frozenset([0, 13, 14, 99])
    left = [index for index in range(100) if index not in bad]
    reading = skipping()
    results = total(sums_of, Numbered(100, bad=bad), 32, reading=reading)
    assert results.examples == 96
    assert float(results.weights["x"]) == 96
    assert results.means()["x"] == pytest.approx(np.mean(left))
    assert len(reading.unreadable) == 4
    with pytest.raises(Unreadable, match=r"^0\.png is damaged\.$"):
        total(sums_of, Numbered(100, bad=bad), 32)
    part_of = readable(Numbered(100, bad=bad))
    assert part_of.take(np.arange(len(part_of)))["label"].tolist() == left


def test_batches_of_an_evaluation_are_of_one_size_and_fit_the_devices() -> None:
    results = list(padded_batches(Numbered(70), 32, devices=5))
    assert [len(mask) for _, mask in results] == [35, 35]
    large: Source = Items([(np.zeros((2048, 2048), np.uint8), np.int32(0))] * 5)  # 4 MiB each
    sizes = [(batch["image"].shape[0], int(mask.sum())) for batch, mask in padded_batches(large)]
    assert sizes == [(3, 3), (3, 2)]
    for length, size in ((1, 1), (12, 16), (13, 16), (63, 63), (64, 125), (250, 250), (251, 500)):
        few = list(padded_batches(Numbered(length)))
        assert [(len(mask), int(mask.sum())) for _, mask in few] == [(size, length)]
    ((_, mask),) = padded_batches(Numbered(9), devices=8)
    assert len(mask) == 16
    assert list(padded_batches(part(Numbered(), 0, 0))) == []


# Processes.


def test_processes_read_where_decoding_holds_the_lock() -> None:
    source = part(Squares(), 10, 90)
    id_lists = [list(range(start, start + 8)) for start in range(0, 72, 8)]
    reading = read_ahead(source, requests(*id_lists), Reading(2), ahead=2, finish=alone)
    results = [next(reading)]
    for process in multiprocessing.active_children():
        for number in signals.ending():  # a terminal that closes tells all: they are not meant
            os.kill(process.pid or 0, number)
    results += reading
    squares = np.concatenate([arrays["square"] for _, arrays in results])
    assert squares.tolist() == [(10 + index) ** 2 for index in range(72)]
    assert os.getpid() not in np.concatenate([arrays["process"] for _, arrays in results])
    assert multiprocessing.active_children() == []


def test_processes_read_whatever_is_asked_for_so() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 9, 2**17), np.uint8)  # 1.1 MiB each
    for array in (pixels, pixels[:, :1, :5], pixels[:, 0, 0, None].astype(">f4")):
        source = Arrays({"image": array, "label": np.arange(30)})
        reading = Reading(2, processes=True)
        how = {"ahead": 1, "finish": alone}
        results = list(read_ahead(source, requests([3, 29, 0], [7, 8]), reading, **how))
        for ids, (_, arrays) in zip(([3, 29, 0], [7, 8]), results, strict=True):
            np.testing.assert_array_equal(arrays["image"][: len(ids)], array[ids])
            assert arrays["label"][: len(ids)].tolist() == ids


def test_words_of_an_error_come_from_another_process() -> None:
    how = {"ahead": 0, "finish": alone}
    ids = [4, 5, 6]
    with pytest.raises(Unreadable, match=r"^bilder/nr 5\.jpg is a damaged picture: save it anew"):
        next(read_ahead(Squares(bad=5), requests(ids), Reading(1), **how))
    with pytest.raises(CannotGoOn, match=r"a process that reads examples has ended \(exit code -9"):
        next(read_ahead(Squares(deadly=5), requests(ids), Reading(1, skip_unreadable=True), **how))
    assert multiprocessing.active_children() == []


def test_a_source_that_cannot_be_sent_to_processes_is_refused() -> None:
    how = {"ahead": 0, "finish": alone}
    with pytest.raises(BadInput, match=r"Squares is to be read by processes, .* cannot be pickled"):
        next(read_ahead(Squares(extra=threading.Lock()), requests([1]), Reading(1), **how))
    with pytest.raises(BadInput, match=r"cannot be made anew in the processes .*absent from here"):
        next(read_ahead(Squares(extra=Unloadable()), requests([1]), Reading(1), **how))


class Unloadable:
    """Can be pickled, but is made of what another process has not."""

    def __reduce__(self) -> Any:
        return os.listdir, ("/absent from here",)


@pytest.mark.parametrize("readers", [-1])
def test_impossible_readers_are_refused(readers: int) -> None:
    with pytest.raises(BadInput, match="--readers -1: give 1 or more, or 0 for one a core"):
        Reading(readers)
