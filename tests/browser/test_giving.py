"""Every way to give the page a picture leads to the answer that Python gives."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Keys
from visiting import Visit

from flaxmill.tasks.inputs.picture import preprocess
from flaxmill.trained.exported import Exported

# A T-shirt, as points around the middle of the sheet.
SHIRT = [(-40, -100), (0, -85), (40, -100), (110, -60), (85, -10), (60, -30), (60, 100)]
SHIRT = [*SHIRT, *((-x, y) for x, y in reversed(SHIRT[2:])), SHIRT[0]]


@pytest.fixture(scope="session")
def model(exported: Path) -> Exported:
    return Exported(exported, engine="onnx")


def check_answer(page: Visit, model: Exported, picture: Path | Image.Image) -> None:
    """Compares what the page shows of a picture with what Python says of it."""
    seen = preprocess(picture, model.signature)
    np.testing.assert_array_equal(page.seen()[..., :1], seen)
    (probabilities,) = model.outputs(seen[None])["probabilities"]
    best = np.argsort(-probabilities)[:5]
    bars = page.bars()
    assert [name for name, _ in bars] == [model.signature.labels[i] for i in best]
    # Shown with one digit; another runtime may differ in the last one.
    np.testing.assert_allclose([share for _, share in bars], 100 * probabilities[best], atol=0.11)
    assert page.text("#top .name") == bars[0][0]


def said(page: Visit) -> str:
    """Returns what a screen reader was told last."""
    return page.js("return document.querySelector('#said').textContent")


def garment(size: tuple[int, int]) -> Image.Image:
    """Returns a dark trouser on white, on no square."""
    width, height = size
    pixels = np.full((height, width, 3), 250, np.uint8)
    pixels[height // 8 : -height // 8, width // 3 : -width // 3] = (60, 40, 90)
    return Image.fromarray(pixels)


def test_an_example(page: Visit, model: Exported) -> None:
    assert page.text("#examples li:nth-child(4)") == "Dress"
    page.click("#examples li:nth-child(4) button")
    page.until("!document.querySelector('#answer').hidden")
    check_answer(page, model, model.path / "examples" / "03-dress.png")
    assert said(page) == f"{page.text('#top .name')}, {page.text('#top .share')}."


def test_files_of_several_kinds(page: Visit, model: Exported, tmp_path: Path) -> None:
    garment((300, 200)).save(tmp_path / "wide.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    garment((90, 150)).save(tmp_path / "turned.jpg", exif=turned)
    clear = garment((120, 120)).convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(np.asarray(clear)[..., 0] > 100, 0, 200).astype("u1")))
    clear.save(tmp_path / "clear.png")
    files = [tmp_path / name for name in ("wide.jpg", "turned.jpg", "clear.png")]
    page.give(*files)
    check_answer(page, model, files[-1])
    assert said(page) == "3 pictures classified."
    for place, file in enumerate(reversed(files), start=1):
        page.click(f"#history li:nth-child({place}) button")
        check_answer(page, model, file)
        given = page.find("#given")
        assert given.get_attribute("alt") == f"The picture you gave: {file.name}"


def test_a_file_given_before_the_model_is_ready(
    page: Visit, model: Exported, tmp_path: Path
) -> None:
    garment((50, 50)).save(tmp_path / "early.png")
    page.open(ready="document.querySelector('#files')")
    page.give(tmp_path / "early.png")
    check_answer(page, model, tmp_path / "early.png")


def test_paste(page: Visit, model: Exported) -> None:
    picture = garment((64, 80))
    content = io.BytesIO()
    picture.save(content, "png")
    page.browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    page.js(
        "const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));"
        "const png = { 'image/png': new Blob([bytes], { type: 'image/png' }) };"
        "return navigator.clipboard.write([new ClipboardItem(png)])",
        base64.b64encode(content.getvalue()).decode(),
    )
    page.with_control("v")
    page.until("!document.querySelector('#answer').hidden")
    check_answer(page, model, picture)
    kept = str(page.find("#history li button").get_attribute("aria-label"))
    assert kept.startswith(f"pasted picture: {page.text('#top .name')}, ")


def test_drop(page: Visit, model: Exported, tmp_path: Path) -> None:
    file = tmp_path / "dropped.png"
    garment((70, 60)).save(file)
    place = page.find("#drop").rect
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        if kind == "drop":
            page.until("document.querySelector('#drop').classList.contains('over')")
        event = {"type": kind, "x": place["x"] + 50, "y": place["y"] + 50, "data": data}
        page.browser.execute_cdp_cmd("Input.dispatchDragEvent", event)
    page.until("!document.querySelector('#answer').hidden")
    check_answer(page, model, file)
    assert not page.js("return document.querySelector('#drop').classList.contains('over')")


def test_a_photo(page: Visit) -> None:
    page.click("#tab-camera")
    page.until("!document.querySelector('#shoot').disabled")
    page.click("#shoot")
    page.until("!document.querySelector('#answer').hidden")
    green = page.seen()[14, 4, 0]  # Chromium's test picture is green, a light disc on it
    assert 30 < green < 225
    assert page.js("return document.querySelector('#camera video').srcObject") is None
    assert page.find("#given").get_attribute("alt") == "The picture you gave: photo"


def sheet(page: Visit) -> Image.Image:
    """Returns the drawing as it is now."""
    url = page.js("return document.querySelector('#sheet canvas').toDataURL()")
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


def settled(page: Visit) -> None:
    """Waits until the answer is to the drawing as it is now."""
    page.until("document.querySelector('#said').textContent.includes('%')")


def test_a_drawing(page: Visit, model: Exported) -> None:
    page.click("#tab-draw")
    page.draw(SHIRT[:7], release=False)
    page.until("!document.querySelector('#answer').hidden")  # live, before the stroke ends
    page.draw(SHIRT)
    settled(page)
    check_answer(page, model, sheet(page))
    assert page.results() == 1
    filled = page.ink()
    page.click("#undo")
    page.until("document.querySelectorAll('#history li').length === 1")
    assert page.ink() < filled
    page.click("#clear")
    assert page.ink() == 0
    page.until("document.querySelector('#answer').hidden")
    assert not page.find("#undo").is_enabled()


def test_brushes(served_page: Visit) -> None:
    page = served_page
    page.click("#tab-draw")
    line = [(-80, 0), (80, 0)]
    thickness = []
    for size in (10, 40):
        page.js("document.querySelector('#brush-size').value = arguments[0]", size)
        page.click("#draw [value=brush]")
        page.draw(line)
        thickness.append(page.ink() / 160)
        page.click("#clear")
    assert 3 < thickness[1] / thickness[0] < 5
    page.draw(line)
    before = page.ink()
    page.click("#draw [value=eraser]")
    page.draw([(0, -60), (0, 60)])
    assert 0 < page.ink() < before


def test_drawing_with_keys(page: Visit, model: Exported) -> None:
    page.tab_to("#tab-picture")
    page.keys(Keys.ARROW_RIGHT, Keys.TAB)
    assert page.js("return document.activeElement.getAttribute('aria-label')") == "Drawing area"
    page.keys(Keys.SPACE)
    page.until("document.querySelector('#said').textContent === 'Pen down'")
    page.keys(*[Keys.ARROW_DOWN] * 10, *[Keys.ARROW_RIGHT] * 10, Keys.SPACE)
    settled(page)
    check_answer(page, model, sheet(page))
    row, column = np.nonzero(np.asarray(sheet(page).convert("L")) > 127)
    assert (np.ptp(row), np.ptp(column)) == pytest.approx((60, 60), abs=4)  # 40, and the pen's 20
    page.with_control("z")
    assert page.ink() == 0


def test_drawing_with_a_finger(served_page: Visit) -> None:
    page = served_page
    page.window(390, 844, phone=True)
    page.click("#tab-draw")
    page.js("document.querySelector('#sheet').scrollIntoView({ block: 'center' })")
    left, top, scrolled = page.js(
        "const {left, top} = document.querySelector('#sheet').getBoundingClientRect();"
        "return [left, top, scrollY]"
    )
    for kind, points in (
        ("touchStart", [(60, 60)]),
        ("touchMove", [(60, 200)]),
        ("touchMove", [(200, 200)]),
        ("touchEnd", []),
    ):
        touches = [{"x": left + x, "y": top + y} for x, y in points]
        event = {"type": kind, "touchPoints": touches}
        page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)
    settled(page)
    assert page.ink() > 1000
    assert page.js("return scrollY") == scrolled  # the finger drew; it did not move the page
    assert page.text("#live").endswith("%.")  # the answer is in sight while one draws
