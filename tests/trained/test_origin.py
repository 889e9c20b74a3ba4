"""Where a model came from: the data it was trained on is found again, or data of the same kind."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import classes

from flaxmill import recipes
from flaxmill.commands.request import TrainRequest
from flaxmill.data.known.published import DATA_SETS
from flaxmill.data.matching import absent_classes, match_classes
from flaxmill.data.places import path_of
from flaxmill.data.source import Arrays, Splits, hold_out, known_labels
from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature
from flaxmill.trained.origin import Origin


def saying(labels: tuple[str, ...], *, several: bool = False) -> Signature:
    """Returns the signature of a model that says these."""
    return Signature("one", "picture", "labels" if several else "one_class", (), (), labels)


def origin() -> Origin:
    identity = {"recipe": "images", "recipe_file": None, "config": {"size": 8, "test": 0.3}}
    return Origin("runs/one", identity, record="")


def test_a_class_that_the_model_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    same, other = (classes(tmp_path / name, {name: 9, "bee": 9}) for name in ("ant", "wasp"))
    splits = origin().splits(str(same), saying(("ant", "bee")))
    assert splits.labels == ("ant", "bee")
    assert len(splits.test) == 18  # all of it: nothing there says which part is the test
    words = (
        r"^runs/one knows the classes 'ant', 'bee'; wasp has the class 'wasp' too, and no answer "
        r"to a picture of that could be right\. .* Name the classes alike, take those pictures "
        r"away, or train a model that knows them\.$"
    )
    with pytest.raises(BadInput, match=words):
        origin().splits(str(other), saying(("ant", "bee")))
    with pytest.raises(BadInput, match=r"'c', 'd', 'e' and 2 more; ant has"):
        origin().splits(str(same), saying(tuple("abcdefg")))
    with pytest.raises(BadInput, match=r"Did you mean 'bees'\? Name the classes alike"):
        origin().splits(str(same), saying(("ant", "bees")))


def test_a_model_of_two_classes_is_judged_by_pictures_of_one(tmp_path: Path) -> None:
    splits = origin().splits(str(classes(tmp_path, {"bee": 5})), saying(("ant", "bee")))
    assert splits.test.take(np.arange(5))["label"].tolist() == [1] * 5
    assert absent_classes(splits.test, splits.labels) == {"absent": ["ant"]}


@pytest.mark.parametrize("several", [False, True])
def test_classes_of_another_place_are_matched_by_name(tmp_path: Path, several: bool) -> None:
    """The model has them in another order, and one more in between."""
    place = classes(tmp_path / "insects", {"ant": 3, "bee": 5})
    plain = origin().splits(str(place)).test
    splits = origin().splits(str(place), saying(("bee", "fly", "ant"), several=several))
    assert splits.labels == ("bee", "fly", "ant")
    assert (splits.gives == "labels") == several
    labels = splits.test.take(np.arange(8))["label"]
    expected = np.array([2, 0])[plain.take(np.arange(8))["label"]]
    np.testing.assert_array_equal(labels, np.eye(3)[expected] if several else expected)
    np.testing.assert_array_equal(splits.test[0]["label"], labels[0])
    np.testing.assert_array_equal(splits.test[0]["image"], plain[0]["image"])
    known = known_labels(splits.test)
    assert known is not None
    np.testing.assert_array_equal(known, labels)
    assert absent_classes(splits.test, splits.labels) == {"absent": ["fly"]}
    assert absent_classes(plain, ("ant", "bee")) == {}


def test_several_labels_are_matched_by_name(tmp_path: Path) -> None:
    place = classes(tmp_path, {"ant": 3, "bee": 3})
    rows = [f"{path.relative_to(tmp_path)},ant;bee" for path in sorted(place.rglob("*.png"))[:4]]
    rows += [f"{path.relative_to(tmp_path)},bee" for path in sorted(place.rglob("*.png"))[4:]]
    (tmp_path / "labels.csv").write_text("\n".join(["path,labels", *rows]))
    labels = ("bee", "fly", "ant")
    splits = origin().splits(str(tmp_path / "labels.csv"), saying(labels, several=True))
    stored = np.sort(splits.test.take(np.arange(6))["label"], axis=0)
    np.testing.assert_array_equal(stored, [[1, 0, 0]] * 2 + [[1, 0, 1]] * 4)
    with pytest.raises(BadInput, match=r"tells one class of each picture, and labels\.csv has any"):
        origin().splits(str(tmp_path / "labels.csv"), saying(labels))


def test_relabelled_arrays_and_views_are_the_same_examples() -> None:
    arrays = Arrays({"image": np.arange(4), "label": np.array([0, 1, 1, 0], np.int32)})
    _, source = hold_out(arrays, 3)
    splits = Splits("pets", source, source, source, ("cat", "dog"))
    relabelled = match_classes(splits, ("dog", "cow", "cat"), gives="one_class", where="a run")
    assert relabelled.whole is None
    assert relabelled.test.take(np.arange(3))["label"].tolist() == [0, 0, 2]
    assert match_classes(splits, ("cat", "dog"), gives="one_class", where="a run") is splits


def test_fewer_pictures_than_the_run_held_out_are_a_test(tmp_path: Path) -> None:
    config = {"size": 8, "validation": 500, "test": 300}
    identity = {"recipe": "images", "recipe_file": None, "config": config}
    place = classes(tmp_path / "few", {"ant": 2, "bee": 1})
    splits = Origin("runs/one", identity, record="").splits(str(place), saying(("ant", "bee")))
    assert len(splits.test) == 3
    (tmp_path / "few" / "cat").mkdir()
    with pytest.raises(BadInput, match="cat has no pictures"):
        Origin("runs/one", identity, record="").splits(str(place), saying(("ant", "bee")))


def test_what_was_trained_on_is_no_test_wherever_it_lies_now(tmp_path: Path) -> None:
    config = {"data": str(classes(tmp_path / "ant", {"ant": 9, "bee": 9})), "size": 8, "test": 0.3}
    identity: dict[str, Any] = {"recipe": "images", "recipe_file": None, "config": config}
    trained = Origin("runs/one", identity, record="")
    before = trained.recipe.module.data(trained.config)
    picture = before.test[0]["image"]
    identity["data"] = {"digests": dict(before.digests)}
    (tmp_path / "ant").rename(tmp_path / "elsewhere")
    splits = Origin("runs/one", identity, record="").splits(str(tmp_path / "elsewhere"))
    assert len(splits.test) == len(before.test) < len(splits.train)
    np.testing.assert_array_equal(splits.test[0]["image"], picture)


def test_the_test_of_another_place_is_its_own_where_it_has_one(tmp_path: Path) -> None:
    identity = {"recipe": "images", "recipe_file": None, "config": {"size": 8}}
    for part, count in (("train", 9), ("test", 2)):
        classes(tmp_path / "divided" / part, {"ant": count, "bee": count})
    splits = Origin("runs/one", identity, record="").splits(str(tmp_path / "divided"))
    assert len(splits.test) == 4


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
    order = TrainRequest(loaded, config, "quick", 0).resolved()
    identity = order.identity(loaded.module.data(order.config)).json()
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
    assert path_of(word) is None
    assert path_of(f"./{word}") == tmp_path / word
    assert path_of("mine") == tmp_path / "mine"
    assert path_of("gone") is None


@pytest.mark.parametrize(
    ("data", "more", "words"),
    [
        ("/dev/null", {}, "the data which runs/one was trained on: --data gives another place"),
        ("x" * 5000, {}, "the data which runs/one was trained on: --data gives another place"),
        (
            "/dev/null",
            {"place": "x" * 5000},
            r"cannot be read \(file name too long",
        ),
    ],
)
def test_what_is_wrong_with_the_data_of_a_run_names_the_run(
    data: str, more: dict[str, str], words: str
) -> None:
    """Which may be anybody's, and its config name anything."""
    recipe = recipes.load("images")
    config = dataclasses.asdict(recipe.preset()) | {"data": data}
    then = {"title": "x", "drawn": False, "digests": {}, **more}
    identity = {"recipe": "images", "recipe_file": None, "config": config, "data": then}
    with pytest.raises(BadInput, match=words) as caught:
        Origin("runs/one", identity, recipe, record="").splits()
    assert len(str(caught.value)) < 800
