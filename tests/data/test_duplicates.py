"""Pictures that are the same or alike are found, and others are not."""

import io

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image

from flaxmill.data.check import duplicates


def picture(seed: int) -> Image.Image:
    return textured((120, 90), seed=seed)


def thumbnails(*pictures: Image.Image) -> np.ndarray:
    return np.stack([duplicates.thumbnail(picture.convert("L")) for picture in pictures])


def groups(*pictures: Image.Image) -> list[list[int]]:
    small = thumbnails(*pictures)
    return duplicates.alike(*duplicates.hashes(small), duplicates.small(small))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encoded(picture, quality=quality)))


@pytest.mark.parametrize("seed", range(3))
def test_what_was_scaled_mirrored_or_saved_anew_is_alike(seed: int) -> None:
    whole = picture(seed)
    others = [picture(seed + 100 + number) for number in range(20)]
    changed = [
        whole.resize((60, 45)),
        whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        jpeg(whole, 40),
        jpeg(whole.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 60),
        whole.point(lambda value: round(0.9 * value)),
    ]
    assert groups(whole, *others, *changed) == [[0, *range(21, 26)]]


def test_other_pictures_and_blank_ones_are_not() -> None:
    blank = [Image.new("RGB", (50, 50), (level,) * 3) for level in (0, 0, 99, 255)]
    assert groups(*map(picture, range(60)), *blank) == []


def test_a_mirrored_hash_is_the_hash_of_the_mirrored_picture() -> None:
    small = thumbnails(*map(picture, range(20)))
    straight, mirrored = duplicates.hashes(small)
    assert (duplicates.hashes(small[..., ::-1])[0] == mirrored).mean() > 0.9  # but for rounding
    assert (np.bitwise_count(straight ^ mirrored) > 10).all()


def test_near_hashes_are_all_found() -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(0, 2**64, 400, np.uint64)
    flips = [
        np.bitwise_or.reduce(np.uint64(1) << rng.permutation(64)[:n].astype(np.uint64))
        for n in rng.integers(1, 8, 400)
    ]
    queries = known ^ np.array(flips, np.uint64)
    every = np.bitwise_count(queries[:, None] ^ known[None]) <= duplicates.DISTANCE
    pairs = {
        pair
        for rows, matches in duplicates.near(queries, known, duplicates.DISTANCE)
        for pair in zip(rows.tolist(), matches.tolist(), strict=True)
    }
    assert 100 < len(pairs) < 400
    assert pairs == set(zip(*map(np.ndarray.tolist, every.nonzero()), strict=True))


def test_many_pairs_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_PAIRS", 50)
    same = np.full(30, 5, np.uint64)
    pairs = list(duplicates.near(same, same, duplicates.DISTANCE))
    assert max(len(rows) for rows, _ in pairs) <= 60
    assert {
        pair for rows, at in pairs for pair in zip(rows.tolist(), at.tolist(), strict=True)
    } == {(one, other) for one in range(30) for other in range(30)}
