"""Requests that are gathered into batches: never mixed, never lost, none harmed by another."""

import asyncio
import gc
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

from flaxmill.serve.batcher import Batcher, Outputs, batch_choices
from flaxmill.serve.refusal import Busy

POISON = 255


class Doubling:
    """A model that waits to be let go, and notes its batches.

    Examples are two bytes; one that begins with `POISON` makes the whole batch fail.
    """

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []
        self.free = threading.Event()
        self.free.set()
        self.begun = threading.Event()

    def __call__(self, batch: np.ndarray) -> Outputs:
        self.begun.set()
        self.free.wait()
        self.batches.append(batch)
        if (batch[:, 0] == POISON).any():
            raise ValueError("poison")
        return {"doubled": batch.astype(np.int32) * 2}


def batcher(model: Doubling, capacity: int = 1000, max_wait: float = 0.0) -> Batcher:
    return Batcher(
        model,
        (2,),
        np.dtype(np.uint8),
        {1: 1.0, 2: 1.0, 4: 1.0},  # as on an accelerator: full batches are best
        capacity=capacity,
        loop=asyncio.get_running_loop(),
        max_wait=max_wait,
    )


async def ask(gather: Batcher, *examples: tuple[int, int], patience: float = 60.0) -> Any:
    sent = bytes(value for example in examples for value in example)
    outputs = await gather(sent, len(examples), time.monotonic() + patience)
    return outputs["doubled"].tolist()


async def held(model: Doubling, gather: Batcher) -> "asyncio.Task[Any]":
    """Has the model begin with a request, and hold on; whatever comes now gathers."""
    model.free.clear()
    model.begun.clear()
    first = asyncio.create_task(ask(gather, (0, 0)))
    await asyncio.get_running_loop().run_in_executor(None, model.begun.wait)
    return first


def test_requests_gather_while_the_model_computes() -> None:
    async def run() -> None:
        model = Doubling()
        gather = batcher(model)
        first = await held(model, gather)
        others = [asyncio.create_task(ask(gather, (n, n))) for n in range(1, 8)]
        await asyncio.sleep(0)
        model.free.set()
        assert await asyncio.gather(first, *others) == [[[2 * n, 2 * n]] for n in range(8)]
        assert [len(batch) for batch in model.batches] == [1, 4, 4]
        assert model.batches[2].tolist() == [[5, 5], [6, 6], [7, 7], [0, 0]]  # padded

    asyncio.run(run())


def test_a_large_request_is_split_and_put_together() -> None:
    async def run() -> None:
        model = Doubling()
        gather = batcher(model)
        first = await held(model, gather)
        large = [(n, n + 1) for n in range(11)]
        tasks = [asyncio.create_task(ask(gather, *part)) for part in ([(7, 7)], large, [(9, 9)])]
        await asyncio.sleep(0)
        model.free.set()
        await first
        assert await tasks[0] == [[14, 14]]
        assert await tasks[1] == [[2 * a, 2 * b] for a, b in large]
        assert await tasks[2] == [[18, 18]]
        assert gather.waiting == 0

    asyncio.run(run())


def test_one_bad_request_harms_no_other() -> None:
    async def run() -> None:
        model = Doubling()
        gather = batcher(model)
        first = await held(model, gather)
        asked = [(1, 1), (POISON, 0), (3, 3)]
        tasks = [asyncio.create_task(ask(gather, example)) for example in asked]
        await asyncio.sleep(0)
        model.free.set()
        await first
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert found[0] == [[2, 2]]
        assert isinstance(found[1], ValueError)
        assert found[2] == [[6, 6]]
        assert gather.waiting == 0

    asyncio.run(run())


def test_whoever_leaves_frees_the_place_and_is_not_computed() -> None:
    async def run() -> None:
        model = Doubling()
        gather = batcher(model, capacity=3)
        first = await held(model, gather)
        leaving = [asyncio.create_task(ask(gather, (n, n))) for n in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="3 examples wait, 1 more would be over 3"):
            await ask(gather, (3, 3))
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert gather.waiting == 1
        last = asyncio.create_task(ask(gather, (4, 4)))
        await asyncio.sleep(0)
        model.free.set()
        assert await last == [[8, 8]]
        await first
        assert [batch.tolist() for batch in model.batches] == [[[0, 0]], [[4, 4]]]

    asyncio.run(run())


def test_whoever_waited_too_long_is_told() -> None:
    async def run() -> None:
        model = Doubling()
        gather = batcher(model)
        first = await held(model, gather)
        late = asyncio.create_task(ask(gather, (1, 1), patience=-1.0))
        patient = asyncio.create_task(ask(gather, (2, 2)))
        await asyncio.sleep(0)
        model.free.set()
        with pytest.raises(Busy, match="waited longer than they may"):
            await late
        assert await patient == [[4, 4]]
        await first
        assert gather.waiting == 0

    asyncio.run(run())


def test_answers_never_mix() -> None:
    """Many requests of all sizes, some of whom leave: each gets its own numbers."""

    async def one(gather: Batcher, rng: np.random.Generator) -> None:
        examples = [(int(a), int(b)) for a, b in rng.integers(0, 250, (rng.integers(1, 9), 2))]
        task = asyncio.create_task(ask(gather, *examples))
        for _ in range(rng.integers(0, 5)):
            await asyncio.sleep(0)
        if rng.random() < 0.2:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            assert await task == [[2 * a, 2 * b] for a, b in examples]

    async def run() -> None:
        gather = batcher(Doubling(), capacity=100_000)
        rng = np.random.default_rng(0)
        await asyncio.gather(*(one(gather, rng) for _ in range(3000)))
        assert gather.waiting == 0

    asyncio.run(run())


def test_a_free_model_waits_for_company_only_if_told_to() -> None:
    async def run() -> None:
        model = Doubling()
        gather = batcher(model, max_wait=30.0)
        tasks = [asyncio.create_task(ask(gather, (n, n))) for n in range(4)]
        assert await asyncio.gather(*tasks) == [[[2 * n, 2 * n]] for n in range(4)]
        assert [len(batch) for batch in model.batches] == [4]  # full before 30 seconds were over

    asyncio.run(run())


def test_a_batcher_ends_with_its_last_request() -> None:
    async def run() -> None:
        others = set(threading.enumerate())
        model = Doubling()
        gather = batcher(model)
        (thread,) = set(threading.enumerate()) - others
        first = await held(model, gather)
        gone = weakref.ref(gather)
        del gather
        assert gone() is not None  # the request holds it
        model.free.set()
        assert await first == [[0, 0]]
        del first
        gc.collect()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        assert gone() is None

    asyncio.run(run())


def test_batch_sizes_are_those_that_answer_most_a_second() -> None:
    linear = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}
    assert batch_choices(linear)[1:] == [1, 2, 2, 4, 4, 4, 4, 8]
    constant = dict.fromkeys(linear, 1.0)
    assert batch_choices(constant)[1:] == [1, 2, 4, 4, 8, 8, 8, 8]
    steep = {1: 1.0, 2: 1.2, 4: 1.6, 8: 16.0}  # a large batch that is not worth it
    assert batch_choices(steep)[1:] == [1, 2, 4, 4, 4, 4, 4, 4]
