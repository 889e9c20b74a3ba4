"""Your own pictures: a folder of them, sorted into classes, becomes a classifier.

    flaxmill train images                                          # ./photos; the rest is chosen
    flaxmill train images --data scenes/labels.csv                 # several labels a picture
    flaxmill train images --init-from runs/images-quick-0          # trained weights to begin with
    flaxmill train images --data photos --size 96 --epochs 2       # some of it chosen by you

Hardware: two CPU cores; what is chosen takes minutes there, for hundreds of pictures or thousands.

Data: a folder with a folder for each class, or a CSV or Parquet file of names and labels.
Expected: the % that the report gives, measured on pictures of yours that were not trained on.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from flaxmill.data import choices
from flaxmill.data.augment import Transform, chain, flip, random_resized_crop
from flaxmill.data.augment.colour import brightness, colour, contrast
from flaxmill.data.augment.geometry import drop_aspect
from flaxmill.data.batches import batches
from flaxmill.data.folder import pictures
from flaxmill.data.pictures.fit import usual_share
from flaxmill.data.reading.cache import cached
from flaxmill.data.source import SPLITS, Splits
from flaxmill.errors import BadInput, check_range
from flaxmill.maths import optim
from flaxmill.maths.classification import measures_by_labels
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.maths.scaling import IMAGENET
from flaxmill.models import fitting
from flaxmill.models.convnext import convnext_tiny
from flaxmill.models.resnet import ResNet, basic, resnet18, resnet50
from flaxmill.models.vit import vit_small
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of

SECONDS = 120.0  # of training on two cores, about, that is aimed at where nothing is said
FASTEST = 7e10  # floating-point operations a second that two cores do, about
LOW = 64  # pixels a side, up to which a ResNet begins with a stem for small pictures
CHOSEN = ("network", "stem", "size", "fit", "white", "epochs", "batch_size", "log_every")
CHOSEN += ("evaluate_every", "optimizer", "learning_rate")


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed; 0 and auto are chosen."""

    data: str = "photos"  # a folder of class folders, or a CSV or Parquet file
    separator: str = ""  # what stands between several labels of a picture in a table
    validation: int | float = 0.15  # pictures held out to choose by: how many, or a share
    test: int | float = 0.15  # pictures held out for the end, where no folder has them
    overfit: int = 0  # train and evaluate on the first N pictures only; 0: on all
    size: int = 0  # pixels a side that the network sees
    fit: Literal["auto", "crop", "pad", "squash"] = "auto"  # how a picture is made a square
    white: int = 0  # value that is white in grey pictures of more than 8 bits, such as 4095
    network: Literal["auto", "small", "resnet18", "resnet50", "convnext_tiny", "vit_small"] = "auto"
    stem: Literal["auto", "cifar", "imagenet"] = "auto"  # how a ResNet begins: cifar for few pixels
    stages: tuple[int, ...] = (1, 1, 1, 1)  # blocks of each stage, under small
    width: int = 32  # channels of the first stage, under small
    epochs: float = 0  # how often every training picture is seen
    batch_size: int = 0  # pictures a step
    accumulate: int = 1  # parts that a batch is computed in, one after another, to save memory
    log_every: float = 0  # epochs between rows of training figures
    evaluate_every: float = 0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    dropout: float = 0.2  # share of the units before the last layer that is dropped
    drop_path: float = 0.0  # share of the pictures for which the last block is dropped in training
    precision: Literal["float32", "bfloat16"] = "float32"  # type that the network computes in
    optimizer: Literal["auto", "muon", "sgd"] = "auto"  # Muon for convolutions, or SGD
    learning_rate: float = 0  # highest rate
    dense_rate: float = 2.0  # rate of the dense layer under muon, per unit of learning rate
    bias_rate: float = 1.2  # rate of biases and scales under muon, per unit of learning rate
    body_rate: float = 0.1  # rate of all but the head, per unit of the head's, with --init-from
    frozen: float = 0.2  # share of the steps in which only the head is trained, with --init-from
    warmup: float = 0.2  # share of the steps spent rising to the highest rate
    momentum: float = 0.9  # decay of the running sum of gradients
    weight_decay: float = 1e-2  # of the kernels, per unit of learning rate, under sgd
    label_smoothing: float = 0.1  # share of the label mass spread over all classes
    crop: float = 0.5  # least share of a picture's area that training sees
    flip: bool = True  # mirror half of the training pictures
    colour: float = 0.3  # most that brightness, contrast and saturation are changed by
    ema: float = 0.99  # decay of the weights' moving average; 0: none


