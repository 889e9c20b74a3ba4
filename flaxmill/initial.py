"""Weights that a run begins with, made to fit its model: those of ``--init-from``."""

from collections.abc import Mapping, Sequence
from typing import Any

from flaxmill import weights
from flaxmill.errors import BadInput, nearest

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
        The tree with those weights, and what is to be told about them, a sentence each.

    Raises:
        BadInput: The model has no such part, or weights do not fit; all of these are listed.
    """
    expected, notes = weights.named(tree), []
    for part in own:
        arrays, said = _with_own(expected, arrays, part)
        notes += said
    return weights.renamed(tree, arrays, where=WHERE), tuple(notes)


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
    forms = [{name: weights.form(array) for name, array in of.items()} for of in (ours, theirs)]
    if forms[0] == forms[1]:
        return arrays, []
    others = {name: array for name, array in arrays.items() if name not in theirs}
    return others | ours, [f"The {part} is new: {_difference(ours, theirs)}."]


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """Says why a part cannot be taken: most often, for the number of classes."""
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
