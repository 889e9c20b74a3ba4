"""Several seeds at once: each is what it would be alone, and together they are an ensemble."""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small_loop
import small_runs
from flax import nnx
from hearing import Heard
from small_loop import Runtime
from test_loop import Own, drawing, dropping, show_draws

import flaxmill
from flaxmill.commands import cli
from flaxmill.commands.train import print_summary
from flaxmill.data.batches import Gear, batches
from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.maths.metrics import Sums
from flaxmill.models import weights
from flaxmill.models.ensemble import Ensemble
from flaxmill.tasks.kinds import output_kind
from flaxmill.trained.run import TrainedRun
from flaxmill.training import members
from flaxmill.training.loop import TRAINING_BRANCH
from flaxmill.training.options import Options
from flaxmill.training.state import create_state

SEEDS = (3, 4, 5)
STEPS = 20
HOW: dict[str, Any] = {
    "build": dropping,
    "augment": drawing,
    "objective": show_draws,
    "ema": 0.5,
    "accumulate": 2,
    "epochs": 5.0,
}


# The loop.


@pytest.fixture(scope="module")
def alone() -> list[Any]:
    return [small_loop.train(Runtime(seeds=(seed,)), **HOW) for seed in SEEDS]


@pytest.mark.parametrize("abreast", [False, True], ids=["one after another", "abreast"])
@pytest.mark.parametrize("gear", ["resident", "streaming"])
def test_each_seed_takes_the_steps_that_it_takes_alone(
    alone: list[Any], gear: str, abreast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "abreast", lambda: abreast)
    run = Runtime(Gear(gear, 8, 0), seeds=SEEDS)
    state, means = small_loop.train(run, **HOW)
    assert (int(state.step), state.members, run.times_compiled) == (STEPS, 3, 1)
    assert bool(state.finite)
    for index, (single, its_means) in enumerate(alone):
        arrays = weights.flatten(state.member(index).own())
        for name, expected in weights.flatten(single.own()).items():
            np.testing.assert_allclose(arrays[name], expected, 1e-5, 1e-5, err_msg=name)
        for ours, theirs in zip(means[index::3], its_means, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)


def test_chunks_and_gears_leave_the_bits_of_all_seeds_alone() -> None:
    ways = [Gear("resident", 64, 0), Gear("streaming", 3, 2), Gear("resident", 1, 4)]
    runs = [small_loop.train(Runtime(way, seeds=SEEDS), **HOW)[0] for way in ways]
    assert len({weights.digest(state.own()) for state in runs}) == 1


def test_slow_convolutions_are_dispatched_seed_by_seed() -> None:
    run = Runtime(seeds=(3, 4))
    state, _ = small_loop.train(run, build=Own)
    assert len(run.slow) == 4
    for index, seed in enumerate(run.seeds):
        single, _ = small_loop.train(Runtime(seeds=(seed,)), build=Own)
        assert weights.digest(state.member(index).own()) == weights.digest(single.own())


def test_one_seed_that_is_not_finite_is_noticed() -> None:
    def poisoned(model: Any, batch: Any, *, key: jax.Array) -> Any:
        values, ones = small_loop.loss(model, batch, key=key)["loss"]
        steps = jax.random.fold_in(jax.random.key(4), TRAINING_BRANCH)
        its = jax.random.fold_in(jax.random.split(steps)[1], 7)
        met = (jax.random.key_data(key) == jax.random.key_data(its)).all()
        return {"loss": (values * jnp.where(met, jnp.nan, 1.0), ones)}

    state, _ = small_loop.train(Runtime(seeds=SEEDS), objective=poisoned)
    assert not bool(state.finite)
    for leaf in jax.tree.leaves(state.params):
        clean = np.isfinite(np.asarray(leaf)).reshape(3, -1).all(1)
        assert clean.tolist() == [True, False, True]


def test_a_streamed_chunk_has_room_for_the_examples_of_all_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = small_loop.source()
    monkeypatch.setattr("flaxmill.data.batches._CHUNK_BYTES", 10 * 16 * 12)  # 12 steps of ten
    for seeds, room in (((3,), 12), (SEEDS, 4)):
        chunk = next(batches(data, Runtime(Gear("streaming", 64, 0), seeds=seeds)))
        assert chunk.inputs["ids"].shape[-2:] == (room, 10)
        assert chunk.inputs["examples"]["x"].shape[-3:] == (room, 10, 3)


