"""Fits weights from elsewhere (``--init-from``) to the model of a run that begins with them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from flaxmill.errors import BadInput, nearest
from flaxmill.models import torch_names, weights
from flaxmill.models.vit import resized_positions

WHERE = "--init-from"


def fitted(
    tree: Any, arrays: Mapping[str, Any], own: Sequence[str] = ()
) -> tuple[Any, tuple[str, ...]]:
    """Puts weights from elsewhere in the place of a model's own.

    Args:
        tree: The model's own: its ``params`` and ``model_state``.
        arrays: By name.
        own: Names of parts that stay as they are in ``tree`` if the weights from elsewhere lack
            them or have them in another shape, such as ``head``.

    Returns:
        The tree with those weights, and notes about them for the user, a sentence each.

    Raises:
        BadInput: The model has no such part, or weights do not fit; all of these are listed.
    """
    expected, notes = weights.flatten(tree), []
    arrays, title = torch_names.translated(arrays)
    if title:
        notes.append(f"The weights are named as those of a {title}.")
        arrays = _wrapped(expected, arrays)
    arrays, more = _with_positions(expected, arrays)
    notes += more
    for part in own:
        arrays, more = _with_own(expected, arrays, part)
        notes += more
    where = f"{WHERE}, a {title}," if title else WHERE
    return weights.unflatten(tree, arrays, where=where), tuple(notes)


def fits(
    build: Callable[..., nnx.Module], arrays: Mapping[str, Any], own: Sequence[str] = ()
) -> bool:
    """Returns whether weights from elsewhere are those of a network.

    Args:
        build: Makes the network, given ``rngs``; no array of it is made.
        arrays: By name.
        own: As for `fitted`.
    """
    _, params, model_state = nnx.split(
        nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))), nnx.Param, ...
    )
    try:
        fitted({"params": params, "model_state": model_state}, arrays, own)
    except BadInput:
        return False
    return True


def _wrapped(expected: Mapping[str, Any], arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """Renames weights of a network to those of a model that holds the network and nothing else."""
    paths = zip(*(name.split(".")[1:] for name in expected), strict=False)
    shared = itertools.takewhile(lambda parts: len(set(parts)) == 1, paths)
    holder = "".join(f"{parts[0]}." for parts in shared)  # the attributes that all lie under
    renamed = {}
    for name, array in arrays.items():
        kind, dot, path = name.partition(".")
        ours = kind in ("params", "model_state")
        renamed[f"{kind}{dot}{holder}{path}" if ours else name] = array
    return renamed


def _with_positions(
    expected: Mapping[str, Any], arrays: Mapping[str, Any]
) -> tuple[Mapping[str, Any], list[str]]:
    """Fits positions that were learned for pictures of another size."""
    for name, ours in expected.items():
        theirs = arrays.get(name)
        if name.endswith(".positions") and theirs is not None and theirs.shape != ours.shape:
            if not (theirs.ndim == ours.ndim == 3 and theirs.shape[-1] == ours.shape[-1]):
                continue
            resized = resized_positions(jnp.asarray(theirs), ours.shape[:2])
            there, here = ("×".join(map(str, array.shape[:2])) for array in (theirs, ours))
            note = f"Positions were learned for {there} patches: they are resized to {here}."
            return {**arrays, name: np.asarray(resized)}, [note]
    return arrays, []


def _with_own(
    expected: Mapping[str, Any], arrays: Mapping[str, Any], part: str
) -> tuple[Mapping[str, Any], list[str]]:
    """Leaves a part as it is, as a whole, where not all of it has its shape elsewhere."""
    ours, theirs = (
        {name: array for name, array in every.items() if f".{part}." in f".{name}."}
        for every in (expected, arrays)
    )
    if not ours:
        parts = {name.split(".")[1] for name in expected}
        raise BadInput(f"own={part!r}: the model has no such part.{nearest(part, sorted(parts))}")
    here, there = ({name: weights.form(a) for name, a in of.items()} for of in (ours, theirs))
    if here == there:
        return arrays, [f"The {part} is taken as well: it has the same shape there and here."]
    others = {name: array for name, array in arrays.items() if name not in theirs}
    return others | ours, [f"The {part} is new: {_difference(ours, theirs)}."]


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Describes why a part cannot be taken: mostly, for the number of classes."""
    if not theirs:
        return f"{WHERE} has none"
    here, there = ({a.shape[-1] for a in each.values() if a.ndim} for each in (ours, theirs))
    if ours.keys() == theirs.keys() and len(here) == len(there) == 1 and here != there:
        return f"{there.pop()} classes there, {here.pop()} here"
    here, there = (
        ", ".join(f"{name} {weights.form(array)}" for name, array in each.items())
        for each in (ours, theirs)
    )
    return f"{there} there; {here} here"
