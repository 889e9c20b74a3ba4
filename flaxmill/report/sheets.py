"""What every sheet of examples is: a drawing, a PNG, and words."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from flaxmill.data.source import Splits
from flaxmill.machine.terminal import plain
from flaxmill.report import figures
from flaxmill.report.letters import showable
from flaxmill.tasks.signature import Signature


@dataclass(frozen=True)
class Sheet:
    """A sheet of examples; a notebook shows it.

    Attributes:
        figure: The drawing.
        path: The PNG that was written.
        words: What it is of, in a few lines.
    """

    figure: Figure
    path: Path
    words: str

    def __repr__(self) -> str:
        """Describes what it is of and where, in a line."""
        return f"<Sheet {self.path}: {self.words.partition(chr(10))[0]}>"

    def _repr_png_(self) -> bytes:
        return figures.png(self.figure)


def drawing(signature: Signature) -> dict[str, Any]:
    """Returns how `figures.sheet` draws what a model takes."""
    kind = signature.input_kind
    draw = functools.partial(kind.draw, signature=signature)
    return {"draw": draw, "columns": kind.COLUMNS, "cell": kind.CELL}


def titled(splits: Splits, kind: str) -> str:
    """Returns a sheet's title; a data set's name that cannot be shown is left out."""
    _, hidden = showable([splits.title])
    return kind if hidden else f"{splits.title}: {kind}"


def written(figure: Figure, path: Path, *lines: str) -> Sheet:
    """Writes a sheet as a PNG.

    Args:
        figure: The drawing.
        path: The PNG to write.
        lines: What it is of.
    """
    figures.save_png(figure, path)
    return Sheet(figure, path, "\n".join(map(plain, lines)))
