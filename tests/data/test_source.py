from typing import Any

import numpy as np
import pytest

from flaxmill.data.source import Arrays, Items, Source, Splits, cycled, hold_out, part
from flaxmill.errors import BadInput


def numbers(length: int = 10) -> Arrays:
    image = np.arange(4 * length, dtype=np.uint8).reshape(length, 2, 2)
    return Arrays({"image": image, "label": np.arange(length, dtype=np.int32)})


def labels(source: Source) -> list[int]:
    return source.take(np.arange(len(source)))["label"].tolist()


def test_arrays_give_one_or_many_examples() -> None:
    source = numbers()
    assert len(source) == 10
    assert source[3]["label"] == 3
    assert source[3]["image"].shape == (2, 2)
    batch = source.take(np.array([4, 4, 0]))
    assert batch["label"].tolist() == [4, 4, 0]
    np.testing.assert_array_equal(batch["image"][2], source[0]["image"])
    assert isinstance(source, Source)


def test_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(BadInput, match=r"need one length, not {'image': 3, 'label': 2}"):
        Arrays({"image": np.zeros(3), "label": np.zeros(2)})


def test_views_of_views_agree_with_what_lies_on_the_device() -> None:
    view: Any = cycled(part(numbers(), 2, 8), 4, length=7)
    assert labels(view) == [2, 3, 4, 5, 2, 3, 4]
    assert view[5]["label"] == 3
    arrays, rows = view.resident()
    assert arrays["label"][rows(np.arange(7))].tolist() == labels(view)
    assert len(cycled(numbers(), 3)) == 10


def test_a_view_is_resident_exactly_where_its_source_is() -> None:
    items = Items([(np.zeros((2, 2)), label) for label in range(6)])
    assert hasattr(part(numbers(), 0, 3), "resident")
    assert not hasattr(part(items, 0, 3), "resident")
    assert labels(part(items, 1, 4)) == [1, 2, 3]


def test_a_view_has_its_own_examples_and_no_others() -> None:
    train, validated = hold_out(numbers(), 3)
    assert [int(example["label"]) for example in train] == list(range(7))
    assert [int(example["label"]) for example in validated] == [7, 8, 9]
    assert train[-1]["label"] == 6
    assert validated.take(np.array([-1, 0]))["label"].tolist() == [9, 7]
    for beyond in (7, -8):
        with pytest.raises(IndexError, match="out of range for 7 examples"):
            train[beyond]
        with pytest.raises(IndexError):
            train.take(np.array([0, beyond]))


def test_items_may_be_tuples_or_dictionaries() -> None:
    named = Items([{"text": "ab", "label": 1}, {"text": "cd", "label": 0}])
    assert named.take(np.array([1, 0]))["text"].tolist() == ["cd", "ab"]
    assert Items([(7, 8)], names=("x", "y"))[0] == {"x": 7, "y": 8}
    words = r"an item of list is a tuple of 1 part\(s\): expected image, label\. Items\(…, names="
    with pytest.raises(BadInput, match=words):
        Items([(7,)])[0]


@pytest.mark.parametrize(("validation", "held"), [(0, 0), (0.0, 0), (3, 3), (0.25, 2), (9, 9)])
def test_the_last_examples_are_held_out(validation: float, held: int) -> None:
    train, validated = hold_out(numbers(), validation)
    assert labels(train) == list(range(10 - held))
    assert len(validated) == held
    assert labels(validated) == list(range(10 - held, 10))


@pytest.mark.parametrize("wrong", [-1, 10, 11, 1.0, -0.1, 0.99, 5000.0, 0.001, float("nan")])
def test_what_cannot_be_held_out_is_refused(wrong: float) -> None:
    with pytest.raises(BadInput, match=rf"--validation {wrong} does not fit 10 training examples"):
        hold_out(numbers(), wrong)


def test_splits_are_found_by_name() -> None:
    splits = Splits("numbers", numbers(), numbers(3), numbers(2), ("a", "b"))
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [10, 3, 2]
    with pytest.raises(BadInput, match=r"no split is called 'tset'. Did you mean 'test'\?"):
        splits["tset"]
