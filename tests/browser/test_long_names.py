"""Classes whose names are sentences, file names or one long word leave the page as it should be."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import Place, hosting
from selenium.webdriver import Chrome
from visiting import Visit

WORDS = "a rather large and somewhat angry orange striped carpenter bee"
SOLID = "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauten"
KOREAN = "붉은가슴 잣까마귀와 큰오색딱따구리 그리고 저어새와 흰꼬리수리와 노랑부리백로"
NAMES = (WORDS, WORDS.replace(" ", "_"), SOLID, KOREAN, KOREAN.replace(" ", ""))
LABELS = [f"{name}{number}" for name in NAMES for number in (1, 2)]

# Each caption with the lines of its text as they are painted, beyond its box or not.
CAPTIONS = """
const css = ".strip span, .strip small, #bars .name, #bars .share, #top .name";
return [...document.querySelectorAll(css)].filter((e) => e.checkVisibility()).map((e) => {
  const range = document.createRange();
  range.selectNodeContents(e);
  const sides = ({ left, top, right, bottom }) => [left, top, right, bottom];
  const room = e.closest("button, li, #top");
  return [e.textContent, sides(range.getBoundingClientRect()), sides(room.getBoundingClientRect())];
});
"""


@pytest.fixture(scope="module")
def named(site: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of the small model, had its classes been called otherwise; yields its address."""
    root = tmp_path_factory.mktemp("named") / "site"
    shutil.copytree(site.root, root)
    _rename(root / "signature.json")
    with hosting(root) as url:
        yield url


def _rename(file: Path) -> None:
    """Gives the classes of a signature their long names."""
    signature = json.loads(file.read_text("utf-8"))
    assert len(signature["labels"]) == len(LABELS)
    file.write_text(json.dumps(signature | {"labels": LABELS}), encoding="utf-8")


@pytest.mark.parametrize(
    ("width", "code"), [(360, "en-US"), (360, "ko-KR"), (1280, "en-US")], ids=str
)
def test_long_names_of_classes_keep_to_their_places(
    browser: Chrome, named: str, width: int, code: str
) -> None:
    page = Visit(browser, named)
    page.language(code)
    page.window(width, 740, phone=width == 360)
    page.open()
    assert keeps_its_places(page, width) == 10
    for place in (3, 9):
        page.click(f"#examples li:nth-child({place}) button")
        page.until(f"document.querySelectorAll('#history li').length === {1 + (place == 9)}")
    assert keeps_its_places(page, width) == 10 + 1 + 2 * 5 + 2 * 2
    page.click("#why")
    page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")
    assert page.wide() <= width
    page.check()


def keeps_its_places(page: Visit, width: int) -> int:
    """Checks that no caption leaves its place, meets another or widens the page; counts them."""
    assert page.wide() <= width
    captions = page.js(CAPTIONS)
    for number, (text, own, room) in enumerate(captions):
        assert room[0] - 1 <= own[0] and own[2] <= room[2] + 1, text
        for other, box, _ in captions[:number]:
            apart = own[2] <= box[0] + 1 or box[2] <= own[0] + 1
            assert apart or own[3] <= box[1] + 1 or box[3] <= own[1] + 1, (text, other)
    return len(captions)
