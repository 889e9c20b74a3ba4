"""Data of other libraries as sources, and sources of ours in their loaders."""

import io
import subprocess
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from picture_files import classes, encoded, textured
from PIL import Image

from flaxmill.data.folder import Pictures, pictures
from flaxmill.data.listings.digests import digests
from flaxmill.data.listings.foreign import hugging_face, torchvision
from flaxmill.data.listings.layouts import scan
from flaxmill.data.source import Arrays, Items, Source
from flaxmill.errors import BadInput


def made(count: int) -> list[Image.Image]:
    return [textured((20 + number, 16), seed=number) for number in range(count)]


@pytest.fixture(scope="module")
def dataset() -> Any:
    """Six pictures as Hugging Face's datasets hold them."""
    import datasets

    columns = {"image": made(6), "label": [0, 1, 2, 0, 1, 2]}
    names = datasets.ClassLabel(names=["zebra", "ant", "bee"])
    kinds = datasets.Features({"image": datasets.Image(), "label": names})
    return datasets.Dataset.from_dict(columns, features=kinds)


def test_hugging_faces_datasets_are_listings(dataset: Any) -> None:
    splits = {
        "train": dataset.select(range(4)),
        "test": dataset.select([5, 4]),
        "unsupervised": None,
    }
    listings = hugging_face(splits)
    assert {name: len(listing) for name, listing in listings.items()} == {"train": 4, "test": 2}
    assert listings["test"].classes == ("zebra", "ant", "bee")
    assert listings["test"].labels.tolist() == [2, 1]
    source = Pictures(listings["test"], (16, 20), "squash")
    for index, picture in enumerate((made(6)[5], made(6)[4])):
        expected = np.asarray(picture.resize((20, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(source[index]["image"], expected)
    divided = pictures(listings, size=16, validation=1)
    assert (len(divided.train), len(divided.validation), len(divided.test)) == (3, 1, 2)
    again = hugging_face({"train": dataset.select(range(4)), "test": dataset.select([5, 4])})
    assert digests(again) == digests(listings)
    other = hugging_face({"train": dataset.select([0, 1, 2, 5]), "test": dataset.select([5, 4])})
    assert digests(other)["train"] != digests(listings)["train"]


def test_pictures_that_a_dataset_leaves_in_their_files_count_with_their_content(
    tmp_path: Path,
) -> None:
    import datasets

    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path, picture in zip(paths, made(2), strict=True):
        picture.save(path)
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee"])}
    columns = {"image": [str(path) for path in paths], "label": [0, 1]}
    dataset = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    before = digests(hugging_face({"train": dataset}))
    assert digests(hugging_face({"train": dataset})) == before
    made(3)[2].save(paths[1])
    assert digests(hugging_face({"train": dataset})) != before


def test_several_labels_of_a_dataset(tmp_path: Path) -> None:
    import datasets

    names = datasets.ClassLabel(names=["zebra", "ant", "bee"])
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.List(names)})
    columns = {"image": made(3), "label": [[0, 2], [], [1]]}
    several = datasets.Dataset.from_dict(columns, features=kinds)
    several.to_parquet(str(tmp_path / "train.parquet"))
    for listings in (hugging_face({"train": several}), scan(tmp_path)):
        assert listings["train"].classes == ("zebra", "ant", "bee")
        assert listings["train"].labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_a_dataset_of_other_columns_is_explained(dataset: Any) -> None:
    with pytest.raises(BadInput, match=r"train has no column 'labels'\. Did you mean 'label'\?"):
        hugging_face({"train": dataset}, label="labels")
    with pytest.raises(BadInput, match=r"no split is called train\. Did you mean 'trian'\?"):
        hugging_face({"trian": dataset})


class Photos:
    """Like a data set of torchvision without a transform."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return made(6)[index], index % 2


def test_torchvisions_data_sets_are_listings() -> None:
    listing = torchvision(Photos(), [0, 1] * 3, ["ant", "bee"])
    splits = pictures({"train": listing}, size=16, fit="squash", validation=1, test=2)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (3, 1, 2)
    seen = np.concatenate([part.take(np.arange(len(part)))["image"]
                           for part in (splits.train, splits.validation, splits.test)])  # fmt: skip
    for picture in made(6):  # of other sizes, each
        expected = np.asarray(picture.resize((16, 16), Image.Resampling.BILINEAR))
        assert (seen == expected).all((1, 2, 3)).sum() == 1
    again = pictures({"train": listing}, size=16, validation=1, test=2)
    assert again.digests == splits.digests
    for wrong, words in (([0, 1], r"the shape \(2,\).* do not fit 6 items"),
                         ([0.0] * 6, "type float64"),
                         ([0, 1, 2] * 2, "the label 2 is none of 2 classes")):  # fmt: skip
        with pytest.raises(BadInput, match=words):
            torchvision(Photos(), wrong, ["ant", "bee"])


def test_grain_reads_a_source(tmp_path: Path) -> None:
    source = Pictures(scan(classes(tmp_path, {"ant": 5, "bee": 3}))["train"], (6, 6))
    mapped = grain.MapDataset.source(source).shuffle(seed=0).batch(4)
    batches: list[Any] = [mapped[index] for index in range(len(mapped))]
    assert [batch["image"].shape for batch in batches] == [(4, 6, 6, 3)] * 2
    assert sorted(np.concatenate([b["label"] for b in batches]).tolist()) == [0] * 5 + [1] * 3
    sampler = grain.samplers.IndexSampler(len(source), shuffle=False, num_epochs=1)
    loader = grain.DataLoader(data_source=source, sampler=sampler, worker_count=0)
    for index, example in enumerate(loader):
        np.testing.assert_array_equal(example["image"], source[index]["image"])
    assert index == len(source) - 1


def test_array_records_are_a_source(tmp_path: Path) -> None:
    path = str(tmp_path / "pictures.array_record")
    writer = ArrayRecordWriter(path, "group_size:1")
    for number, picture in enumerate(made(5)):
        writer.write(bytes([number % 3]) + encoded(picture.resize((8, 8)), "png"))
    writer.close()

    def read(record: bytes) -> tuple[np.ndarray, int]:
        return np.asarray(Image.open(io.BytesIO(record[1:]))), record[0]

    source = Items(grain.sources.ArrayRecordDataSource(path), read=read)
    assert isinstance(source, Source)
    assert len(source) == 5
    batch = source.take(np.array([4, 0, 4]))
    assert batch["label"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(batch["image"][0], np.asarray(made(5)[4].resize((8, 8))))
    np.testing.assert_array_equal(source[4]["image"], batch["image"][0])


def test_grains_map_datasets_are_sources() -> None:
    source = Arrays({"image": np.zeros((6, 2, 2, 1), np.uint8), "label": np.arange(6)})
    theirs = grain.MapDataset.source(source).map(lambda e: {**e, "label": e["label"] * 2})
    assert Items(theirs).take(np.array([5, 1]))["label"].tolist() == [10, 2]


def test_items_that_read_many_at_once_are_asked_for_many() -> None:
    class Fetched:
        """Like a PyTorch dataset that has ``__getitems__``."""

        def __init__(self) -> None:
            self.asked: list[list[int]] = []

        def __len__(self) -> int:
            return 9

        def __getitem__(self, index: int) -> tuple[int, int]:
            raise AssertionError("it is asked for many at once")

        def __getitems__(self, indices: list[int]) -> list[tuple[int, int]]:
            self.asked.append(indices)
            return [(index, index % 2) for index in indices]

    fetched = Fetched()
    batch = Items(fetched).take(np.array([7, 2]))
    assert batch["image"].tolist() == [7, 2]
    assert batch["label"].tolist() == [1, 0]
    assert fetched.asked == [[7, 2]]


def test_nothing_of_theirs_is_imported_before_it_is_needed(python: str) -> None:
    code = (
        "import sys\nimport flaxmill.data.folder\n"
        "from flaxmill.data.listings import foreign, layouts\n"
        "print([name for name in ('grain', 'datasets', 'pyarrow', 'torch') if name in sys.modules])"
    )
    ended = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
