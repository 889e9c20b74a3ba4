"""Pictures that look odd: blank, dark, bright, tiny or elongated."""

from collections.abc import Iterator

import numpy as np

from flaxmill.data.check.finding import Facts, Finding, few, number

_RARE = 0.05  # share of the pictures; what more of them have is how this data is
_DARK, _BRIGHT = 10, 245  # mean grey levels, from 0 to 255
_FLAT = 2.0  # standard deviation of the grey levels
_LONG = 3.0  # longer side, in shorter sides
_TINY = 16  # pixels of the shorter side


def looks(facts: Facts, size: int) -> Iterator[Finding]:
    """Finds blank, dark, bright, tiny and elongated pictures.

    Args:
        facts: Of all pictures.
        size: Side of the pictures that a model will take, in pixels; 0 if that is not known.
    """
    good = np.asarray(facts.good, np.int64)
    some = facts.records[good]
    shorter = np.minimum(some["width"], some["height"])
    longer = np.maximum(some["width"], some["height"])
    flat, light = some["contrast"] < _FLAT, some["brightness"]
    least = size or _TINY
    rows = (
        ("blank", flat, some["contrast"], "have no content, or next to none", "blank"),
        ("dark", ~flat & (light < _DARK), light, "are very dark", "very dark"),
        ("bright", ~flat & (light > _BRIGHT), -light, "are very bright", "very bright"),
        ("small", shorter < least, shorter, f"have fewer than {least} pixels a side", "small"),
        (
            "long",
            longer > _LONG * shorter,
            -longer / np.maximum(shorter, 1),
            f"are more than {_LONG:g} times as long as wide, or the reverse",
            "long",
        ),
    )
    for kind, mask, order, words, caption in rows:
        count = int(mask.sum())
        common = count > max(1.0, _RARE * len(good)) and kind != "blank"
        if not count or (common and not (kind == "small" and size)):
            continue
        places = good[np.flatnonzero(mask)[np.argsort(order[mask], kind="stable")]]
        names = tuple(facts.names[at] for at in places.tolist())
        verb = {"have": "has", "are": "is"}[words.split()[0]] if count == 1 else words.split()[0]
        advice = {
            "blank": "Look at them; a label means nothing there.",
            "small": "They are enlarged and blurred; larger ones teach more.",
            "long": "A crop cuts off much of these; --fit pad of `train images` and `prepare` does "
            "not, and is chosen where a quarter of all are twice as long as wide.",
        }.get(kind, "Look at them; they may be spoilt.")
        words = f"{number(count)} {verb} {words.split(maxsplit=1)[1]}: {few(names)}."
        yield Finding(kind, False, words, advice, names, caption)
