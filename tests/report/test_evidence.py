"""What the report gathers from a run is true of its model."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import picture_files
import pytest
from flax import nnx

from flaxmill.data.folder import pictures
from flaxmill.data.reading.cache import cached
from flaxmill.data.source import Arrays, Items, known_labels, part
from flaxmill.maths.scaling import unit_interval
from flaxmill.report.evidence import _attributed
from flaxmill.report.examples import Examples, FileName
from flaxmill.tasks.answers import labels as several
from flaxmill.tasks.answers import one_class
from flaxmill.tasks.inputs import picture
from flaxmill.tasks.signature import Signature
from flaxmill.trained.run import TrainedRun

RUN = Signature("asked", "picture", "one_class", (), (), ("ant", "cat", "dog"))


class Linear(nnx.Module):
    """Scores that are weighted sums of the pixels, less what they are in the mean."""

    def __init__(self) -> None:
        self.scores = nnx.Linear(12, 3, rngs=nnx.Rngs(0))

    def __call__(self, pictures: jax.Array) -> jax.Array:
        return self.scores(unit_interval(pictures).reshape(len(pictures), -1) - 0.5)


class Asked(TrainedRun):
    """A run that is asked for nothing but its model."""

    def __init__(self, model: nnx.Module) -> None:
        self.__dict__["model"] = model
        self.signature = RUN


def test_of_each_class_the_surest_right_example_is_looked_into() -> None:
    model = Linear()
    seen = np.random.default_rng(0).integers(0, 256, (40, 4, 3, 1), np.uint8)
    logits = np.asarray(model(jnp.asarray(seen)))
    labels = logits.argmax(-1).astype(np.int32)
    labels[:3] = (labels[:3] + 1) % 3  # three of them are mistakes
    found = _attributed(Asked(model), one_class.tally(logits, labels, 1.0), seen)
    assert found is not None and "Parts were covered" in found.lead
    assert [one.label for one in found.each] == [0, 1, 2]
    probabilities = np.array(jax.nn.softmax(logits))
    probabilities[:3] = 0
    for one in found.each:
        surest = np.where(labels == one.label, probabilities[:, one.label], 0).argmax()
        assert picture.render(seen[surest], RUN, RUN.labels[one.label]) in one.html
        assert one.before == pytest.approx(probabilities[surest, one.label], abs=1e-6)


def test_of_several_labels_each_shows_where_it_is_surest_and_right() -> None:
    logits = np.array([[2.0, -1.0, 1.0], [3.0, 0.5, -2.0], [4.0, -0.1, -1.0]], np.float32)
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    # Example 2 lacks label 0, and label 2 never holds.
    assert several.tally(logits, labels, 1.0).most_confident() == [(0, 1), (1, 1)]


def test_pictures_are_read_when_they_are_asked_for_and_know_their_files() -> None:
    class Files(Items):
        files = ("a/0.jpg", "b/1.jpg", "b/2.jpg")

    read: list[int] = []

    class Noting(list):
        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return super().__getitem__(index)

    examples = [{"image": np.full((2, 2, 3), i, np.uint8), "label": i} for i in range(3)]
    found = Examples(part(Files(Noting(examples)), 1, 3), "image")
    assert read == []
    assert found[1].max() == 2
    assert read == [2]
    assert [found.name(0).shown, found.name(1).shown] == ["b/1.jpg", "b/2.jpg"]
    assert Examples(Items(examples), "image").name(0) == FileName("", "")


def test_files_are_named_below_the_folder_of_their_data(tmp_path: Path) -> None:
    picture_files.classes(tmp_path / "photos", {"ant": 4, "bee": 4})
    splits = pictures(str(tmp_path / "photos"), size=8)
    shown, whole = Examples(cached(splits.test), "image").name(0)
    assert whole == str(tmp_path / "photos" / shown)
    assert shown.split("/")[0] in ("ant", "bee")


def test_labels_are_known_without_reading_where_the_source_has_them() -> None:
    arrays = Arrays({"image": np.zeros((4, 1)), "label": np.arange(4)})
    assert known_labels(part(arrays, 1, 3)).tolist() == [1, 2]  # pyrefly: ignore
    assert known_labels(Items([(0, 0)])) is None
