"""A short bombardment with malformed requests; tests/fuzz_server.py makes it as long as wanted."""

from pathlib import Path

import pytest
from fuzz_server import fuzz


@pytest.mark.parametrize("seed", [0, 1])
def test_malformed_requests_do_no_harm(shipped: Path, tmp_path: Path, seed: int) -> None:
    found = fuzz(shipped, tmp_path / "log", 150, seed)
    known = {
        "200",
        "304",
        "307",
        "400",
        "403",
        "404",
        "405",
        "408",
        "413",
        "415",
        "431",
        "closed",
        "left",
    }
    assert set(found["statuses"]) <= known
    assert {"200", "400"} <= set(found["statuses"])
    assert sum(found["statuses"].values()) == 150
    assert found["tracebacks"] == []
    assert found["exit"] == 0
    assert set(found["probe"]["asked"]) == {"health 200", "infer 200", "predict 200"}
    assert max(found["probe"]["longest_wait_ms"].values()) < 2000  # tests share the machine
