"""The tutorial's notebooks run, in both languages alike."""

import ast
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

DOCS = Path(__file__).parents[2] / "docs"


def read(notebook: Path) -> nbformat.NotebookNode:
    book = nbformat.read(notebook, as_version=4)
    assert isinstance(book, nbformat.NotebookNode)
    return book


def test_the_notebook_executes(tmp_path: Path, monkeypatch: Any) -> None:
    """In one language: the code of the other is the same."""
    book = read(DOCS / "tutorial.ipynb")
    first = next(cell for cell in book.cells if cell.cell_type == "code")
    small = first.source.replace('DATA = "auto"', 'DATA = "sketches"')
    small = small.replace("EPOCHS = 10.0", "EPOCHS = 0.02")  # 38 steps
    assert small.count("sketches") == small.count("0.02") == 1
    first.source = small
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XLA_FLAGS", "")  # the kernel is a process of its own, as its reader's is
    ways = Config(KernelManager={"transport": "ipc"})  # works without a network, even loopback
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=300, resources=place, config=ways).execute()
    pictures = [
        output
        for cell in book.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2  # the sheet of the data, and that of the predictions
    assert list(tmp_path.glob("runs/*/report.html"))


def test_notebooks_hold_the_same_code_and_no_output() -> None:
    def code(notebook: Path) -> list[str]:
        cells = read(notebook).cells
        assert not any(cell.get("outputs") for cell in cells)
        return [ast.unparse(ast.parse(c.source)) for c in cells if c.cell_type == "code"]

    english, korean = (DOCS / name for name in ("tutorial.ipynb", "tutorial.ko.ipynb"))
    assert code(english) == code(korean)
