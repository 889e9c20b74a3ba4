import re
from concurrent.futures import Future
from dataclasses import replace

import jax.numpy as jnp
import pytest
from pages import Page, subject

from flaxmill.commands.train import waiting_hint
from flaxmill.data import batches
from flaxmill.machine.clock import Clock
from flaxmill.machine.meter import Meter
from flaxmill.report.page import render


class Set(Clock):
    """A clock that says what it is told to."""

    def at(self, **seconds: float) -> None:
        self.figures = {"train": 0.0, "evaluate": 0.0, "waiting": 0.0, "total": 0.0} | seconds

    def seconds(self) -> dict[str, float]:
        return self.figures


def test_a_row_says_how_long_the_device_waited_since_the_last_one() -> None:
    clock = Set()
    clock.at()
    meter = Meter(clock, step=5)
    assert meter.pace(5) == (0.0, 0.0)
    clock.at(train=3.0, waiting=1.0)  # before the training function was compiled
    meter.begin(0.5)
    assert meter.pace(5) == (0.5, 0.0)
    clock.at(train=5.0, waiting=1.5, evaluate=4.0, total=10.0)
    assert meter.pace(9) == (0.5, 0.25)
    row = {"examples_per_second": 64.0, "seconds": 10.0, "idle": 0.25}
    assert meter.training_speed(9, batch_size=32) == row
    assert meter.evaluation_speed(100) == {"examples_per_second": 25.0, "seconds": 10.0}
    clock.at(train=6.0, waiting=1.5, evaluate=6.0, total=13.0)
    assert meter.training_speed(11, batch_size=32)["idle"] == 0.0
    assert meter.evaluation_speed(100) == {"examples_per_second": 50.0, "seconds": 13.0}


def test_waiting_is_a_part_of_training_and_adds_up_over_attempts() -> None:
    clock = Clock({"train": 10.0, "waiting": 4.0, "total": 20.0})
    Meter(clock).add_wait(1.5)
    seconds = clock.seconds()
    assert (seconds["train"], seconds["waiting"]) == (10.0, 5.5)


def test_a_device_is_busy_until_what_it_was_given_is_done() -> None:
    meter = Meter(Clock())
    assert not meter.busy()  # it was given nothing
    sums = {"loss": jnp.arange(3) + 1, "count": 3}
    sums["loss"].block_until_ready()
    meter.track(sums)
    assert not meter.busy()


class Watched(Meter):
    """A device that is busy for so many looks; what is waited for arrives at another look."""

    def __init__(self, busy: int, arrives: int) -> None:
        super().__init__(Clock())
        self.left, self.arrives, self.looks = busy, arrives, 0
        self.result: Future[str] = Future()
        self.waits: list[float] = []

    def busy(self) -> bool:
        self.looks += 1
        if self.looks == self.arrives:
            self.result.set_result("the chunk")
        return self.looks <= self.left

    def add_wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def test_only_the_time_in_which_the_device_has_no_work_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = Watched(busy=9, arrives=3)
    assert batches._wait_for(busy.result, meter=busy) == "the chunk"
    assert busy.waits == []  # the device has not noticed
    idle = Watched(busy=2, arrives=3)
    times = iter([10.0, 12.5])
    monkeypatch.setattr(batches.time, "perf_counter", lambda: next(times))
    assert batches._wait_for(idle.result, meter=idle) == "the chunk"
    assert idle.looks == 3
    assert idle.waits == [2.5]


def test_a_person_is_told_what_to_do_where_the_device_waited_long() -> None:
    assert waiting_hint({"train": 100.0, "waiting": 9.0}) == ""
    assert waiting_hint({"train": 0.0, "waiting": 0.0}) == ""
    words = waiting_hint({"train": 100.0, "waiting": 34.0})
    assert words.startswith("For 34.0 s of the training (34 %) the device waited for data. ")
    assert "flaxmill prepare DATA --to DIR" in words
    assert "more --readers help" in words


def test_the_report_sets_waiting_apart_from_training() -> None:
    made = subject()
    seconds = {"import": 1.0, "train": 60.0, "waiting": 12.0, "total": 75.0}
    text = Page(render([replace(made, result={**made.result, "seconds": seconds})])).text
    rows = re.findall(r"(Training|Waiting for data|Everything else)([\d.]+ %) ?([\d.]+) s", text)
    assert rows == [
        ("Training", "64.0 %", "48.0"),
        ("Waiting for data", "16.0 %", "12.0"),
        ("Everything else", "18.7 %", "14.0"),
    ]
    assert "Waiting for data" not in Page(render([made])).text
