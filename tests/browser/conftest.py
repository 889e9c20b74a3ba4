"""One browser for all tests here, a small model, and the two places that its page lives at."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_runs
from places import Place, hosting, serving
from selenium import webdriver
from visiting import Visit

from flaxmill.data.known import real_or_drawn
from flaxmill.errors import BadInput
from flaxmill.export.web import check_installed, write_web

BROWSERS = "chromium", "chromium-browser", "google-chrome"


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium with a camera that films a test picture."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    driver = shutil.which("chromedriver")
    if not found or not driver:
        pytest.skip("needs Chromium and its driver: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for flag in (
        "headless=new",
        "lang=en",
        "force-prefers-reduced-motion",
        "use-fake-device-for-media-stream",
        "use-fake-ui-for-media-stream",
        "disable-dev-shm-usage",  # containers have little of it
        *(["no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's cannot be had as root
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a small model of drawn garments."""
    run = tmp_path_factory.mktemp("browser") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real_or_drawn, "TRAIN", small_runs.TRAIN)
        patch.setattr(real_or_drawn, "TEST", small_runs.TEST)
        real_or_drawn._drawn.cache_clear()
        small_runs.train("fashion_mnist", run, epochs=30, channels=(8, 16), hidden=32)
    real_or_drawn._drawn.cache_clear()
    command = small_runs.command("export", str(run), "--format", "onnx")
    subprocess.run(command, check=True, capture_output=True)
    return run / "export"


@pytest.fixture(scope="session")
def served(exported: Path) -> Iterator[Place]:
    """The page as ``flaxmill serve`` shows it."""
    with serving(exported) as url:
        yield Place(url)


@pytest.fixture(scope="session")
def site(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The page as a static host shows it, under a path of its own."""
    try:
        check_installed()
    except BadInput as missing:
        pytest.skip(str(missing))
    root = tmp_path_factory.mktemp("site")
    write_web(exported, root / "a" / "path")
    with hosting(root) as url:
        yield Place(f"{url}a/path/", root / "a" / "path")


@pytest.fixture(params=["served", "site"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each place in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def page(browser: webdriver.Chrome, place: Place) -> Iterator[Visit]:
    """The page, freshly opened at each place; it must not err or call another host."""
    with visiting(browser, place) as visit:
        yield visit


@pytest.fixture
def served_page(browser: webdriver.Chrome, served: Place) -> Iterator[Visit]:
    """The same, of the server alone."""
    with visiting(browser, served) as visit:
        yield visit


@pytest.fixture
def site_page(browser: webdriver.Chrome, site: Place) -> Iterator[Visit]:
    """The same, of the static host alone."""
    with visiting(browser, site) as visit:
        yield visit


@contextlib.contextmanager
def visiting(browser: webdriver.Chrome, place: Place) -> Iterator[Visit]:
    """Opens a place as a first-time visitor, and looks afterwards at what the page did."""
    visit = Visit(browser, place.url)
    visit.open()
    yield visit
    visit.check()
