"""Figures: sheets of labelled examples as PNG, and the report page's diagrams as SVG text.

The SVG takes its colours and its font from the page around it, so it follows a dark page.
Everything here is a pure function of its input: the same figures give the same bytes.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

from flaxmill.errors import BadInput
from flaxmill.machine.files import write_atomic
from flaxmill.maths.statistics import Calibration
from flaxmill.report.letters import fonts, shortened

RIGHT, WRONG = "#1a7f37", "#c62828"  # dark enough to read on white (contrast above 5 : 1)
_WHOLE = 4  # epochs, from which on they are counted in whole numbers
NUM_SERIES = 6  # the page defines as many colours, --series-0 and on; further lines begin again

# Colours that matplotlib writes and that then become the page's own; used for nothing else.
PAGE_COLOURS = {"#0000a1": "var(--ink)", "#0000a2": "var(--muted)", "#0000a3": "var(--rule)"} | {
    f"#0000b{index}": f"var(--series-{index})" for index in range(NUM_SERIES)
}
INK, MUTED, RULE, TEAL = list(PAGE_COLOURS)[:4]


def sheet(
    examples: Sequence[Any] | np.ndarray,
    captions: Sequence[str],
    colours: Sequence[str] | None = None,
    *,
    draw: Callable[[Axes, Any], None],
    title: str = "",
    columns: int = 5,
    cell: tuple[float, float] = (1.5, 1.5),
) -> Figure:
    """Draws examples in rows, each with its caption below.

    Args:
        examples: What is drawn.
        captions: One for each example; long lines are shortened.
        colours: Colour of each caption; all black by default.
        draw: Draws an example on its part of the sheet.
        title: Above the sheet; says which data it is.
        columns: Examples in a row.
        cell: Width and height of an example, in inches.

    Returns:
        The figure, for `save_png`.

    Raises:
        BadInput: There is no example.
    """
    if not len(examples):
        raise BadInput("There is nothing to show: a sheet needs one example at least.")
    if columns == 1:  # there is room for a caption in one line
        captions = [" ".join(caption.split("\n")) for caption in captions]
    rows = math.ceil(len(examples) / columns)
    below = 0.38 + 0.15 * max(0, max(caption.count("\n") for caption in captions) - 1)
    width, height, head = cell[0] * columns, (cell[1] + below) * rows, 0.5 if title else 0.1
    title, letters = shortened(title, round(10.7 * width)), round(12 * cell[0])
    with matplotlib.rc_context({"font.family": fonts([title, *captions])}):
        figure = Figure(figsize=(width, height + head), dpi=150, facecolor="white")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        figure.subplots_adjust(
            *(0.02, (0.02 + below) / (height + head), 0.98, 1 - head / (height + head)),
            *(0.08, 0.3 * 1.5 / cell[1] + (below - 0.38) / cell[1]),
        )
        figure.suptitle(title, x=0.02, y=1 - 0.22 / (height + head), ha="left", va="center")
        for panel in panels[len(examples) :]:
            panel.set_axis_off()
        colours = colours or ["black"] * len(examples)
        for panel, example, caption, colour in zip(
            panels[: len(examples)], examples, captions, colours, strict=True
        ):
            draw(panel, example)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
            lines = [shortened(line, letters) for line in caption.split("\n")]
            panel.set_xlabel("\n".join(lines), color=colour, fontsize=9, labelpad=4)
    return figure


def prediction_captions(
    truths: Sequence[str], answers: Sequence[str]
) -> tuple[list[str], list[str]]:
    r"""Words and colours for a sheet of predictions; what is wrong is told by both.

    Args:
        truths: What each is, in words.
        answers: What each was taken for, in words.

    Returns:
        The captions and their colours: a right one is the name in green, a wrong one names the
        prediction and the truth in red.

    >>> prediction_captions(["Coat", "Coat"], ["Coat", "Shirt"])
    (['Coat', 'said Shirt,\nis Coat'], ['#1a7f37', '#c62828'])
    """
    captions, colours = [], []
    for truth, guess in zip(truths, answers, strict=True):
        right = truth == guess
        captions.append(truth if right else f"said {guess},\nis {truth}")
        colours.append(RIGHT if right else WRONG)
    return captions, colours


def png(figure: Figure) -> bytes:
    """Renders a figure as a PNG file's content."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save_png(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG file, atomically."""
    write_atomic(path, png(figure))


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a diagram.

    Attributes:
        name: What it shows, for the legend.
        epochs: Horizontal positions.
        values: Vertical positions; those that are not finite are left out.
        series: Number of its colour.
        dashed: Whether it is dashed.
    """

    name: str
    epochs: Sequence[int | float]
    values: Sequence[int | float]
    series: int
    dashed: bool = False


def curves(lines: Sequence[Line], *, name: str, percent: bool = False) -> str:
    """Draws values over epochs.

    Args:
        lines: What to draw; the page writes the legend.
        name: Of the figure; keeps its parts' identifiers apart from other figures'.
        percent: Whether the values are shares, to be shown as percentages.

    Returns:
        SVG text to be put into the page.
    """
    figure = Figure(figsize=(4.2, 2.7), layout="constrained")  # inches; the page scales it
    axes = figure.subplots()
    _quiet(axes)
    for line in lines:
        finite = np.isfinite(np.asarray(line.values, np.float64))
        epochs, values = np.asarray(line.epochs)[finite], np.asarray(line.values)[finite]
        axes.plot(
            epochs,
            values,
            color=f"#0000b{line.series % NUM_SERIES}",
            linestyle=(0, (4, 2)) if line.dashed else "-",
            linewidth=1.4 if line.dashed else 1.9,
            marker="o" if len(epochs) <= 30 else "",
            markersize=3,
        )
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(left=0)
    whole = axes.get_xlim()[1] >= _WHOLE  # of fewer epochs, one or two numbers would stand there
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=whole))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if percent:
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(0, bottom), min(1, top))  # a flat line would get room beyond 0 or 1
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g} %")
    axes.set_xlabel("epoch")
    return _svg(figure, name)


def reliability(bins: Calibration, *, name: str) -> str:
    """Draws how often a model is right over how sure it is, and how often it is how sure.

    Args:
        bins: The calibration.
        name: Of the figure; keeps its parts' identifiers apart from other figures'.

    Returns:
        SVG text to be put into the page.
    """
    figure = Figure(figsize=(3.2, 3.3), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    _quiet(axes)
    _quiet(below)
    left, width = bins.edges[:-1], np.diff(bins.edges)
    axes.bar(left, np.nan_to_num(bins.accuracy), width * 0.9, color=TEAL, alpha=0.8, align="edge")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    below.bar(left, bins.counts / bins.counts.sum(), width * 0.9, color=MUTED, align="edge")
    below.set_ylim(0, 1)
    below.yaxis.set_major_locator(FixedLocator([0, 1]))
    below.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    below.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    below.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    below.set_ylabel("share")
    below.set_xlabel("confidence")
    figure.align_ylabels()
    return _svg(figure, name)


def _quiet(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(RULE)
    axes.tick_params(colors=MUTED, length=0, labelsize=10.5, pad=5)
    axes.xaxis.label.set(color=MUTED, fontsize=10.5)
    axes.yaxis.label.set(color=MUTED, fontsize=10.5)


def _svg(figure: Figure, name: str) -> str:
    """Writes a figure as SVG for the inside of a page, which gives it colours, font and size."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    # Within HTML the namespaces, the metadata and matplotlib's own style sheet are not needed,
    # and that style sheet would apply to the whole page.
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg \1 aria-hidden="true">', text)
    text = text.replace("xlink:href", "href").replace('href="#', f'href="#{name}-')
    text = text.replace('id="', f'id="{name}-').replace("url(#", f"url(#{name}-")
    text = re.sub(r" font-family: [^;\"]*;", "", text)
    for colour, css in PAGE_COLOURS.items():
        text = text.replace(colour, css)
    return re.sub(r"\n\s*", "\n", text)
