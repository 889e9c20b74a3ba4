"""The folder for static hosts: what it holds, and what is missing is said."""

import json
from pathlib import Path

import pytest

from flaxmill.errors import BadInput
from flaxmill.export.web import RUNTIME, check_installed, write_web
from flaxmill.machine import files


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder with files of the runtime's names."""
    for name in RUNTIME:
        files.write_atomic(tmp_path / "runtime" / name, f"content of {name}")
    return tmp_path / "runtime"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An export directory, as far as the page needs one."""
    folder = tmp_path / "export"
    signature = {"name": "any", "takes": "picture", "gives": "one_class"}
    files.write_json(folder / "signature.json", signature)
    files.write_atomic(folder / "model.onnx", b"a graph")
    for name in ("01-b.png", "00-a.png"):
        files.write_atomic(folder / "examples" / name, name)
    return folder


def test_the_folder_holds_all_it_needs(exported: Path, runtime: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    write_web(exported, site, runtime=runtime)
    page = (site / "index.html").read_text("utf-8")
    assert 'data-model="browser"' in page
    assert "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" in page
    assert (site / "model.onnx").read_bytes() == b"a graph"
    assert (site / "runtime" / "ort.js").read_text() == "content of ort.wasm.bundle.min.mjs"
    assert "Copyright (c) Microsoft" in (site / "runtime" / "LICENSE.txt").read_text()
    assert json.loads((site / "examples.json").read_text()) == ["00-a.png", "01-b.png"]
    assert (site / "examples" / "00-a.png").read_text() == "00-a.png"
    assert {"main.js", "model-browser.js", "page.css", "strings.ko.js", "kinds.json"} <= {
        path.name for path in (site / "page").iterdir()
    }
    assert {"field.js", "field.html", "field.css", "prepare.js"} <= {
        path.name for path in (site / "page" / "inputs" / "picture").iterdir()
    }
    assert (site / "page" / "answers" / "one_class.js").is_file()
    assert not (site / "page" / "answers" / "labels.js").exists()  # no other model's
    assert json.loads((site / "page" / "kinds.json").read_text()) == {
        "inputs": ["picture"],
        "answers": ["one_class"],
    }
    write_web(exported, site, runtime=runtime)  # again, into the same place
    assert (site / "index.html").read_text("utf-8") == page


def test_a_missing_runtime_is_named_and_how_to_get_it(tmp_path: Path, runtime: Path) -> None:
    with pytest.raises(BadInput, match=r"lacks ort\.wasm.*ort-wasm.*'make web'.*needs npm"):
        check_installed(tmp_path / "nowhere")
    (runtime / "ort-wasm-simd-threaded.wasm").unlink()
    with pytest.raises(BadInput, match=r"runtime lacks ort-wasm-simd-threaded\.wasm: run"):
        check_installed(runtime)


def test_what_cannot_be_shown_is_refused(exported: Path, runtime: Path, tmp_path: Path) -> None:
    for takes, gives, lacks in (
        ("picture", "tensors", "tensors"),
        ("tensors", "one_class", "tensors"),
        ("smells", "one_class", "smells"),
    ):
        signature = {"name": "any", "takes": takes, "gives": gives}
        files.write_json(exported / "signature.json", signature)
        words = f"nothing for {lacks}, and any takes {takes} and gives {gives}"
        with pytest.raises(BadInput, match=words):
            write_web(exported, tmp_path / "site", runtime=runtime)
    (exported / "model.onnx").unlink()
    with pytest.raises(BadInput, match=r"export lacks model\.onnx.*export onnx as well"):
        write_web(exported, tmp_path / "site", runtime=runtime)
    assert not (tmp_path / "site").exists()
