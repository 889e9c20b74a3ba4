"""Where a model came from: the data it was trained on is found again, or data of the same kind."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import classes

from flaxmill.data.known.published import DATA_SETS
from flaxmill.errors import BadInput
from flaxmill.origin import Origin


def test_data_of_another_place_must_have_the_same_classes(tmp_path: Path) -> None:
    identity = {"recipe": "images", "recipe_file": None, "config": {"size": 8, "test": 0.3}}
    origin = Origin("runs/one", identity, record="")
    same, other = (classes(tmp_path / name, {name: 9, "bee": 9}) for name in ("ant", "wasp"))
    found = origin.splits(str(same), labels=("ant", "bee"))
    assert found.labels == ("ant", "bee")
    assert len(found.test) == 18  # all of it: nothing there says which part is the test
    words = (
        r"^runs/one knows the classes 'ant', 'bee'; wasp has the classes 'bee', 'wasp': give data "
        r"with the same classes, named alike\.$"
    )
    with pytest.raises(BadInput, match=words):
        origin.splits(str(other), labels=("ant", "bee"))
    with pytest.raises(BadInput, match=r"'c', 'd', 'e' and 2 more; ant has"):
        origin.splits(str(same), labels=tuple("abcdefg"))


def test_what_was_trained_on_is_no_test_wherever_it_lies_now(tmp_path: Path) -> None:
    config = {"data": str(classes(tmp_path / "ant", {"ant": 9, "bee": 9})), "size": 8, "test": 0.3}
    identity: dict[str, Any] = {"recipe": "images", "recipe_file": None, "config": config}
    trained = Origin("runs/one", identity, record="")
    before = trained.recipe.module.data(trained.config)
    picture = before.test[0]["image"]
    identity["data"] = {"digests": dict(before.digests)}
    (tmp_path / "ant").rename(tmp_path / "elsewhere")
    found = Origin("runs/one", identity, record="").splits(str(tmp_path / "elsewhere"))
    assert len(found.test) == len(before.test) < len(found.train)
    np.testing.assert_array_equal(found.test[0]["image"], picture)


def test_the_test_of_another_place_is_its_own_where_it_has_one(tmp_path: Path) -> None:
    identity = {"recipe": "images", "recipe_file": None, "config": {"size": 8}}
    for part, count in (("train", 9), ("test", 2)):
        classes(tmp_path / "divided" / part, {"ant": count, "bee": count})
    found = Origin("runs/one", identity, record="").splits(str(tmp_path / "divided"))
    assert len(found.test) == 4


def test_what_auto_came_to_is_looked_for_under_its_own_name(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        DATA_SETS, "cifar-10", dataclasses.replace(DATA_SETS["cifar-10"], mirrors=())
    )
    then = {"drawn": False, "title": "CIFAR-10", "digests": {}}
    identity = {"recipe": "cifar10", "recipe_file": None, "config": {"data": "auto"}, "data": then}
    with pytest.raises(BadInput, match="cifar-10") as refused:
        Origin("runs/one", identity, record="").splits()
    assert "fashion-mnist" not in str(refused.value)