PRESETS = {"quick": Config()}

# The values of fields that runs of earlier versions lack.
BEFORE = {"fit": "crop", "white": 65535}

# What a network is, and the billions of operations that it takes to see 224×224 pixels once.
NETWORKS = {
    "small": (functools.partial(ResNet, block=basic), 0.5),
    "resnet18": (resnet18, 3.6),
    "resnet50": (resnet50, 8.2),
    "convnext_tiny": (convnext_tiny, 9.0),
    "vit_small": (vit_small, 9.2),
}
WITHOUT_STEM = ("convnext_tiny", "vit_small")  # they begin in one way, whatever the size


def resolve(config: Config, weights: Mapping[str, Any] | None) -> tuple[Config, dict[str, str]]:
    """Fills in what is left open: a function of config, pictures and weights alone.

    Args:
        config: Fields that are 0 or auto are chosen.
        weights: Those to begin with, from ``--init-from``, if any.

    Returns:
        The config with all of these filled in, and why each was chosen.
    """
    if all(getattr(config, field) not in (0, "auto") for field in CHOSEN):
        return config, {}
    survey = choices.picture_facts(
        config.data,
        validation=config.validation,
        test=config.test,
        sign=config.separator,
        overfit=config.overfit,
    )
    reasons: dict[str, str] = {}

    def choose(field: str, value: Any, why: str) -> None:
        nonlocal config
        if getattr(config, field) in (0, "auto"):
            config = replace(config, **{field: value})
            reasons[field] = f"{value}: {why}"

    many = f"for {survey.train:,} training pictures"
    if weights is not None and "auto" in (config.network, config.stem):
        name, stem = _of_weights(config, weights)
        choose("network", name, "the weights to begin with are of one")
        choose("stem", stem, "the weights to begin with are of one")
    choose("network", "small" if survey.train < choices.MANY else "resnet18", many)
    if survey.prepared:
        choose("size", survey.prepared, "the pictures were prepared so")
    most = choices.SMALL_SIDE if config.network == "small" and not weights else choices.SIZES[-1]
    sides = f"pictures are {survey.smallest} to {survey.largest} pixels a side"
    sides = f"{sides}, {survey.side} along the shorter one of most"
    choose("size", choices.fitting_size(survey.side, most=most), sides)
    choose("fit", *choices.fitting_way(survey))
    if survey.greatest:
        values = f"grey pictures of more than 8 bits have values up to {survey.greatest:,}"
        choose("white", survey.white, values)
    else:
        config = replace(config, white=config.white or survey.white)
    if config.network in WITHOUT_STEM:
        choose("stem", "imagenet", "the only way")
    few = f"for {config.size}×{config.size} pixels"
    choose("stem", "cifar" if config.size <= LOW else "imagenet", few)
    choose("epochs", *_epochs(config, survey.train, weights))
    choose("batch_size", choices.fitting_batch(survey), many)
    for field, rows in (("log_every", 25), ("evaluate_every", 10)):
        choose(field, max(0.01, round(config.epochs / rows, 2)), f"epochs: {rows} times in all")
    if weights is None and config.network not in WITHOUT_STEM:
        choose("optimizer", "muon", "for a ResNet that begins anew")
    choose("optimizer", "sgd", f"for {'given weights' if weights else config.network}")
    # A negative batch size is refused where the data is divided into batches.
    rate = (0.02 if weights else 0.04) * (max(1, config.batch_size) / 16) ** 0.5
    choose("learning_rate", round(rate, 4), f"for steps of {config.batch_size} pictures")
    return config, reasons


