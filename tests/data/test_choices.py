"""What a recipe chooses from pictures: the same each time, with reasons, and yours to change."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import picture_files
import pyarrow
import pytest
from flax import nnx
from pyarrow import parquet

from flaxmill import recipes
from flaxmill.commands.request import TrainRequest, configure
from flaxmill.data import choices
from flaxmill.data.batches import Schedule
from flaxmill.data.reading.cache import CachedSource, cached
from flaxmill.data.reading.process import pickle_source
from flaxmill.data.reading.readers import _pickle_for_processes
from flaxmill.data.source import Arrays, Items, cycled, unwrap_views
from flaxmill.errors import BadInput
from flaxmill.models import weights
from flaxmill.recipes import imagenet, images


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of two classes, 300 to 500 pixels a side; one file is no picture."""
    place = tmp_path_factory.mktemp("photos")
    for number in range(40):
        size = (300 + 5 * number, 500 - 4 * number)
        picture_files.save(place / ("cat", "dog")[number % 2] / f"{number}.jpg", size)
    (place / "cat" / "bad.jpg").write_text("no picture")
    return place


def resolved(place: Path, **fields: object) -> tuple[images.Config, dict[str, str]]:
    config = configure(recipes.load("images"), "quick", {"data": str(place), **fields})
    return images.resolve(config, None)


def test_pictures_are_looked_at_without_being_read(photos: Path) -> None:
    facts = choices.picture_facts(str(photos), validation=0.15, test=0.15)
    assert 355 <= facts.side <= 380  # about 366, the median of all that can be read
    assert (facts.smallest, facts.largest) == (300, 500)
    assert facts.train == 29  # of 41 files, 0.15 of each class are held out twice


def test_all_that_is_open_is_chosen_and_explained(photos: Path) -> None:
    config, why = resolved(photos)
    assert why.keys() == set(images.CHOSEN) - {"white"}  # of which there is nothing to say
    assert all(getattr(config, name) not in (0, "auto") for name in images.CHOSEN)
    assert why["size"].startswith(f"{config.size}: pictures are 300 to 500 pixels a side")
    assert why["network"] == "small: for 29 training pictures"
    assert "of 10 to 100, fewer the more pictures" in why["epochs"]
    assert resolved(photos) == (config, why)  # nothing but config and pictures decides
    assert images.resolve(config, None) == (config, {})  # and what is resolved stays


def test_what_is_said_is_kept_and_what_follows_from_it_follows(photos: Path) -> None:
    config, why = resolved(photos, size=64, network="resnet18", batch_size=4)
    assert (config.size, config.network, config.batch_size) == (64, "resnet18", 4)
    follows = {"fit", "stem", "epochs", "log_every", "evaluate_every", "optimizer", "learning_rate"}
    assert why.keys() == follows
    assert config.epochs < resolved(photos, size=64)[0].epochs  # a larger network, the same time
    assert config.learning_rate < resolved(photos, batch_size=16)[0].learning_rate


def test_a_check_that_it_can_learn_takes_the_network_and_the_time_of_the_training(
    photos: Path,
) -> None:
    config, why = resolved(photos, overfit=4)
    usual = resolved(photos)[0]
    assert config.batch_size == 4
    assert (config.network, config.epochs) == (usual.network, usual.epochs)
    assert why["network"] == "small: for 29 training pictures"


def test_a_wider_network_is_trained_for_fewer_epochs(photos: Path) -> None:
    assert resolved(photos, width=256)[0].epochs < resolved(photos)[0].epochs


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"frozen": float("nan")}, "--frozen nan must be from 0 to 1."),
        ({"frozen": 2}, "--frozen 2 must be from 0 to 1."),
        ({"body_rate": -0.1}, "--body-rate -0.1 must be from 0 to 1."),
    ],
)
def test_an_impossible_rate_is_refused_by_its_name(
    photos: Path, fields: dict[str, Any], words: str
) -> None:
    config = dataclasses.replace(resolved(photos)[0], optimizer="sgd", **fields)
    with pytest.raises(BadInput, match=words):
        images.optimizer(config, 10, given=True)


@pytest.mark.parametrize(
    ("recipe", "fields", "words"),
    [
        (images, {"crop": 0.0}, "--crop 0.0 must be from 0.01 to 1."),
        (images, {"colour": 2.0}, "--colour 2.0 must be from 0 to 1."),
        (imagenet, {"crop": 1.5}, "--crop 1.5 must be from 0.01 to 1."),
        (imagenet, {"magnitude": 11.0, "changes": 1}, "--magnitude 11.0 must be from 0 to 10."),
        (imagenet, {"changes": -1}, "--changes -1 must be from 0 to 100."),
    ],
)
def test_an_impossible_change_is_refused_by_its_name(
    recipe: Any, fields: dict[str, Any], words: str, photos: Path
) -> None:
    config = resolved(photos)[0] if recipe is images else imagenet.Config()
    with pytest.raises(BadInput, match=words):
        recipe.augment(dataclasses.replace(config, **fields))


