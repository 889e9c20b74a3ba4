"""Letters on figures: which of them can be shown here, and how many have room."""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.font_manager import findfont, get_font, get_font_names

# Tried in this order for letters that matplotlib's own font lacks, where they are installed.
MORE_FONTS = ("Noto Sans CJK KR", "NanumGothic", "Apple SD Gothic Neo", "Arial Unicode MS")


def shortened(text: str, width: int) -> str:
    """Cuts a text that is too wide; letters of East Asian scripts are two wide.

    >>> shortened("n02119789_kit_fox_and_swift_fox", 12), shortened("개미와 벌", 6)
    ('n02119789_k…', '개미…')
    """
    wide = [1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text]
    if sum(wide) <= width:
        return text
    ends = np.cumsum(wide) <= width - 1
    return text[: int(ends.sum())].rstrip() + "…"


@functools.cache
def fonts() -> dict[str, frozenset[int]]:
    """Returns the fonts that are tried in turn, and the letters that each of them has."""
    installed = set(get_font_names())
    names = ["DejaVu Sans", *(font for font in MORE_FONTS if font in installed)]
    return {font: frozenset(get_font(findfont(font)).get_charmap()) for font in names}


def showable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Puts numbers in the place of names whose letters no font here has.

    Args:
        names: Of classes, or whatever a figure is to show.

    Returns:
        The names as a figure can show them, and lines that say which number stands for which.
    """
    letters = frozenset().union(*fonts().values()) | {ord("\n")}
    shown, legend = [], []
    for number, name in enumerate(names):
        if letters.issuperset(map(ord, name)):
            shown.append(name)
        else:
            shown.append(f"({number})")
            legend.append(f"({number}) is {name}")
    return shown, legend
