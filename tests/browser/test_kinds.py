"""The page knows no kind of data: it finds the parts of one by its name, or says that it cannot."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from places import Place, hosting, serving
from selenium.webdriver import Chrome
from visiting import Visit

from flaxmill.export.web import write_web
from flaxmill.tasks.signature import Signature, Tensor

WORDS = Path(__file__).parent / "words"
NO_PANEL = "!document.querySelector('#no-panel').hidden"


def rewrite(path: Path, **changes: Any) -> None:
    """Changes entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), encoding="utf-8")


@contextlib.contextmanager
def served_without(exported: Path, folder: Path) -> Iterator[str]:
    """Serves the small model as one of arrays; yields the page's address."""
    shutil.copytree(exported, folder / "export")
    file = folder / "export" / "signature.json"
    rewrite(file, takes="tensors", gives="tensors", preprocess={})
    with serving(folder / "export") as url:
        yield url


@contextlib.contextmanager
def hosted_without(site: Place, folder: Path) -> Iterator[str]:
    """Hosts a site whose model takes what nobody has written parts for; yields its address."""
    shutil.copytree(site.root, folder / "site")
    rewrite(folder / "site" / "signature.json", takes="smells")
    with hosting(folder / "site") as url:
        yield url


@pytest.fixture(params=["served", "hosted"])
def without_panel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str, str]]:
    """A page of a model that it has no place for; yields its address, and what goes in and out."""
    if request.param == "served":
        with served_without(request.getfixturevalue("exported"), tmp_path) as url:
            yield url, "tensors", "tensors"
    else:
        with hosted_without(request.getfixturevalue("site"), tmp_path) as url:
            yield url, "smells", "one_class"


def test_a_model_that_the_page_has_no_place_for(
    browser: Chrome, without_panel: tuple[str, str, str]
) -> None:
    url, takes, gives = without_panel
    page = Visit(browser, url)
    page.open(ready=NO_PANEL)
    said = page.text("#no-panel")
    assert f"takes {takes} and gives {gives}, and the page has no place to try that" in said
    described = page.js(
        "return fetch(arguments[0].href).then((r) => r.json())", page.find("main a")
    )
    assert (described["takes"], described["gives"]) == (takes, gives)
    assert page.text("h1") == "Ask the model"
    assert page.text("#model").startswith("fashion_mnist, version 1")
    assert not page.find("#desk").is_displayed()
    assert not page.find("#problem").is_displayed()
    page.click("#language")
    page.click("#language option[value=ko]")
    page.until("document.querySelector('h1').textContent === '모델에게 물어보세요'")
    assert f"{takes} 형식을 받아" in page.text("#no-panel")
    page.window(320, 740, phone=True)
    assert page.wide() <= 320
    page.check()


def lengths() -> onnx.ModelProto:
    """Returns a graph that is surer of "long" with each word of more than four letters."""
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Greater", ["lengths", "four"], ["is_long"]),
            helper.make_node("Cast", ["is_long"], ["ones"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["ones", "axes"], ["count"]),
            helper.make_node("Sub", ["count", "half"], ["long"]),
            helper.make_node("Neg", ["long"], ["short"]),
            helper.make_node("Concat", ["short", "long"], ["logits"], axis=1),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "lengths",
        [tensor("lengths", TensorProto.INT32, ["batch", "time"])],
        [tensor(name, TensorProto.FLOAT, ["batch", 2]) for name in ("logits", "probabilities")],
        [
            helper.make_tensor("four", TensorProto.INT32, [], [4]),
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
            helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def of_words(site: Place, tmp_path: Path) -> Iterator[str]:
    """The page of a model of words, whose parts lie in tests/browser/words; yields its address."""
    shape = (-1, 2)
    Signature(
        name="lengths",
        takes="picture",
        gives="one_class",
        inputs=(Tensor("lengths", "int32", (-1, "time")),),
        outputs=(Tensor("logits", "float32", shape), Tensor("probabilities", "float32", shape)),
        labels=("short", "long"),
    ).save(tmp_path / "signature.json")
    onnx.save(lengths(), tmp_path / "model.onnx")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "01-long.txt").write_text("several lengthy words")
    root = tmp_path / "site"
    write_web(tmp_path, root)
    rewrite(root / "signature.json", takes="words")  # Python knows no such kind
    rewrite(root / "page" / "kinds.json", inputs=["words"])
    shutil.rmtree(root / "page" / "inputs")
    shutil.copytree(WORDS, root / "page" / "inputs" / "words")
    with hosting(root) as url:
        yield url


def test_another_kind_is_other_files(browser: Chrome, of_words: str) -> None:
    """They are found by the kind's name, and words are told as pictures are: with the same bars."""
    page = Visit(browser, of_words)
    page.open(ready="document.querySelectorAll('#examples li').length === 1")
    assert page.text("h1") == "Write the model a line"
    assert page.text("#examples li") == "several lengthy words\nlong"
    field = page.find("#text")
    field.send_keys("a fig")
    page.until("document.querySelector('#top').textContent.startsWith('short')")  # while one types
    field.send_keys(" telephone")
    page.until("document.querySelector('#top').textContent.startsWith('long')")
    assert page.bars() == [("long", 73.1), ("short", 26.9)]
    assert page.results() == 1  # one line that goes on
    assert page.text("#history li").split("\n") == ["a fig telephone", "long", "73%"]
    page.click("#why")
    page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")
    assert page.text("#why-words") == "long by “telephone”: from 73% to 27%."
    assert page.text("#tokens mark") == "telephone"
    field.clear()
    field.send_keys(" ")
    page.until("document.querySelector('#answer').hidden")
    page.click("#examples li button")
    page.until("document.querySelectorAll('#history li').length === 2")
    assert field.get_attribute("value") == "several lengthy words"
    page.click("#history li:nth-child(2) button")
    assert field.get_attribute("value") == "a fig telephone"
    page.check()
