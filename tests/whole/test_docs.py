"""What the documentation shows is true: commands run, links lead on."""

import ast
import functools
import gzip
import io
import re
import shlex
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import small_runs
from PIL import Image

from flaxmill import recipes
from flaxmill.commands import cli, lr_find
from flaxmill.commands.request import configure
from flaxmill.data.known import real_or_drawn
from flaxmill.data.sketches import Sketches
from flaxmill.errors import BadInput
from flaxmill.export import parity, web
from flaxmill.trained.exported import Exported
from flaxmill.training.options import training_arguments

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
RECIPES = sorted([*ROOT.glob("flaxmill/recipes/[a-z]*.py"), *ROOT.glob("examples/*.py")])

RUN = "runs/fashion_mnist-quick-0"
OTHER = "runs/fashion_mnist-article-0"
FORK = "runs/mine-quick-0"

# What every recipe shown here understands; the rest of the smallness is the fixture's.
SMALL = {"data": "sketches", "validation": 40, "batch_size": 16, "epochs": 0.5}
NARROW = {"channels": (4, 8), "hidden": 16}
SMALLER = {
    name: {**small_runs.SMALL[name], "epochs": 0.5}
    for name in ("mnist", "cifar10", "images", "imagenet", "text_classification")
}
SMALLER["text_classification"]["sizes"] = 1  # each is compiled
SMALLER["fashion_mnist"] = SMALL | NARROW  # as wide as the desk's run
ON_FOLDERS = ("images", "imagenet")  # of pictures, which lie on the desk as their pages say
for name in ON_FOLDERS:
    del SMALLER[name]["data"], SMALLER[name]["validation"]
