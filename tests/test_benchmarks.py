"""What is published was measured: every table is made of what the benchmarks printed."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the benchmarks, from which they can be imported."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return ROOT / "benchmarks"


def test_the_tables_are_those_of_the_results(benchmarks: Path) -> None:
    import table

    made = table.texts(table.summaries())
    assert sorted(path.name for path in made) == ["README.ko.md", "README.md", "results.md"]
    for path, text in made.items():
        assert path.read_text("utf-8") == text, "python benchmarks/table.py writes it anew"


def test_a_single_seed_has_no_deviation(benchmarks: Path) -> None:
    import table

    row = {
        "preset": "quick",
        "seeds": 3,
        "test_accuracy_mean": 0.9125,
        "test_accuracy_sd": 0.0032,
        "test_accuracy_lowest": 0.9,
        "seconds_median": 60.4,
    }
    several = table.accuracy_rows({"accuracy quick": row})[-1]
    assert several == "| quick | 3 | 91.25% ± 0.32 points | 90.00% | 60 |"
    one = table.accuracy_rows({"accuracy quick": row | {"seeds": 1, "test_accuracy_sd": None}})[-1]
    assert one == "| quick | 1 | 91.25% ± – | 90.00% | 60 |"
    korean = table.accuracy_rows({"accuracy quick": row}, table.KOREAN)
    assert korean[0] == "| 프리셋 | 시드 수 | 테스트 정확도 | 최저 | 시간(초) |"
    assert "91.25% ± 0.32%p" in korean[-1]


def test_make_bench_runs_every_benchmark_and_keeps_what_it_prints(benchmarks: Path) -> None:
    scripts = {path.name for path in benchmarks.glob("*.py") if "__main__" in path.read_text()}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    kept = set(re.findall(r"\$\(call measure,(\w+\.py)", makefile))
    # The plain loop is timed by fashion_mnist.py, and the tables measure nothing.
    assert kept == scripts - {"tutorial_loop.py", "table.py"}


def test_costs_by_size_and_gear_have_tables(benchmarks: Path) -> None:
    import table

    costs = {
        "parameters": 206_922.0,
        "step_milliseconds": 9.84,
        "start_seconds": 5.06,
        "peak_memory_mib": 701.4,
    }
    found = {
        "streaming": {
            "examples_per_second": {"quick": {"resident": 8000, "streaming": 7920}},
            "streaming_to_resident": {"quick": 0.991},
            "machine": {"processor": "one", "cores": 2, "jax": "0"},
        },
        "scaling": {
            "cases": {"channels 8, 32": costs},
            "machine": {"processor": "one", "cores": 2, "jax": "0"},
        },
    }
    page = table.page(found)
    assert "| quick | 8000 | 7920 | 99.1% |" in page
    assert "| channels 8, 32 | 206,922 | 9.8 | 5.1 | 701 |" in page
    assert "- streaming, scaling: one, 2 cores; jax 0." in page


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


def test_larger_pictures_have_a_table(benchmarks: Path) -> None:
    import sections

    both = {"flaxmill, article": 1.0, "PyTorch": 2.0}
    to = {"PyTorch": 0.5}
    sizes = {"rounds": 3, "learning_rate": 0.001, "sizes": {"28": both}, "flaxmill_to": {"28": to}}
    assert "| PyTorch | 2.00 (0.50 ×) |" in sections.sizes(sizes)