def test_the_head_alone_may_be_trained(photos: Path) -> None:
    config = dataclasses.replace(resolved(photos)[0], body_rate=0.0, optimizer="sgd")
    tx = images.optimizer(config, 10, given=True)
    params = {"head": np.ones(2, np.float32), "stem": np.ones(2, np.float32)}
    update: Any = tx.update(params, tx.init(params), params)
    assert update[0]["head"].all()
    assert not update[0]["stem"].any()


def test_a_batch_of_less_than_nothing_is_left_to_who_refuses_it(photos: Path) -> None:
    config, _ = resolved(photos, batch_size=-4)
    with pytest.raises(BadInput, match="--batch-size -4"):
        Schedule(config, 29)


def test_only_what_is_before_the_head_is_dropped_of_a_vit() -> None:
    config = dataclasses.replace(images.Config(), network="vit_small", dropout=0.9)
    network: Any = images._build_network(config, 32, 2, nnx.Rngs(0))
    assert network.head_dropout.rate == 0.9
    assert network.dropout.rate == network.blocks[0].dropout.rate == 0.0


def test_a_network_with_one_way_to_begin_is_trained_as_long_for_small_pictures(
    photos: Path,
) -> None:
    config = dataclasses.replace(images.Config(), data=str(photos), network="vit_small")
    few, reasons = images.resolve(dataclasses.replace(config, size=64), None)
    many, _ = images.resolve(dataclasses.replace(config, size=224), None)
    assert (few.stem, reasons["stem"]) == ("imagenet", "imagenet: the only way")
    assert few.epochs >= many.epochs


def test_an_order_has_them_in_its_config_and_says_why(photos: Path) -> None:
    recipe = recipes.load("images")
    config = configure(recipe, "quick", {"data": str(photos)})
    request = TrainRequest(recipe, config, "quick", seed=0)
    ready = request.resolved()
    assert ready.config.size == int(ready.chosen["size"].partition(":")[0])
    assert ready.identity(None).json()["config"]["size"] == ready.config.size
    assert "chosen" not in ready.identity(None).json()  # a note: it makes no other run
    plain = recipes.load("fashion_mnist")
    other = TrainRequest(plain, plain.preset(), "quick", seed=0)
    assert other.resolved() == other


@pytest.mark.parametrize("name", ["resnet18", "small"])
def test_the_network_is_found_from_weights(photos: Path, name: Any) -> None:
    config = dataclasses.replace(images.Config(), network=name, stem="cifar", data=str(photos))
    model = nnx.eval_shape(lambda: images._build_network(config, 224, 7, nnx.Rngs(0)))
    _, params, model_state = nnx.split(model, nnx.Param, ...)
    named = weights.flatten({"params": params, "model_state": model_state})
    arrays = {key: np.zeros(leaf.shape, leaf.dtype) for key, leaf in named.items()}
    resolved, why = images.resolve(dataclasses.replace(config, network="auto", stem="auto"), arrays)
    assert (resolved.network, resolved.stem) == (name, "cifar")
    assert why["network"] == f"{name}: the weights to begin with are of one"
    with pytest.raises(BadInput, match="--init-from fit none of small, resnet18, resnet50"):
        images.resolve(dataclasses.replace(config, network="auto"), {"params.x": np.zeros(3)})


def test_only_the_head_is_trained_at_first(photos: Path) -> None:
    config = dataclasses.replace(resolved(photos)[0], frozen=0.5, warmup=0.0, optimizer="sgd")
    tx = images.optimizer(config, 4, given=True)
    params = {"head": {"kernel": np.ones((2, 2), np.float32)}, "stem": np.ones(2, np.float32)}
    state, moved = tx.init(params), []
    for _ in range(4):
        update: Any = tx.update(params, state, params)
        updates, state = update
        moved.append((np.abs(updates["head"]["kernel"]).max(), np.abs(updates["stem"]).max()))
    assert all(head > 0 for head, _ in moved[:3])
    assert [stem > 0 for _, stem in moved] == [False, False, True, True]


def test_muon_is_for_networks_that_begin_anew(photos: Path) -> None:
    config, why = resolved(photos)
    assert why["optimizer"] == "muon: for a ResNet that begins anew"
    with pytest.raises(BadInput, match=r"--optimizer muon .* give --optimizer sgd\."):
        images.optimizer(config, 4, given=True)
    assert resolved(photos, network="vit_small")[1]["optimizer"] == "sgd: for vit_small"


