"""A signature is read off the data, which must have what pictures and reports are made of."""

import json
from pathlib import Path

import numpy as np
import pytest

from flaxmill.data.source import Arrays, Splits
from flaxmill.errors import BadInput
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.kinds import output_kind
from flaxmill.tasks.signature import Signature


def splits(**arrays: np.ndarray) -> Splits:
    source = Arrays(arrays)
    return Splits("pets", train=source, validation=source, test=source, labels=("cat", "dog"))


def test_what_was_saved_is_what_is_read(tmp_path: Path) -> None:
    pets = splits(image=np.zeros((4, 32, 24, 3), np.uint8), label=np.zeros(4, np.int32))
    made = picture_signature("pets", pets)
    assert made.inputs[0].shape == (-1, 32, 24, 3)
    assert made.outputs[0].shape == (-1, 2)
    assert made.preprocess["mode"] == "RGB"
    made.save(tmp_path / "signature.json")
    assert Signature.load(tmp_path / "signature.json") == made


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("picture", "label"), "the examples of pets have picture, label and lack image: rename"),
        (("image", "class"), "the examples of pets have image, class and lack label: rename"),
        (("x",), "the examples of pets have x and lack image and label: rename the arrays"),
    ],
)
def test_examples_without_picture_or_label_are_refused(names: tuple[str, ...], words: str) -> None:
    zeros = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(BadInput, match=words):
        picture_signature("pets", splits(**dict.fromkeys(names, zeros)))


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        ("image-classification", ("picture", "one_class")),
        ("image-multilabel-classification", ("picture", "labels")),
        ("something-else", ("tensors", "tensors")),
    ],
)
def test_a_signature_of_the_first_format_is_read(
    task: str, kinds: tuple[str, str], tmp_path: Path
) -> None:
    pets = splits(image=np.zeros((4, 32, 24, 3), np.uint8), label=np.zeros(4, np.int32))
    path = tmp_path / "signature.json"
    picture_signature("pets", pets).save(path)
    said = json.loads(path.read_text())
    first = {name: said[name] for name in said if name not in ("takes", "gives", "sizes")}
    path.write_text(json.dumps(first | {"format": 1, "task": task}))
    read = Signature.load(path)
    assert (read.takes, read.gives) == kinds
    assert (read.inputs[0].shape, read.labels) == ((-1, 32, 24, 3), ("cat", "dog"))


def test_a_kind_that_is_not_known_is_refused(tmp_path: Path) -> None:
    pets = splits(image=np.zeros((4, 32, 24, 3), np.uint8), label=np.zeros(4, np.int32))
    path = tmp_path / "signature.json"
    picture_signature("pets", pets).save(path)
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"takes": "smells"}))
    with pytest.raises(BadInput, match=r"has 'smells' at takes, expected one of .*picture"):
        Signature.load(path)
    with pytest.raises(BadInput, match="no kind of answers is called 'one_clas'"):
        output_kind("one_clas")
