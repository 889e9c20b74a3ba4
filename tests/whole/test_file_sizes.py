"""Files and functions are of a size that a person takes in."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("flaxmill", "tests", "examples", "benchmarks")
FILE, FUNCTION = 350, 60
"""Lines, those of docstrings and comments too."""


def sources() -> Iterator[tuple[str, str]]:
    """Yields the name and text of each file of Python."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def test_files_are_not_too_long() -> None:
    lengths = {name: text.count("\n") for name, text in sources()}
    assert len(lengths) > 400  # they are found
    assert not {name: lines for name, lines in lengths.items() if lines > FILE}


def test_functions_are_not_too_long() -> None:
    functions = [
        (f"{name}, {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for name, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 4000
    assert not [(name, lines) for name, lines in functions if lines > FUNCTION]
