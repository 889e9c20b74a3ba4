"""Checks what a recipe's functions return: one message for each mistake, before step 1.

Only shapes and types are checked (`jax.eval_shape`), and two examples: nothing is compiled. The
recipes of flaxmill are checked by its tests.
"""

import contextlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from flaxmill.data.source import SPLITS, Splits, known_labels
from flaxmill.errors import BadInput, describe
from flaxmill.machine.program import command_line
from flaxmill.recipes import Recipe
from flaxmill.recipes.loading import mistakes
from flaxmill.tasks.signature import Signature
from flaxmill.training import returned
from flaxmill.training.returned import form

_BATCH = 2  # examples of the batch whose shapes are checked


_DURATIONS = ("epochs", "batch_size", "log_every", "evaluate_every", "evaluate_on", "validation")


def durations(recipe: Recipe, config: Any) -> Any:
    """Returns a config that a run's schedule can be made of.

    Raises:
        BadInput: It lacks a field for that.
    """
    if missing := [name for name in _DURATIONS if not hasattr(config, name)]:
        raise BadInput(
            f"Config in {recipe.file or recipe.name} lacks {', '.join(missing)}: the schedule of a "
            f"run is made of these fields, as {command_line('fork fashion_mnist')} shows them."
        )
    return config


def resolved(recipe: Recipe, config: Any, initial: Any = None) -> tuple[Any, Mapping[str, str]]:
    """Returns a config in which the recipe has filled in what was left open, and why, by field.

    A recipe that does so has a function ``resolve(config, initial)``. It depends on nothing but the
    config, the data and the weights to begin with, so that it always returns the same. The other
    functions of the recipe see resolved configs alone.

    Args:
        recipe: The recipe.
        config: Its config.
        initial: The weights to begin with, if any.

    Raises:
        BadInput: Its ``resolve`` returns something else, or fails; in a recipe file of one's own.
    """
    if not hasattr(recipe.module, "resolve"):
        return config, {}
    result = recipe.call("resolve", config, initial)
    pair = isinstance(result, tuple | list) and len(result) == 2
    if pair and isinstance(result[0], type(config)) and isinstance(result[1], Mapping):
        return result[0], result[1]
    raise BadInput(
        f"resolve() in {recipe.file or recipe.name} returned {describe(result)}: return the config "
        f"and, by field, why it was chosen: config, {{'epochs': '20: for 1,000 pictures'}}."
    )


def splits(recipe: Recipe, config: Any) -> Splits:
    """Returns the data of a recipe.

    Raises:
        BadInput: Its ``data`` returns something else, or fails; in a recipe file of one's own.
    """
    splits = recipe.call("data", config)
    if recipe.file is None:
        return splits
    where = f"data() in {recipe.file}"
    if not isinstance(splits, Splits):
        raise BadInput(
            f"{where} returned {describe(splits)}: return flaxmill.data.source.Splits(title=…, "
            f"train=…, validation=…, test=…, labels=…)."
        )
    for part in SPLITS:
        source = getattr(splits, part)
        needed = hasattr(source, "__len__") and not (part == "validation" and not len(source))
        if not hasattr(source, "__len__") or (needed and not hasattr(source, "take")):
            raise BadInput(
                f"{where}: {part} is {describe(source)}: wrap arrays in Arrays({{'image': …, "
                f"'label': …}}), and what has len and [i], such as a PyTorch dataset, in Items(…), "
                f"both of flaxmill.data.source."
            )
        if part != "validation" and not len(source):
            raise BadInput(f"{where}: {part} is empty: give it one example or more.")
    names = splits.labels
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise BadInput(
            f"{where}: labels is {describe(names)}: give the names of the classes, in the order of "
            f"their numbers: ('cat', 'dog')."
        )
    for part in ("train", "test"):
        _check_example(recipe, splits[part], f"{where}: {part}")
    if names and splits.gives == "one_class":
        for part in SPLITS:
            _check_labels(splits, part, where)
    return splits


