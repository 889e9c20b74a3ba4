"""What a recipe file of one's own returns is checked before step 1: one message a mistake."""

import json
import re
from pathlib import Path

import optax
import pytest
import small_runs
from commands import command, words
from whole_recipe import RECIPE

from flaxmill import recipes
from flaxmill.errors import BadInput
from flaxmill.recipes.loading import border
from flaxmill.training import returned

DATA = "def data(config):\n    "
LOSS = 'def loss(model, batch, *, key):\n    values = measure(model, batch)["loss"][0]\n    return '
MEASURE = LOSS.replace(
    'loss(model, batch, *, key):\n    values = measure(model, batch)["loss"][0]',
    'measure(model, batch):\n    values = model(batch["image"]).sum(-1)',
)
MODEL = "def model(config, signature, rngs):\n    return "
AUGMENT = "def augment(config):\n    def changed(example, key):\n        return "
LABELS = f"{DATA}found = splits_of(images, labels)\n    "
LABELS += "object.__setattr__(found, 'labels', {})\n    return found"  # unseen by the checker
SIGNATURE = "def signature(config, splits):\n    return "

# What is put at the end of the recipe, and how what is said begins; {} is the file.
LOADED = [
    (
        "class Config:\n    epochs = 2\nPRESETS = {'quick': Config()}",
        "{}: Config is no dataclass: write @dataclass(frozen=True) above its class, and a type",
    ),
    ("PRESETS = [Config()]", '{}: PRESETS is a list: give names and configs, {"quick": Config()}.'),
    (
        "PRESETS = {'quick': {'epochs': 3}}",
        "{}: PRESETS['quick'] is a dict ({'epochs': 3}): give a Config, such as Config().",
    ),
    (
        "PRESETS = {'quick': Config(data=range)}",
        "{}: data of PRESETS['quick'] is a type (<class 'range'>): a field holds a number, a text,",
    ),
    ("measure = 3", "{}: measure is an int (3), and not a function."),
]
RETURNED = [
    (
        DATA + "return {'train': 3}",
        "data() in {} returned a dict ({'train': 3}): return flaxmill.data.source.Splits(title=",
    ),
    (
        DATA + "return splits_of(images, labels, train=list(images))",
        "data() in {}: train is a list: wrap arrays in Arrays({'image': …, 'label': …}), and what "
        "has len and [i], such as a PyTorch dataset, in Items(…)",
    ),
    (
        DATA + "return splits_of(images, labels, train=Items([]))",
        "data() in {}: train is empty: give it one example or more.",
    ),
    (
        DATA + "return splits_of(images, labels, test=Items([]))",
        "data() in {}: test is empty: give it one example or more.",
    ),
    (
        LABELS.format((0, 1, 2)),
        "data() in {}: labels is a tuple ((0, 1, 2)): give the names of the classes, in the order",
    ),
    (
        LABELS.format("'abc'"),
        "data() in {}: labels is a str ('abc'): give the names of the classes, in the order",
    ),
    (
        DATA + "return splits_of(images, np.array(['cat'] * 32))",
        "data() in {}: train: label of an example is text (np.str_('cat')): give the number of its "
        "class, counted from 0; the names of classes go into labels.",
    ),
    (
        DATA + "return splits_of(images, labels + 1)",
        "data() in {}: the label of example 2 of train is 3: there are 3 classes in labels, "
        "numbered from 0 to 2.",
    ),
    (
        DATA + "return splits_of(images, labels, train=Items([images[0]] * 9))",
        "an item of list is a ndarray of 5 part(s): expected image, label. Items(…, names=",
    ),
    (
        DATA + "return splits_of(images, labels, train=Items([(images[0], None)] * 9))",
        "data() in {}: train: label of an example is of the type object (array(None, dtype=object)",
    ),
    (
        DATA + "return splits_of(images[..., 0], labels)",
        "the pictures of mine are uint8[5, 5]: give them an axis for the one channel of grey ones "
        "(picture[..., None]), where the recipe's data() makes them.",
    ),
    (
        DATA + "return splits_of(np.float32(images.transpose(0, 3, 1, 2)) / 255, labels)",
        "the pictures of mine are float32[1, 5, 5]: give them uint8 from 0 to 255, as they are "
        "stored, for the model scales them itself (leave ToTensor and the like out; "
        "np.uint8(np.round(255 * picture)) makes them of 0 to 1), and the channels last, not first "
        "(picture.transpose(1, 2, 0)), where",
    ),
    (
        DATA + "return splits_of(images, np.float32(labels))",
        "the label of an example of mine is float32 (0.0): give a whole number, the place of its",
    ),
    (
        "def resolve(config, initial):\n    return 3",
        "resolve() in {} returned an int (3): return the config and, by field, why it was chosen",
    ),
    (
        SIGNATURE + "splits",
        "signature() in {} returned a Splits: return picture_signature(",
    ),
    (
        SIGNATURE + "Signature('m', *KINDS, (Tensor('picture', 'uint8', (-1, 5)),), (), names)",
        "signature() in {} says that the model takes picture, and the examples of test have "
        "image, label: name them alike.",
    ),
    (
        SIGNATURE + "Signature('m', *KINDS, (Tensor('image', 'uint8', (-1, 8, 8, 1)),), (), names)",
        "signature() in {} says that image is uint8[8, 8, 1], and an example of test has "
        "uint8[5, 5, 1]: let the two agree.",
    ),
    (
        MODEL + "Net(7, rngs)",
        "the model of {} gives logits of float32[batch, 7], and its signature says "
        "float32[batch, 3], one for each of the 3 labels: give the last layer in model() so many",
    ),
    (
        MODEL + "linen.Dense(3)",
        "model() in {} returned a Dense: that is a module of flax.linen: return "
        "nnx.bridge.ToNNX(…) of it, after its lazy_init(first, rngs=rngs), as examples",
    ),
    (MODEL + "None", "model() in {} returned a NoneType (None): return a flax.nnx.Module."),
    (
        "Net.__call__ = lambda self, x: self.head(jnp.ones((len(x), 25))).argmax(-1)",
        "the model of {} gives logits of int32[batch], and its signature says float32[batch, 3]",
    ),
    (
        "plain = Net.__call__\nNet.__call__ = lambda self, x: (plain(self, x), 1)",
        "the model of {} gives 2 outputs, and its signature says 1 (logits): return those",
    ),
    (
        MEASURE + "values",
        'measure() in {}, line LAST, returned an array, float32[2]: return {"loss": (values, '
        "weights)}, a value and a weight for each example",
    ),
    (
        MEASURE + "{'loss': (values.mean(), jnp.ones(()))}",
        "measure() in {}, line LAST: the values of 'loss' are one number, float32[] for 2 "
        "examples: give one for each, and leave their mean or sum to the loop.",
    ),
    (
        MEASURE + "{'accuracy': (values, values)}",
        "measure() in {}, line LAST, returned no 'loss' (it has 'accuracy'): return",
    ),
    (
        LOSS + "values.mean()",
        "loss() in {}, line LAST, returned one number, float32[]: return",
    ),
    (
        LOSS + "{'loss': values}",
        "loss() in {}, line LAST: 'loss' is an array, float32[8]: return",
    ),
    (
        LOSS + "{'loss': (values.mean(), 1.0)}",
        "loss() in {}, line LAST: 'loss' has a float (1.0): return",
    ),
    (
        LOSS + "{'loss': (values, jnp.ones((8, 1)))}",
        "loss() in {}, line LAST: 'loss' has values of the shape [8] and weights of [8, 1]: give",
    ),
    (
        AUGMENT + "example['image']\n    return changed",
        "changed() in {}, line LAST, given by augment(), returned an array, uint8[8, 5, 5, 1]: "
        "return the example with its parts changed",
    ),
    (
        "def train(config, run):\n    return None",
        "train() in {} ended without a result: it calls run.finish(state, evaluate(state, ",
    ),
    (
        "@dataclass(frozen=True)\nclass Config:\n    epochs: float = 1\n    batch_size: int = 4\n"
        "PRESETS = {'quick': Config()}",
        "Config in {} lacks log_every, evaluate_every, evaluate_on, validation: the schedule of a",
    ),
    # Mistakes of its own, wherever they happen.
    (
        "def data(config, place):\n    return splits_of(images, labels)",
        "data() in {} takes (config, place), and is called with 1 value(s), as that of",
    ),
    (
        DATA + "return splits_of(images, missing)",
        "{}, line LAST, in data: NameError: name 'missing' is not defined\n"
        "    return splits_of(images, missing)\n(FLAXMILL_TRACEBACK=1 shows",
    ),
    (
        DATA + "return splits_of(images, labels, train=Items(Rows([1])))\n"
        "class Rows(list):\n    def __getitem__(self, index):\n        return {}['path']",
        "{}, line LAST, in __getitem__: KeyError: 'path'\n    return {}['path']",
    ),
    (
        "Net.__call__ = lambda self, pictures: self.body(pictures)",
        "{}, line LAST, in <lambda>: AttributeError: 'Net' object has no attribute 'body'",
    ),
    (
        LOSS + "softmax_cross_entropy(values, batch['image'])",
        "{}, line LAST, in loss: ",
    ),
    (
        "def train(config, run):\n    batches()",
        "{}, line LAST, in train: TypeError: ",
    ),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.py"


@pytest.mark.parametrize(("text", "message"), LOADED, ids=range(len(LOADED)))
def test_a_part_that_is_something_else_is_named(here: Path, text: str, message: str) -> None:
    here.write_text(f"{RECIPE}\n{text}\n")
    with pytest.raises(BadInput) as refused:
        recipes.load("mine.py")
    assert str(refused.value).startswith(message.replace("{}", str(here), 1))


@pytest.mark.parametrize(("text", "begins"), RETURNED, ids=range(len(RETURNED)))
def test_what_a_part_returns_is_checked_before_step_1(
    here: Path, text: str, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here.write_text(f"{RECIPE}\n{text}\n")
    status, out, error = command(capsys, "train", "mine.py", "--run", "run")
    assert status == 2
    message = re.sub(r"line \d+", "line LAST", error)
    assert message.startswith(f"flaxmill: {begins.replace('{}', str(here), 1)}")
    if lines := re.findall(r"line (\d+)", error):
        assert int(lines[0]) > RECIPE.count("\n")
    assert "Traceback" not in error
    assert "Compiled" not in out  # and nothing was trained
    assert not Path("run").exists()


def test_what_only_a_loop_of_one_s_own_can_use_is_trained_and_told_of(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = RECIPE.replace("@dataclass(frozen=True)", "@dataclass")
    here.write_text(f"""{plain}
plain = Net.__call__
Net.__call__ = lambda self, pictures, scale: scale * plain(self, pictures)


def measure(model, batch):
    values = softmax_cross_entropy(model(batch["image"], 2.0), batch["label"])
    return {{"loss": (values, jnp.ones(()))}}  # one weight for all: their mean


def loss(model, batch, *, key):
    values = measure(model, batch)["loss"][0] + 0 * batch["extra"]
    return {{"loss": (values.mean(), jnp.ones(()))}}  # of the batch as a whole


def data(config):
    some = np.where(labels == 2, -1, labels)  # examples without a label
    train = Arrays({{"image": images, "label": some, "extra": images[:, 0, 0, 0] / 255.0}})
    return splits_of(images, labels, train=train)


def augment(config):
    return lambda example, key: {{n: v for n, v in example.items() if n != "id"}}
""")
    status, out, error = command(capsys, "train", "mine.py", "--run", "run", "--no-report")
    assert status == 0, error
    assert "This model can be trained, and not be evaluated or asked (" in words(out)
    rows = Path("run", "metrics.jsonl").read_text()
    assert 0.5 < json.loads(rows.splitlines()[0])["loss"] < 2  # a mean, and no sum
    status, _, error = command(capsys, "look", "run")
    assert status == 2
    assert f"the model of {here} cannot be asked with its image alone: " in error


def test_what_is_no_optimizer_is_refused() -> None:
    refused = (
        r"the optimizer is a float \(0\.1\): optimizer\(\) of a recipe returns an Optax transf"
    )
    with pytest.raises(BadInput, match=refused):
        returned.transformation(0.1)
    returned.transformation(optax.sgd(0.1))


def test_a_recipe_of_ones_own_may_take_examples_of_many_sizes(tmp_path: Path) -> None:
    file = small_runs.fork(tmp_path / "mine.py", recipe="text_classification")
    recipe = recipes.load(str(file))
    config = recipe.module.Config(**small_runs.SMALL["text_classification"])
    splits = border.trainable_splits(recipe, config)
    signature = border.signature(recipe, config, splits)
    assert signature.inputs[0].shape[1:] == ("time",)
    assert border.model(recipe, config, splits, signature) == ""
