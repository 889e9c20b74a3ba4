"""Recipe files: what is loaded is the very text, and what cannot be loaded is named."""

import os
from pathlib import Path

import pytest

from flaxmill import recipes
from flaxmill.errors import BadInput


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    return recipes.fork("fashion_mnist", tmp_path / "mine.py")


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_says_what_it_needs_and_reaches(name: str) -> None:
    text = recipes.text(name)
    assert recipes.load(name).text == text
    assert recipes.headline(text) in text
    needs, reaches = recipes.expectation(text).split(" Expected: ")
    assert needs.startswith("Data: ")
    assert "%" in reaches


def test_an_edit_within_the_same_second_is_run(fork: Path) -> None:
    before = recipes.load(str(fork))
    moment = fork.stat().st_mtime
    fork.write_text(before.text.replace("hidden: int = 256", "hidden: int = 123"))
    os.utime(fork, (moment, moment))  # the same length too: compiled code would look up to date
    after = recipes.load(str(fork))
    assert before.module.Config().hidden == 256
    assert after.module.Config().hidden == 123
    assert after.sha256 != before.sha256
    assert after.text == fork.read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"# caf\xe9\n", "mine.py cannot be read: .*utf-8"),
        (b"x = 1\ny = (\n", r"mine.py, line 2: '\(' was never closed"),
        (b"x = 1\n\ny = 1 / 0\n", "mine.py, line 3: ZeroDivisionError: division by zero"),
        (b"def f():\n    return {}['a']\n\nf()\n", "mine.py, line 2, in f: KeyError: 'a'"),
        (
            b"from flaxmill.losses import softmax_cross_entropy\n",
            "No module named 'flaxmill.losses': it is flaxmill.maths.losses now",
        ),
        (b"import flaxmil\n", "mine.py, line 1: ModuleNotFoundError: No module named 'flaxmil'"),
        (b"x = 1\n\x00", "mine.py.*null bytes"),
        (b"PRESETS = {}\n", "mine.py is not a recipe: it lacks Config, PRESETS, data,"),
    ],
)
def test_a_file_that_cannot_be_run_is_named(fork: Path, content: bytes, words: str) -> None:
    fork.write_bytes(content)
    with pytest.raises(BadInput, match=words):
        recipes.load(str(fork))


def test_a_folder_is_no_recipe_file(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(BadInput, match=r"folder.py cannot be read: .*Is a directory"):
        recipes.load(str(tmp_path / "folder.py"))


def test_a_folder_of_pictures_is_no_recipe(tmp_path: Path) -> None:
    words = r"pictures is a folder, not a recipe: .*train images --data '.*/my pictures'\)\.$"
    (tmp_path / "my pictures").mkdir()
    with pytest.raises(BadInput, match=words):
        recipes.load(str(tmp_path / "my pictures"))


def test_quick_is_the_default_preset_or_else_the_first(fork: Path) -> None:
    assert recipes.load(str(fork)).default_preset == "quick"
    fork.write_text(fork.read_text().replace('"quick": Config()', '"small": Config()'))
    assert recipes.load(str(fork)).default_preset == "small"


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("fashion_mnist", True),
        ("fashion-mnist", True),
        ("mine.py", True),
        ("./fashion_mnist", False),
        ("runs/fashion_mnist-quick-0", False),
    ],
)
def test_names_and_python_files_mean_recipes(word: str, answer: bool) -> None:
    assert recipes.is_recipe(word) == answer
