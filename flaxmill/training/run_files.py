"""What the JSON files of a run may hold: its config, manifest and result, and rows of its log."""

from typing import Any

from flaxmill.machine.json_forms import (
    Misfit,
    anything,
    by_name,
    each,
    flag,
    maybe,
    number,
    record,
    text,
    whole,
)

_WORD, _DIGEST = text(1000), text(200)
_PATH = text(4096)  # the longest that Linux opens
_SEED = whole(0, 2**32 - 1)
_SECONDS = number(0, 1e12)
_FIGURE = number()  # a training that is not finite ends without a row or result
_FIGURES = by_name(_FIGURE, most=1000)

HOLDER = record({"process": whole(), "host": _WORD, "since": _WORD})
"""The form of the file ``lock`` while a process holds the run."""

_DATA = record(
    {"title": text(), "drawn": flag, "digests": by_name(_DIGEST)},
    {"place": _PATH, "stamps": by_name(_DIGEST)},
)
_ORIGIN = {
    "recipe": _WORD,
    "recipe_file": maybe(_PATH),
    "recipe_sha256": _DIGEST,
    "config": by_name(anything, most=1000),
    "data": _DATA,
}
CONFIG = record(
    {**_ORIGIN, "seed": _SEED, "initial": maybe(_DIGEST)},
    {"format": whole(1), "preset": _WORD, "seeds": whole(1, 100_000)},
)
"""The form of ``config.json``."""
EXPORTED = record({**_ORIGIN, "step": whole(), "weights_sha256": _DIGEST}, {"unreadable": whole()})
"""The form of what an export says of its run, where it is to be evaluated as that was."""

_ATTEMPT = record(
    {},
    {
        "versions": by_name(_WORD),
        "recipe_sha256": _DIGEST,
        "started": _WORD,
        "host": _WORD,
        "command": text(2**20),
    },
)
MANIFEST = record(
    {"data": by_name(anything), "attempts": each(_ATTEMPT)},
    {"format": whole(1), "chosen": by_name(text()), "versions": by_name(_WORD)},
)
"""The form of ``manifest.json``."""

_TEST = record({"examples": whole()}, {"loss": _FIGURE})
_RESULT = record(
    {
        "step": whole(),
        "test": _TEST,
        "seconds": record({"train": _SECONDS, "total": _SECONDS}),
        "weights_sha256": _DIGEST,
    },
    {
        "format": whole(1),
        "recipe": _WORD,
        "preset": _WORD,
        "seed": _SEED,
        "parameters": whole(),
        "weights": _WORD,
        "best": maybe(record({"step": whole()})),
        "seeds": each(record({"seed": _SEED, "test": _TEST}, {"weights_sha256": _DIGEST}), least=2),
        "test_mean": _FIGURES,
        "test_sd": _FIGURES,
        "unreadable": record({"count": whole(), "first": each(text())}),
        "compilations": whole(),
        "attempts": whole(),
    },
)


def result(value: Any, where: str) -> None:
    """The form of ``result.json``: figures of several seeds are those of the models together."""
    _RESULT(value, where)
    _FIGURES(value["test"], "test")
    by_name(_SECONDS)(value["seconds"], "seconds")
    if "seeds" not in value:
        return
    record({"test_mean": _FIGURES, "test_sd": _FIGURES})(value, where)
    for name in value["test_mean"]:
        groups = [value["test_sd"], value["test"], *(one["test"] for one in value["seeds"])]
        if not all(name in group for group in groups):
            raise Misfit(f"has {name!r:.40} in test_mean, and not wherever figures of a test are")


_ROW = record(
    {"step": whole(), "split": _WORD},
    {"epoch": number(0), "seed": _SEED, "why": text(), "examples": whole()},
)


def row(value: Any, where: str) -> None:
    """The form of a line of ``metrics.jsonl``: place, figures, or why an example was skipped."""
    _ROW(value, where)
    by_name(_FIGURE, most=1000)(
        {name: one for name, one in value.items() if name not in ("split", "why")}, where
    )
    if value["split"] == "validation":  # by which the best step is chosen
        record({"loss": _FIGURE})(value, where)


FACTS = record(
    {"step": whole()},
    {
        "format": whole(1),
        "seconds": by_name(_SECONDS),
        "compilations": whole(),
        "unreadable": each(text()),
    },
)
"""The form of ``facts.json`` in a checkpoint."""
DIGESTS = record({"files": by_name(_DIGEST), "seal": _DIGEST}, {"format": whole(1)})
"""The form of ``digests.json`` in a checkpoint."""
