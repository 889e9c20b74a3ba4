"""A PyTorch map-style dataset as the source of a recipe; PyTorch itself is not needed.

    flaxmill train examples/torch_dataset.py                    # its data: fashion-mnist
    flaxmill train examples/torch_dataset.py --data sketches    # drawn garments, no download

Anything with ``len(dataset)`` and ``dataset[i]`` is a dataset. Its examples are read by threads
while the device computes (the streaming gear). To bring your own, put it in the place of `Wardrobe`
and say in `data` what its labels are called. Two things are required: ``dataset[i]`` gives the
same example each time, since resuming relies on that (random changes belong in `augment`), and
threads may ask for examples at once.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from flaxmill.data.augment import Transform, flip
from flaxmill.data.batches import batches
from flaxmill.data.known.clothing import clothing
from flaxmill.data.source import Items, Source, Splits, hold_out
from flaxmill.maths import optim
from flaxmill.maths.classification import class_measures
from flaxmill.maths.metrics import Measures, Sums
from flaxmill.models.cnn import CNN
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.training.run import Run
from flaxmill.training.state import State, create_state, model_state_of

try:
    from torch.utils.data import Dataset  # pyrefly: ignore[missing-import]
except ImportError:  # only the name of a parent class: nothing of it is used
    Dataset: Any = object


class Wardrobe(Dataset):
    """Pictures of clothing one at a time, as a dataset is written for PyTorch.

    Args:
        pictures: Where they come from; yours might open a file for each index.
    """

    def __init__(self, pictures: Source) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """Returns a picture (uint8, height × width × channel) and the index of its class."""
        example = self.pictures[index]
        return example["image"], int(example["label"])


@dataclass(frozen=True)
class Config:
    """Everything that the numbers of a run depend on, beside the seed."""

    data: str = "fashion-mnist"  # a folder, a data set's name, auto, or sketches
    validation: int | float = 5000  # training examples held out: how many, or a share
    epochs: float = 2.0  # how often every training example is seen
    batch_size: int = 64  # examples a step
    log_every: float = 0.5  # epochs between rows of training figures
    evaluate_every: float = 1.0  # epochs between evaluations
    evaluate_on: Literal["validation", "test"] = "validation"  # what those evaluations use
    precision: Literal["float32", "bfloat16"] = "float32"  # type that the network computes in
    learning_rate: float = 0.1  # highest rate of the one-cycle schedule
    momentum: float = 0.9  # decay of the running sum of gradients


PRESETS = {"quick": Config()}


def data(config: Config) -> Splits:
    """Returns the datasets as sources, and the digests of their content."""
    splits = clothing(config.data)
    trained, held_out = hold_out(Items(Wardrobe(splits.train)), config.validation)
    return Splits(
        title=f"{splits.title}, one at a time",
        train=trained,
        validation=held_out,
        test=Items(Wardrobe(splits.test)),
        labels=splits.labels,
        digests=splits.digests,
        drawn=splits.drawn,
        note=splits.note,
    )


def signature(config: Config, splits: Splits) -> Signature:
    """Returns what goes into the model and what comes out."""
    return picture_signature("torch_dataset", splits, dark_ground=True)


def model(config: Config, signature: Signature, rngs: nnx.Rngs) -> nnx.Module:
    """Returns the network with its initial parameters."""
    height, width, channels = signature.inputs[0].shape[1:]
    dtype = jnp.dtype(config.precision)
    return CNN((height, width), channels, len(signature.labels), dtype=dtype, rngs=rngs)


def optimizer(config: Config, steps: int) -> optax.GradientTransformation:
    """Returns stochastic gradient descent with momentum."""
    rate = optim.one_cycle(config.learning_rate, steps)
    return optim.sgd(rate, momentum=config.momentum, nesterov=True)


def augment(config: Config) -> Transform | None:
    """Returns what is done to one training example, given a key of its own."""
    return flip


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