def test_sums_of_several_seeds_come_apart() -> None:
    one, other = (Sums({"loss": jnp.float32(v)}, {"loss": jnp.float32(2)}) for v in (1, 3))
    assert [sums.means() for sums in Sums.stacked([one, other]).apart()] == [
        {"loss": 0.5},
        {"loss": 1.5},
    ]
    assert [sums.means() for sums in one.apart()] == [{"loss": 0.5}]


# The ensemble.


def log_mean_probability(logits: np.ndarray) -> np.ndarray:
    """Of logits [member, example, class], with float64 throughout."""
    exponents = np.exp(logits.astype(np.float64))
    return np.log((exponents / exponents.sum(-1, keepdims=True)).mean(0))


def test_an_ensemble_gives_the_logarithm_of_the_mean_probability() -> None:
    models = [nnx.Linear(4, 3, rngs=nnx.Rngs(seed)) for seed in range(3)]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 4)), jnp.float32)
    outputs = np.stack([model(x) for model in models])
    logits = Ensemble(models, output_kind=output_kind("one_class"))(x)
    np.testing.assert_allclose(logits, log_mean_probability(outputs), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.nn.softmax(logits), np.exp(logits), rtol=1e-5)
    mean = Ensemble(models, output_kind=None)(x)
    np.testing.assert_allclose(mean, outputs.mean(0), rtol=1e-5, atol=1e-6)
    several = Ensemble(models, output_kind=output_kind("labels"))(x)
    expected = (1 / (1 + np.exp(-outputs.astype(np.float64)))).mean(0)
    np.testing.assert_allclose(jax.nn.sigmoid(several), expected, rtol=1e-5)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> TrainedRun:
    """A small run of the seeds 0 to 2."""
    run = tmp_path_factory.mktemp("runs") / "three"
    return small_runs.train("fashion_mnist", run, seeds=3, evaluate_every=0.5)


