"""Clothing in ten classes: a small CNN on Fashion-MNIST (Xiao et al. 2017).

    flaxmill train fashion_mnist                     # quick: 90 % in a quarter of a minute
    flaxmill train fashion_mnist --preset good       # a larger network, for a few minutes
    flaxmill train fashion_mnist --preset best       # a deep one, for an accelerator or an hour
    flaxmill train fashion_mnist --preset article    # the tutorial, number for number
    flaxmill train fashion_mnist --data sketches     # drawn garments, no download

Hardware: two CPU cores. Measured by benchmarks/fashion_mnist.py, written to benchmarks/results.md.

Data: 60,000 training and 10,000 test pictures, 28×28 grey.
Expected: quick 90 % test accuracy or more, good 93.5 % or more, article 88.5-90.5 %.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from flaxmill.data.augment import Transform, chain, cutout, flip, shift
from flaxmill.data.batches import batches
from flaxmill.data.known.clothing import clothing
from flaxmill.data.source import Splits
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.models.cnn import CNN, FastCNN
from flaxmill.models.views import AS_IT_IS, STRAIGHT, Views
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed."""

    data: str = "fashion-mnist"  # a folder, the data set's name, auto, or sketches
    validation: int | float = 5000  # training examples held out: how many, or a share
    overfit: int = 0  # train and evaluate on the first N examples only; 0: on all
    epochs: float = 1.2  # how often every training example is seen
    batch_size: int = 80  # examples a step
    accumulate: int = 1  # parts that a batch is computed in, one after another, to save memory
    log_every: float = 0.1  # epochs between rows of training figures
    evaluate_every: float = 1.0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    network: Literal["tutorial", "fast"] = "fast"  # the tutorial's CNN, or FastCNN
    channels: tuple[int, ...] = (16, 32, 64)  # output channels of each block's convolution
    residual: tuple[int, ...] = ()  # residual blocks after each of those; none if not given
    hidden: int = 256  # units of the tutorial network's hidden layer
    dropout: float = 0.0  # share of the units before the last layer that is dropped
    precision: Literal["float32", "bfloat16"] = "float32"  # type that the network computes in
    optimizer: Literal["sgd", "muon"] = "muon"  # SGD, or Muon for convolutions
    schedule: Literal["constant", "one-cycle"] = "one-cycle"  # of the learning rate
    learning_rate: float = 0.04  # highest rate
    dense_rate: float = 1.0  # rate of the dense layer under muon, per unit of learning rate
    bias_rate: float = 0.85  # rate of the biases under muon, per unit of learning rate
    warmup: float = 0.2  # share of the steps spent rising to the highest rate, under one-cycle
    momentum: float = 0.9  # decay of the running sum of gradients
    nesterov: bool = True  # whether momentum looks ahead, under sgd
    weight_decay: float = 0.0  # of the kernels, per unit of learning rate, under sgd
    label_smoothing: float = 0.1  # share of the label mass spread over all classes
    flip: bool = False  # mirror half of the training pictures
    shift: int = 0  # most pixels that a training picture is moved by, each way
    cutout: int = 0  # side of the square that is cut out of a training picture, in pixels
    views: Literal["one", "mirrored", "all"] = "one"  # what an answer is averaged over
    ema: float = 0.0  # decay of the weights' moving average; 0: none


PRESETS = {
    "quick": Config(),
    "article": Config(
        validation=0,
        epochs=10,
        batch_size=32,
        log_every=1.0,
        evaluate_on="test",  # as the tutorial shows them; nothing is chosen by these figures
        network="tutorial",
        channels=(32, 64),
        optimizer="sgd",
        schedule="constant",
        learning_rate=0.1,
        nesterov=False,
        label_smoothing=0.0,
    ),
    "good": Config(
        epochs=12,
        batch_size=125,
        log_every=0.5,
        evaluate_every=4.0,
        channels=(32, 64, 128),
        residual=(0, 1, 1),
        learning_rate=0.015,
        dense_rate=2.0,
        bias_rate=1.2,
        momentum=0.85,
        flip=True,
        shift=1,
        cutout=3,
        views="mirrored",
    ),
    "best": Config(
        validation=2000,
        epochs=24,
        batch_size=125,
        log_every=0.5,
        evaluate_every=8.0,
        channels=(64, 128, 256),
        residual=(2, 2, 2),
        learning_rate=0.015,
        dense_rate=2.0,
        bias_rate=1.2,
        momentum=0.85,
        flip=True,
        shift=1,
        cutout=7,
        views="all",
        ema=0.998,
    ),
}


def data(config: Config) -> Splits:
    """Returns the pictures and their labels."""
    return clothing(config.data, validation=config.validation, overfit=config.overfit)


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    return picture_signature("fashion_mnist", splits, dark_ground=True)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the network with its initial parameters."""
    height, width, channels = signature.inputs[0].shape[1:]
    of = ((height, width), channels, len(signature.labels))
    dtype = jnp.dtype(config.precision)
    how = {"channels": config.channels, "dropout": config.dropout, "dtype": dtype, "rngs": rngs}
    if config.network == "tutorial":
        network = CNN(*of, hidden=config.hidden, **how)
    else:
        network = FastCNN(*of, residual=config.residual, **how)
    if config.views == "one":
        return network
    return Views(network, STRAIGHT if config.views == "all" else AS_IT_IS)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Returns Muon, or stochastic gradient descent with momentum."""
    rate = config.learning_rate
    if config.schedule == "one-cycle":
        rate = optim.one_cycle(rate, steps, warmup=config.warmup)
    if config.optimizer == "muon":
        return optim.muon(
            rate, dense=config.dense_rate, bias=config.bias_rate, momentum=config.momentum
        )
    return optim.sgd(
        rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )


def augment(config: Config) -> Transform | None:
    """Returns what is done to one training example, given a key of its own."""
    steps = [flip] if config.flip else []
    if config.shift:
        steps.append(functools.partial(shift, most=config.shift))
    if config.cutout:
        steps.append(functools.partial(cutout, side=config.cutout))
    return chain(*steps) if steps else None


def loss(
    model: nnx.Module, batch: dict, *, key: jax.Array, label_smoothing: float = 0.0
) -> Measures:
    """Returns what training minimises, and what it shows beside, for each example."""
    logits = model(batch["image"], rngs=nnx.Rngs(dropout=key))
    return class_measures(logits, batch["label"], label_smoothing=label_smoothing)


def measure(model: nnx.Module, batch: dict) -> Measures:
    """Returns the plain loss and the accuracy, for each example."""
    return class_measures(model(batch["image"]), batch["label"])


def train(config: Config, run: Run) -> State:
    """Trains a model; this is the loop to change."""
    splits, schedule = run.splits, run.schedule
    tx = optimizer(config, schedule.steps)
    build = functools.partial(model, config, run.signature)
    state = create_state(build, run.seeds, tx, ema=config.ema)
    state = run.restore(state)  # its own checkpoint, else --init-from, else as it is
    smoothed = functools.partial(loss, label_smoothing=config.label_smoothing)

    def step(state: State, batch: dict, key: jax.Array) -> tuple[State, Sums]:
        """The mathematics of one step: change it freely."""

        def objective(params: Any, model_state: Any, batch: dict, key: jax.Array) -> Any:
            net = state.model(params, model_state)
            sums = summed(smoothed, net, batch, key=key)  # value and weight of each example, added
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
