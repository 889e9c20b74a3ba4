"""ImageNet: a ResNet-50 or a ViT-S/16, trained as published (Deng et al. 2009).

    flaxmill train imagenet                              # resnet50, on data/imagenet
    flaxmill train imagenet --preset vit_s16
    flaxmill train imagenet --data photos --size 64 --epochs 1

Hardware: one accelerator or several (--mesh data=8), with as many cores as decode for them.

Data: ImageNet's usual folders, train/<wnid>/ and val/<wnid>/; any folder of that layout will do.
Expected: not measured here; published are 76.4 % top-1 accuracy (resnet50) and 76 % (vit_s16).
Sources: Goyal et al. 2017, table 1; Beyer et al. 2022, whose network averages its tokens in the
place of a class token.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from flaxmill.data.augment import (
    Mixing,
    Transform,
    chain,
    flip,
    mixup,
    rand_augment,
    random_resized_crop,
)
from flaxmill.data.batches import batches
from flaxmill.data.folder import pictures
from flaxmill.data.source import Splits
from flaxmill.errors import BadInput, check_range
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures
from flaxmill.maths.metrics import Measures, Sums, top_accuracy
from flaxmill.maths.scaling import IMAGENET
from flaxmill.models.resnet import ResNet, bottleneck
from flaxmill.models.vit import ViT
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of

SHARE = 0.875  # of the sides of a picture that evaluation looks at: 224 pixels of 256


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed."""

    data: str = "data/imagenet"  # a folder with train/ and val/, each of class folders
    validation: int | float = 0.01  # training pictures held out: how many, or a share
    overfit: int = 0  # train and evaluate on the first N pictures only; 0: on all
    size: int = 224  # pixels a side that the network sees
    stored: int = 384  # pixels a side of the whole pictures that training crops are cut from
    epochs: float = 90  # how often every training picture is seen
    batch_size: int = 256  # pictures a step
    accumulate: int = 1  # parts that a batch is computed in, one after another, to save memory
    log_every: float = 0.1  # epochs between rows of training figures
    evaluate_every: float = 5.0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    network: Literal["resnet", "vit"] = "resnet"  # a ResNet of bottlenecks, or a transformer
    stages: tuple[int, ...] = (3, 4, 6, 3)  # blocks of each stage, under resnet
    width: int = 64  # channels of the first stage, under resnet; features of a token, under vit
    depth: int = 12  # blocks, under vit
    heads: int = 6  # of each block's attention, under vit
    patch: int = 16  # pixels a side of a patch, under vit
    dropout: float = 0.0  # share that is dropped before the last layer, or within vit's blocks
    drop_path: float = 0.0  # share of the pictures for which the last block is dropped in training
    precision: Literal["float32", "bfloat16"] = "bfloat16"  # type that the network computes in
    optimizer: Literal["sgd", "adamw"] = "sgd"  # SGD with Nesterov momentum, or AdamW
    schedule: Literal["steps", "cosine"] = "steps"  # of the learning rate, after warming up
    learning_rate: float = 0.1  # highest rate; a larger batch takes a higher one in proportion
    warmup: float = 5 / 90  # share of the steps spent rising to the highest rate
    momentum: float = 0.9  # decay of the running sum of gradients, under sgd
    weight_decay: float = 1e-3  # of the kernels, per unit of learning rate
    clip: float = 0.0  # norm that gradients have at most, under adamw; 0: no limit
    label_smoothing: float = 0.0  # share of the label mass spread over all classes
    crop: float = 0.08  # least share of a picture's area that training sees
    flip: bool = True  # mirror half of the training pictures
    changes: int = 0  # of RandAugment, one after another, to each training picture
    magnitude: float = 10.0  # of these changes, from 0 to 10
    mixup: float = 0.0  # alpha of the mixing of two pictures by averaging; 0: none
    ema: float = 0.0  # decay of the weights' moving average; 0: none


# Goyal et al. 2017, section 5.1, whose decay of 1e-4 goes through the momentum of 0.9 and adds up
# to ten times as much; here it does not. Beyer et al. 2022, whose decay is not multiplied by the
# learning rate of 1e-3.
PRESETS = {
    "resnet50": Config(),
    "vit_s16": Config(
        batch_size=1024,
        network="vit",
        width=384,
        optimizer="adamw",
        schedule="cosine",
        learning_rate=1e-3,
        warmup=10_000 / 112_000,
        weight_decay=0.1,
        clip=1.0,
        crop=0.05,
        changes=2,
        mixup=0.2,
    ),
}


