"""What ``evaluate`` and ``predict`` do with a run or an export."""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput
from flaxmill.machine.program import command_line
from flaxmill.machine.terminal import plain, show, show_json
from flaxmill.tasks.signature import Signature
from flaxmill.trained.exported import ENGINES, Exported, is_export
from flaxmill.trained.run import TrainedRun

_AT_A_TIME = 500
"""Examples that are read before they are answered together."""
_ON_A_SHEET = 100
_WIDE = 60  # columns of the names; a longer one pushes its own row to the right
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
            f"{command_line('export RUN')} makes it, by default in RUN/export."
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
    """Predicts for what a person gives, and prints a row or a line of JSON for each.

    Files that cannot be read are named, and the others classified.

    Args:
        model: A run or an export.
        files: As the model's kind of input finds them: files, folders, patterns, or ``-``.
        top: How many classes to name for each.
        json: Whether to print JSON.
        look: Whether to write predictions.png too.

    Raises:
        BadInput: Some could not be read.
    """
    kind = model.signature.input_kind
    names = kind.find(files)
    name_width, label_width = (
        max((len(plain(one)) for one in some), default=0)
        for some in (names, model.signature.labels)
    )
    sheet: list[tuple[np.ndarray, dict[str, Any]]] = []
    unread: list[str] = []
    for start in range(0, len(names), _AT_A_TIME):
        chunk = names[start : start + _AT_A_TIME]
        examples = _preprocess(chunk, model.signature, unread)
        if not examples:
            continue
        predictions = model.predict([example for _, example in examples], top=top)
        for (name, _), prediction in zip(examples, predictions, strict=True):
            prediction[kind.THING[0]] = name
            row = (name, prediction, model.signature, min(name_width, _WIDE), label_width)
            show_json(prediction) if json else show(_row(*row))
        pairs = zip((example for _, example in examples), predictions, strict=True)
        sheet += itertools.islice(pairs, _ON_A_SHEET - len(sheet))
    if look and sheet:
        from flaxmill.report.answered import own_examples

        seen, predictions = [one for one, _ in sheet], [prediction for _, prediction in sheet]
        to = own_examples(seen, predictions, model.signature, Path(SHEET))
        some = f" (the first {len(sheet)})" if len(sheet) < len(names) - len(unread) else ""
        show(f"wrote {to}{some}", file=sys.stderr if json else sys.stdout)
    if unread:
        count = [f"{len(unread)} of {len(names)} could not be read."] if len(names) > 1 else []
        raise BadInput(*unread, *count)


def _preprocess(
    names: Sequence[str], signature: Signature, unread: list[str]
) -> list[tuple[str, np.ndarray]]:
    """Returns the examples that can be read, preprocessed, each with its name.

    Of others it notes why. One is made small before the next is read: hundreds of photographs would
    fill the memory.
    """
    pairs = []
    for name in names:
        try:
            pairs.append((name, signature.input_kind.preprocess(name, signature)))
        except BadInput as trouble:
            unread.append(str(trouble))
    return pairs


def _row(
    name: str, prediction: dict[str, Any], signature: Signature, name_width: int, label_width: int
) -> str:
    """Returns what is printed of an example: its name, and the likeliest classes beside it.

    Where any number of labels may hold, those that are above one half come first.
    """
    likeliest = prediction.get("predictions", ())
    likely = [(plain(one["label"]), one["probability"]) for one in likeliest]
    cells = [f"{one:{label_width}} {probability:6.1%}" for one, probability in likely]
    if signature.output_kind.SEVERAL or not cells:
        cells = [plain(signature.output_kind.summary(prediction)), *cells]
    return f"{plain(name):{name_width}}  " + "   ".join(cells)
