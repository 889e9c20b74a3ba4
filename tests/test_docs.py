"""What the documentation shows is true: commands parse or run, notebooks execute, links lead on."""

import ast
import functools
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image
from traitlets.config import Config

from flaxmill import cli, recipes
from flaxmill.data.sketches import Sketches
from flaxmill.options import training_arguments
from flaxmill.training import configure

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NOTEBOOKS = sorted(ROOT.glob("docs/*.ipynb"))
RECIPES = sorted([*ROOT.glob("flaxmill/recipes/[a-z]*.py"), *ROOT.glob("examples/*.py")])

RUN = "runs/fashion_mnist-quick-0"
OTHER = "runs/fashion_mnist-article-0"


def blocks(page: Path, language: str) -> list[str]:
    """Returns a page's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), flags=re.M | re.S)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yields each command shown in pages and in recipes' docstrings: where, and its words."""
    shown = [(page.name, block) for page in PAGES for block in blocks(page, "sh")]
    for file in RECIPES:
        docstring = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        shown.append((file.name, "\n".join(re.findall(r"^    (.*)", docstring, flags=re.M))))
    for where, text in shown:
        for line in text.splitlines():
            if words := shlex.split(line, comments=True):
                yield where, words


SHOWN = [(where, words) for where, words in commands() if words[0] == "flaxmill"]
MADE = [(where, words) for where, words in commands() if words[0] == "make"]


def named(shown: list[tuple[str, list[str]]]) -> Any:
    return pytest.mark.parametrize(
        ("words",), [pytest.param(w, id=f"{at}: {' '.join(w)}") for at, w in shown]
    )


def parse(name: str, arguments: list[str]) -> None:
    """Has the command line's own parser read arguments, without doing what they say."""

    @functools.wraps(cli.COMMANDS[name])
    def nothing(*_: Any, **__: Any) -> None:
        """Stands where the command stands, with its parameters."""

    cli._parse(nothing, name, arguments)  # exits with status 2, and says why, if it cannot


@named(SHOWN)
def test_commands_parse(words: list[str]) -> None:
    name, *arguments = words[1:]
    assert name in cli.COMMANDS
    if arguments[-2:-1] == ["<"]:  # the shell's, not the command's
        arguments = arguments[:-2]
    if name != "train":
        parse(name, arguments)
        return
    which, *options = arguments
    if which == "mine.py":  # as fork has just made it, in the documentation
        which = "fashion_mnist"
    recipe = recipes.load(str(ROOT / which) if which.endswith(".py") else which)
    preset = "quick"
    if "--preset" in options:
        at = options.index("--preset")
        preset = options[at + 1]
        del options[at : at + 2]
    if options == ["--help"]:
        return
    kind = training_arguments(recipe.module.Config)
    cli._parse(kind, name, options, default=kind(config=configure(recipe, preset, {})))


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert any(words[1] == name for _, words in SHOWN) or f"`flaxmill {name}`" in (
        ROOT / "README.md"
    ).read_text("utf-8")


@named(MADE)
def test_make_targets_exist(words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.M)
    assert words[1] in targets


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> Path:
    """A folder like the one that the documentation's reader stands in: runs and a picture."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        small = "--data sketches --validation 40 --batch-size 16 --channels 4 8 --hidden 16"
        status = cli._status("train", "fashion_mnist", *small.split(), "--no-report")
        assert status == 0
    shutil.copytree(folder / RUN, folder / OTHER)
    (folder / "examples").symlink_to(ROOT / "examples")
    Image.fromarray(Sketches(1)[0]["image"][..., 0]).resize((140, 140)).save(folder / "shoe.png")
    return folder


def quick(words: list[str]) -> bool:
    """Says whether a command that is shown can be run here: no network, no browser, no training."""
    name, *arguments = words[1:]
    if name in ("train", "fetch") or {"--open", "--recipe", "<"} & set(arguments):
        return False
    return name != "look" or arguments[0].startswith("runs/")  # a recipe's data is large


# Many pages show the same commands: each is run once.
QUICK = list({tuple(words): (where, words) for where, words in SHOWN if quick(words)}.values())


@named(QUICK)
def test_quick_commands_run(words: list[str], desk: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(desk)
    Path("mine.py").unlink(missing_ok=True)  # fork does not overwrite
    assert cli._status(*words[1:]) == 0
    assert capsys.readouterr().out.strip()


def test_looking_at_the_drawn_data_needs_nothing(python: str, tmp_path: Path) -> None:
    words = ["look", "fashion_mnist", "--data", "sketches"]
    assert ("look.md", ["flaxmill", *words]) in SHOWN
    command = [python, "-m", "flaxmill", *words]
    said = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "55,000 examples" in said
    assert (tmp_path / "fashion_mnist-data.png").stat().st_size > 10_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


def test_the_readme_runs_from_python(desk: Path, monkeypatch: Any) -> None:
    (block,), (korean,) = (blocks(ROOT / page, "python") for page in ("README.md", "README.ko.md"))
    assert ast.dump(ast.parse(block)) == ast.dump(ast.parse(korean))  # they differ in a comment
    small = 'data="sketches", validation=40, batch_size=16, channels=(4, 8), hidden=16, epochs=1'
    changed = block.replace('data="auto", epochs=3', small)
    assert changed != block
    monkeypatch.chdir(desk)
    found: dict[str, Any] = {}
    exec(compile(changed, "README.md", "exec"), found)
    assert (found["run"].path / "report.html").stat().st_size > 10_000
    assert (found["run"].path / "look.png").exists()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def read(notebook: Path) -> nbformat.NotebookNode:
    book = nbformat.read(notebook, as_version=4)
    assert isinstance(book, nbformat.NotebookNode)
    return book


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_notebooks_execute(notebook: Path, tmp_path: Path, monkeypatch: Any) -> None:
    book = read(notebook)
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

    english, korean = (ROOT / "docs" / name for name in ("tutorial.ipynb", "tutorial.ko.ipynb"))
    assert code(english) == code(korean)
