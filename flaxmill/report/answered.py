"""Sheets of examples with what a model says of them: right in green, wrong in red."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.source import Splits
from flaxmill.report import choosing, figures
from flaxmill.report.examples import Examples
from flaxmill.report.letters import ending, showable
from flaxmill.report.sheets import Sheet, drawing, titled, written
from flaxmill.tasks.signature import Signature
from flaxmill.trained.run import TrainedRun

_LETTERS = 18  # of a caption's line


def draw(
    trained: TrainedRun,
    splits: Splits,
    path: Path,
    *,
    wrong: bool = False,
    classes: Sequence[str] = (),
    split: str = "test",
) -> Sheet:
    """Draws 25 examples with what a run says of them.

    Below a wrong one stands the end of its file's name, and the words name all of these files.

    Args:
        trained: The run.
        splits: The data.
        path: The PNG to write.
        wrong: Draw wrong answers alone, the surest first.
        classes: Of which labels; of any if there are none.
        split: Which part of the data.

    Raises:
        BadInput: There is no such class, split or example.
    """
    source, signature = splits[split], trained.signature
    kind, name = signature.output_kind, signature.inputs[0].name
    these = f"{choosing.called(split)} examples{choosing.named(classes)}"
    worst, number = None, 0
    if wrong:
        worst, number = choosing.wrong_answers(splits, split, classes, trained.tally)
        indices = worst[: choosing.COUNT]
    else:
        indices = choosing.indices(splits, split, classes)
    chosen = source.take(indices)
    labels, predictions = np.asarray(chosen["label"]), kind.predicted(trained.outputs(chosen[name]))
    names, legend = showable(splits.labels)
    captions, colours = figures.prediction_captions(
        kind.names(labels, names), kind.names(predictions, names)
    )
    files = _files_of_mistakes(Examples(source, name), indices, colours)
    if worst is None:
        right = f"{colours.count(figures.RIGHT)} of {len(indices)}"
        title, words = f"{these}, {right} right", f"{right} {these} are right."
    else:
        first = f"surest {len(indices)} first" if len(indices) < len(worst) else "surest first"
        title = f"{len(worst):,} of {number:,} {these} wrong"
        words = f"{title}, the {first}."
    figure = figures.sheet(
        signature.input_kind.displayable(chosen, changed=True),
        [_with_file(*pair) for pair in zip(captions, files, strict=True)],
        colours,
        title=titled(splits, title),
        **drawing(signature),
    )
    plain, _ = figures.prediction_captions(
        kind.names(labels, splits.labels), kind.names(predictions, splits.labels)
    )
    mistakes = [f"  {f}: {' '.join(c.split())}" for f, c in zip(files, plain, strict=True) if f]
    return written(figure, path, words, *mistakes, *legend)


def own_examples(
    examples: Sequence[Any], predictions: Sequence[Any], signature: Signature, path: Path
) -> Path:
    """Draws what a person gave as the model saw it, with what it says; returns the path."""
    # What a number stands for was printed.
    captions, _ = showable([signature.output_kind.caption(one) for one in predictions])
    title = "as the model saw them"
    figure = figures.sheet(examples, captions, title=title, **drawing(signature))
    return written(figure, path, "").path


def _files_of_mistakes(
    examples: Examples, indices: np.ndarray, colours: Sequence[str]
) -> list[str]:
    """Returns the files of the examples that are answered wrongly, and nothing for others."""
    return [
        examples.name(int(index)).shown if colour == figures.WRONG else ""
        for index, colour in zip(indices, colours, strict=True)
    ]


def _with_file(caption: str, file: str) -> str:
    """Adds the end of a file's name to a caption, where its letters can be shown."""
    end = ending(file, _LETTERS)
    return f"{caption}\n{end}" if file and not showable([end])[1] else caption