WHOLE = real_or_drawn.TRAIN, real_or_drawn.TEST  # before the fixture changes them


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
    if name not in ("train", "lr-find"):
        parse(name, arguments)
        return
    which, *options = arguments
    if which == "mine.py":  # as fork has just made it, in the documentation
        which = "fashion_mnist"
    recipe = recipes.load(str(ROOT / which) if which.endswith(".py") else which)
    preset = recipe.default_preset
    if "--preset" in options:
        at = options.index("--preset")
        preset = options[at + 1]
        del options[at : at + 2]
    if options == ["--help"]:
        return
    take = training_arguments if name == "train" else lr_find.arguments
    kind = take(recipe.module.Config)
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
        small = small_runs.flags(SMALL | NARROW)
        small_runs.fork(folder / "mine.py")
        for recipe in ("fashion_mnist", "mine.py"):
            assert cli._status("train", recipe, *small, "--no-report") == 0
        assert cli._status("export", RUN) == 0
    (folder / "moved").mkdir()
    (folder / "mine.py").rename(folder / "moved" / "mine.py")
    shutil.copytree(folder / RUN, folder / OTHER)
    (folder / "examples").symlink_to(ROOT / "examples")
    picture = Image.fromarray(Sketches(1)[0]["image"][..., 0]).resize((140, 140))
    for place in ("photos", "scenes", "data/imagenet"):  # many more would be copied than are needed
        shutil.copytree(small_runs.photos(), folder / place)
    names = [path.relative_to(folder / "scenes") for path in folder.glob("scenes/train/*/*.png")]
    listed = [f"{name},{name.parent.name}|{name.stem[0]}" for name in names]
    (folder / "scenes" / "labels.csv").write_text("\n".join(["path,labels", *listed]) + "\n")
    shutil.copy(folder / "photos" / names[0], folder / "new.jpg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli._status("train", "images", *small_runs.flags(SMALLER["images"])) == 0
        texts = small_runs.flags(SMALLER["text_classification"])
        assert cli._status("train", "text_classification", *texts, "--no-report") == 0
    (folder / "my_pictures").mkdir()
    for name in ("shoe.png", "my_pictures/신발 1.png"):
        picture.save(folder / name)
    return folder


def bare(words: list[str]) -> list[str]:
    """Returns a command without the choice of its data."""
    if "--data" not in words or words[2] in ON_FOLDERS:
        return words
    at = words.index("--data")
    return words[:at] + words[at + 2 :]


# Many pages show the same commands: each is run once.
ONCE = list({tuple(words): (where, words) for where, words in SHOWN}.values())
TRAINING = [(where, words) for where, words in ONCE if words[1] == "train"]
# The real pictures may not be here: all these train on drawn ones, and are the same without it.
TRAINED = [
    (where, list(words))
    for words, where in {tuple(bare(words)): where for where, words in TRAINING}.items()
    if not words[2].startswith("examples/")
    or "--preset" in words  # test_examples trains the others
]
LOOKING = [
    (where, words)
    for where, words in ONCE
    if words[1] == "look" and recipes.is_recipe(words[2]) and words[2] not in ON_FOLDERS
]
NETWORK = [(where, words) for where, words in ONCE if words[1] == "fetch"]
SERVING = [(where, words) for where, words in ONCE if words[1] == "serve"]
FINDING = [(where, words) for where, words in ONCE if words[1] == "lr-find"]
APART = TRAINING + LOOKING + NETWORK + SERVING + FINDING
OTHERS = [shown for shown in ONCE if shown not in APART]


@named(OTHERS)
def test_commands_run(words: list[str], desk: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(desk)
    Path("mine.py").unlink(missing_ok=True)  # fork does not overwrite
    if "web" in words:
        try:
            web.check_installed()
        except BadInput as missing:
            pytest.skip(str(missing))
    monkeypatch.setattr(parity, "INT8_LOSS", 0.1)  # of 40 pictures, few may change their class
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    if words[-2] == "<":  # the shell's, not the command's
        content = Path(words[-1]).read_bytes()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        words = words[:-2]
    # Small pictures of one colour are soon the same, of train and of val; a table has no splits.
    marked = 2 if words[1] == "check" and not words[2].endswith(".csv") else 0
    assert cli._status(*words[1:]) == marked
    assert capsys.readouterr().out.strip()
    page = (desk / RUN / "report.html").resolve().as_uri()
    assert opened == ([page] if "--open" in words else [])


@named(SERVING)
def test_serving_commands_serve(words: list[str], desk: Path, monkeypatch: Any) -> None:
    """Until they are told to stop; at a free port, whichever they name."""
    monkeypatch.chdir(desk)
    if "--port" in words:
        at = words.index("--port")
        words = words[:at] + words[at + 2 :]
    with subprocess.Popen(
        small_runs.command(*words[1:], "--port", "0"), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        where = re.search(r" at (http://\S+/) ", process.stdout.readline())
        assert where
        with urlopen(f"{where[1]}v2/health/ready") as answer:
            assert answer.status == 200
        process.terminate()
        assert process.wait(60) == 0


@named(TRAINED)
def test_training_commands_run(words: list[str], desk: Path, monkeypatch: Any, capsys: Any) -> None:
    """On few pictures and for a few steps, unless they say otherwise."""
    monkeypatch.chdir(desk)
    if "mine.py" in words and not Path("mine.py").exists():
        small_runs.fork(Path("mine.py"))
    if "--help" in words:
        with pytest.raises(SystemExit) as end:
            cli._status(*words[1:])
        assert not end.value.code
        assert "--learning-rate" in capsys.readouterr().out
        return
    small = SMALL | (NARROW if "--init-from" in words else {})  # as wide as the desk's run
    small = SMALLER.get(words[2], small)
    if {"good", "best"} & set(words):
        small = small | {"residual": (1, 1)}  # they have some after each convolution
    missing = {n: v for n, v in small.items() if "--" + n.replace("_", "-") not in words}
    assert cli._status(*words[1:], *small_runs.flags(missing), "--no-report") == 0
    assert ("Test: " in capsys.readouterr().out) == ("--dry-run" not in words)


@named(FINDING)
def test_rates_are_found(words: list[str], desk: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(desk)
    small_runs.fork(Path("mine.py"))
    fields = small_runs.flags(SMALL | NARROW)
    steps = [] if "--steps" in words else ["--steps", "40"]
    assert cli._status(*words[1:], *fields, *steps) == 0
    said = capsys.readouterr().out
    assert ('"suggestion": ' if "--json" in words else "--learning-rate") in said


@named(LOOKING)
def test_looking_at_a_recipe_needs_nothing_else(
    words: list[str], tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(real_or_drawn, "TRAIN", WHOLE[0])
    monkeypatch.setattr(real_or_drawn, "TEST", WHOLE[1])
    drawn = [] if "--data" in words else ["--data", "sketches"]  # the real ones may not be here
    assert cli._status(*words[1:], *drawn) == 0
    said = capsys.readouterr().out
    assert "train: 55,000 examples" in said
    (sheet,) = tmp_path.iterdir()
    assert f"wrote {sheet.name}" in said
    assert sheet.stat().st_size > 10_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


def test_the_readme_runs_from_python(desk: Path, monkeypatch: Any) -> None:
    (block,), (korean,) = (blocks(ROOT / page, "python") for page in ("README.md", "README.ko.md"))
    assert ast.dump(ast.parse(block)) == ast.dump(ast.parse(korean))  # they differ in a comment
    small = ", ".join(f"{name}={value!r}" for name, value in SMALL.items())
    changed = block.replace('data="auto", epochs=1', small)
    assert changed != block
    monkeypatch.chdir(desk)
    found: dict[str, Any] = {}
    exec(compile(changed, "README.md", "exec"), found)
    assert (found["run"].path / "report.html").stat().st_size > 10_000
    assert (found["run"].path / "look.png").exists()


@pytest.mark.parametrize("number", [0, 1])
def test_the_scripts_that_run_an_export_need_nothing_of_ours(
    number: int, desk: Path, tmp_path: Path
) -> None:
    script = blocks(ROOT / "docs/export.md", "python")[number]
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(script))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    runtimes = ({"numpy", "onnxruntime"}, {"jax"})
    assert imported == {"gzip", "json", "sys"} | runtimes[number]
    assert "ImportFrom" not in ast.dump(ast.parse(script))
    assert len(script.splitlines()) <= 24
    (tmp_path / "classify.py").write_text(script)
    pictures = Sketches(30, first=500).take(np.arange(30))["image"]
    header = np.array([0x803, len(pictures), 28, 28], ">i4").tobytes()
    (tmp_path / "pictures.gz").write_bytes(gzip.compress(header + pictures.tobytes()))
    folder = desk / RUN / "export"
    command = [sys.executable, "-I", "classify.py", str(folder), "pictures.gz"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = Exported(folder).predict(pictures)
    assert ended.stdout.splitlines() == [
        f"{at} {best['label']} {best['probability']:.3f}"
        for at, (best,) in enumerate(answer["predictions"] for answer in expected)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target
