"""What the page shows of an answer: what mattered, and the results so far."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from visiting import Visit

from flaxmill.tasks.inputs.picture import preprocess
from flaxmill.trained.exported import Exported

DONE = "document.querySelector('#why-words').getAttribute('aria-busy') === 'false'"


def heat(page: Visit) -> np.ndarray:
    """Returns the overlay's opacity: height × width, 0 to 255."""
    values = page.js(
        "const heat = document.querySelector('#heat');"
        "const {data} = heat.getContext('2d').getImageData(0, 0, heat.width, heat.height);"
        "return [...data].filter((_, i) => i % 4 === 3)"
    )
    return np.array(values).reshape(28, 28)


def occlusion(model: Exported, seen: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns mean drops in probability for each pixel, and the largest by a patch at the peak."""
    top = int(model.outputs(seen[None])["probabilities"].argmax())
    border = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
    places, covered = [], []
    for row in range(1, 28, 2):
        for column in range(1, 28, 2):
            # As JavaScript rounds: centre - 3.5 upwards.
            rows, columns = (slice(max(0, c - 3), min(28, c + 4)) for c in (row, column))
            places.append((rows, columns))
            picture = seen.copy()
            picture[rows, columns] = int(np.median(border))
            covered.append(picture)
    asked = np.stack([seen, *covered])
    before, *after = model.outputs(asked)["probabilities"][:, top]
    sums, counts, largest = np.zeros((28, 28)), np.zeros((28, 28)), np.full((28, 28), -1.0)
    for place, probability in zip(places, after, strict=True):
        sums[place] += before - probability
        counts[place] += 1
        largest[place] = np.maximum(largest[place], before - probability)
    drops = sums / counts
    return drops, float(largest.flat[drops.argmax()])


def test_what_mattered(page: Visit, exported: Path) -> None:
    page.click("#examples li:nth-child(2) button")
    page.until("!document.querySelector('#answer').hidden")
    page.click("#why")
    page.until(DONE)
    model = Exported(exported, engine="onnx")
    seen = preprocess(exported / "examples" / "01-trouser.png", model.signature)
    drops, most = occlusion(model, seen)
    assert most > 0.1, "a model that cares for no part tests nothing"
    expected = 215 * (np.clip(drops, 0, None) / drops.max()) ** 0.8
    np.testing.assert_allclose(heat(page), expected, atol=2)
    label, share = page.bars()[0]
    words = page.text("#why-words")
    row, column = np.unravel_index(drops.argmax(), drops.shape)
    names = ("upper left", "top", "upper right"), ("left", "centre", "right")
    names = (*names, ("lower left", "bottom", "lower right"))
    place = names[int((row + 0.5) * 3 / 28)][int((column + 0.5) * 3 / 28)]
    assert words.startswith(f"{label} rests most on the {place}: ")
    assert f"goes from {share:.0f}% to {share - 100 * most:.0f}%." in words
    page.click("#why")
    assert not page.find("#heat").is_displayed()
    assert page.text("#why") == "Show what mattered"


def test_what_mattered_takes_few_requests(served_page: Visit) -> None:
    page = served_page
    page.click("#examples li:nth-child(1) button")
    page.until("!document.querySelector('#answer').hidden")
    page.browser.get_log("performance")
    page.click("#why")
    page.until(DONE)
    events = [
        json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")
    ]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url.rpartition("/")[2] for url in asked] == ["infer"] * 4  # 197 pictures, 64 at a time


def test_nothing_matters_in_an_empty_picture(served_page: Visit, tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "black.png")
    served_page.give(tmp_path / "black.png")
    served_page.click("#why")
    served_page.until(DONE)
    assert "stays as likely whatever is covered" in served_page.text("#why-words")
    assert not served_page.find("#heat").is_displayed()


def test_results_so_far(page: Visit) -> None:
    for place in (1, 9):
        page.click(f"#examples li:nth-child({place}) button")
        page.until(f"document.querySelectorAll('#history li').length === {1 + (place == 9)}")
    page.until("document.querySelector('#result').getAttribute('aria-busy') === 'false'")
    bag = page.bars()
    page.click("#history li:nth-child(2) button")
    assert page.bars() != bag
    assert page.js("return document.activeElement.id") == "result"
    page.click("#history li:nth-child(1) button")
    assert page.bars() == bag
    page.click("#history .row button")
    assert not page.find("#history").is_displayed()
