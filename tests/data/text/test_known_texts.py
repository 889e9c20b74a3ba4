import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from flaxmill.data.known import texts
from flaxmill.data.known.texts import KNOWN, labelled_texts
from flaxmill.data.text.splits import TextOptions
from flaxmill.errors import BadInput

CUT = TextOptions(kind="characters", longest=50, sizes=4)
COUNTS = {  # as their READMEs say
    "sst2": ((6920, 872, 1821), (912, 909)),
    "korean-text/nsmc-subset": ((20_000, 2000, 2000), (1000, 1000)),
    "korean-text/3i4k": ((49_622, 5512, 6121), (600, 1830, 1786, 1296, 174, 108, 327)),
}


def folder(name: str) -> Path:
    path = Path(os.environ.get("FLAXMILL_DATA", "absent")) / name
    if not path.is_dir():
        pytest.skip(f"needs the real texts: set FLAXMILL_DATA to the folder that holds {name}/")
    return path


@pytest.mark.parametrize("name", KNOWN)
def test_known_sets_are_whole(name: str) -> None:
    place = folder(name)
    parts = KNOWN[name].parts(texts._contents(KNOWN[name], place))
    lengths, each = COUNTS[name]
    assert tuple(len(parts[split][0]) for split in ("train", "validation", "test")) == lengths
    assert np.bincount(parts["test"][1]).tolist() == list(each)
    assert len(KNOWN[name].labels) == len(each)
    assert all(text.strip() == text and text for text in parts["train"][0])


def test_a_known_set_has_little_padding() -> None:
    folder("sst2")
    splits = labelled_texts("sst2", TextOptions(kind="words", longest=64, sizes=8))
    assert splits.title == "SST-2, whole sentences"
    assert splits.labels == ("negative", "positive")
    assert len(splits.sizes) == 8
    assert splits.train.padding < 0.13
    assert not len(labelled_texts("sst2", CUT, validation=0).validation)


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder("sst2"), tmp_path / "sst2")
    (tmp_path / "sst2" / "dev.tsv").chmod(0o644)
    with (tmp_path / "sst2" / "dev.tsv").open("a") as file:
        file.write("\none more\t1")
    monkeypatch.setenv("FLAXMILL_DATA", str(tmp_path))
    with pytest.raises(BadInput, match=r"dev.tsv is not the file of SST-2.*expected eddea6b39e60"):
        labelled_texts("sst2", CUT)


def test_what_is_absent_is_said_and_auto_makes_sentences(empty_machine: Path) -> None:
    with pytest.raises(BadInput, match=r"a subset of the Naver.*was looked for in .*train.tsv"):
        labelled_texts("nsmc", CUT)
    with pytest.raises(BadInput, match=r"there is no such file or folder\. Did you mean 'sst2'"):
        labelled_texts("sst-2", CUT)


def test_auto_takes_real_texts_or_makes_some_up(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "TRAIN", 200)
    monkeypatch.setattr(texts, "TEST", 40)
    texts._drawn.cache_clear()
    splits = labelled_texts("auto", CUT)
    texts._drawn.cache_clear()
    assert splits.drawn
    assert splits.note == "SST-2, whole sentences is not here, so these are made-up sentences."
    assert splits.labels == ("negative", "mixed", "positive")
