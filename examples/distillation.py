"""A small network learns from the outputs of a large one, and from the labels.

    flaxmill train fashion_mnist --preset good
    flaxmill train examples/distillation.py --teacher runs/fashion_mnist-good-0

The teacher is any run on the same pictures. What differs from other recipes is `step`: it asks the
teacher about the very pictures of the step, and the loss compares the two at a raised temperature
(Hinton, Vinyals and Dean 2015, "Distilling the knowledge in a neural network", section 2).
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from flaxmill.data.augment import Transform, chain, flip, shift
from flaxmill.data.batches import batches
from flaxmill.data.known.clothing import clothing
from flaxmill.data.source import Splits
from flaxmill.devices.convolution import fast_convolutions
from flaxmill.errors import BadInput
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures
from flaxmill.maths.losses import softmax_cross_entropy
from flaxmill.maths.metrics import Measures, Sums, accuracy
from flaxmill.models.cnn import FastCNN
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.trained.run import TrainedRun
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed and the teacher's weights."""

    data: str = "fashion-mnist"  # a folder, the data set's name, auto, or sketches
    teacher: str = "runs/fashion_mnist-good-0"  # a finished run on the same classes
    share: float = 0.7  # of the loss, that of the teacher's outputs; the rest is the labels'
    temperature: float = 4.0  # at which outputs are compared: the higher, the more of small ones
    validation: int | float = 5000  # training examples held out: how many, or a share
    epochs: float = 3.0  # how often every training example is seen
    batch_size: int = 80  # examples a step
    log_every: float = 0.25  # epochs between rows of training figures
    evaluate_every: float = 1.0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    channels: tuple[int, ...] = (16, 32, 64)  # of the student's convolutions
    learning_rate: float = 0.04  # highest rate


PRESETS = {"quick": Config()}


def data(config: Config) -> Splits:
    """Returns the pictures and their labels."""
    return clothing(config.data, validation=config.validation)


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    return picture_signature("distillation", splits, dark_ground=True)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the student with its initial parameters."""
    height, width, channels = signature.inputs[0].shape[1:]
    of = ((height, width), channels, len(signature.labels))
    return FastCNN(*of, channels=config.channels, residual=(), rngs=rngs)


def teacher(config: Config, signature: Signature) -> nnx.Module:
    """Returns the network that is learnt from."""
    run = TrainedRun(config.teacher)
    if run.signature.labels != signature.labels:
        raise BadInput(f"--teacher {config.teacher}: it was trained on other classes.")
    return run.model


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Returns Muon, whose rate rises and falls once."""
    return optim.muon(optim.one_cycle(config.learning_rate, steps), bias=0.85)


def augment(config: Config) -> Transform | None:
    """Returns what is done to one training example: the teacher sees the same."""
    return chain(flip, functools.partial(shift, most=1))


def loss(
    model: nnx.Module, batch: dict, *, key: jax.Array, teacher_logits: jax.Array, config: Config
) -> Measures:
    """Returns what training minimises, and what it shows beside, for each example."""
    logits, heat = model(batch["image"], rngs=nnx.Rngs(dropout=key)), config.temperature
    hard = softmax_cross_entropy(logits, batch["label"])
    soft = softmax_cross_entropy(logits / heat, jax.nn.softmax(teacher_logits / heat)) * heat**2
    values = config.share * soft + (1 - config.share) * hard
    weights = jnp.ones_like(values)
    return {"loss": (values, weights), "accuracy": (accuracy(logits, batch["label"]), weights)}


def measure(model: nnx.Module, batch: dict) -> Measures:
    """Returns the plain loss and the accuracy, for each example."""
    return class_measures(model(batch["image"]), batch["label"])


def train(config: Config, run: Run) -> State:
    """Trains the student; this is the loop to change."""
    splits, schedule = run.splits, run.schedule
    tx, master = optimizer(config, schedule.steps), teacher(config, run.signature)
    state = create_state(functools.partial(model, config, run.signature), run.seeds, tx)
    state = run.restore(state)

    def step(state: State, batch: dict, key: jax.Array) -> tuple[State, Sums]:
        """The mathematics of one step, of which the teacher's outputs are a part."""
        teacher_logits = fast_convolutions(master)(batch["image"])  # as `gradient` does the student

        def objective(params: Any, model_state: Any, batch: dict, key: jax.Array) -> Any:
            net = state.model(params, model_state)
            sums = summed(loss, net, batch, key=key, teacher_logits=teacher_logits, config=config)
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
        state, sums = train_chunk(state, chunk)
        run.log("train", chunk.stop, sums)
        for name in schedule.evaluates(chunk.stop):
            run.log(name, chunk.stop, evaluate(state, splits[name]))
        run.save_if_due(chunk.stop, state)
    run.finish(state, evaluate(state, splits.test))
    return state
