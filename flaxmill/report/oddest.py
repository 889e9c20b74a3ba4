"""The sheet of the oddest pictures of a data set, each with the reason."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from flaxmill.data.check import Checked
from flaxmill.data.check.index import load_picture
from flaxmill.data.pictures.plain import own_white, plain
from flaxmill.errors import BadInput
from flaxmill.report import figures
from flaxmill.report.letters import ending, showable
from flaxmill.tasks.inputs import picture

_MOST = 40  # pictures in all
_EACH = 6  # of one reason
_LETTERS = 17  # of a caption's line
_SIDE = 220  # pixels of the longer side, as shown


def draw(checked: Checked, path: Path) -> list[str]:
    """Writes the sheet as a PNG; returns what to say of it, a line each.

    Args:
        checked: What was found.
        path: The PNG to write.

    Raises:
        BadInput: No picture can be shown.
    """
    root, load = checked.facts.index.root, checked.facts.survey.load
    shown: dict[str, str] = {}
    for name, reason in _odd(checked):
        if len(shown) < _MOST:
            shown.setdefault(name, reason)
    pictures, reasons, endings, colours = [], [], [], []
    serious = {f.caption for f in checked.findings if f.serious}
    for name, reason in shown.items():
        try:
            item = root / name if load is None else load(name)
            one = load_picture(item, name)
            one = plain(one, 3, white=own_white(one), name=name)
        except BadInput:  # changed since it was read
            continue
        one.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
        pictures.append(np.asarray(one))
        reasons.append(reason)
        endings.append(ending(name, _LETTERS))
        colours.append(figures.WRONG if reason in serious else "black")
    if not pictures:
        raise BadInput(f"{checked.place} has no picture that can be shown.")
    what = f"the oddest of {len(checked.facts.good):,} pictures"
    title = f"{checked.place.name}: {what}"
    if showable([title])[1]:  # whose letters no font here has
        title = what.capitalize()
    names, legend = showable(endings)
    captions = [f"{reason}\n{name}" for reason, name in zip(reasons, names, strict=True)]
    figures.save_png(
        figures.sheet(pictures, captions, colours, draw=picture.draw, title=title), path
    )
    return [*legend, f"wrote {path}, with {len(pictures)} pictures"]


def _odd(checked: Checked) -> Iterator[tuple[str, str]]:
    """Yields names and reasons: of the findings, then what is extreme though nothing is wrong."""
    facts = checked.facts
    readable = {facts.names[at] for at in facts.good}
    for finding in checked.findings:
        if finding.caption:
            for name in [name for name in finding.names if name in readable][:_EACH]:
                yield name, finding.caption
    some = facts.records[facts.good]
    pixels = some["width"].astype(np.int64) * some["height"]
    shape = some["width"] / np.maximum(some["height"], 1)
    for values, least, most in (
        (some["brightness"], "darkest", "brightest"),
        (pixels, "smallest", "largest"),
        (shape, "tallest", "widest"),
        (some["contrast"], "least contrast", "most contrast"),
    ):
        order = np.argsort(values, kind="stable")
        for places, reason in ((order[:2], least), (order[::-1][:2], most)):
            if len(order) and values[order[0]] != values[order[-1]]:
                yield from ((facts.names[facts.good[at]], reason) for at in places.tolist())