def trainable_splits(recipe: Recipe, config: Any) -> Splits:
    """Returns the data of a recipe, if something can be learnt from it.

    Raises:
        BadInput: As from `splits`; or nothing can, such as from one class.
    """
    data = splits(recipe, config)
    if data.lacking:
        raise BadInput(data.lacking)
    return data


def _check_example(recipe: Recipe, source: Any, where: str) -> None:
    """Refuses examples that are not numbers by name, going by the first that can be read."""
    try:
        example = _readable(source)
    except Exception as error:
        if (message := mistakes.as_bad_input(error, recipe.file)) is None:
            raise
        raise message from error
    if not isinstance(example, Mapping):
        raise BadInput(
            f"{where} has {describe(example)} for an example: give each by name, as {{'image': …, "
            f"'label': …}}; Items(…, names=('image', 'label')) does so for tuples."
        )
    for name, value in example.items():
        array = np.asarray(value)
        if array.dtype.kind not in "biufcV":  # V are half precision's types
            right = "the number of its class, counted from 0" if name == "label" else "numbers"
            wrong = "text" if array.dtype.kind in "SU" else f"of the type {array.dtype}"
            raise BadInput(
                f"{where}: {name} of an example is {wrong} ({value!r:.40}): give {right}; the "
                f"names of classes go into labels."
            )


def _readable(source: Any) -> Any:
    for index in range(len(source)):
        with contextlib.suppress(BadInput, OSError):  # whoever reads them all says so, or skips it
            return source[index]
    return source[0]


def _check_labels(data: Splits, part: str, where: str) -> None:
    """Refuses labels that are not the number of a class, if they are known without reading.

    In training, one below 0 may stand for an example without a label.
    """
    labels, classes = known_labels(data[part]) if len(data[part]) else None, len(data.labels)
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iu":
        return
    wrong = np.flatnonzero((labels >= classes) | ((labels < 0) & (part != "train")))
    if len(wrong):
        raise BadInput(
            f"{where}: the label of example {wrong[0]:,} of {part} is {labels[wrong[0]]}: there "
            f"are {classes} classes in labels, numbered from 0 to {classes - 1}."
        )


def signature(recipe: Recipe, config: Any, data: Splits) -> Signature:
    """Returns the signature of a recipe's model, which its examples fit.

    Raises:
        BadInput: Its ``signature`` returns something else, or fails; in a recipe file of one's own.
    """
    signature = recipe.call("signature", config, data)
    if recipe.file is None:
        return signature
    where = f"signature() in {recipe.file}"
    if not isinstance(signature, Signature):
        raise BadInput(
            f"{where} returned {describe(signature)}: return picture_signature(name, splits) of "
            f"flaxmill.tasks.inputs.picture, or a Signature of your own."
        )
    example = _readable(data.test)
    tensor = signature.inputs[0]  # of which the commands that ask a model know one
    if tensor.name not in example:
        raise BadInput(
            f"{where} says that the model takes {tensor.name}, and the examples of test have "
            f"{', '.join(example)}: name them alike."
        )
    array, shape = np.asarray(example[tensor.name]), tensor.shape[1:]
    fits = all(
        isinstance(axis, str) or axis in (-1, size)  # an axis with a name is of any size
        for size, axis in zip(array.shape, shape, strict=False)
    )
    if array.ndim != len(shape) or not fits or not _alike(array.dtype, jnp.dtype(tensor.dtype)):
        raise BadInput(
            f"{where} says that {tensor.name} is {form(tensor.dtype, shape)}, and an example of "
            f"test has {form(array.dtype, array.shape)}: let the two agree."
        )
    return signature