def test_the_result_is_that_of_the_ensemble_and_says_each_seed(three: TrainedRun) -> None:
    result, test = three.result, three.splits().test
    again = three.evaluate()
    assert {name: again[name] for name in result["test"]} == result["test"]
    assert again["weights_sha256"] == result["weights_sha256"]
    assert isinstance(three.model, Ensemble)
    examples = test.take(np.arange(len(test)))
    pictures = jnp.asarray(examples["image"])
    each = np.stack([model(pictures) for model in three.model.members])
    logits, labels = log_mean_probability(each), examples["label"]
    np.testing.assert_allclose(three.logits(test), logits, rtol=1e-4, atol=1e-5)
    right = (logits.argmax(-1) == labels).mean()
    assert result["test"]["accuracy"] == pytest.approx(right)
    loss = -logits[np.arange(len(labels)), labels].mean()
    assert result["test"]["loss"] == pytest.approx(loss, rel=1e-4)
    assert [one["seed"] for one in result["seeds"]] == [0, 1, 2]
    accuracies = [one["test"]["accuracy"] for one in result["seeds"]]
    assert accuracies == pytest.approx([(one.argmax(-1) == labels).mean() for one in each])
    assert result["test_mean"]["accuracy"] == pytest.approx(np.mean(accuracies))
    assert result["test_sd"]["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    digests = [weights.digest(arrays) for arrays in three._of_each_seed(three.arrays())]
    assert [one["weights_sha256"] for one in result["seeds"]] == digests


def test_an_ensemble_is_asked_as_any_model(three: TrainedRun, capsys: Any) -> None:
    pictures = three.splits().test.take(np.arange(3))["image"]
    answers = three.predict(pictures, top=10)
    assert sum(one["probability"] for one in answers[0]["predictions"]) == pytest.approx(1)
    assert cli._status("evaluate", str(three.path), "--json") == 0
    assert json.loads(capsys.readouterr().out) == three.evaluate()


def test_the_best_step_is_that_of_the_mean(three: TrainedRun) -> None:
    rows = [row for row in small_runs.figures(three.path) if row["split"] == "validation"]
    assert [row["seed"] for row in rows[:4]] == [0, 1, 2, 0]
    steps = sorted({row["step"] for row in rows})
    means = [np.mean([row["accuracy"] for row in rows if row["step"] == step]) for step in steps]
    best = three.result["best"]
    assert best["step"] == steps[int(np.argmax(means))]
    assert best["accuracy"] == pytest.approx(max(means))
    assert "seed" not in best
    assert TrainedRun(three.path, checkpoint="best").evaluate()["step"] == best["step"]


def test_each_seed_is_a_run_of_its_own_for_tensorboard(three: TrainedRun) -> None:
    folders = {path.parent.name for path in three.path.glob("tensorboard/*/events*")}
    assert folders == {"seed-0", "seed-1", "seed-2"}
    assert not list(three.path.glob("tensorboard/events*"))


def test_words_and_report_say_mean_deviation_and_ensemble(three: TrainedRun) -> None:
    heard = Heard()
    print_summary(heard, three)
    result = three.result
    mean, sd = 100 * result["test_mean"]["accuracy"], 100 * result["test_sd"]["accuracy"]
    assert f"accuracy {mean:.2f} ± {sd:.2f} %" in heard.lines[1]
    assert heard.lines[1].endswith("(mean ± standard deviation of 3 seeds).")
    assert heard.lines[2].startswith("Test of the 3 models together: ")
    assert f"accuracy {100 * result['test']['accuracy']:.2f} %" in heard.lines[2]
    page = three.report(three.path.parent / "three.html").read_text("utf-8")
    assert "seeds 0 to 2. Data" in page
    for one in result["seeds"]:
        shown = f"{100 * one['test']['accuracy']:.2f}\xa0%"
        assert f'<th scope="row">Seed {one["seed"]}</th><td>{shown}</td>' in page
    assert f"<td>{mean:.2f} ± {sd:.2f}\xa0%</td>" in page


# The run directory, and what is refused.


def test_a_run_of_one_seed_is_what_it_was(tmp_path: Path, small_data: None) -> None:
    run = small_runs.train("fashion_mnist", tmp_path / "run", seeds=1, epochs=0.5)
    for name in ("config.json", "result.json", "manifest.json"):
        assert "seeds" not in json.loads((run.path / name).read_text())
    assert all("seed" not in row for row in small_runs.figures(run.path))
    assert list(run.path.glob("tensorboard/events*"))
    with pytest.raises(BadInput, match="\n  seeds: 1 there, 2 now\n"):
        small_runs.train("fashion_mnist", run.path, seeds=2, epochs=0.5)


def test_a_run_directory_names_its_seeds_and_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_data: None
) -> None:
    monkeypatch.chdir(tmp_path)
    how: dict[str, Any] = {"quiet": True, "report": False, "epochs": 0.5}
    how |= {"data": "sketches", "validation": 40, "channels": (4,), "hidden": 4, "batch_size": 16}
    run = flaxmill.train("fashion_mnist", seed=4, seeds=2, **how)
    assert str(run.path) == "runs/fashion_mnist-quick-seeds-4-to-5"
    assert run.seeds == (4, 5)
    (run.path / "result.json").unlink()  # as if killed after the last save
    again = flaxmill.train("fashion_mnist", seed=4, seeds=2, **how)
    assert again.path == run.path
    assert (again.result["attempts"], again.result["test"]) == (2, run.result["test"])


