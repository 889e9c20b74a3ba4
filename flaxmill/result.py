"""What a trained run comes to: the content of ``result.json``."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx

from flaxmill import answers, checkpoint, weights
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Source
from flaxmill.evaluation import measured, total
from flaxmill.identity import Identity
from flaxmill.log import Row, mean_rows
from flaxmill.metrics import Measures, spread
from flaxmill.models.ensemble import Ensemble
from flaxmill.signature import FORMAT, Signature
from flaxmill.state import State

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
    """Returns what a run's files say of its end, but for the time it took.

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
        "format": FORMAT,
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


def left_out(reading: Reading) -> dict[str, Any]:
    """Returns what a result says of unreadable examples; nothing if none were to be skipped."""
    if not reading.skip_unreadable:
        return {}
    met = list(reading.unreadable)
    return {"unreadable": {"count": len(met), "first": met[:_NAMED]}}


def _of_each_seed(
    identity: Identity, state: State, tests: Sequence[Figures], examples: int
) -> dict[str, Any]:
    """Returns what is said of the models one by one, and how far they are apart."""
    means, deviations = spread(tests)
    seeds = []
    for index, (seed, figures) in enumerate(zip(identity.every_seed, tests, strict=True)):
        digest = weights.model_digest(*state.member(index).weights)
        test = {**figures, "examples": examples}
        seeds.append({"seed": seed, "test": test, "weights_sha256": digest})
    return {"seeds": seeds, "test_mean": means, "test_sd": deviations}


def ensemble(models: Sequence[nnx.Module], signature: Signature) -> nnx.Module:
    """Returns the models of all seeds as one, in evaluation mode; a single one stays as it is."""
    kind = answers.of(signature) if signature.outputs[0].name == "logits" else None
    model = models[0] if len(models) == 1 else Ensemble(models, answers=kind)
    model.eval()
    return model


def ensemble_figures(
    state: State,
    signature: Signature,
    measure: Callable[..., Measures],
    source: Source,
    reading: Reading,
) -> Figures:
    """Returns the exact figures of a state's models together."""
    alone = [state.member(index) for index in range(state.members)]
    models = [nnx.merge(one.graphdef, *one.weights, copy=True) for one in alone]
    sums = total(measured(measure, ensemble(models, signature)), source, reading=reading)
    return sums.means()
