"""The result of a trained run: the content of ``result.json``."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from flax import nnx

from flaxmill.data.reading.readers import Reading
from flaxmill.data.sizes import Sized
from flaxmill.data.source import Source, Splits
from flaxmill.errors import BadInput
from flaxmill.machine import files, json_forms
from flaxmill.maths import calibration
from flaxmill.maths.metrics import Measures, spread
from flaxmill.models import weights
from flaxmill.models.ensemble import Ensemble
from flaxmill.tasks.signature import Signature
from flaxmill.training import checkpoint
from flaxmill.training.checkpoint import Checkpoints
from flaxmill.training.directory import RunDirectory
from flaxmill.training.evaluation import joined, measured, scored, total
from flaxmill.training.identity import Identity
from flaxmill.training.integrity import Damaged
from flaxmill.training.log import Row, mean_rows
from flaxmill.training.state import State, with_arrays

Figures = dict[str, float]
_NAMED = 10
"""Unreadable examples that a result names."""


def gather(
    identity: Identity,
    state: State,
    rows: Sequence[Row],
    tests: Sequence[Figures],
    test: Figures,
    examples: int,
) -> dict[str, Any]:
    """Returns the content of ``result.json``, but for the time it took.

    Args:
        identity: Of the run.
        state: After the last step.
        rows: Of the log.
        tests: The exact test figures of the model of each seed.
        test: Those of the models together.
        examples: Number of test examples.
    """
    best = checkpoint.best_step(rows)
    validated = mean_rows([row for row in rows if row["split"] == "validation"])
    return {
        "format": json_forms.NEWEST,
        "recipe": identity.recipe,
        "preset": identity.preset,
        "seed": identity.seed,
        "step": int(state.step),
        "parameters": weights.count(state.params),
        "test": {**test, "examples": examples},
        **(_of_each_seed(identity, state, tests, examples) if state.members > 1 else {}),
        "weights": "average" if state.average is not None else "params",
        "weights_sha256": weights.model_digest(*state.weights),
        "best": next((row for row in validated if row["step"] == best), None),
    }


def write(directory: RunDirectory, signature: Signature, result: dict[str, Any]) -> None:
    """Writes the result of a run; with the second of the two files it is finished.

    Args:
        directory: Of the run.
        signature: With the temperatures.
        result: As of `gather`, with the time it took.
    """
    signature.save(directory.path / "signature.json")
    files.write_json(directory.path / "result.json", result)


def about_data(reading: Reading, source: Source) -> dict[str, Any]:
    """Returns the part of a result about the examples that were trained on.

    Args:
        reading: How they were read; unreadable ones are counted only if they were to be skipped.
        source: The examples; sizes and padding are given only if there are several sizes.
    """
    facts = {}
    if reading.skip_unreadable:
        reasons = list(reading.unreadable)
        facts["unreadable"] = {"count": len(reasons), "first": reasons[:_NAMED]}
    if isinstance(source, Sized):
        facts |= {"sizes": list(source.sizes), "padding": round(source.padding, 4)}
    return facts


def _of_each_seed(
    identity: Identity, state: State, tests: Sequence[Figures], examples: int
) -> dict[str, Any]:
    """Returns the part of a result about each model, and how far they are apart."""
    means, deviations = spread(tests)
    seeds = []
    for index, (seed, figures) in enumerate(zip(identity.every_seed, tests, strict=True)):
        digest = weights.model_digest(*state.member(index).weights)
        test = {**figures, "examples": examples}
        seeds.append({"seed": seed, "test": test, "weights_sha256": digest})
    return {"seeds": seeds, "test_mean": means, "test_sd": deviations}


def ensemble(models: Sequence[nnx.Module], signature: Signature) -> nnx.Module:
    """Returns the models of all seeds as one, in evaluation mode; a single one stays as it is."""
    output_kind = signature.output_kind if signature.outputs[0].name == "logits" else None
    model = models[0] if len(models) == 1 else Ensemble(models, output_kind=output_kind)
    model.eval()
    return model


def ensemble_figures(
    state: State,
    signature: Signature,
    measure: Callable[..., Measures] | None,
    source: Source,
    reading: Reading,
) -> Figures:
    """Returns the exact figures of a state's models together."""
    assert measure is not None, "a run of several seeds has it"
    model = _model(state, signature)
    return total(measured(measure, model), source, reading=reading).means()


def states(
    state: State, rows: Sequence[Row], checkpoints: Checkpoints
) -> Iterator[tuple[str, State]]:
    """Yields a run's state with its "final" and, if they differ and are whole, "best" weights.

    Args:
        state: After the last step.
        rows: Of the log.
        checkpoints: Of the run.
    """
    yield "final", state
    best = checkpoint.best_step(rows)
    if best not in (None, int(state.step)) and best in checkpoints.steps():
        with contextlib.suppress(Damaged):  # an error once somebody opens these weights
            arrays, _ = checkpoints.restore(best)
            yield "best", with_arrays(state, arrays, where=str(checkpoints.folder / str(best)))


def calibrated(
    states: Iterable[tuple[str, State]], signature: Signature, splits: Splits, reading: Reading
) -> Signature:
    """Returns a run's signature with temperatures for its weights, fitted on the validation data.

    It has none where that is too little, or not new to the model, or the outputs are not logits of
    classes.

    Args:
        states: As from `states`.
        signature: Of the run.
        splits: Its data.
        reading: How examples are read.
    """
    held_out = splits.validation
    classifies = signature.output_kind.CLASSIFIES and signature.outputs[0].name == "logits"
    if not len(held_out) or splits.seen or not classifies:
        return signature
    temperatures, count = {}, len(held_out)
    if calibration.enough(count):
        for name, state in states:
            model, input_name = _model(state, signature), signature.inputs[0].name
            logits, labels = joined(scored(model, held_out, input_name, reading=reading))
            try:
                temperatures[name] = signature.output_kind.fit_temperature(logits, labels)
            except BadInput:  # labels of a recipe's own, which its metrics may well know to count
                return signature
            count = len(labels)
    return replace(signature, held_out=count, temperatures=temperatures).of_weights("final")


def _model(state: State, signature: Signature) -> nnx.Module:
    """Returns the model of a state in evaluation mode; several as an ensemble."""
    members = [state.member(index) for index in range(state.members)]
    models = [nnx.merge(member.graphdef, *member.weights, copy=True) for member in members]
    return ensemble(models, signature)
