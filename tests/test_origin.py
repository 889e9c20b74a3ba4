"""Where a model came from: the data it was trained on is found again, or data of the same kind."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import classes

from flaxmill import recipes
from flaxmill.data import fetch
from flaxmill.data.known.published import DATA_SETS
from flaxmill.errors import BadInput
from flaxmill.order import Order
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


def test_a_relative_place_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes(tmp_path / "then" / "photos", {"ant": 9, "bee": 9})
    monkeypatch.chdir(tmp_path / "then")
    loaded = recipes.load("images")
    config = loaded.module.Config(data="photos", size=8)
    order = Order(loaded, config, "quick", 0)
    identity = order.identity(loaded.module.data(config)).json()
    assert identity["config"]["data"] == "photos"
    assert identity["data"]["place"] == str(tmp_path / "then" / "photos")
    monkeypatch.chdir(tmp_path)
    assert Origin("runs/one", identity, record="").splits().title.endswith("photos")
    (tmp_path / "then" / "photos").rename(tmp_path / "photos")  # moved, and found as it was given
    assert Origin("runs/one", identity, record="").splits().title.endswith("photos")
    (tmp_path / "photos").rename(tmp_path / "other")
    with pytest.raises(BadInput, match=f"there is no {tmp_path / 'then' / 'photos'}: give"):
        Origin("runs/one", identity, record="").splits()


@pytest.mark.parametrize("word", ["fashion-mnist", "auto", "sketches"])
def test_a_word_for_a_set_is_no_place(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / word).mkdir()
    (tmp_path / "mine").mkdir()
    assert fetch.path_of(word) is None
    assert fetch.path_of(f"./{word}") == tmp_path / word
    assert fetch.path_of("mine") == tmp_path / "mine"
    assert fetch.path_of("gone") is None
