"""The benchmarks: all of them are run, and count as they say."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flaxmill import recipes
from flaxmill.commands.request import from_command
from flaxmill.errors import BadInput
from flaxmill.recipes import fashion_mnist

ROOT = Path(__file__).parents[2]


def test_make_bench_runs_every_benchmark_and_keeps_what_it_prints(benchmarks: Path) -> None:
    scripts = {path.name for path in benchmarks.glob("*.py") if "__main__" in path.read_text()}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    kept = set(re.findall(r"\$\(call measure,(\w+\.py)", makefile))
    # The plain loop is timed by fashion_mnist.py, and the tables measure nothing.
    assert kept == scripts - {"tutorial_loop.py", "table.py"}


def test_choices_are_options_of_the_recipe(benchmarks: Path) -> None:
    import choices

    recipe = recipes.load("fashion_mnist")
    for preset, ways in choices.CHOICES.items():
        for name, options in ways.items():
            order = from_command(recipe, ["--preset", preset, *options.split()], "train")
            changed = order.config != fashion_mnist.PRESETS[preset]
            assert changed == (name != "as it is"), name


def test_pictures_are_enlarged_pixel_by_pixel(benchmarks: Path) -> None:
    import sizes
    import tutorial_loop

    part = {"image": np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1), "label": np.arange(3)}
    large = tutorial_loop.enlarged(part, 3, 2)
    assert large["image"].shape == (2, 6, 6, 1)
    assert large["image"].dtype == np.uint8
    np.testing.assert_array_equal(large["image"][:, 1::3, 2::3], part["image"][:2])
    np.testing.assert_array_equal(large["label"], [0, 1])
    assert tutorial_loop.enlarged(part, 1, 2)["image"].shape == (3, 2, 2, 1)
    counts = [sizes.examples_for(scale, 20_000) for scale in (1, 2, 4, 8)]
    assert counts == [20_000, 4992, 1248, 320]


def test_ratios_are_medians_of_rounds(benchmarks: Path) -> None:
    import peers

    rounds = [{peers.OWN: 1.0, "other": 2.0}, {peers.OWN: 3.0, "other": 4.0}]
    rounds.append({peers.OWN: 9.0, "other": 9.0})
    assert peers.medians(rounds) == {peers.OWN: 3.0, "other": 4.0}
    assert peers.ratios(rounds) == {"other": 0.75}


def test_a_word_of_their_names_chooses_among_peers(benchmarks: Path) -> None:
    import peers

    assert list(peers.wanted(peers.TORCH, None)) == list(peers.TORCH)
    assert list(peers.wanted(peers.TORCH, ["compiled"])) == ["PyTorch, channels last, compiled"]
    loops = peers.loops("python")
    assert list(peers.wanted(loops, ["plain", "Keras"])) == [peers.PLAIN]


def test_a_target_counts_from_when_validation_first_reached_it(benchmarks: Path) -> None:
    import targets

    def rows(*accuracies: float) -> list[dict]:
        trained = [{"split": "train", "accuracy": 0.99, "seconds": 0.5}]
        validated = [
            {"split": "validation", "accuracy": accuracy, "seconds": 2.0 * number}
            for number, accuracy in enumerate(accuracies, start=1)
        ]
        return [*trained, *validated, {"split": "test", "accuracy": 0.93, "seconds": 9.0}]

    first = targets.outcome(rows(0.8, 0.9, 0.89, 0.95), [0.9, 0.94])
    assert first["seconds_to"] == {"0.9": 4.0, "0.94": 8.0}
    assert (first["seconds"], first["test_accuracy"]) == (9.0, 0.93)
    both = targets.gathered([first, targets.outcome(rows(0.9, 0.91), [0.9, 0.94])])
    assert both["seconds_to"] == {"0.9": 3.0, "0.94": None}
    assert both["reached"] == {"0.9": 2, "0.94": 1}


def test_the_training_in_pytorch_is_told_all_that_a_preset_says(benchmarks: Path) -> None:
    import targets

    known = {*targets.NUMBERS, *targets.FIXED, *targets.UNREAD, "flip"}
    assert known == {field.name for field in dataclasses.fields(fashion_mnist.Config)}
    quick = fashion_mnist.PRESETS["quick"]
    config = dataclasses.replace(quick, channels=(4, 8, 8), batch_size=125, flip=True)
    options = " ".join(targets.torch_options(config))
    assert options.startswith("--flip --channels 4 8 8 --residual --validation ")
    assert " --batch-size 125 " in options
    for name in (name for name in fashion_mnist.PRESETS if name != "article"):
        assert targets.torch_options(fashion_mnist.PRESETS[name])
    best = " ".join(targets.torch_options(fashion_mnist.PRESETS["best"]))
    residual = " ".join(map(str, fashion_mnist.PRESETS["best"].residual))
    assert f" --residual {residual} " in best
    assert best.endswith(" --ema 0.998")
    with pytest.raises(BadInput, match=r"network 'tutorial': .* knows 'fast' alone"):
        targets.torch_options(fashion_mnist.PRESETS["article"])


def test_another_config_in_the_same_place_is_refused(benchmarks: Path, tmp_path: Path) -> None:
    import limit
    import targets

    kept = tmp_path / "kept.jsonl"
    kept.write_text('{"options": ["--evaluate-every", "0.05"]}\n')
    with pytest.raises(BadInput, match=r"kept\.jsonl was made with other options: .* --run"):
        targets.torch_rows(kept, [], ["--evaluate-every", "0.1"], limit.Deadline(60))
    with pytest.raises(BadInput, match=r"refused, as is said above; .* another --run"):
        targets.own_rows(tmp_path / "run", ["--preset", "none"], limit.Deadline(60))


def test_a_refused_config_is_a_line_and_status_2(benchmarks: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(benchmarks / "accelerator.py"), "targets", "--device", "cpu"]
    command += ["--python", "none", "--preset", "article", "--run", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert answer.stderr.startswith("accelerator.py: network 'tutorial': ")
    assert answer.stderr.count("\n") == 1


def test_a_command_is_asked_to_stop_at_the_deadline(benchmarks: Path) -> None:
    import limit

    forever = "import signal, sys; signal.signal(15, lambda *_: sys.exit(143)); signal.pause()"
    assert not limit.ended([sys.executable, "-c", forever], limit.Deadline(0.2))
    assert not limit.ended(["no such program"], limit.Deadline(0))
    assert limit.ended([sys.executable, "-c", ""], limit.Deadline(60))
    with pytest.raises(subprocess.CalledProcessError):
        limit.ended([sys.executable, "-c", "raise SystemExit(2)"], limit.Deadline(60))


def test_the_plain_loop_counts_until_its_mean_reaches_90_percent(benchmarks: Path) -> None:
    import ninety

    quicks = [{"accuracy": 0.91, "seconds": 10.0}, {"accuracy": 0.92, "seconds": 20.0}]

    def loops(*accuracies: float) -> list[dict[str, float]]:
        return [{"accuracy": a, "seconds": 40.0 * n} for n, a in enumerate(accuracies, 1)]

    reaching = ninety.compared(quicks, [loops(0.8, 0.91, 0.95), loops(0.8, 0.89, 0.95)])
    assert reaching["plain_loop_reaches_90_after_epoch"] == 2
    assert reaching["plain_loop_seconds_until_then"] == 80
    assert reaching["plain_loop_to_quick"] == 6.0  # 80 / 10 and 80 / 20
    never = ninety.compared(quicks, [loops(0.8, 0.91), loops(0.8, 0.8)])
    assert never["plain_loop_reaches_90_after_epoch"] is None
    assert never["plain_loop_seconds_until_then"] == 80


def test_what_the_convolutions_gain_decides_whether_they_are_needed(benchmarks: Path) -> None:
    import fast_convolutions

    rounds = [
        {"plain": 5.0, "fast": 1.0, "outside": 0.5},
        {"plain": 6.0, "fast": 2.0, "outside": 2},
    ]
    rounds.append({"plain": 8.0, "fast": 2.0, "outside": 1.0})
    found = fast_convolutions.compared(rounds)
    assert found["seconds_a_step"] == {"plain": 6.0, "fast": 2.0, "outside": 1.0}
    assert (found["plain_to_fast"], found["plain_to_outside"]) == (4.0, 8.0)
    assert found["verdict"] == "needed"
    even = [{"plain": 1.1, "fast": 1.0, "outside": 1.0}]
    assert fast_convolutions.compared(even)["verdict"] == "needless"


def test_the_three_ways_to_convolve_compute_the_same(benchmarks: Path) -> None:
    import fast_convolutions

    for case in (fast_convolutions.Case(8, 3, 2, 4), fast_convolutions.Case(8, 3, 2, 4, stride=2)):
        plain, *others = (run() for run in fast_convolutions.ways(case, 2).values())
        for other in others:
            for one, two in zip(plain, other, strict=True):
                np.testing.assert_allclose(one, two, atol=1e-5)
