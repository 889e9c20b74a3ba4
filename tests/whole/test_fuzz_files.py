"""Some hundred damaged files; tests/fuzz_files.py opens as many as wanted, by every command."""

import shutil
from pathlib import Path

import fuzz_files
import pytest
from fuzz_files import KINDS, Kind, Reads, damage, kind_of, outcome

from flaxmill.tasks.signature import Signature
from flaxmill.trained import exported
from flaxmill.trained.run import TrainedRun
from flaxmill.training.log import read_rows

OF_EACH = 10


def opened(place: Path, _: Path) -> None:
    """Reads what every command reads of a run, up to its weights."""
    read_rows(place / "metrics.jsonl")
    repr(TrainedRun(place))


def opened_export(place: Path, _: Path) -> None:
    """Reads what every command reads of an export, up to its model."""
    Signature.load(place / "export" / "signature.json")
    exported.parity(place / "export")


def quick(kind: Kind) -> list[Reads]:
    """Returns the quickest ways of reading a kind of file."""
    if kind.base == "run":
        return [opened_export] if kind.file.startswith("export") else [opened]
    return list(kind.reads[:1])


@pytest.fixture(scope="module")
def base(trained: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the files of an export, and every kind of table and archive."""
    folder = tmp_path_factory.mktemp("bases")
    shutil.copytree(trained.path, folder / "run")
    TrainedRun(folder / "run").export(formats=["safetensors"])
    fuzz_files.tables(folder)
    return folder


def numbers() -> list[int]:
    """Returns so many numbers of each kind of file that is read quickly."""
    slow = ("seeds", "stablehlo", "facts", "digests", "checkpoint")
    wanted = [name for name in KINDS if name not in slow]
    return [n for n in range(OF_EACH * len(KINDS)) if kind_of(n) in wanted]


def test_whole_files_of_every_kind_are_read(base: Path, tmp_path: Path) -> None:
    for kind in KINDS.values():
        if (base / kind.base).is_dir():
            shutil.copytree(base / kind.base, tmp_path / "place")
            came = outcome(quick(kind), Path(kind.file), tmp_path / "place", base)
            assert came[:2] == ("read", []), kind
            shutil.rmtree(tmp_path / "place")


def test_a_damaged_file_is_read_or_named(base: Path, tmp_path: Path) -> None:
    came = []
    for number in numbers():
        path = damage(number, 1, base, tmp_path / "place")
        kind = KINDS[kind_of(number)]
        how, faults, seconds = outcome(quick(kind), path, tmp_path / "place", base)
        assert not faults, (number, kind_of(number))
        assert seconds < fuzz_files.SECONDS
        came.append(how)
    assert {"read", "refused"} <= set(came)
