import hashlib
import os
import subprocess

import jax
import numpy as np
import pytest

from flaxmill.data.sketches import BLOCK, CHUNK, CLASSES, TEST_FIRST, Sketches, draw
from flaxmill.data.sketches.cloth import FIELDS, Dice
from flaxmill.data.sketches.garments import GARMENTS, PARTS, Garment
from flaxmill.errors import BadInput

Drawn = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw(np.arange(3000))


def test_shapes_and_types(drawn: Drawn) -> None:
    pictures, labels = drawn
    assert pictures.shape == (3000, 28, 28, 1)
    assert pictures.dtype == np.uint8
    assert labels.shape == (3000,)
    assert labels.dtype == np.int32
    empty, none = draw(np.arange(0))
    assert empty.shape == (0, 28, 28, 1)
    assert none.shape == (0,)


def test_garments_are_light_on_a_black_ground(drawn: Drawn) -> None:
    pictures, labels = drawn
    for label, name in enumerate(CLASSES):
        mine = pictures[labels == label]
        lit = (mine > 25).mean(axis=(1, 2, 3))
        assert lit.min() > 0.02, f"an empty picture of {name}"
        assert lit.max() < 0.85, f"a picture of {name} without ground"
        assert (mine == 0).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("count", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, CHUNK + 1])
def test_a_picture_does_not_depend_on_the_others(drawn: Drawn, count: int) -> None:
    pictures, labels = drawn
    indices = np.random.default_rng(count).permutation(3000)[:count]
    again, names = draw(indices)
    np.testing.assert_array_equal(again, pictures[indices])
    np.testing.assert_array_equal(names, labels[indices])


def test_every_index_and_every_seed_has_its_own_picture(drawn: Drawn) -> None:
    pictures, _ = drawn
    assert len(np.unique(pictures.reshape(3000, -1), axis=0)) == 3000
    far, _ = draw(np.array([5, 5 + 2**32, 5 + 2**62]))
    assert len(np.unique(far.reshape(3, -1), axis=0)) == 3
    other, labels = draw(np.arange(3000), seed=1)
    assert not (other == pictures).all(axis=(1, 2, 3)).any()
    assert (labels != drawn[1]).any()


def test_every_ten_hold_each_class_once_in_changing_order(drawn: Drawn) -> None:
    tens = drawn[1].reshape(-1, 10)
    np.testing.assert_array_equal(np.sort(tens), np.broadcast_to(np.arange(10), tens.shape))
    assert len(np.unique(tens, axis=0)) > 290  # of 300; 10! orders exist


def test_test_pictures_are_none_of_the_training_pictures(drawn: Drawn) -> None:
    test = Sketches(500, first=TEST_FIRST)
    pictures = test.take(np.arange(500))["image"]
    both = np.concatenate([drawn[0], pictures]).reshape(3500, -1)
    assert len(np.unique(both, axis=0)) == 3500


def test_only_one_compilation_whatever_the_number() -> None:
    draw(np.arange(1))
    compilations = []

    def count(event: str, duration_secs: float, **_: object) -> None:
        if "backend_compile" in event:
            compilations.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        for number in (1, 7, BLOCK, BLOCK + 5, CHUNK + 9):
            draw(np.arange(number))
        assert compilations == []
        jax.jit(lambda x: x + 1)(np.float32(number))  # the listener does notice compilations
        assert len(compilations) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


def test_bits_do_not_depend_on_the_number_of_devices(drawn: Drawn, python: str) -> None:
    code = (
        "import hashlib, jax, numpy as np; from flaxmill.data.sketches import draw;"
        "print(jax.device_count(), hashlib.sha256(draw(np.arange(300))[0].tobytes()).hexdigest())"
    )
    same = os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=8", "")
    environment = {**os.environ, "XLA_FLAGS": same}
    command = [python, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert jax.device_count() == 8
    assert done.stdout.split() == ["1", hashlib.sha256(drawn[0][:300].tobytes()).hexdigest()]


def test_the_source_gives_what_draw_gives(drawn: Drawn) -> None:
    pictures, labels = drawn
    source = Sketches(100, first=40)
    assert len(source) == 100
    batch = source.take(np.array([3, 99, 0]))
    np.testing.assert_array_equal(batch["image"], pictures[[43, 139, 40]])
    np.testing.assert_array_equal(batch["label"], labels[[43, 139, 40]])
    example = source[3]
    np.testing.assert_array_equal(example["image"], pictures[43])
    assert example["label"].dtype == np.int32
    assert example["label"].shape == ()


def test_a_thousand_million_pictures_cost_nothing_until_drawn() -> None:
    source = Sketches(10**9)
    assert len(source) == 10**9
    batch = source.take(np.array([0, 123_456_789, 10**9 - 1]))
    assert batch["image"].shape == (3, 28, 28, 1)


def test_indices_outside_the_source_are_refused() -> None:
    source = Sketches(10)
    for index in (10, -1):
        with pytest.raises(IndexError, match=f"index {index} of 10 drawn pictures"):
            source[index]


def test_pictures_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(BadInput, match="-1 drawn pictures from number 0 on cannot be had"):
        Sketches(-1)
    with pytest.raises(BadInput, match=r"their sum at most 2\*\*63"):
        Sketches(10, first=2**63)
    with pytest.raises(BadInput, match="there is no number -3"):
        draw(np.array([1, -3]))
    with pytest.raises(BadInput, match=r"seed of the drawn pictures is -1"):
        draw(np.array([1]), seed=-1)


@pytest.mark.parametrize("garment", GARMENTS, ids=CLASSES)
def test_cuts_fit_into_a_block(garment: Garment) -> None:
    parts = garment.cut(Dice(np.arange(4, dtype=np.uint64)))
    assert len(parts) <= PARTS
    assert {len(part) for part in parts} == {FIELDS}


def test_nearest_class_mean_tells_more_than_guessing(drawn: Drawn) -> None:
    pictures, labels = drawn
    train, test = pictures[:2000].astype(np.float32), pictures[2000:].astype(np.float32)
    means = np.stack([train[labels[:2000] == label].mean(axis=0) for label in range(10)])
    apart = ((test[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4))
    accuracy = (apart.argmin(axis=1) == labels[2000:]).mean()
    # 0.1 would be guessing; the set is meant to be too hard for so simple a rule to master.
    assert 0.45 < accuracy < 0.84