def data(config: Config) -> Splits:
    """Returns the pictures and their labels; ``val`` is the test, as published figures have it."""
    splits = pictures(
        config.data,
        size=config.size,
        train_size=max(config.stored, config.size),
        validation=config.validation,
        overfit=config.overfit,
        share=SHARE,
    )
    if splits.gives != "one_class":
        raise BadInput(
            f"{splits.title} has several labels a picture, and imagenet learns one class of each: "
            f"the recipe images does learn them."
        )
    return splits


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    return picture_signature("imagenet", splits, fit="crop", share=SHARE)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the network with its initial parameters."""
    how: dict[str, Any] = {**IMAGENET, "dropout": config.dropout, "width": config.width}
    how |= {"drop_path": config.drop_path, "dtype": jnp.dtype(config.precision), "rngs": rngs}
    channels, classes = signature.inputs[0].shape[3], len(signature.labels)
    if config.network == "resnet":
        return ResNet(channels, classes, block=bottleneck, stages=config.stages, **how)
    how |= {"patch": config.patch, "depth": config.depth, "heads": config.heads}
    return ViT(channels, classes, size=signature.inputs[0].shape[1:3], **how)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Returns SGD with Nesterov momentum, or AdamW."""
    rate = optim.cosine(config.learning_rate, steps, warmup=config.warmup)
    if config.schedule == "steps":  # after epochs 30, 60 and 80 of 90
        falls = {"after": (30 / 90, 60 / 90, 80 / 90), "factor": 0.1}
        rate = optim.falling(config.learning_rate, steps, warmup=config.warmup, **falls)
    if config.optimizer == "adamw":
        return optim.adamw(rate, weight_decay=config.weight_decay, clip=config.clip)
    how = {"momentum": config.momentum, "weight_decay": config.weight_decay}
    return optim.sgd(rate, nesterov=True, **how)


def augment(config: Config) -> Transform | None:
    """Returns what is done to one training example, given a key of its own."""
    check_range("--crop", config.crop, 0.01, 1)
    check_range("--magnitude", config.magnitude, 0, 10)
    check_range("--changes", config.changes, 0, 100)
    cut = functools.partial(random_resized_crop, size=config.size, scale=(config.crop, 1.0))
    steps = [cut, flip] if config.flip else [cut]
    if config.changes:
        how = {"count": config.changes, "magnitude": config.magnitude}
        steps.append(functools.partial(rand_augment, **how))
    return chain(*steps)


def mixing(config: Config, num_classes: int) -> Mixing | None:
    """Returns what is done to a batch of augmented examples, given the step's key."""
    if not config.mixup:
        return None
    return functools.partial(mixup, num_classes=num_classes, alpha=config.mixup)


def loss(
    model: nnx.Module,
    batch: dict,
    *,
    key: jax.Array,
    label_smoothing: float = 0.0,
    mixing: Mixing | None = None,
) -> Measures:
    """Returns what training minimises, and what it shows beside, for each example."""
    for_mixing, for_dropout = jax.random.split(key)
    if mixing is not None:
        batch = mixing(batch, key=for_mixing)
    logits = model(batch["image"], rngs=nnx.Rngs(dropout=for_dropout))
    return class_measures(logits, batch["label"], label_smoothing=label_smoothing)


def measure(model: nnx.Module, batch: dict) -> Measures:
    """Returns the plain loss, and whether the label is the likeliest or among the first five."""
    logits, labels = model(batch["image"]), batch["label"]
    measures = class_measures(logits, labels)
    _, weights = measures["loss"]
    return {**measures, "top5_accuracy": (top_accuracy(logits, labels, 5), weights)}


def train(config: Config, run: Run) -> State:
    """Trains a model; this is the loop to change."""
    splits, schedule = run.splits, run.schedule
    tx = optimizer(config, schedule.steps)
    build = functools.partial(model, config, run.signature)
    state = create_state(build, run.seeds, tx, ema=config.ema)
    state = run.restore(state, own=("head",))  # its own checkpoint, else --init-from
    mixed = functools.partial(
        loss,
        label_smoothing=config.label_smoothing,
        mixing=mixing(config, len(splits.labels)),
    )

    def step(state: State, batch: dict, key: jax.Array) -> tuple[State, Sums]:
        """The mathematics of one step: change it freely."""

        def objective(params: Any, model_state: Any, batch: dict, key: jax.Array) -> Any:
            net = state.model(params, model_state)
            sums = summed(mixed, net, batch, key=key)  # value and weight of each example, added
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
