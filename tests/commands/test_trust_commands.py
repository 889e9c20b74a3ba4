"""A run or an export that came from somebody else: nothing of it is run unasked."""

import json
import shutil
from pathlib import Path

import picture_files
import pytest
import small_runs
from commands import command

from flaxmill import recipes


def test_a_received_run_runs_nothing_unasked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    small_data: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "it ran"
    fork = small_runs.fork(
        tmp_path / "mine.py",
        ("import functools\n", f"import functools\nopen({str(mark)!r}, 'a').close()\n"),
    )
    small_runs.train(str(fork), tmp_path / "one")
    other = shutil.copytree("one", "other")
    text = Path(other, "recipe.py").read_text() + "# a second version\n"
    Path(other, "recipe.py").write_text(text)
    config = json.loads(Path(other, "config.json").read_text())
    config["recipe_sha256"] = recipes.digest(text)
    Path(other, "config.json").write_text(json.dumps(config))
    fork.unlink()

    monkeypatch.setenv("FLAXMILL_TRUSTED", str(tmp_path / "of another user"))
    mark.unlink()
    picture = str(picture_files.save(tmp_path / "a.png"))
    for words in (
        ["evaluate", "one"],
        ["predict", "one", picture],
        ["look", "one"],
        ["report", "one"],
        ["export", "one"],
        ["serve", "other"],
    ):
        status, _, error = command(capsys, *words)
        assert status == 2, words
        assert "nothing is run unasked. Read " in error
        assert "then give --trust to run it, or --recipe " in error
        assert not mark.exists()
    status, _, error = command(capsys, "report", "one", "other", "--recipe", "one/recipe.py")
    assert status == 2
    assert "other was trained by a recipe file of its own" in error
    status, _, error = command(capsys, "report", "one", "--recipe", "other/recipe.py")
    assert status == 2
    assert "--recipe other/recipe.py is not what any of the runs was trained by" in error
    both = ["--recipe", "other/recipe.py", "one/recipe.py"]
    assert command(capsys, "report", "one", "other", "--to", "both.html", *both)[0] == 0
    assert mark.exists()
    page = Path("both.html").read_text()
    assert "the recipe&#39;s text" in page
    assert "(+1 −0 lines, against run 1)" in page
