"""The page is for everybody: by keyboard, by ear, in the dark, on a phone, in Korean."""

from typing import Any

import pytest
from selenium.webdriver import Keys
from visiting import Visit

CONTRASTS = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const light = (value) =>
  (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (color !== "rgba(0, 0, 0, 0)") return channels(color);
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || !element.checkVisibility() || element.closest(":disabled")) continue;
  const style = getComputedStyle(element);
  const pair = [luminance(channels(style.color)), luminance(ground(element))];
  const [dark, bright] = pair.sort((a, b) => a - b);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  found.push([element.textContent.slice(0, 40), (bright + 0.05) / (dark + 0.05), large ? 3 : 4.5]);
}
return found;
"""

TARGETS = """
const css = "button, select, input[type=range], input[type=color], .tools fieldset label, #drop";
return [...document.querySelectorAll(css)].filter((e) => e.checkVisibility()).map((e) => {
  const { width, height } = e.getBoundingClientRect();
  return [e.id || e.textContent, width, height];
});
"""

OUTLINED = """
const at = document.activeElement;
return [at, at.parentElement, at.nextElementSibling, at.closest("label")].some((e) => {
  if (!e) return false;
  const { outlineStyle, outlineWidth } = getComputedStyle(e);
  return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
});
"""


def answered(page: Visit) -> None:
    """Has an answer, and what mattered in it, on the page."""
    page.click("#examples li:nth-child(2) button")
    page.until("!document.querySelector('#answer').hidden")
    page.click("#why")
    page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")


def unhappy(page: Visit) -> None:
    """Has words about a problem on the page."""
    page.js(
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer()}))"
    )
    page.until("!document.querySelector('#problem').hidden")


def test_by_keyboard_alone(page: Visit) -> None:
    page.tab_to("#language")
    page.tab_to("#examples li:nth-child(2) button")
    assert page.js(OUTLINED)
    page.keys(Keys.ENTER)
    page.until("!document.querySelector('#answer').hidden")
    page.js("document.activeElement.blur(); scrollTo(0, 0)")
    page.tab_to("#why")
    page.keys(Keys.SPACE)
    page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")
    page.tab_to("#history li button")
    page.keys(Keys.ENTER)
    assert page.js("return document.activeElement.id") == "result"


def test_every_stop_of_the_focus_can_be_seen(served_page: Visit) -> None:
    page = served_page
    answered(page)
    page.js("document.activeElement.blur()")
    stops = []
    for tab in ("picture", "draw", "camera"):
        page.click(f"#tab-{tab}")
        page.js("document.activeElement.blur(); document.body.focus()")
        for _ in range(40):
            page.keys(Keys.TAB)
            if page.js("return document.activeElement === document.body"):
                break
            stop = page.js("return document.activeElement.outerHTML.slice(0, 90)")
            assert page.js(OUTLINED), stop
            stops.append(stop)
    assert len(stops) > 40


def test_tabs_follow_arrow_keys(served_page: Visit) -> None:
    page = served_page
    page.tab_to("#tab-picture")
    for key, panel in (
        (Keys.ARROW_LEFT, "camera"),
        (Keys.HOME, "picture"),
        (Keys.ARROW_RIGHT, "draw"),
    ):
        page.keys(key)
        assert page.js("return document.activeElement.id") == f"tab-{panel}"
        assert page.find(f"#{panel}").is_displayed()
        shown = page.js("return document.querySelectorAll('[role=tabpanel]:not([hidden])').length")
        assert shown == 1


def test_everything_has_a_name(page: Visit) -> None:
    answered(page)
    unhappy(page)
    named = 0
    for tab in ("picture", "draw", "camera"):
        page.click(f"#tab-{tab}")
        tree = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        for node in tree:
            properties = {
                each["name"]: each["value"].get("value") for each in node.get("properties", [])
            }
            if node.get("ignored") or not properties.get("focusable"):
                continue
            if node["role"]["value"] != "RootWebArea":
                assert node["name"]["value"].strip(), node
                named += 1
        roles = {node["role"]["value"] for node in tree if not node.get("ignored")}
        assert {"banner", "main", "contentinfo", "alert", "status", "tablist", "tabpanel"} <= roles
    assert named > 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough(served_page: Visit, scheme: str) -> None:
    page = served_page
    page.media(scheme)
    answered(page)
    unhappy(page)
    page.js("document.querySelector('#token').hidden = false")
    for tab in ("picture", "draw"):
        page.click(f"#tab-{tab}")
        texts = page.js(CONTRASTS)
        assert len(texts) > 40
        assert not [text for text in texts if text[1] < text[2]]


def brightness(page: Visit) -> float:
    """Returns that of the page's ground, from 0 to 255."""
    colour = page.js("return getComputedStyle(document.body).backgroundColor")
    parts = [int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    return sum(parts) / 3


def test_dark_mode(page: Visit) -> None:
    assert brightness(page) > 200
    page.media("dark")
    assert brightness(page) < 50
    page.until("document.querySelector('#theme').textContent === 'Light mode'")
    page.click("#theme")
    assert brightness(page) > 200
    page.browser.refresh()  # the choice is kept, and there before the page is painted
    page.until("document.querySelectorAll('#examples li').length === 10")
    assert brightness(page) > 200
    assert page.text("#theme") == "Dark mode"


KEYS = """
const keys = (value) => typeof value !== "object" || Array.isArray(value) ? typeof value
  : Object.fromEntries(Object.entries(value).sort().map(([key, each]) => [key, keys(each)]));
return fetch("page/kinds.json").then((answer) => answer.json()).then(({ inputs, answers }) =>
  Promise.all([
    ...["en", "ko"].map((code) => import(`./page/strings.${code}.js`)),
    ...inputs.map((kind) => import(`./page/inputs/${kind}/field.js`)),
    ...answers.map((kind) => import(`./page/answers/${kind}.js`)),
  ])).then(([en, ko, ...kinds]) => ["en", "ko"].map((code, i) => [
    keys({ ...[en, ko][i].default, labels: {} }),
    ...kinds.map(({ words }) => keys(words[code])),
  ]));
"""

# Whatever a person reads: text, labels, alternatives. Classes stay as the model names them.
LATIN = """
const kept = new Set(arguments[0]);
return [...document.querySelectorAll("#all *")]
  .filter((e) => e.checkVisibility() && !e.closest("#model"))
  .flatMap((e) => [e.getAttribute("aria-label"), e.getAttribute("alt"),
    ...[...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data)])
  .filter((text) => text && /[a-z]{3}/i.test(text) && !/[가-힣]/.test(text))
  .filter((text) => !kept.has(text.trim()));
"""


def test_korean(page: Visit) -> None:
    english, korean = page.js(KEYS)
    assert english == korean and len(english) > 2  # the page's own, and those of kinds of data
    page.language("ko-KR")
    page.open()
    assert page.js("return document.documentElement.lang") == "ko"
    assert page.text("h1") == "모델에게 사진을 보여 주세요"
    answered(page)
    unhappy(page)
    assert page.text("#problem .what") == "사진이 들어 있지 않습니다."
    assert "확률이" in page.text("#why-words") or "거의 그대로" in page.text("#why-words")
    name, share = page.js(
        "return [...document.querySelectorAll('#top span')].map((part) => part.textContent)"
    )
    assert "(" in name and share.endswith("%")
    labels = [each.partition(" (")[0] for each, _ in page.bars()]
    shown = page.js(
        "return [...document.querySelectorAll('.strip span')].map((e) => e.textContent)"
    )
    for tab in ("picture", "draw", "camera"):
        page.click(f"#tab-{tab}")
        assert page.js(LATIN, [*labels, *shown, "flaxmill", "English"]) == []
    choose(page, "en")
    assert page.text("h1") == "Show the model a picture"
    assert page.text("#problem .what") == "There is no picture in that."
    page.browser.refresh()
    page.until("document.querySelectorAll('#examples li').length === 10")
    assert page.text("h1") == "Show the model a picture"  # the choice is kept


def choose(page: Visit, code: str) -> None:
    """Chooses a language."""
    page.click("#language")
    page.click(f"#language option[value={code}]")
    page.until(f"document.documentElement.lang === '{code}'")


@pytest.mark.parametrize("code", ["en-US", "ko-KR"])
@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone(served_page: Visit, width: int, code: str) -> None:
    page = served_page
    page.language(code)
    page.window(width, 740, phone=True)
    page.open()
    checked = [fits(page, width)]
    answered(page)
    top = page.js("return document.querySelector('#result').getBoundingClientRect().top")
    assert -1 <= top < 740  # the answer came into sight
    unhappy(page)
    for tab in ("picture", "draw", "camera"):
        page.click(f"#tab-{tab}")
        checked.append(fits(page, width))
    assert min(checked) >= 10


def fits(page: Visit, width: int) -> int:
    """Checks that nothing is too wide for the screen or too small for a finger; counts targets."""
    assert page.wide() <= width
    targets: list[Any] = page.js(TARGETS)
    assert not [target for target in targets if min(target[1:]) < 44]
    return len(targets)
