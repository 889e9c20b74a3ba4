"""The page is made of the signature: a model of colour pictures and few classes gets it too."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from places import Place, hosting
from selenium.webdriver import Chrome
from visiting import Visit

from flaxmill.export.web import write_web
from flaxmill.tasks.signature import Signature, Tensor

LABELS = ("red", "green", "blue")


def colour_model(size: tuple[int, int], end: str) -> onnx.ModelProto:
    """Returns a graph whose logits are the mean of each channel above 128, in steps of 25.

    Args:
        size: Height and width of its pictures.
        end: What makes probabilities of logits: Softmax or Sigmoid.
    """
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
            helper.make_node("Sub", ["mean", "middle"], ["above"]),
            helper.make_node("Div", ["above", "step"], ["logits"]),
            helper.make_node(end, ["logits"], ["probabilities"]),
        ],
        "colours",
        [tensor("image", TensorProto.UINT8, ["batch", *size, 3])],
        [tensor(name, TensorProto.FLOAT, ["batch", 3]) for name in ("logits", "probabilities")],
        [
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("middle", TensorProto.FLOAT, [], [128.0]),
            helper.make_tensor("step", TensorProto.FLOAT, [], [25.0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@contextlib.contextmanager
def colours(
    folder: Path, gives: str, size: tuple[int, int], end: str, **preprocess: str
) -> Iterator[str]:
    """Hosts the page of such a model; yields its address."""
    shape = (-1, 3)
    Signature(
        name="colours",
        takes="picture",
        gives=gives,
        inputs=(Tensor("image", "uint8", (-1, *size, 3)),),
        outputs=(Tensor("logits", "float32", shape), Tensor("probabilities", "float32", shape)),
        labels=LABELS,
        preprocess={"mode": "RGB", "resize": "bilinear", **preprocess},
    ).save(folder / "signature.json")
    onnx.save(colour_model(size, end), folder / "model.onnx")
    write_web(folder, folder / "site")
    with hosting(folder / "site") as url:
        yield url


@pytest.fixture
def one_colour(site: Place, tmp_path: Path) -> Iterator[str]:
    """A model that names one colour; ``site`` sees to it that the runtime is here."""
    with colours(tmp_path, "one_class", (32, 48), "Softmax") as url:
        yield url


@pytest.fixture
def any_colours(site: Place, tmp_path: Path) -> Iterator[str]:
    """A model that says of each colour whether it is there, in pictures as large as photographs."""
    with colours(tmp_path, "labels", (224, 224), "Sigmoid", fit="crop") as url:
        yield url


def test_a_model_of_several_labels_in_photographs(
    browser: Chrome, any_colours: str, tmp_path: Path
) -> None:
    page = Visit(browser, any_colours)
    page.open(ready="document.querySelector('#knows').textContent")
    said = "For each of these labels, it says whether it holds: red, green, and blue."
    assert page.text("#knows") == said
    Image.new("RGB", (90, 60), (200, 60, 240)).save(tmp_path / "purple.png")
    Image.new("RGB", (90, 60), (20, 60, 100)).save(tmp_path / "dark.png")
    page.give(tmp_path / "purple.png")
    assert page.text("#top") == "blue and red"  # and no probability, for each has its own
    assert [name for name, _ in page.bars()] == ["blue", "red", "green"]
    assert sum(share for _, share in page.bars()) > 150
    assert not page.find("#unsure").is_displayed()
    assert (
        page.js("return getComputedStyle(document.querySelector('#seen')).imageRendering") == "auto"
    )
    assert page.text("#said") == "Above one half: blue and red."
    page.give(tmp_path / "dark.png")
    assert page.text("#top") == "none of the labels"
    assert page.js("return document.querySelector('#seen').width") == 224
    page.click("#why")
    page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")
    assert "stays as likely" in page.text("#why-words")
    page.check()


def test_a_model_of_colours(browser: Chrome, one_colour: str, tmp_path: Path) -> None:
    page = Visit(browser, one_colour)
    page.open(ready="document.querySelector('#knows').textContent")
    assert page.text("#knows").startswith("It knows red, green, and blue,")
    assert not page.find("#examples").is_displayed()  # it came with none
    Image.new("RGB", (90, 60), (30, 60, 200)).save(tmp_path / "sea.png")
    page.give(tmp_path / "sea.png")
    assert page.text("#top .name") == "blue"
    assert [name for name, _ in page.bars()] == ["blue", "green", "red"]
    assert page.text("#seen-words") == "What the model saw: 48 × 32 pixels"
    assert page.seen().shape == (32, 48, 4)
    assert tuple(page.seen()[16, 24]) == (30, 60, 200, 255)
    page.click("#why")
    page.until("document.querySelector('#why-words').getAttribute('aria-busy') === 'false'")
    assert "stays as likely" in page.text("#why-words")  # it is blue all over

    page.click("#tab-draw")
    assert "dark on light" in str(page.find("#sheet").get_attribute("data-hint"))
    page.js("document.querySelector('#colour input').value = '#c01010'")
    page.draw([(-100, -100), (100, -100), (100, 100), (-100, 100), (-100, -100)])
    page.until("document.querySelector('#said').textContent.startsWith('red')")
    assert page.find("#colour").is_displayed()
    page.check()
