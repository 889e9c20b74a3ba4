"""When something fails, the page says what, and what to do, in words."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from places import Place, hosting, serving
from selenium.webdriver import Chrome
from visiting import READY, Visit

TROUBLE = "!document.querySelector('#problem').hidden"
ANSWER = "!document.querySelector('#answer').hidden"
TOKEN = "open-sesame"


def problem(page: Visit) -> str:
    """Returns the words that the page has for a problem."""
    page.until(TROUBLE)
    assert page.find("#problem").get_attribute("role") == "alert"
    return page.text("#problem")


def choose(page: Visit, *files: Path) -> None:
    page.find("#files").send_keys("\n".join(map(str, files)))


def test_a_file_that_is_no_picture(page: Visit, tmp_path: Path) -> None:
    page.expected.append("400 (Bad Request)")
    (tmp_path / "words.png").write_text("no picture")
    Image.new("L", (28, 28), 9).save(tmp_path / "good.png")
    choose(page, tmp_path / "words.png", tmp_path / "good.png")
    words = problem(page)
    assert "PNG, JPEG, WebP, BMP" in words and "words.png" in words and "good.png" not in words
    page.until(ANSWER)  # the other one was classified all the same
    assert page.results() == 1
    if "server" in words:
        assert "The server cannot read this as a picture." in words
        assert "The server’s words: words.png is no picture that can be read" in words
    else:
        assert "This browser cannot read the file as a picture." in words
    each = "[...document.querySelectorAll('#problem button')]"
    buttons = page.js(f"return {each}.map((button) => button.textContent)")
    assert buttons == ["Dismiss"]  # the same file again would fail again
    page.click("#problem button")
    assert not page.find("#problem").is_displayed()


def test_what_holds_no_picture(page: Visit, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    choose(page, tmp_path / "notes.txt")
    assert "There is no picture in that." in problem(page)


@pytest.fixture(scope="module")
def strict(exported: Path) -> Iterator[Place]:
    """A server that asks for a token and takes little."""
    limits = ("--max-pixels", "40000", "--max-body-bytes", "100000")
    with serving(exported, *limits, token=TOKEN) as url:
        yield Place(url)


def enter(page: Visit, token: str) -> None:
    field = page.find("#token input")
    field.clear()
    field.send_keys(token)
    page.click("#token button")


def test_token_and_limits(browser: Chrome, strict: Place, tmp_path: Path) -> None:
    page = Visit(browser, strict.url)
    page.expected += ["401 (Unauthorized)", "413"]
    page.open(ready="!document.querySelector('#token').hidden")
    assert page.js("return document.activeElement.name") == "token"
    assert "answers only with a token" in page.text("#token")
    enter(page, "wrong")
    assert "The server wants a token." in problem(page)
    enter(page, TOKEN)
    page.until(READY)
    assert not page.find("#token").is_displayed()
    assert not page.find("#problem").is_displayed()
    page.browser.refresh()
    page.until(READY)  # kept for this tab
    page.click("#examples li:nth-child(1) button")
    page.until(ANSWER)

    Image.new("L", (300, 300)).save(tmp_path / "wide.png")
    choose(page, tmp_path / "wide.png")
    words = problem(page)
    assert "too large for the server" in words and "0.04 million pixels" in words
    assert "wide.png: 300 × 300 pixels are too many" in words
    page.click("#problem .quiet")
    noise = np.random.default_rng(0).integers(0, 256, (190, 200, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "heavy.png")
    choose(page, tmp_path / "heavy.png")
    assert "It takes files up to 0.1 MB" in problem(page)
    page.check()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_is_busy_and_one_that_is_gone(browser: Chrome, exported: Path) -> None:
    port = free_port()
    with serving(exported, "--deadline", "0.000000001", port=port) as url:  # nothing is in time
        page = Visit(browser, url)
        page.expected += ["503 (Service Unavailable)", "ERR_CONNECTION_REFUSED"]
        page.open()
        page.click("#examples li:nth-child(1) button")
        assert "The server is busy." in problem(page)
        assert "Try again in" in page.text("#problem")
        assert not page.find("#answer").is_displayed()
    page.click("#problem button:not(.quiet)")
    page.until("document.querySelector('#problem').textContent.includes('does not answer')")
    assert "Start it again with “flaxmill serve”" in page.text("#problem")
    with serving(exported, port=port):
        page.click("#problem button:not(.quiet)")
        page.until(ANSWER)
        assert not page.find("#problem").is_displayed()
        page.click("#tab-draw")
    page.draw([(0, 0), (40, 40)])
    assert "The server does not answer." in problem(page)
    page.check()


def test_a_folder_that_lacks_a_file(browser: Chrome, site: Place, tmp_path: Path) -> None:
    with hosting(tmp_path) as url:
        shutil.copytree(site.root, tmp_path / "copy")
        (tmp_path / "copy" / "runtime" / "ort.wasm").unlink()
        page = Visit(browser, f"{url}copy/")
        page.expected += ["404 (File not found)", "wasm", "falling back"]
        page.open(ready=TROUBLE)
        assert "The model could not be loaded." in problem(page)
        assert "See that all files of this folder are on the web server" in page.text("#problem")
        shutil.copy(site.root / "runtime" / "ort.wasm", tmp_path / "copy" / "runtime")
        page.browser.refresh()
        page.until(READY)
        page.check()
