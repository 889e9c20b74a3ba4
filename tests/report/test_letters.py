"""Letters on figures are those of a font that is here, also of one that was installed just now."""

import warnings
from pathlib import Path

import matplotlib.font_manager
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

from flaxmill.report import figures, letters
from flaxmill.tasks.inputs.picture import draw


def install(folder: Path, name: str, shown: str) -> Path:
    """Makes a font whose letters are all a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square, glyphs = pen.glyph(), [".notdef", *(f"u{ord(letter)}" for letter in shown)]
    font = FontBuilder(1000)
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap(dict(zip(map(ord, shown), glyphs[1:], strict=True)))
    font.setupGlyf(dict.fromkeys(glyphs, square))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (800, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": name, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    folder.mkdir(exist_ok=True)
    font.save(folder / f"{name}.ttf")
    return folder / f"{name}.ttf"


@pytest.fixture
def fonts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose fonts the system has; matplotlib listed its own before there were any."""
    manager = matplotlib.font_manager.fontManager
    shipped = [entry for entry in manager.ttflist if "matplotlib" in entry.fname]
    monkeypatch.setattr(manager, "ttflist", shipped)
    monkeypatch.setattr(matplotlib.font_manager, "X11FontDirectories", [str(tmp_path / "fonts")])
    monkeypatch.setattr(matplotlib.font_manager, "_get_fontconfig_fonts", list)
    monkeypatch.setattr(matplotlib.font_manager, "_get_macos_fonts", list)
    return tmp_path / "fonts"


def test_a_font_that_was_installed_since_is_found(fonts: Path) -> None:
    names = ["개미", "bee"]
    shown, legend = letters.showable(names)
    assert shown == ["(0)", "bee"]
    assert legend == ["(0) is 개미", letters.HOW_TO_SHOW]
    install(fonts, "Some Hangul", "개미")
    (fonts / "broken.ttf").write_bytes(b"none")
    assert letters.showable(names) == (names, [])
    assert letters.fonts(names) == ["DejaVu Sans", "Some Hangul"]
    assert letters.fonts(["bee"]) == ["DejaVu Sans"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of letters that it cannot draw
        figures.png(
            figures.sheet(np.zeros((1, 4, 4, 1), np.uint8), ["개미"], draw=draw, title="미")
        )


def test_fonts_for_east_asia_come_before_others(fonts: Path) -> None:
    for name in ("A Font", "NanumGothic", "Noto Sans CJK KR"):
        install(fonts, name, "개")
    assert letters.fonts(["개"]) == ["DejaVu Sans", "Noto Sans CJK KR"]


def test_a_font_that_was_taken_away_since_is_not_counted_on(fonts: Path) -> None:
    file = install(fonts, "Gone", "벌")
    matplotlib.font_manager.fontManager.addfont(file)
    file.unlink()
    assert letters.showable(["벌"])[0] == ["(0)"]
