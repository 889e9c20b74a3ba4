"""Commands and options that flaxmill prints are ones that it takes: read out of its own text."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import named_options, options

from flaxmill.commands import cli

PACKAGE = Path(cli.__file__).parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted([*PACKAGE.parent.glob("README*.md"), *PACKAGE.parent.glob("docs/*.md")])
# Of programs that pages speak of too.
OF_OTHERS = {"--directory", "--http-port", "--model-dir", "--signal"}
OF_FORKS = ("models", "augment")  # folders of functions whose arguments a recipe has as fields
EVERY = set().union(*map(options, cli.COMMANDS)) | {"--version"}


def docstrings(tree: ast.Module) -> set[int]:
    """Returns what stands alone as a statement: words for whoever reads the code."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def messages(file: Path) -> Iterator[tuple[int, str]]:
    """Yields the texts of a file that a person may be shown, with their lines."""
    tree = ast.parse(file.read_text("utf-8"))
    silent = docstrings(tree)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in silent
        ):
            yield node.lineno, node.value


def shown(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the words of each command that a file has typed; X stands for what is known later."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "command_line"
            and node.args
        ):
            (text,) = node.args
            parts = text.values if isinstance(text, ast.JoinedStr) else [text]
            said = [str(p.value) if isinstance(p, ast.Constant) else "X" for p in parts]
            yield node.lineno, "".join(said).split()


def test_every_command_that_is_shown_exists() -> None:
    found = [(file, *each) for file in FILES for each in shown(file)]
    assert len(found) > 20
    for file, line, (name, *rest) in found:
        assert name in {*cli.COMMANDS, "X", "COMMAND"}, f"{file}:{line}: {name}"
        known = EVERY if name not in cli.COMMANDS else options(name)
        unknown = {word for word in rest if word.startswith("--")} - known
        assert not unknown, f"{file}:{line}: {name} has no {unknown}"


def test_no_command_is_shown_but_as_it_is_typed_here() -> None:
    command = re.compile(rf"\bflaxmill ({'|'.join(cli.COMMANDS)})\b|pip install flaxmill")
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {text[:60]!r} is to be command_line(…)"
        for file in FILES
        for line, text in messages(file)
        if command.search(text)
    ]
    assert not found


def test_every_option_that_a_message_names_exists() -> None:
    for file in FILES:
        for line, text in messages(file):
            if file.parent.name in OF_FORKS:
                continue
            unknown = set(named_options(text)) - EVERY
            assert not unknown, f"{file}:{line}: no command has {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    named = named_options(page.read_text("utf-8"))
    assert set(named) <= EVERY | OF_OTHERS


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_that_help_names_exists(name: str) -> None:
    assert set(named_options(cli.COMMANDS[name].__doc__ or "")) <= EVERY


@pytest.mark.parametrize("name", sorted(set(cli.COMMANDS) - {"train", "lr-find"}))
def test_help_says_what_an_option_does_and_not_what_it_stops(name: str) -> None:
    """An option without a value is off unless it is typed, so its help is about typing it."""
    for one in inspect.signature(cli.COMMANDS[name]).parameters.values():
        assert one.default is not True, (
            f"{name}: --no-{one.name} would show the help of its opposite"
        )