def _of_weights(config: Config, weights: Mapping[str, Any]) -> tuple[Any, Any]:
    """Returns the network that weights are of, and its stem."""
    names: tuple[Any, ...] = tuple(NETWORKS) if config.network == "auto" else (config.network,)
    stems: tuple[Any, ...] = ("imagenet", "cifar") if config.stem == "auto" else (config.stem,)
    for name in names:
        for stem in stems[:1] if name in WITHOUT_STEM else stems:
            choice = replace(config, network=name, stem=stem)
            build = functools.partial(_build_network, choice, 224, 2)
            if fitting.fits(build, weights, own=("head",)):
                return name, stem
    if len(names) == 1:  # loading them says what they lack
        return names[0], stems[0]
    raise BadInput(
        f"the weights given with --init-from fit none of {', '.join(NETWORKS)}: --network NAME "
        f"says what they lack."
    )


def _epochs(config: Config, train: int, weights: Mapping[str, Any] | None) -> tuple[int, str]:
    """Chooses how long to train: for some minutes, within what so many pictures need."""
    operations = NETWORKS[config.network][1] * 1e9 * (config.size / 224) ** 2
    if config.network == "small":  # that is of four blocks, 32 channels wide at first
        operations *= max(1, config.width / 32) ** 2 * max(1, sum(config.stages) / 4)
    if config.stem == "cifar" and config.network not in WITHOUT_STEM:
        operations *= 16  # it keeps four times the height and the width
    each = 3 * operations / FASTEST  # forwards, and twice as much backwards
    least, most = (10, 30) if weights else (10, 100)
    epochs = choices.fitting_epochs(SECONDS, each, train, least=least, most=most)
    return epochs, f"of {least} to {most}, fewer the more pictures and the larger the network"


