"""The static export needs its own host once, and no other ever."""

from pathlib import Path

from PIL import Image
from visiting import Visit


def test_offline_once_it_is_loaded(site_page: Visit, tmp_path: Path) -> None:
    page = site_page
    Image.new("RGB", (50, 40), "navy").save(tmp_path / "mine.png")
    nothing = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", nothing)
    try:
        page.click("#examples li:nth-child(10) button")
        page.until("!document.querySelector('#answer').hidden")
        page.click("#why")
        page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")
        page.give(tmp_path / "mine.png")
        assert page.results() == 2
    finally:
        anything = {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": -1,
        }
        page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", anything)


def test_it_says_that_pictures_stay(site_page: Visit) -> None:
    assert "pictures do not leave this device" in site_page.text("#privacy")


def test_the_page_may_call_no_other_host(page: Visit) -> None:
    page.expected.append("Content Security Policy")
    refused = page.js(
        "return new Promise((resolve) => {"
        "document.addEventListener("
        "'securitypolicyviolation', (event) => resolve(event.effectiveDirective));"
        "fetch('http://127.0.0.1:9/').catch(() => {}); })"
    )
    assert refused == "connect-src"


def test_nothing_is_written_into_the_page(page: Visit) -> None:
    """Inline scripts and styles would need a policy that lets an attacker's in."""
    inline = "document.querySelectorAll('style, [style], script:not([src]), [onclick]')"
    assert page.js(f"return [...{inline}].map((element) => element.outerHTML)") == []
