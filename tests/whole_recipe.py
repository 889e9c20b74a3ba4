"""A recipe file of one's own that is whole, to which tests add mistakes."""

RECIPE = '''
"""A recipe that is whole."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx

from flaxmill.data.batches import batches
from flaxmill.data.source import Arrays, Items, Splits, hold_out
from flaxmill.training.gradients import gradient, summed
from flaxmill.training.loop import compile_evaluation, compile_steps
from flaxmill.maths.losses import softmax_cross_entropy
from flaxmill.maths.metrics import accuracy
from flaxmill.tasks.inputs.picture import picture_signature
from flaxmill.tasks.signature import Signature, Tensor
from flaxmill.training.state import create_state, model_state_of


@dataclass(frozen=True)
class Config:
    data: str = "drawn"
    validation: float = 0.25
    epochs: float = 1.0
    batch_size: int = 8
    log_every: float = 1.0
    evaluate_every: float = 1.0
    evaluate_on: str = "validation"


PRESETS = {"quick": Config()}
images = np.random.default_rng(0).integers(0, 255, (32, 5, 5, 1)).astype(np.uint8)
labels = np.arange(32, dtype=np.int32) % 3
names, KINDS = ("ant", "bee", "cat"), ("picture", "one_class")


def splits_of(pictures, numbers, **how):
    train, held_out = hold_out(Arrays({"image": pictures, "label": numbers}), 0.25)
    how = {"title": "mine", "train": train, "validation": held_out, "labels": names} | how
    return Splits(**{"test": Arrays({"image": pictures[:8], "label": numbers[:8]})} | how)


def data(config):
    return splits_of(images, labels)


def signature(config, splits):
    return picture_signature("mine", splits)


class Net(nnx.Module):
    def __init__(self, classes, rngs):
        self.head = nnx.Linear(25, classes, rngs=rngs)

    def __call__(self, pictures):
        return self.head(pictures.reshape(len(pictures), -1).astype(jnp.float32) / 255)


def model(config, signature, rngs):
    return Net(len(signature.labels), rngs)


def optimizer(config, steps):
    return optax.sgd(0.1)


def augment(config):
    return None


def loss(model, batch, *, key):
    return measure(model, batch)


def measure(model, batch):
    logits = model(batch["image"])
    values = softmax_cross_entropy(logits, batch["label"])
    right = accuracy(logits, batch["label"])
    return {"loss": (values, jnp.ones_like(values)), "accuracy": (right, jnp.ones_like(values))}


def train(config, run):
    splits, schedule = run.splits, run.schedule
    tx = optimizer(config, schedule.steps)
    state = create_state(functools.partial(model, config, run.signature), run.seeds, tx)
    state = run.restore(state)

    def step(state, batch, key):
        def objective(params, model_state, batch, key):
            net = state.model(params, model_state)
            sums = summed(loss, net, batch, key=key)
            return sums.mean("loss"), (sums, model_state_of(net))

        gradients, (sums, model_state) = gradient(objective)(
            state.params, state.model_state, batch, key
        )
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        return state.after(optax.apply_updates(state.params, updates), opt_state, model_state), sums

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
'''
