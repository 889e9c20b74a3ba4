from pathlib import Path

import jax
import numpy as np
import pytest

from flaxmill.devices import parallel
from flaxmill.errors import BadInput


def test_a_mesh_has_the_devices_that_were_asked_for() -> None:
    assert parallel.make_mesh(None) is None
    mesh = parallel.make_mesh("data=4")
    assert mesh is not None
    assert mesh.shape == {"data": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("date=2", r"--mesh 'date=2': no axis 'date'. Did you mean 'data'\? Give data=N"),
        ("8", r"no axis '8'. There are: 'data'"),
        ("data", r"--mesh 'data': expected data=N with a whole number N"),
        ("data=0", "expected data=N"),
        ("data=-1", "expected data=N"),
        ("data=two", "expected data=N"),
        ("data=9", r"this machine has 8 cpu device\(s\). Give data=8 or fewer"),
    ],
)
def test_a_wrong_mesh_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parallel.make_mesh(text)


def test_a_batch_must_divide_over_the_devices() -> None:
    mesh = parallel.make_mesh("data=8")
    parallel.check_batch_size(64, mesh)
    parallel.check_batch_size(63, None)
    with pytest.raises(BadInput, match=r"--batch-size 60 does not divide over 8 devices .* as 64"):
        parallel.check_batch_size(60, mesh)
    with pytest.raises(BadInput, match="a multiple of 8, such as 8"):
        parallel.check_batch_size(3, mesh)


def test_replicated_is_whole_everywhere_and_a_chunk_is_divided_by_batch() -> None:
    mesh = parallel.make_mesh("data=2")
    whole = parallel.replicate({"x": np.arange(6)}, mesh)["x"]
    assert [shard.data.shape for shard in whole.addressable_shards] == [(6,), (6,)]
    chunk = {
        "ids": np.zeros((3, 4), np.int32),
        "count": np.int32(3),
        "seed": np.zeros(2, np.uint32),
    }
    placed = parallel.split_batches(chunk, mesh)
    assert [shard.data.shape for shard in placed["ids"].addressable_shards] == [(3, 2), (3, 2)]
    assert placed["seed"].sharding.is_fully_replicated
    assert placed["count"].sharding.is_fully_replicated


def test_one_device_takes_everything() -> None:
    assert parallel.replicate(np.arange(3), None).devices() == {jax.devices()[0]}
    assert parallel.split_batch({"x": 1}, None) == {"x": 1}


def test_memory_that_only_caches_files_counts_as_free() -> None:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists() or jax.devices()[0].memory_stats():
        pytest.skip("needs a CPU under Linux, whose kernel says what is available")
    lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
    available = float(lines["MemAvailable"].split()[0]) * 1024
    # Other processes come and go between the two readings.
    assert parallel.free_bytes() == pytest.approx(available, rel=0.2)


def test_what_the_bits_depend_on_is_described() -> None:
    assert parallel.free_bytes() > 1e6
    described = parallel.description()
    assert described["backend"] == "cpu"
    assert len(described["devices"]) == 8
    assert described["cpu_threads"] == parallel.threads() >= 1
    assert "device_count=8" in described["xla_flags"]
