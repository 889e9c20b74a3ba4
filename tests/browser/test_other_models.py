"""The page is made of the signature: a model of colour pictures and few classes gets it too."""

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
from flaxmill.signature import Signature, Tensor

LABELS = ("red", "green", "blue")


def colour_model() -> onnx.ModelProto:
    """Returns a graph whose logits are the mean of each channel, in steps of 25."""
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["real", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "step"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ],
        "colours",
        [tensor("image", TensorProto.UINT8, ["batch", 32, 48, 3])],
        [tensor(name, TensorProto.FLOAT, ["batch", 3]) for name in ("logits", "probabilities")],
        [
            helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
            helper.make_tensor("step", TensorProto.FLOAT, [], [25.0]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def colours(site: Place, tmp_path: Path) -> Iterator[Place]:
    """The page of that model; ``site`` sees to it that the runtime is here."""
    shape = (-1, 3)
    Signature(
        name="colours",
        task="image-classification",
        inputs=(Tensor("image", "uint8", (-1, 32, 48, 3)),),
        outputs=(Tensor("logits", "float32", shape), Tensor("probabilities", "float32", shape)),
        labels=LABELS,
        preprocess={"mode": "RGB", "resize": "bilinear"},
    ).save(tmp_path / "signature.json")
    onnx.save(colour_model(), tmp_path / "model.onnx")
    write_web(tmp_path, tmp_path / "site")
    with hosting(tmp_path / "site") as url:
        yield Place(url)


def test_a_model_of_colours(browser: Chrome, colours: Place, tmp_path: Path) -> None:
    page = Visit(browser, colours.url)
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
