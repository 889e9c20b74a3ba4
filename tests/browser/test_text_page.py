"""Texts on the page: cut as in Python, answered as one types, wherever the page lives."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
from places import hosting, serving
from selenium.webdriver import Chrome
from visiting import Visit

from flaxmill.data.known import texts
from flaxmill.data.text.tokens import encode
from flaxmill.data.text.vocabulary import build_vocabulary
from flaxmill.errors import BadInput
from flaxmill.export import export
from flaxmill.export.web import check_installed
from flaxmill.tasks.inputs.text import display
from flaxmill.trained.exported import Exported

ALPHABETS = [
    "  A fine   FILM, isn't it?\tNo!\u3000",
    "ÅNGSTRÖM e\u0301t\u00e9 İstanbul ΣΊΣΥΦΟΣ ﬁn \u2028 naïve—so “quoted”",
    "한국어 문장입니다. \u1112\u1161\u11ab 글",
    "日本語、の文。ｆｕｌｌ　ｗｉｄｔｈ！ 👩‍👩‍👧 🎉🎉",
    "don’t stop-me now… 50% of €3.50 = ½?",
    "what is \ufeff\u200b nothing",
    "",
]
ENCODE = """
const [texts, description] = arguments;
return import("./page/inputs/text/tokens.js").then(({ encode, pieces }) => texts.map((text) => {
  const tokens = encode(text, description);
  return [[...tokens], pieces(tokens, description).join("")];
}));"""
READY = "document.querySelectorAll('#examples li').length === 3"


@pytest.fixture(scope="module")
def exported_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a small model of made-up sentences, with a site."""
    try:
        check_installed()
    except BadInput as missing:
        pytest.skip(str(missing))
    run = tmp_path_factory.mktemp("texts") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "TRAIN", small_runs.TRAIN)
        patch.setattr(texts, "TEST", small_runs.TEST)
        trained = small_runs.train("text_classification", run, epochs=8.0)
        return export(trained, formats=["onnx", "web"]).path


@pytest.fixture(scope="module", params=["served", "hosted"])
def url(request: pytest.FixtureRequest, exported_texts: Path) -> Iterator[str]:
    """Each place in turn."""
    way = serving if request.param == "served" else hosting
    with way(exported_texts if request.param == "served" else exported_texts / "web") as url:
        yield url


@pytest.fixture
def page(browser: Chrome, url: str) -> Iterator[Visit]:
    visit = Visit(browser, url)
    visit.open(ready=READY)
    yield visit
    visit.check()


def test_an_answer_follows_the_hand_and_is_the_model_s(page: Visit, exported_texts: Path) -> None:
    text = "the concert was anything but lovely"
    page.find("#text").send_keys(text)
    model = Exported(exported_texts, engine="onnx")
    (said,) = model.predict(text, top=3)
    likely = [one["label"] for one in said["predictions"]]
    known = model.signature.preprocess
    back = display.text_of(np.array(encode(text, known)), known)  # a small model knows few words
    page.until(f"document.querySelector('#top')?.textContent.startsWith({json.dumps(likely[0])})")
    page.until(
        f"[...document.querySelectorAll('#seen span')].map((s) => s.textContent).join('') === "
        f"{json.dumps(back)}"
    )
    shares = dict(page.bars())
    for one in said["predictions"]:
        assert shares[one["label"]] == pytest.approx(100 * one["probability"], abs=0.06)
    assert len(page.js("return [...document.querySelectorAll('#history li')]")) == 1
    page.click("#why")
    page.until("document.querySelector('#why-words').ariaBusy !== 'true'")
    assert page.text("#why-words")
    page.click("#clear")
    page.until("document.querySelector('#answer').hidden")


def test_an_example_is_a_text_of_the_test_set(page: Visit, exported_texts: Path) -> None:
    first = sorted((exported_texts / "examples").iterdir())[0]
    page.click("#examples button")
    page.until("!document.querySelector('#answer').hidden")
    assert page.js("return document.querySelector('#text').value") == first.read_text()
    page.window(320, 740, phone=True)
    assert page.wide() <= 320
    page.click("#language")
    page.click("#language option[value=ko]")
    page.until("document.querySelector('h1').textContent === '모델에게 글을 보여 주세요'")


@pytest.mark.parametrize("kind", ["words", "characters", "bpe"])
@pytest.mark.parametrize("lower", [True, False])
def test_texts_are_cut_as_in_python(page: Visit, kind: str, lower: bool) -> None:
    how = {"lower": lower, "most": 200, "least": 1, "longest": 30}
    known: dict[str, Any] = dict(
        build_vocabulary(ALPHABETS[:4], "words" if kind == "bpe" else kind, **how)
    )
    if kind == "bpe":
        merges = ["Ġ f", "f i", "i n", "l m", "Ġ a", "ê µ", "ŀ Ģ"]
        letters = [merge.replace(" ", "") for merge in merges]
        singles = sorted({*"abcdefgilmnostuv.,!Ġêµ"})
        known |= {"kind": "bpe", "merges": merges, "vocabulary": ["<p>", "<u>", *letters, *singles]}
    found = page.js(ENCODE, ALPHABETS, known)
    for text, (tokens, back) in zip(ALPHABETS, found, strict=True):
        assert tokens == encode(text, known), text
        if kind != "bpe":  # a letter that is cut off in its bytes is shown in another way
            assert back.strip() == display.text_of(np.array(encode(text, known)), known)