def test_what_differs_is_refused_with_its_difference(three: TrainedRun) -> None:
    with pytest.raises(BadInput, match="\n  seeds: 3 there, 2 now\n") as refused:
        small_runs.train("fashion_mnist", three.path, seeds=2, evaluate_every=0.5)
    assert "--init-from" not in str(refused.value)  # which is for one model
    with pytest.raises(BadInput, match=r"this run holds 3 models, one for each of its seeds"):
        small_runs.train(
            "fashion_mnist", three.path.parent / "other", Options(init_from=three.path)
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seeds", "0"], "--seeds 0: give how many models to train, 1 or more."),
        (["--seeds", "-2"], "--seeds -2: give how many models to train, 1 or more."),
        (
            ["--seed", str(2**32 - 3), "--seeds", "4"],
            "--seeds 4 from --seed 4294967293 on: a seed is a number from 0 to 4,294,967,295, so "
            "at most 3 are left.",
        ),
        (
            ["--seeds", "2", "--mesh", "data=8"],
            "--seeds 2 with --mesh data=8: several seeds are trained on one device.",
        ),
    ],
)
def test_seeds_that_cannot_be_are_refused(
    options: list[str], words: str, tmp_path: Path, capsys: Any
) -> None:
    run = tmp_path / "run"
    arguments = ["fashion_mnist", "--data", "sketches", "--run", str(run)]
    assert cli._status("train", *arguments, *options) == 2
    assert words in capsys.readouterr().err
    assert not run.exists()


def test_all_seeds_may_start_from_the_same_weights(three: TrainedRun, tmp_path: Path) -> None:
    first = small_runs.train("fashion_mnist", tmp_path / "first", epochs=0.5)
    tiny: dict[str, Any] = {"learning_rate": 1e-30, "schedule": "constant", "epochs": 0.5}
    how = Options(init_from=first.path, report=False)
    both = small_runs.train("fashion_mnist", tmp_path / "both", how, seeds=2, **tiny)
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(both.arrays()[name], np.stack([array, array]))


def test_a_loop_that_knows_one_seed_alone_is_told_how(tmp_path: Path, small_data: None) -> None:
    fork = small_runs.fork(tmp_path / "mine.py", ("run.seeds, tx", "run.seed, tx"))
    with pytest.raises(BadInput, match=r"made 1 model\(s\) for 2 seeds: have it give run\.seeds"):
        small_runs.train(str(fork), tmp_path / "run", seeds=2)
    assert not (tmp_path / "run").exists()


def test_what_is_not_finite_is_named_with_its_seed(tmp_path: Path, small_data: None) -> None:
    steps = jax.random.split(jax.random.fold_in(jax.random.key(1), TRAINING_BRANCH))[1]
    met = jax.random.key_data(jax.random.fold_in(steps, 7)).tolist()
    line = "    return class_measures(logits, batch["
    spoilt = (
        f"    met = (jax.random.key_data(key) == jnp.array({met}, jnp.uint32)).all()\n"
        "    logits = jnp.log(jnp.where(met, -1.0, jnp.exp(logits)))\n"
    )
    rest = '"label"], label_smoothing=label_smoothing)'
    fork = small_runs.fork(tmp_path / "mine.py", (line + rest, spoilt + line + rest))
    with pytest.raises(CannotGoOn) as stopped:
        small_runs.train(str(fork), tmp_path / "run", seeds=3)
    assert "not finite any more at step 8 of seed 1: the output of log float32[16,10] (" in str(
        stopped.value
    )


def test_an_overfit_and_a_dry_run_take_several_seeds(tmp_path: Path, small_data: None) -> None:
    fields: dict[str, Any] = small_runs.PLAIN["fashion_mnist"] | {"overfit": 8, "batch_size": 8}
    run = small_runs.train("fashion_mnist", tmp_path / "run", seeds=2, epochs=4.0, **fields)
    assert run.result["test"]["accuracy"] == 1.0
    flags = small_runs.flags(small_runs.SMALL["fashion_mnist"])
    assert cli._status("train", "fashion_mnist", *flags, "--seeds", "2", "--dry-run") == 0


def test_a_state_of_several_seeds_is_made_of_those_of_each() -> None:
    both = create_state(small_loop.Model, [1, 2], optax.sgd(0.1, momentum=0.9), ema=0.5)
    for index, seed in enumerate((1, 2)):
        single = create_state(small_loop.Model, seed, optax.sgd(0.1, momentum=0.9), ema=0.5)
        assert weights.digest(both.member(index).own()) == weights.digest(single.own())
        assert weights.model_digest(*both.member(index).weights) == weights.model_digest(
            *single.weights
        )
    assert create_state(small_loop.Model, (1,), optax.sgd(0.1)).members == 1