def test_given_batch_statistics_stay(photos: Path) -> None:
    config = dataclasses.replace(
        images.Config(), network="small", stem="cifar", stages=(1,), width=4
    )
    model = images._build_network(config, 16, 2, nnx.Rngs(0))
    model.train()
    batch = {"image": jnp.full((4, 16, 16, 3), 200, jnp.uint8), "label": jnp.zeros(4, jnp.int32)}
    key = jax.random.key(0)
    before = jax.device_get(jax.tree.leaves(nnx.state(model, nnx.BatchStat)))
    for given in (True, False):
        seen = nnx.clone(model)
        images.loss(seen, batch, key=key, given=given)
        now = jax.device_get(jax.tree.leaves(nnx.state(seen, nnx.BatchStat)))
        same = [np.array_equal(*pair) for pair in zip(before, now, strict=True)]
        assert all(same) if given else not any(same)


def test_what_has_room_is_read_once() -> None:
    read: list[int] = []

    class Counted:
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> dict[str, np.ndarray]:
            read.append(index)
            return {"image": np.full((2, 2, 3), index, np.uint8), "label": np.array(index)}

    source = cached(Items(Counted()))
    assert isinstance(source, CachedSource) and len(source) == 6
    read.clear()
    assert source.take(np.array([3, 1, 3]))["label"].tolist() == [3, 1, 3]
    assert sorted(read) == [1, 3]
    assert source[3]["image"].max() == 3 and source.take(np.arange(6))["label"].tolist() == [
        *range(6)
    ]
    assert sorted(read) == [0, 1, 2, 3, 4, 5]
    large = Items(Counted())
    assert cached(large, most=50) is large
    arrays = Arrays({"image": np.zeros((3, 1))})
    assert cached(arrays) is arrays


def test_few_pictures_over_and_over_are_kept_once_each() -> None:
    items = [{"image": np.full((2, 2, 3), index, np.uint8)} for index in range(3)]
    few = cached(cycled(Items(items), 2, length=10))
    assert few.take(np.arange(4))["image"].max((1, 2, 3)).tolist() == [0, 1, 0, 1]
    source, rows = unwrap_views(few, np.arange(4))
    assert isinstance(source, CachedSource)
    assert rows.tolist() == [0, 1, 0, 1]  # so processes may read it
    assert source._present.tolist() == [True, True, False]


def test_a_process_reads_what_another_one_keeps() -> None:
    items = [{"image": np.full((2, 2, 3), index, np.uint8)} for index in range(3)]
    source = cached(Items(items))
    source.take(np.arange(3))
    other = pickle.loads(pickle_source(source))  # as a process gets it; its lock cannot go along
    assert isinstance(source, CachedSource) and isinstance(other, Items)
    np.testing.assert_array_equal(other[2]["image"], source[2]["image"])


class Holding(list[Any]):
    """Items whose decoding holds Python's lock."""

    holds_gil = True


def test_what_is_kept_is_read_as_its_source_asks() -> None:
    items = [(np.zeros((2, 2, 3), np.uint8), label) for label in range(4)]
    assert _pickle_for_processes(CachedSource(Items(items)), processes=False) is None
    assert _pickle_for_processes(CachedSource(Items(Holding(items))), processes=False)


def test_the_sizes_of_pictures_in_a_parquet_file_are_looked_up(tmp_path: Path) -> None:
    files = [
        picture_files.encoded(picture_files.textured((90, 70 + number))) for number in range(10)
    ]
    column = [{"bytes": file, "path": None} for file in files]
    table = pyarrow.table({"image": column, "label": [*("ab" * 5)]})
    parquet.write_table(table, tmp_path / "train.parquet")
    facts = choices.picture_facts(str(tmp_path / "train.parquet"), validation=0, test=2)
    assert facts.largest == 90 and 70 <= facts.smallest <= facts.side < 80
    column[3] = {"bytes": None, "path": None}  # which --skip-unreadable may pass over
    parquet.write_table(table.set_column(0, "image", [column]), tmp_path / "train.parquet")
    assert (
        choices.picture_facts(str(tmp_path / "train.parquet"), validation=0, test=2).largest == 90
    )


def test_sizes_that_pictures_fill() -> None:
    assert [choices.fitting_size(side) for side in (10, 32, 60, 90, 5000)] == [32, 32, 64, 96, 224]


def test_prepare_takes_the_side_that_the_recipe_takes(photos: Path) -> None:
    facts = choices.picture_facts(str(photos), validation=0.15, test=0.15)
    assert choices.usual_size(facts) == resolved(photos)[0].size == 128
    many = dataclasses.replace(facts, train=choices.MANY)
    assert choices.usual_size(many) == 224
