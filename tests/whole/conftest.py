"""What the tests of the whole share."""

from pathlib import Path

import pytest


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the benchmarks, from which they can be imported."""
    folder = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    return folder