def data(config: Config) -> Splits:
    """Returns the pictures and their labels; what has room is read once and kept in memory."""
    splits = pictures(
        config.data,
        size=config.size,
        train_size=round(config.size / usual_share(config.size)),
        validation=config.validation,
        test=config.test,
        overfit=config.overfit,
        fit=config.fit,
        share=usual_share(config.size, config.fit),
        sign=config.separator,
        white=config.white,
    )
    return replace(splits, **{part: cached(splits[part]) for part in SPLITS})


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    how = {"fit": config.fit, "share": usual_share(config.size, config.fit)}
    return picture_signature("images", splits, **how, white=config.white)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the network with its initial parameters."""
    return _build_network(config, signature.inputs[0].shape[1], len(signature.labels), rngs)


def _build_network(config: Config, size: int, classes: int, rngs: nnx.Rngs) -> nnx.Module:
    build, _ = NETWORKS[config.network]
    how: dict[str, Any] = {"drop_path": config.drop_path}
    if config.network == "vit_small":
        how |= {"size": (size, size), "head_dropout": config.dropout}
    else:
        how |= {"dropout": config.dropout}
    if config.network == "small":
        how |= {"stem": config.stem, "stages": config.stages, "width": config.width}
    elif "resnet" in config.network:
        how |= {"stem": config.stem}
    return build(3, classes, **IMAGENET, dtype=jnp.dtype(config.precision), rngs=rngs, **how)


def optimizer(config: Config, steps: int, *, given: bool = False) -> optax.GradientTransformation:
    """Returns Muon, or stochastic gradient descent with momentum.

    Begun with given weights, the head alone is trained at first, and the rest at a lower rate
    after that: a head that knows nothing yet would spoil what the rest has learnt.
    """
    check_range("--frozen", config.frozen, 0, 1)
    check_range("--body-rate", config.body_rate, 0, 1)
    wait, peak = round(config.frozen * steps), config.learning_rate
    if config.optimizer == "muon":
        if given:
            raise BadInput(
                "--optimizer muon gives every kernel a norm of its own, which would spoil the "
                "weights given with --init-from: leave it out, or give --optimizer sgd."
            )
        rate = optim.one_cycle(peak, steps, warmup=config.warmup)
        rates = {"dense": config.dense_rate, "bias": config.bias_rate}
        return optim.muon(rate, **rates, momentum=config.momentum)
    how = {"momentum": config.momentum, "nesterov": True, "weight_decay": config.weight_decay}
    head = optim.sgd(optim.one_cycle(peak, steps, warmup=config.warmup), **how)
    if not given:
        return head
    if not config.body_rate:
        return optim.apart({"head": head}, optax.set_to_zero())
    lower = optim.one_cycle(peak * config.body_rate, steps - wait, warmup=config.warmup)
    return optim.apart({"head": head}, optim.sgd(optim.waiting(wait, lower), **how))


def augment(config: Config) -> Transform | None:
    """Returns what is done to one training example, given a key of its own."""
    check_range("--crop", config.crop, 0.01, 1)
    check_range("--colour", config.colour, 0, 1)
    cut = functools.partial(random_resized_crop, size=config.size, scale=(config.crop, 1.0))
    steps = [cut, flip] if config.flip else [cut]
    if config.fit == "squash":  # they are evaluated so
        steps = [drop_aspect, *steps]
    if config.colour:
        steps += [
            functools.partial(change, most=config.colour)
            for change in (brightness, contrast, colour)
        ]
    return chain(*steps)


def loss(
    model: nnx.Module,
    batch: dict,
    *,
    key: jax.Array,
    label_smoothing: float = 0.0,
    given: bool = False,
) -> Measures:
    """Returns what training minimises, and what it shows beside, for each example."""
    if given:  # a few pictures at a time would spoil the statistics of the many it was trained on
        model.set_attributes(nnx.BatchNorm, use_running_average=True, raise_if_not_found=False)
    logits = model(batch["image"], rngs=nnx.Rngs(dropout=key))
    return measures_by_labels(logits, batch["label"], label_smoothing=label_smoothing)


def measure(model: nnx.Module, batch: dict) -> Measures:
    """Returns the plain loss and how much is right, for each example."""
    return measures_by_labels(model(batch["image"]), batch["label"])


def train(config: Config, run: Run) -> State:
    """Trains a model; this is the loop to change."""
    given = run.initial is not None
    splits, schedule = run.splits, run.schedule
    tx = optimizer(config, schedule.steps, given=given)
    build = functools.partial(model, config, run.signature)
    state = create_state(build, run.seeds, tx, ema=config.ema)
    state = run.restore(state, own=("head",))  # its own checkpoint, else --init-from
    how = functools.partial(loss, label_smoothing=config.label_smoothing, given=given)

    def step(state: State, batch: dict, key: jax.Array) -> tuple[State, Sums]:
        """The mathematics of one step: change it freely."""

        def objective(params: Any, model_state: Any, batch: dict, key: jax.Array) -> Any:
            net = state.model(params, model_state)
            sums = summed(how, net, batch, key=key)  # value and weight of each example, added
            return sums.mean("loss"), (sums, model_state_of(net))

        gradients, (sums, model_state) = gradient(objective, parts=config.accumulate)(
            state.params, state.model_state, batch, key
        )
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.after(params, opt_state, model_state, ema=config.ema), sums

    train_chunk = compile_steps(step, run, augment(config))
    evaluate = compile_evaluation(measure, run)
    for chunk in batches(splits.train, run):
        state, sums = train_chunk(state, chunk)  # many steps in one call; sums stay on the device
        run.log("train", chunk.stop, sums)  # fetched only when a row is due
        for name in schedule.evaluates(chunk.stop):
            run.log(name, chunk.stop, evaluate(state, splits[name]))
        run.save_if_due(chunk.stop, state)  # also when asked to stop (SIGTERM, Ctrl-C)
    run.finish(state, evaluate(state, splits.test))
    return state
