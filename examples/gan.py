"""Two networks against each other: one draws pictures of a class, one tells them from real ones.

    flaxmill train examples/gan.py    # on drawn garments, or --data fashion-mnist; writes drawn.png

The critic also says which class a picture shows (AC-GAN; Odena et al. 2017, section 3), so that it
is a classifier to evaluate and serve. What differs is `step`: two gradients, and two optimizers.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from flaxmill.data.batches import batches
from flaxmill.data.known.clothing import clothing
from flaxmill.data.source import Splits
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.maths.scaling import unit_interval
from flaxmill.report import figures
from flaxmill.tasks.inputs.picture import draw, picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of

NOISE = 64  # numbers that a drawing is made of, beside its class


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed."""

    data: str = "sketches"  # a folder, a data set's name, auto, or sketches
    validation: int | float = 2000  # training examples held out: how many, or a share
    epochs: float = 1.0  # how often every training example is seen
    batch_size: int = 64  # examples a step, and as many that are drawn
    log_every: float = 0.1  # epochs between rows of training figures
    evaluate_every: float = 1.0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    painter_rate: float = 2e-3  # learning rate of the network that draws
    critic_rate: float = 2e-4  # of the one that judges


PRESETS = {"quick": Config()}


class Game(nnx.Module):
    """Both networks, for pictures of 28×28; called with pictures, it classifies them."""

    def __init__(self, classes: int, rngs: nnx.Rngs) -> None:
        conv = functools.partial(nnx.Conv, kernel_size=(3, 3), rngs=rngs)
        norm = functools.partial(nnx.LayerNorm, rngs=rngs)
        leaky = functools.partial(nnx.leaky_relu, negative_slope=0.2)
        pool = functools.partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))
        self.painter = nnx.Sequential(
            nnx.Linear(NOISE + classes, 7 * 7 * 64, rngs=rngs),
            *(lambda x: x.reshape(-1, 7, 7, 64), norm(64), nnx.relu),
            *(lambda x: x.repeat(2, 1).repeat(2, 2), conv(64, 32), norm(32), nnx.relu),
            *(lambda x: x.repeat(2, 1).repeat(2, 2), conv(32, 16), norm(16), nnx.relu),
            *(conv(16, 1), nnx.sigmoid),
        )
        self.critic = nnx.Sequential(
            *(conv(1, 32), leaky, pool, conv(32, 64), leaky, pool),
            *(lambda x: x.reshape(-1, 7 * 7 * 64), nnx.Linear(7 * 7 * 64, 128, rngs=rngs), leaky),
            nnx.Linear(128, 1 + classes, rngs=rngs),
        )
        self.classes = classes

    def draw(self, key: jax.Array, labels: Int[Array, " batch"]) -> Float[Array, "batch 28 28 1"]:
        """Draws a picture of each class, from 0 to 1."""
        noise = jax.random.normal(key, (len(labels), NOISE))
        return self.painter(jnp.concatenate([noise, jax.nn.one_hot(labels, self.classes)], axis=1))

    def __call__(self, pictures: Shaped[Array, "batch 28 28 1"]) -> Float[Array, "batch class"]:
        """Returns the logits of uint8 pictures, or of floats from 0 to 1."""
        return self.critic(unit_interval(pictures))[:, 1:]


def data(config: Config) -> Splits:
    """Returns the pictures and their labels."""
    return clothing(config.data, validation=config.validation)


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    return picture_signature("gan", splits, dark_ground=True)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns both networks with their initial parameters."""
    return Game(len(signature.labels), rngs)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Returns Adam for each network, with little momentum, for the other one moves too."""
    adam = functools.partial(optim.adamw, weight_decay=0, clip=0, momentum=0.5)
    parts = {"painter": adam(config.painter_rate), "critic": adam(config.critic_rate)}
    return optim.apart(parts, optax.set_to_zero())


def augment(config: Config) -> None:
    """Returns what is done to one training example: nothing."""


def loss(game: Game, batch: dict, *, key: jax.Array, painting: bool = False) -> Measures:
    """Returns what one of the two minimises, by real pictures and by as many that are drawn."""
    labels, ones = batch["label"], jnp.ones(len(batch["label"]))
    judge = optax.sigmoid_binary_cross_entropy
    blur = 0.3 * jax.random.normal(jax.random.fold_in(key, 1), (2, *batch["image"].shape))
    drawn = game.critic(game.draw(key, labels) + blur[0])  # blurred, the two are not told apart
    if painting:
        kind = class_measures(drawn[:, 1:], labels)["loss"][0]
        return {"loss": (judge(drawn[:, 0], ones) + kind, ones)}
    real = game.critic(unit_interval(batch["image"]) + blur[1])  # at a glance: there is a slope
    measures = dict(class_measures(real[:, 1:], labels))
    judged = judge(real[:, 0], 0.9 * ones) + judge(drawn[:, 0], 0 * ones)
    shown = {"fooled": ((drawn[:, 0] > 0).astype(jnp.float32), ones)}  # takes drawn ones for real
    return measures | shown | {"loss": (judged + measures["loss"][0], ones)}


def measure(game: Game, batch: dict) -> Measures:
    """Returns the loss and the accuracy of the critic as a classifier, for each example."""
    return class_measures(game(batch["image"]), batch["label"])


def train(config: Config, run: Run) -> State:
    """Trains both; this is the loop to change."""
    splits, schedule = run.splits, run.schedule
    tx = optimizer(config, schedule.steps)
    build = functools.partial(model, config, run.signature)
    state = run.restore(create_state(build, run.seeds, tx))

    def step(state: State, batch: dict, key: jax.Array) -> tuple[State, Sums]:
        """One move of each: the critic's gradient is for the critic alone, and so the painter's."""

        def objective(painting: bool, params: Any, model_state: Any, batch: dict, key: Any) -> Any:
            game = state.model(params, model_state)
            sums = summed(loss, game, batch, key=key, painting=painting)
            return sums.mean("loss"), (sums, model_state_of(game))

        inputs = (state.params, state.model_state, batch, key)
        gradients, (sums, model_state) = gradient(functools.partial(objective, False))(*inputs)
        gradients["painter"] = gradient(functools.partial(objective, True))(*inputs)[0]["painter"]
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.after(params, opt_state, model_state), sums

    train_chunk = compile_steps(step, run, augment(config))
    evaluate = compile_evaluation(measure, run)
    for chunk in batches(splits.train, run):
        state, sums = train_chunk(state, chunk)
        run.log("train", chunk.stop, sums)
        for name in schedule.evaluates(chunk.stop):
            run.log(name, chunk.stop, evaluate(state, splits[name]))
        run.save_if_due(chunk.stop, state)
    run.finish(state, evaluate(state, splits.test))
    labels = jnp.tile(jnp.arange(len(splits.labels)), 5)
    drawn = state.model(state.params, state.model_state).draw(jax.random.key(0), labels)
    shown = jax.device_get((255 * drawn).round().astype(jnp.uint8))
    sheet = figures.sheet(shown, splits.labels * 5, draw=draw, columns=len(splits.labels))
    figures.save_png(sheet, run.directory.path / "drawn.png")
    return state
