"""A visitor of the page, who clicks, types and looks."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 20  # seconds, on a busy machine
READY = "document.querySelectorAll('#examples li').length === 10"


class Visit:
    """One visit to the page.

    Args:
        browser: Shared with the other tests.
        url: Of the page.
    """

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url
        # Console messages that a test provokes; the first is advice on how the tests read canvases.
        self.expected = ["willReadFrequently"]
        self.window(1280, 900)
        self.media()
        self.language("en-US")

    def open(self, *, ready: str = READY) -> None:
        """Comes as someone who was never here, and waits until the model is ready."""
        parts = urlsplit(self.url)
        kept = {"origin": f"{parts.scheme}://{parts.netloc}", "storageTypes": "local_storage"}
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", kept)
        for log in ("browser", "performance"):
            self.browser.get_log(log)
        self.browser.get(self.url)
        self.until(ready)

    def check(self) -> None:
        """Fails if the page erred, or asked another host for anything."""
        said = [entry["message"] for entry in self.browser.get_log("browser")]
        strange = [text for text in said if not any(part in text for part in self.expected)]
        assert not strange, strange
        hosts = set()
        for entry in self.browser.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                hosts.add(urlsplit(event["params"]["request"]["url"].removeprefix("blob:")).netloc)
        strangers = hosts - {urlsplit(self.url).netloc, ""}  # a data: URL has none
        assert not strangers, strangers

    def window(self, width: int, height: int, *, phone: bool = False) -> None:
        """Takes a window or a phone of a size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})

    def wide(self) -> int:
        """Returns the width of what there is to see, in CSS pixels.

        On a phone it is not to be compared with ``innerWidth``: that grows with the page.
        """
        return self.js("return document.documentElement.scrollWidth")

    def media(self, scheme: str = "light") -> None:
        """Prefers light or dark pages."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def language(self, code: str) -> None:
        """Has a browser of a language."""
        agent = self.browser.execute_script("return navigator.userAgent")
        override = {"userAgent": agent, "acceptLanguage": code}
        self.browser.execute_cdp_cmd("Emulation.setUserAgentOverride", override)

    def js(self, script: str, *given: Any) -> Any:
        """Runs a script in the page; it may return a promise."""
        return self.browser.execute_script(script, *given)

    def until(self, condition: str) -> None:
        """Waits until a JavaScript expression holds."""
        WebDriverWait(self.browser, PATIENCE, poll_frequency=0.05).until(
            lambda _: self.js(f"return Boolean({condition})"), f"never came true: {condition}"
        )

    def find(self, css: str) -> WebElement:
        """Returns an element."""
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """Returns what a person reads in an element."""
        return self.find(css).text

    def click(self, css: str) -> None:
        """Clicks an element."""
        self.find(css).click()

    def keys(self, *pressed: str) -> None:
        """Presses keys, wherever the focus is."""
        ActionChains(self.browser, duration=20).send_keys(*pressed).perform()

    def with_control(self, key: str) -> None:
        """Presses a key while Control is held."""
        chord = ActionChains(self.browser, duration=20).key_down(Keys.CONTROL).send_keys(key)
        chord.key_up(Keys.CONTROL).perform()

    def tab_to(self, css: str) -> None:
        """Presses Tab until an element has the focus."""
        for _ in range(60):
            if self.js(
                "return document.activeElement === document.querySelector(arguments[0])", css
            ):
                return
            self.keys(Keys.TAB)
        raise AssertionError(f"Tab never reaches {css}")

    def give(self, *files: Path) -> None:
        """Chooses files, and waits for as many new results."""
        before = self.results()
        self.find("#files").send_keys("\n".join(map(str, files)))
        self.until(f"document.querySelectorAll('#history li').length === {before + len(files)}")
        self.until("document.querySelector('#result').getAttribute('aria-busy') === 'false'")

    def results(self) -> int:
        """Returns how many results the page lists."""
        return self.js("return document.querySelectorAll('#history li').length")

    def bars(self) -> list[tuple[str, float]]:
        """Returns the classes that are shown and their percentages."""
        rows = self.js(
            "return [...document.querySelectorAll('#bars li')].map(row =>"
            "[row.querySelector('.name').textContent, row.querySelector('.share').textContent])"
        )
        return [(name, float(share.strip("<>%"))) for name, share in rows]

    def seen(self) -> np.ndarray:
        """Returns the pixels that the page says the model saw: height × width × RGBA."""
        size, data = self.js(
            "const seen = document.querySelector('#seen');"
            "const {data} = seen.getContext('2d').getImageData(0, 0, seen.width, seen.height);"
            "return [[seen.height, seen.width], btoa(String.fromCharCode(...data))]"
        )
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(*size, 4)

    def draw(self, points: Sequence[tuple[int, int]], *, release: bool = True) -> None:
        """Draws with the mouse through points, counted from the sheet's centre."""
        canvas = self.find("#sheet canvas")
        moves = ActionChains(self.browser, duration=20)
        moves.move_to_element_with_offset(canvas, *points[0]).click_and_hold()
        for point in points[1:]:
            moves.move_to_element_with_offset(canvas, *point)
        (moves.release() if release else moves).perform()

    def ink(self) -> int:
        """Returns how many pixels of the sheet are drawn on."""
        return self.js(
            "const sheet = document.querySelector('#sheet canvas');"
            "const {data} = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height);"
            "return data.filter((value, i) => i % 4 === 0 && value > 127).length"
        )
