"""Letters on figures: which of them can be shown here, and how many have room."""

import contextlib
import functools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import matplotlib
import numpy as np
from matplotlib.font_manager import FontEntry, findSystemFonts, fontManager, get_font

OWN_FONT = "DejaVu Sans"  # comes with matplotlib
# Tried in this order for letters that it lacks, then any other font that is installed.
MORE_FONTS = (
    *("Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans KR", "NanumGothic", "Malgun Gothic"),
    *("Apple SD Gothic Neo", "Arial Unicode MS"),
)
HOW_TO_SHOW = (
    "No font that is installed here has the letters of these names: install one and draw again "
    "(for Korean, Chinese and Japanese: sudo apt install fonts-noto-cjk)."
)


def shortened(text: str, width: int) -> str:
    """Cuts a text that is too wide; letters of East Asian scripts are two wide.

    >>> shortened("n02119789_kit_fox_and_swift_fox", 12), shortened("개미와 벌", 6)
    ('n02119789_k…', '개미…')
    """
    wide = _widths(text)
    if sum(wide) <= width:
        return text
    ends = np.cumsum(wide) <= width - 1
    return text[: int(ends.sum())].rstrip() + "…"


def ending(name: str, width: int) -> str:
    """Cuts the beginning of a name that is too wide: its end is what tells files apart.

    >>> ending("val/bees/2822290399_97c809d43b.jpg", 16), ending("곤충/개미.jpg", 10)
    ('…97c809d43b.jpg', '…/개미.jpg')
    """
    wide = _widths(name)
    if sum(wide) <= width:
        return name
    ends = np.cumsum(wide[::-1]) <= width - 1
    return "…" + name[len(name) - int(ends.sum()) :].lstrip("_- ")


def _widths(text: str) -> list[int]:
    return [1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text]


def fonts(texts: Iterable[str] = ()) -> list[str]:
    """Returns the fonts that texts take, in the order in which they are to be tried.

    Where matplotlib's own lacks a letter, others are looked for: first among those that matplotlib
    has listed, in a file that it wrote when it was used first; then, for a letter that none of
    these has, also among those that were installed since.

    Args:
        texts: What a figure is to show.
    """
    return list(_taken(texts))


def _taken(texts: Iterable[str]) -> dict[str, frozenset[str]]:
    """Returns the fonts that texts take, and the letters that each has."""
    taken = {OWN_FONT: _letters(fontManager.findfont(OWN_FONT))}
    missing = frozenset("".join(texts)) - {"\n"} - taken[OWN_FONT]
    for listed in (_listed, _listed_anew):
        for entry in listed() if missing else ():
            if missing & (letters := _letters(entry.fname)):
                taken[entry.name] = letters
                missing -= letters
    return taken


def _listed() -> Iterator[FontEntry]:
    """Yields a file of each font that matplotlib knows, the usual ones for East Asia first."""
    shipped = matplotlib.get_data_path()  # with fonts of mathematical signs in odd places
    files: dict[str, FontEntry] = {}
    for entry in sorted(fontManager.ttflist, key=lambda e: (e.style != "normal", e.weight != 400)):
        files.setdefault(entry.name, entry)
    rest = sorted(set(files) - set(MORE_FONTS))
    for name in (*MORE_FONTS, *rest):
        entry = files.get(name)
        last_resort = "lastresort" in name.lower().replace(" ", "")  # has a frame for every letter
        if entry and not entry.fname.startswith(shipped) and not last_resort:
            yield entry


def _listed_anew() -> Iterator[FontEntry]:
    """Yields the same after adding the fonts that are here now to those that matplotlib knows.

    They are added for this process: the file that matplotlib keeps stays as it is.
    """
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with contextlib.suppress(OSError, RuntimeError, ValueError):  # no font to draw with
            fontManager.addfont(path)
    return _listed()


@functools.cache
def _letters(file: str) -> frozenset[str]:
    """Returns the letters that a font has; none where its file is gone or damaged."""
    try:
        return frozenset(map(chr, get_font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def showable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Puts numbers in the place of names whose letters no font here has.

    Args:
        names: Of classes, or whatever a figure is to show.

    Returns:
        The names as a figure can show them, and lines that say which number stands for which, and
        how to mend that.
    """
    letters = frozenset("\n").union(*_taken(names).values())
    shown, legend = [], []
    for number, name in enumerate(names):
        if letters.issuperset(name):
            shown.append(name)
        else:
            shown.append(f"({number})")
            legend.append(f"({number}) is {name}")
    return shown, [*legend, HOW_TO_SHOW] if legend else []
