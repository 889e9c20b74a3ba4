"""A signature is read off the data, which must have what pictures and reports are made of."""

from pathlib import Path

import numpy as np
import pytest

from flaxmill.data.source import Arrays, Splits
from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature, picture_signature


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
