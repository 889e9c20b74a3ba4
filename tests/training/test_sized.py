"""Examples of several sizes in a loop: compiled for each, and evaluated exactly."""

import functools
from typing import Any

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from small_loop import Config, Runtime, usual_step

from flaxmill.data.batches import Gear, Schedule, batches
from flaxmill.data.source import Arrays
from flaxmill.data.text.splits import pad_to_sizes
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures, macro_f1
from flaxmill.maths.metrics import Measures
from flaxmill.models.text import TextCNN
from flaxmill.training.facts import describe_run
from flaxmill.training.loop import TrainChunk, compile_evaluation, compile_steps
from flaxmill.training.state import State, create_state


def source(count: int = 90) -> Any:
    rng = np.random.default_rng(0)
    tokens = [rng.integers(1, 20, 1 + i % 8).tolist() for i in range(count)]
    labels = np.array([max(some) > 15 for some in tokens], np.int32)
    return pad_to_sizes(tokens, labels, (2, 5, 8), stretch=3)


def loss(model: nnx.Module, batch: dict, *, key: jax.Array) -> Measures:
    logits = model(batch["tokens"], rngs=nnx.Rngs(dropout=key))  # pyrefly: ignore
    return class_measures(logits, batch["label"])


def measure(model: nnx.Module, batch: dict) -> Measures:
    logits = model(batch["tokens"])  # pyrefly: ignore
    return {**class_measures(logits, batch["label"]), **macro_f1(logits, batch["label"])}


def fresh() -> tuple[State, optax.GradientTransformation]:
    tx = optim.adamw(0.02, weight_decay=0.0)
    build = functools.partial(
        TextCNN, 20, 2, width=8, windows=(1, 2), channels=8, buckets=64, gram_width=4
    )
    return create_state(lambda rngs: build(rngs=rngs), 3, tx), tx


def runtime(gear: Gear) -> Runtime:
    config = Config(batch_size=6, epochs=8.0, log_every=1.0)
    return Runtime(schedule=Schedule(config, len(source())), gear=gear)


def trained(gear: Gear) -> tuple[State, TrainChunk, Runtime]:
    texts, run = source(), runtime(gear)
    state, tx = fresh()
    chunks = compile_steps(usual_step(loss, tx), run)
    for chunk in batches(texts, run):
        state, _ = chunks(state, chunk)
    return state, chunks, run


@pytest.fixture(scope="module")
def resident() -> tuple[State, TrainChunk, Runtime]:
    return trained(Gear("resident", 16, 1))


def test_each_size_is_compiled_once_and_before_the_first_step(resident: Any) -> None:
    state, chunks, run = resident
    assert len(chunks.programs) == 3
    assert run.times_compiled == 1
    assert run.seconds > 0
    assert int(state.step) == 120
    assert bool(state.finite)


def test_gears_compute_the_same_bits(resident: Any) -> None:
    streamed = trained(Gear("streaming", 5, 0))[0]
    for ours, theirs in zip(
        *map(jax.tree.leaves, (streamed.own(), resident[0].own())), strict=True
    ):
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def test_going_on_from_within_a_stretch_gives_the_same_bits(resident: Any) -> None:
    expected, chunks, run = resident
    state, texts = fresh()[0], source()
    for begin, end in ((0, 13), (13, 120)):
        part = runtime(run.gear)
        part.step, part.most = begin, 1
        for chunk in batches(texts, part):
            state, _ = chunks(state, chunk)
            if chunk.stop == end:
                break
    for ours, theirs in zip(*map(jax.tree.leaves, (state.own(), expected.own())), strict=True):
        assert np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


def test_evaluating_by_size_is_evaluating_all(resident: Any) -> None:
    state, _, run = resident
    texts = source()
    whole = Arrays(texts.take(np.arange(len(texts))))
    evaluate = compile_evaluation(measure, run, batch_size=32)
    by_size, at_once = evaluate(state, texts), evaluate(state, whole)
    assert by_size.examples == at_once.examples == 90
    assert by_size.means() == pytest.approx(at_once.means(), rel=1e-5)
    assert by_size.means()["accuracy"] > 0.8  # it has learnt something


def test_the_facts_say_what_is_padded(resident: Any) -> None:
    from flaxmill.data.source import Splits

    texts = source()
    splits = Splits("texts", texts, texts, texts, ("a", "b"))
    facts = describe_run(splits, resident[2].schedule, resident[0], (3,), None, "resident")
    padding = 1 - texts.lengths.sum() / np.array([2, 5, 8])[texts.which].sum()
    assert facts["sizes"].startswith("2, 5, 8: compiled once each; ")
    assert f"{100 * padding:.1f} % of what is computed is padding" in facts["sizes"]
