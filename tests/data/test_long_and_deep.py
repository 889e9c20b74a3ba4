"""Pictures that are long, and grey ones of more than 8 bits: one way for the whole set, said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import command
from picture_files import save
from PIL import Image

from flaxmill import recipes
from flaxmill.commands.request import configure
from flaxmill.data import choices
from flaxmill.data.check.index import index
from flaxmill.data.pictures.plain import plain
from flaxmill.data.prepare import default_preparation, prepare
from flaxmill.errors import BadInput
from flaxmill.recipes import images
from flaxmill.tasks.inputs.picture import preprocess


def resolved(place: Path, **fields: Any) -> tuple[images.Config, dict[str, str]]:
    config = configure(recipes.load("images"), "quick", {"data": str(place), **fields})
    return images.resolve(config, None)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of 96 × 32 pixels; which class they are stands at their ends alone."""
    place = tmp_path_factory.mktemp("long")
    for number in range(40):
        pixels = np.full((32, 96, 3), number, np.uint8)
        pixels[:, slice(0, 24) if number % 2 else slice(72, 96), 0] = 255
        path = place / ("left" if number % 2 else "right") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path)
    return place


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty grey pictures of 12 bits, in files of 16."""
    place = tmp_path_factory.mktemp("deep")
    for number in range(40):
        ramp = np.linspace(0, 3000 + 20 * number, 20 * 18).reshape(18, 20).astype(np.uint16)
        path = place / ("up" if number % 2 else "down") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(ramp if number % 2 else ramp[::-1].copy()).save(path)
    return place


def test_long_pictures_are_padded_and_it_is_said_why(long: Path, tmp_path: Path) -> None:
    config, why = resolved(long)
    assert config.fit == "pad"
    assert why["fit"] == (
        "pad: 100% of the pictures are 2 times as long as wide, or more, and a crop would cut off "
        "their ends"
    )
    splits = images.data(config)
    for part in (splits.train, splits.test):
        ends = part[0]["image"][len(part[0]["image"]) // 2, [1, -2], 0]
        assert 255 in ends and ends.min() < 100  # which class it is can be seen
    assert "aspect" not in splits.train[0]
    signature = images.signature(config, splits)
    assert signature.preprocess["fit"] == "pad to a square"
    path = next(long.rglob("1.png"))
    assert (preprocess(path, signature)[config.size // 2, 1] == (255, 1, 1)).all()
    cropped = images.data(replace(config, fit="crop"))
    assert cropped.test[0]["image"].max() < 255  # of both classes nothing is left

    for number in range(40):
        save(tmp_path / "ab"[number % 2] / f"{number}.png", (40, 30 if number % 8 else 19))
    config, why = resolved(tmp_path)
    assert config.fit == "crop"
    assert why["fit"].startswith("crop: ")


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_way_that_is_said_is_taken_everywhere(fit: str, long: Path, tmp_path: Path) -> None:
    config, why = resolved(long, fit=fit, size=16)
    assert config.fit == fit and "fit" not in why
    splits = images.data(config)
    signature = images.signature(config, splits)
    files = splits.test.files
    for at in range(3):
        np.testing.assert_array_equal(preprocess(files[at], signature), splits.test[at]["image"])
    prepared = prepare(
        str(long), tmp_path / "made", default_preparation(str(long), fit=fit, size=16)
    )
    again, why = resolved(prepared)
    assert (again.fit, why["fit"]) == (fit, f"{fit}: the pictures were prepared so")
    for part in ("train", "test"):
        packed = images.data(again)[part]
        for at in range(3):
            assert packed[at].keys() == splits[part][at].keys()
            np.testing.assert_array_equal(packed[at]["image"], splits[part][at]["image"])
    other = "pad" if fit == "crop" else "crop"
    with pytest.raises(BadInput, match=r"prepared with fit \w+.*, and here fit \w+"):
        images.data(replace(again, fit=other))


def test_prepare_says_how_and_what_trains_with_it(long: Path, tmp_path: Path, capsys: Any) -> None:
    to = tmp_path / "made"
    status, output, _ = command(capsys, "prepare", str(long), "--to", str(to))
    assert status == 0
    assert "32 to evaluate, padded); train with --data" in output


def test_what_is_squashed_is_trained_on_as_it_is(long: Path) -> None:
    config, _ = resolved(long, fit="squash", size=16, crop=1.0, flip=False, colour=0.0)
    example = images.data(config).train[0]
    transform = images.augment(config)
    assert transform is not None
    seen = transform(jax.tree.map(jnp.asarray, dict(example)), jax.random.key(0))
    assert "aspect" not in seen
    assert 255 in np.asarray(seen["image"])[8, [0, -1], 0]  # both ends are there


def test_one_scale_of_deep_pictures_is_found_said_and_kept(deep: Path, tmp_path: Path) -> None:
    config, why = resolved(deep)
    assert config.white == 4095
    assert why["white"].startswith("4095: grey pictures of more than 8 bits have values up to 3,")
    splits = images.data(config)
    for part in ("train", "validation", "test"):
        assert 180 < splits[part][0]["image"].max() < 256  # 11 of 255, before
    signature = images.signature(config, splits)
    assert signature.preprocess["white"] == 4095
    files = splits.test.files
    np.testing.assert_array_equal(preprocess(files[0], signature), splits.test[0]["image"])
    dim = Image.fromarray(np.full((20, 20), 200, np.uint16))  # the set decides, not the picture
    dim.save(tmp_path / "dim.png")
    assert (preprocess(tmp_path / "dim.png", signature) == 200 >> 4).all()
    assert (preprocess(dim, signature) == 200 >> 4).all()
    prepared = prepare(str(deep), tmp_path / "made", default_preparation(str(deep)))
    again, why = resolved(prepared)
    assert again.white == 4095 and "white" not in why
    np.testing.assert_array_equal(images.data(again).test[0]["image"], splits.test[0]["image"])
    with pytest.raises(BadInput, match=r"--white 4000: give one of 255, 1023, 4095, 16383, 65535"):
        images.data(replace(config, white=4000))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_white_is_the_greatest_value_of_the_bits_that_are_filled(bits: int, tmp_path: Path) -> None:
    white = 2**bits - 1
    for number in range(8):
        path = tmp_path / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), white * 3 // 4, np.uint16)).save(path)
    facts = choices.picture_facts(str(tmp_path), validation=2, test=2)
    assert (facts.greatest, facts.white) == (white * 3 // 4, white)
    bright = Image.fromarray(np.array([[0, white // 2, white, 65535]], np.uint16))
    assert np.asarray(plain(bright, 1, white=white)).tolist() == [[0, 127, 255, 255]]


def test_pictures_of_eight_bits_have_nothing_to_choose(long: Path) -> None:
    config, why = resolved(long)
    assert config.white == 65535 and "white" not in why


def test_a_run_of_before_is_read_as_it_was_trained() -> None:
    """It lacks both fields, and was cropped, and white was 65,535."""
    assert images.BEFORE == {"fit": "crop", "white": 65535}
    assert images.BEFORE.keys() <= vars(images.Config()).keys()


def test_check_sees_deep_pictures_as_they_are(deep: Path) -> None:
    names = [str(path.relative_to(deep)) for path in sorted(deep.rglob("*.png"))]
    result = index(deep, names[:4])
    assert not result.errors
    assert (result.records["brightness"] > 60).all()  # 6, were the upper 8 of 16 bits taken
    assert (result.records["bits"] == 16).all()
