"""What is published was measured: every table is made of what the benchmarks printed."""

import re
from pathlib import Path

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
