"""The picture of a learning-rate range test."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from flaxmill.maths.rate_curve import RateCurve

_RED = "#c62828"


def draw(result: RateCurve, *, now: float, title: str) -> Figure:
    """Draws a learning-rate range test: the loss over the rate, and which rate is suggested.

    Args:
        result: What it found.
        now: The learning rate of the recipe as it is.
        title: Above the figure.

    Returns:
        The figure, for `flaxmill.report.figures.save_png`.
    """
    figure = Figure(figsize=(7, 4.2), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots()
    low, high = result.smoothed.min(), result.smoothed.max()
    room = 0.15 * (high - low) + 1e-3
    shown = np.nan_to_num(result.losses, nan=high + room, posinf=high + room)
    axes.plot(result.rates, shown, color="#b8c4c4", linewidth=1, label="each batch")
    axes.plot(result.rates, result.smoothed, color="#00695c", linewidth=2.2, label="smoothed")
    for rate, what, colour, width, dashes in (
        (result.suggestion, "suggested", _RED, 1.8, "-"),
        (result.steepest, "steepest descent", _RED, 1.0, (0, (1, 2))),
        (result.tenth, "a tenth of the lowest's", _RED, 1.0, (0, (5, 3))),
        (now, "now", "black", 1.0, (0, (4, 3))),
    ):
        if rate is not None:
            words = f"{what}: {rate:.2g}"
            axes.axvline(rate, color=colour, linewidth=width, linestyle=dashes, label=words)
    axes.set_ylim(low - 2 * room, high + room)
    axes.set_xlim(result.rates[0], max(result.rates[-1], now))
    axes.set_xscale("log")
    if result.rates[-1] < 100 * result.rates[0]:  # powers of ten alone would be a tick or two
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.grid(color="#e4e8e8", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=3)
    figure.suptitle(title, ha="left", x=0.02, fontsize=11)
    return figure
