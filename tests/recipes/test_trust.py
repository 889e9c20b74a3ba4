"""Whose code runs: the user's list of recipe texts, and what is run by it."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flaxmill import recipes
from flaxmill.errors import BadInput
from flaxmill.recipes.loading import trust
from flaxmill.trained.origin import Origin

TEXT = """
import pathlib
from dataclasses import dataclass

pathlib.Path({mark!r}).touch()

@dataclass(frozen=True)
class Config:
    width: int = {width}

PRESETS = {{"quick": Config()}}
data = signature = model = optimizer = augment = loss = measure = train = print
"""


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty list."""
    monkeypatch.setenv("FLAXMILL_TRUSTED", str(tmp_path / "settings" / "trusted"))
    return tmp_path / "settings" / "trusted"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that the recipe makes when it is run."""
    return tmp_path / "it ran"


def origin(folder: Path, mark: Path, *, width: int = 3, **how: Any) -> Origin:
    """A run of a recipe of one's own, which lies at mine.py and in the run's record."""
    text = TEXT.format(mark=str(mark), width=width)
    for name in ("mine.py", "recipe.py"):
        (folder / name).write_text(text)
    identity = {
        "recipe": "mine",
        "recipe_file": str(folder / "mine.py"),
        "recipe_sha256": recipes.digest(text),
        "config": {"width": width},
    }
    return Origin("runs/one", identity, record=folder / "recipe.py", **how)


def test_the_list_lies_where_settings_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLAXMILL_TRUSTED", "list")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert trust.place() == tmp_path / "list"
    monkeypatch.delenv("FLAXMILL_TRUSTED")
    assert trust.place() == tmp_path / "config" / "flaxmill" / "trusted"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr("sys.platform", "linux")
    assert trust.place() == tmp_path / "home" / ".config" / "flaxmill" / "trusted"
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert "no home directory" in trust.remember("a" * 64)
    assert not trust.knows("a" * 64)


def test_a_text_is_noted_once_and_for_its_user_alone(trusted: Path) -> None:
    assert not trust.knows("a" * 64)
    for digest in ("a" * 64, "b" * 64, "a" * 64):
        assert trust.remember(digest) == ""
    assert trusted.read_text() == f"{'a' * 64}\n{'b' * 64}\n"
    assert stat.S_IMODE(trusted.stat().st_mode) == 0o600
    assert trust.knows("b" * 64)
    assert not trust.knows("a" * 63)


def test_a_damaged_list_is_read_and_gone_on_with(trusted: Path) -> None:
    trusted.parent.mkdir()
    trusted.write_bytes(f"{'a' * 64}\n\xff\0 no digest\n{'b' * 40}".encode("latin-1"))
    assert trust.knows("a" * 64)
    assert trust.remember("c" * 64) == ""
    assert trust.knows("c" * 64)
    assert not trust.knows("b" * 64)


def test_a_list_that_cannot_be_written_is_told_of(trusted: Path) -> None:
    trusted.parent.write_text("a file in the place of the folder")
    assert "cannot be noted as one of yours" in trust.remember("a" * 64)
    trusted.parent.unlink()
    trusted.mkdir(parents=True)  # nor one that is a folder
    assert "cannot be noted as one of yours" in trust.remember("a" * 64)
    assert not trust.knows("a" * 64)


def test_of_several_that_train_at_once_none_loses_a_line(trusted: Path) -> None:
    digests = [f"{number:064x}" for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(trust.remember, digests)) == {""}
    assert sorted(trusted.read_text().split()) == digests


@pytest.mark.parametrize("place", ["there", "edited", "gone"])
def test_the_text_that_was_trained_is_run_if_it_is_listed(
    place: str, tmp_path: Path, trusted: Path, mark: Path
) -> None:
    ran = origin(tmp_path, mark)
    file, record = tmp_path / "mine.py", tmp_path / "recipe.py"
    if place == "edited":
        file.write_text("raise SystemExit('not this one')")
    if place == "gone":
        file.unlink()
    read = file if place == "there" else record
    words = (
        f"^runs/one was trained by a recipe file of its own, which was not trained on this machine "
        f"by you, and nothing is run unasked. Read {read}; then give --trust to run it, or "
        f"--recipe {read}.$"
    )
    with pytest.raises(BadInput, match=words):
        _ = ran.recipe
    assert not mark.exists()
    trust.remember(recipes.digest(record.read_text()))
    assert ran.recipe.file == read
    assert ran.recipe.name == "mine"
    assert ran.config.width == 3
    assert mark.exists()


@pytest.mark.parametrize("how", ["trust", "recipe"])
def test_what_a_person_says_to_run_is_run(
    how: str, tmp_path: Path, trusted: Path, mark: Path
) -> None:
    options: Any = {"trust": True} if how == "trust" else {"recipe": str(tmp_path / "recipe.py")}
    assert origin(tmp_path, mark, **options).recipe.name == "mine"
    assert mark.exists()
    assert not trusted.exists()  # only what is trained is noted


def test_another_text_is_never_the_run_s(tmp_path: Path, trusted: Path, mark: Path) -> None:
    ran = origin(tmp_path, mark)
    named = origin(tmp_path, mark, recipe=str(tmp_path / "other.py"))
    trust.remember(recipes.digest((tmp_path / "mine.py").read_text()))
    other = "open('never', 'w')"
    trust.remember(recipes.digest(other))
    (tmp_path / "other.py").write_text(other)
    words = r"other.py is not what runs/one was trained by: .* A record of it is .*recipe\.py\.$"
    with pytest.raises(BadInput, match=words):
        _ = named.recipe
    (tmp_path / "mine.py").write_text(other)
    (tmp_path / "recipe.py").write_text(other)
    words = r"mine.py and was edited since: give --recipe FILE .*recipe.py is no record of it any"
    with pytest.raises(BadInput, match=words):
        _ = ran.recipe
    (tmp_path / "recipe.py").unlink()
    with pytest.raises(BadInput, match=r"There is no record of it at .*recipe\.py\.$"):
        _ = ran.recipe
    assert not mark.exists()
    assert not os.path.exists("never")


def test_a_run_names_no_file_as_a_recipe_of_flaxmill_s(tmp_path: Path, mark: Path) -> None:
    origin(tmp_path, mark)  # writes recipe.py
    identity = {"recipe": str(tmp_path / "recipe.py"), "recipe_file": None}
    words = (
        r"^runs/one was trained by the recipe '.*recipe\.py' of flaxmill, and there is none\. There"
    )
    with pytest.raises(BadInput, match=words):
        _ = Origin("runs/one", identity, record="").recipe
    assert not mark.exists()


def test_two_versions_of_a_file_live_side_by_side(tmp_path: Path, mark: Path) -> None:
    results = []
    for width in (3, 5):
        folder = tmp_path / str(width)
        folder.mkdir()
        results.append(origin(folder, mark, width=width, trust=True))
    one, other = (each.recipe.module for each in results)
    assert one.__name__ != other.__name__
    assert (one.Config().width, other.Config().width) == (3, 5)
    assert [each.config.width for each in results] == [3, 5]
