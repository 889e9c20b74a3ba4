"""What ``evaluate`` and ``predict`` do with a run or an export."""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.machine.program import typed
from flaxmill.machine.terminal import plain, show, show_json
from flaxmill.tasks.inputs.picture import find_pictures, prepare
from flaxmill.tasks.signature import Signature
from flaxmill.trained.exported import ENGINES, Exported, is_export
from flaxmill.trained.run import TrainedRun

_AT_A_TIME = 500
"""Pictures that are read before they are classified together."""
_ON_A_SHEET = 100
SHEET = "predictions.png"


def open_model(
    path: Path, *, format: str | None, checkpoint: str, recipe: str | None, trust: bool = False
) -> TrainedRun | Exported:
    """Opens a run or an export.

    Args:
        path: Its directory.
        format: Of an export; None takes the first that it holds.
        checkpoint: Of a run: "final", or "best" by validation.
        recipe: A file that holds the text of a run's recipe.
        trust: Run the recipe file that a run was trained by, though it was never trained here.

    Raises:
        BadInput: It is neither, or what is asked for belongs to the other.
    """
    if is_export(path):
        if checkpoint != "final":
            raise BadInput(
                f"{path} is an export, which holds one set of weights: leave --checkpoint out, or "
                f"export the run with --checkpoint {checkpoint}."
            )
        return Exported(path, engine=None if format is None else ENGINES[format])
    if format is not None:
        raise BadInput(
            f"{path} is no export directory, and --format {format} is of one: "
            f"{typed('export RUN')} makes it, by default in RUN/export."
        )
    return TrainedRun(path, recipe=recipe, checkpoint=checkpoint, trust=trust)


def evaluate(
    model: TrainedRun | Exported,
    data: str | None,
    *,
    split: str,
    recipe: str | None,
    trust: bool = False,
) -> dict[str, Any]:
    """Returns the exact figures of a run or an export."""
    if isinstance(model, Exported):
        return model.evaluate(data, split=split, recipe=recipe, trust=trust)
    return model.evaluate(data, split=split)


def predict(
    model: TrainedRun | Exported, files: Sequence[str], *, top: int, json: bool, look: bool
) -> None:
    """Classifies picture files, and prints a row or a line of JSON for each.

    Files that cannot be read are named, and the others classified.

    Args:
        model: A run or an export.
        files: Pictures, folders, patterns, or ``-``.
        top: How many classes to name for each.
        json: Whether to print JSON.
        look: Whether to write predictions.png too.

    Raises:
        BadInput: Some of the pictures could not be read.
    """
    names = find_pictures(files)
    widths = [max(map(len, map(plain, some))) for some in (names, model.signature.labels)]
    sheet: list[tuple[np.ndarray, dict[str, Any]]] = []
    unread: list[str] = []
    for start in range(0, len(names), _AT_A_TIME):
        chunk = names[start : start + _AT_A_TIME]
        pictures = _prepared(chunk, model.signature, unread)
        if not pictures:
            continue
        answers = model.predict(list(pictures.values()), top=top)
        for name, answer in zip(pictures, answers, strict=True):
            answer["picture"] = name
            show_json(answer) if json else show(_row(answer, *widths))
        pairs = zip(pictures.values(), answers, strict=True)
        sheet += itertools.islice(pairs, _ON_A_SHEET - len(sheet))
    if look and sheet:
        from flaxmill.report.answered import own_pictures

        seen, said = [one for one, _ in sheet], [answer for _, answer in sheet]
        to = own_pictures(seen, said, Path(SHEET))
        some = f" (the first {len(sheet)})" if len(sheet) < len(names) - len(unread) else ""
        show(f"wrote {to}{some}", file=sys.stderr if json else sys.stdout)
    if unread:
        count = [f"{len(unread)} of {len(names)} could not be read."] if len(names) > 1 else []
        raise BadInput(*unread, *count)


def _prepared(
    names: Sequence[str], signature: Signature, unread: list[str]
) -> dict[str, np.ndarray]:
    """Returns the pictures that can be read by name, as the model takes them; says why of others.

    One is made small before the next is read: hundreds of photographs would fill the memory.
    """
    found = {}
    for name in names:
        try:
            found[name] = prepare(name, signature)
        except BadInput as trouble:
            unread.append(str(trouble))
    return found


def _row(answer: dict[str, Any], name: int, label: int) -> str:
    """Returns what is printed of a picture: its name, and the likeliest classes beside it.

    Where any number of labels may hold, those that are above one half come first.
    """
    likely = [(plain(one["label"]), one["probability"]) for one in answer["predictions"]]
    cells = [f"{one:{label}} {probability:6.1%}" for one, probability in likely]
    if "labels" in answer:
        cells = [", ".join(answer["labels"]) or "none", *cells]
    return f"{plain(answer['picture']):{name}}  " + "   ".join(cells)
