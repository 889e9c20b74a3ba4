"""What the page about data shows is true: its tables of files are read, its code runs."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from picture_files import classes, save

from flaxmill.data.listings.layouts import scan
from flaxmill.data.pictures.decode import SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


def test_the_table_that_it_shows_is_read(tmp_path: Path) -> None:
    (text,) = blocks("csv")
    for name in ("ant 1", "bee 1", "bee 2"):
        save(tmp_path / f"pictures/{name}.png")
    (tmp_path / "labels.csv").write_text(text)
    found = scan(tmp_path)
    assert {name: len(listing) for name, listing in found.items()} == {"train": 2, "test": 1}


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    classes(tmp_path / "my_pictures", {"ant": 8, "bee": 8})
    writer = ArrayRecordWriter(str(tmp_path / "my_pictures.array_record"), "group_size:1")
    for label in range(5):
        writer.write(bytes([label]) + bytes(8 * 8 * 3))
    writer.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    found: dict[str, Any] = {"np": np}
    for block in blocks("python"):
        exec(compile(block, "docs/data.md", "exec"), found)
    assert found["splits"].labels == ("ant", "bee")
    assert len(found["splits"].train) == 12
    assert found["batch"]["label"].tolist() == [0, 1, 2, 3]
    assert found["mixed"][0]["image"].shape == (4, 96, 96, 3)


def test_the_kinds_of_pictures_that_it_names_are_all() -> None:
    kinds = {"JPEG": (".jpg", ".jpeg", ".jfif"), "TIFF": (".tif", ".tiff")}
    (named,) = re.findall(r"what is no picture: ([^:]*) are\.", PAGE.replace("\n", " "))
    words = re.split(r", | and ", named)
    assert {s for word in words for s in kinds.get(word, (f".{word.lower()}",))} == set(SUFFIXES)
