"""A Linen model, as it is, in the loop of a recipe: the tutorial's CNN on pictures of clothing.

    flaxmill train examples/linen_cnn.py                     # two epochs
    flaxmill train examples/linen_cnn.py --preset article    # the tutorial's ten epochs
    flaxmill train examples/linen_cnn.py --data sketches     # drawn garments, no download

Only `model` knows that the network is written with `flax.linen`. To bring your own, put it in the
place of `CNN` and change what `model` gives it as a first input.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax import nnx
from jaxtyping import Array, Float, Shaped

from flaxmill.data.augment import Transform
from flaxmill.data.batches import batches
from flaxmill.data.known.clothing import clothing
from flaxmill.data.source import Splits
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.models.cnn import unit_interval
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of


class CNN(nn.Module):
    """The tutorial's network: it takes floats from 0 to 1 and returns ten logits."""

    @nn.compact
    def __call__(self, x: Float[Array, "batch 28 28 1"]) -> Float[Array, "batch 10"]:
        """Returns the logits of pictures."""
        x = nn.Conv(features=32, kernel_size=(3, 3))(x)
        x = nn.relu(x)
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = nn.Conv(features=64, kernel_size=(3, 3))(x)
        x = nn.relu(x)
        x = nn.avg_pool(x, window_shape=(2, 2), strides=(2, 2))
        x = x.reshape((x.shape[0], -1))
        x = nn.Dense(features=256)(x)
        x = nn.relu(x)
        return nn.Dense(features=10)(x)


class RawPictures(nnx.Module):
    """Scales raw pictures before a network, so that the trained model takes them as stored.

    Args:
        network: Takes floats from 0 to 1.
    """

    def __init__(self, network: nnx.Module) -> None:
        self.network = network

    def __call__(
        self, pictures: Shaped[Array, "batch height width channel"], **how: Any
    ) -> Float[Array, "batch class"]:
        """Returns the logits of uint8 pictures, or of floats from 0 to 1.

        Args:
            pictures: A batch.
            how: What the network takes beside, such as ``train=True, mutable=["batch_stats"]``.
        """
        return self.network(unit_interval(pictures), **how)


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed."""

    data: str = "fashion-mnist"  # a folder, a data set's name, auto, or sketches
    validation: int | float = 5000  # training examples held out: how many, or a share
    overfit: int = 0  # train and evaluate on the first N examples only; 0: on all
    epochs: float = 2.0  # how often every training example is seen
    batch_size: int = 32  # examples a step
    log_every: float = 1.0  # epochs between rows of training figures
    evaluate_every: float = 1.0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    learning_rate: float = 0.1  # constant
    momentum: float = 0.9  # decay of the running sum of gradients


PRESETS = {
    "quick": Config(),
    "article": Config(epochs=10, validation=0, evaluate_on="test"),
}


def data(config: Config) -> Splits:
    """Returns the pictures and their labels."""
    return clothing(config.data, validation=config.validation, overfit=config.overfit)


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    return picture_signature("linen_cnn", splits, dark_ground=True)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the Linen network, wrapped, with its initial parameters."""
    first = jnp.zeros((1, *signature.inputs[0].shape[1:]))
    network = nnx.bridge.ToNNX(CNN())
    network.lazy_init(first, rngs=rngs)  # keys go to the call: a wrapper's own would be kept in it
    return RawPictures(network)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Returns stochastic gradient descent with momentum."""
    return optim.sgd(config.learning_rate, momentum=config.momentum)


def augment(config: Config) -> Transform | None:
    """Returns what is done to one training example: nothing, as in the tutorial."""
    return None


def loss(model: nnx.Module, batch: dict, *, key: jax.Array) -> Measures:
    """Returns what training minimises, and what it shows beside, for each example."""
    return measure(model, batch)  # no dropout and no smoothing: nothing differs, no key is used


def measure(model: nnx.Module, batch: dict) -> Measures:
    """Returns the loss and the accuracy, for each example."""
    return class_measures(model(batch["image"]), batch["label"])


def train(config: Config, run: Run) -> State:
    """Trains a model; this is the loop to change."""
    splits, schedule = run.splits, run.schedule
    tx = optimizer(config, schedule.steps)
    build = functools.partial(model, config, run.signature)
    state = create_state(build, run.seeds, tx)
    state = run.restore(state)  # its own checkpoint, else --init-from, else as it is

    def step(state: State, batch: dict, key: jax.Array) -> tuple[State, Sums]:
        """The mathematics of one step: change it freely."""

        def objective(params: Any, model_state: Any, batch: dict, key: jax.Array) -> Any:
            net = state.model(params, model_state)
            sums = summed(loss, net, batch, key=key)  # value and weight of each example, added
            return sums.mean("loss"), (sums, model_state_of(net))

        gradients, (sums, model_state) = gradient(objective)(
            state.params, state.model_state, batch, key
        )
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.after(params, opt_state, model_state), sums

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