def model(recipe: Recipe, config: Any, data: Splits, signature: Signature) -> str:
    """Checks a recipe's model and its ``measure`` by their shapes, before anything is trained.

    Args:
        recipe: A file of one's own; those of flaxmill are not checked.
        config: Its config, resolved.
        data: Its data.
        signature: Its signature.

    Returns:
        A note about a model that can be trained but not used for predictions; mostly empty.

    Raises:
        BadInput: The model or ``measure`` returns something else than the signature says.
    """
    if recipe.file is None:
        return ""
    example = _readable(data.test)
    batch = {name: np.stack([np.asarray(value)] * _BATCH) for name, value in example.items()}
    name, notes = signature.inputs[0].name, []

    def check(batch: Mapping[str, Any]) -> None:
        net = recipe.call("model", config, signature, nnx.Rngs(0))
        _check_module(net, recipe)
        net.eval()
        try:
            output = net(batch[name])
        except Exception as error:  # a loop of one's own may give it more than the commands do
            message = mistakes.as_bad_input(error, recipe.file)
            notes.append(str(message or f"{recipe.file}: {error}"))
        else:
            _check_outputs(output, signature, recipe)
        if recipe.takes("measure", net, batch):
            result = recipe.call("measure", net, batch)
            returned.measures(recipe.module.measure, result, _BATCH)
        else:
            notes.append("measure() is to take a model and a batch")

    if recipe.takes("model", config, signature, None):
        jax.eval_shape(check, batch)
    else:
        notes.append("model() is to take a config, a signature and rngs")
    if not notes:
        return ""
    return (
        f"This model can be trained, and not be evaluated or asked (evaluate, predict, look, "
        f"report, export) with its {name} alone: {notes[0]}"
    )


def _check_module(net: Any, recipe: Recipe) -> None:
    if isinstance(net, nnx.Module):
        return
    from flax import linen

    cure = "return a flax.nnx.Module"
    if isinstance(net, linen.Module):
        cure = (
            "that is a module of flax.linen: return nnx.bridge.ToNNX(…) of it, after its "
            "lazy_init(first, rngs=rngs), as examples/linen_cnn.py does"
        )
    raise BadInput(f"model() in {recipe.file} returned {describe(net)}: {cure}.")


def _check_outputs(result: Any, signature: Signature, recipe: Recipe) -> None:
    """Refuses outputs whose number, shape or kind of dtype is not as the signature says."""
    where = f"the model of {recipe.file} gives"
    outputs = tuple(result.values()) if isinstance(result, Mapping) else result
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    if len(outputs) != len(signature.outputs):
        names = ", ".join(tensor.name for tensor in signature.outputs)
        raise BadInput(
            f"{where} {len(outputs)} outputs, and its signature says {len(signature.outputs)} "
            f"({names}): return those, or say in signature() what the model gives."
        )
    for output, tensor in zip(outputs, signature.outputs, strict=True):
        if not hasattr(output, "shape"):
            raise BadInput(f"{where} {describe(output)}: return an array of {tensor.name}.")
        shape = (_BATCH, *tensor.shape[1:])
        sizes = zip(output.shape, shape, strict=False)
        fits = output.ndim == len(shape) and all(side in (-1, size) for size, side in sizes)
        if not fits or not _alike(output.dtype, jnp.dtype(tensor.dtype)):
            per_class = tensor.shape[1:] == (len(signature.labels),)
            reason = f", one for each of the {len(signature.labels)} labels" if per_class else ""
            raise BadInput(
                f"{where} {tensor.name} of {form(output.dtype, ('batch', *output.shape[1:]))}, "
                f"and its signature says {form(tensor.dtype, ('batch', *tensor.shape[1:]))}"
                f"{reason}: give the last layer in model() so many units, or say in signature() "
                f"what the model gives."
            )


def _alike(one: Any, other: Any) -> bool:
    """Returns whether dtypes are of one kind of number: half precision will do for float32."""
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    return any(all(jnp.issubdtype(dtype, kind) for dtype in (one, other)) for kind in kinds)
