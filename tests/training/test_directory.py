"""Which run directory a command means, and who holds it."""

import dataclasses
import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hearing import Heard

from flaxmill.errors import BadInput
from flaxmill.tasks.signature import Signature
from flaxmill.training import manifest
from flaxmill.training.directory import RunDirectory, choose, rename_old
from flaxmill.training.identity import Identity, version

IDENTITY = Identity(
    recipe="fashion_mnist",
    recipe_file=None,
    recipe_sha256="a" * 64,
    preset="quick",
    seed=0,
    config={"data": "auto", "epochs": 3.0, "channels": (16, 64)},
    data={"title": "Clothes", "drawn": False, "digests": {"train": "c" * 64}},
)


def begin(path: Path, identity: Identity = IDENTITY, *, finished: bool = False) -> None:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(identity.json()))
    if finished:
        (path / "result.json").write_text('{"format": 1}')


def test_without_a_name_the_first_free_one_is_taken(tmp_path: Path) -> None:
    expected = tmp_path / "fashion_mnist-quick-0"
    assert choose(IDENTITY, None, fresh=False, root=tmp_path).path == expected
    begin(expected, finished=True)
    following = tmp_path / "fashion_mnist-quick-0-2"
    assert choose(IDENTITY, None, fresh=False, root=tmp_path).path == following


def test_an_unfinished_run_of_the_same_config_is_gone_on_with(tmp_path: Path) -> None:
    other = dataclasses.replace(IDENTITY, config={**IDENTITY.config, "epochs": 1.0})
    begin(tmp_path / "fashion_mnist-quick-0", other)
    begin(tmp_path / "fashion_mnist-quick-0-2")
    chosen = choose(IDENTITY, None, fresh=False, root=tmp_path)
    assert chosen.path == tmp_path / "fashion_mnist-quick-0-2"


def test_where_the_data_lies_does_not_count(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    moved = dataclasses.replace(IDENTITY, config={**IDENTITY.config, "data": "/elsewhere"})
    assert choose(moved, tmp_path / "run", fresh=False).begun


def test_a_changed_config_is_refused_with_its_difference(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    changed = {**IDENTITY.config, "epochs": 5.0, "channels": (8, 8)}
    other = dataclasses.replace(IDENTITY, config=changed, seed=4)
    with pytest.raises(BadInput) as refusal:
        choose(other, tmp_path / "run", fresh=False)
    message = str(refusal.value)
    for words in (
        "seed: 0 there, 4 now",
        "epochs: 3.0 there, 5.0 now",
        "channels: [16, 64] there, [8, 8] now",
        "--init-from",
        "--fresh",
    ):
        assert words in message


def test_an_edited_fork_is_refused_and_a_newer_flaxmill_is_not(tmp_path: Path) -> None:
    fork = dataclasses.replace(IDENTITY, recipe="mine", recipe_file="/home/me/mine.py")
    begin(tmp_path / "fork", fork)
    begin(tmp_path / "own")
    edited = dataclasses.replace(fork, recipe_sha256="b" * 64)
    with pytest.raises(
        BadInput, match=r"mine\.py was edited: its text had the digest aaaaaaaaaaaa"
    ):
        choose(edited, tmp_path / "fork", fresh=False)
    newer = dataclasses.replace(IDENTITY, recipe_sha256="b" * 64)
    assert choose(newer, tmp_path / "own", fresh=False).begun


def begun_by(path: Path, *attempts: tuple[str, str | None]) -> None:
    """Begins a run by attempts: of which version, by which text, if that was written down."""
    begin(path)
    listed = [
        {"versions": {"flaxmill": version}, **({"recipe_sha256": text} if text else {})}
        for version, text in attempts
    ]
    recorded = {"format": 1, "data": {}, "attempts": listed}
    (path / "manifest.json").write_text(json.dumps(recorded))


def test_an_edited_recipe_of_flaxmill_s_is_refused_in_the_same_version(tmp_path: Path) -> None:
    now = version()
    edited = dataclasses.replace(IDENTITY, recipe_sha256="b" * 64)
    refused = {
        "as it was": [(now, "a" * 64)],
        "in an older run": [(now, None)],
        "after an update": [("0.0.9", "c" * 64), (now, "a" * 64)],
    }
    words = (
        rf"the recipe fashion_mnist of flaxmill {now} was edited: its text had the digest "
        rf"aaaaaaaaaaaa, it has bbbbbbbbbbbb now \(the text that the run was begun by is in its "
        rf"recipe\.py\)(.|\n)*--init-from .* to start from its weights"
    )
    for name, attempts in refused.items():
        begun_by(tmp_path / name, *attempts)
        with pytest.raises(BadInput, match=words):
            choose(edited, tmp_path / name, fresh=False)
    gone_on = {
        "the same text": [(now, "b" * 64)],
        "of another version": [("0.0.9", "a" * 64)],
        "of another version, twice": [("0.0.9", "a" * 64), (now, "b" * 64)],
    }
    for name, attempts in gone_on.items():
        begun_by(tmp_path / name, *attempts)
        assert choose(edited, tmp_path / name, fresh=False).begun
    begun_by(tmp_path / "fashion_mnist-quick-0", (now, "a" * 64))
    chosen = choose(edited, None, fresh=False, root=tmp_path)  # nobody named the run: a new one
    assert chosen.path == tmp_path / "fashion_mnist-quick-0-2"


TAKEN = Signature("mine", "picture", "one_class", (), (), ())


def test_files_that_were_written_between_attempts_are_told_where_not_all_are_read(
    tmp_path: Path,
) -> None:
    directory = RunDirectory(tmp_path / "run")

    def said(**stamps: str) -> list[str]:
        identity = dataclasses.replace(IDENTITY, data={**(IDENTITY.data or {}), **stamps})
        heard = Heard()
        manifest.begin_attempt(directory, identity, TAKEN, "# a recipe", None, heard)
        return heard.lines

    assert [said(), said(), said(stamps="one"), said(stamps="one")] == 4 * [[]]
    assert said(stamps="other") == [
        "The files of Clothes were written or copied since the attempt before. They are too many "
        "to be compared as a whole: their names and sizes are the same, and about a thousand of "
        "them. If any was changed, begin anew with --fresh."
    ]


def test_going_on_by_the_text_of_another_version_is_said_aloud(tmp_path: Path) -> None:
    heard = Heard()
    begun_by(tmp_path / "run", ("0.0.9", "a" * 64))
    edited = dataclasses.replace(IDENTITY, recipe_sha256="b" * 64)
    for attempts in (2, 3):
        directory = choose(edited, tmp_path / "run", fresh=False)
        assert manifest.begin_attempt(directory, edited, TAKEN, "", None, heard) == attempts
    lines = [line for line in heard.lines if line.startswith("The recipe")]
    assert len(lines) == 1
    assert lines[0].startswith(
        f"The recipe fashion_mnist has another text in flaxmill {version()} than in 0.0.9, which "
        f"this run was trained by so far: the rest of it is trained by the text of now."
    )


def test_other_data_is_refused_and_gets_a_name_of_its_own(tmp_path: Path) -> None:
    begin(tmp_path / "fashion_mnist-quick-0")
    drawn = {"title": "sketches", "drawn": True, "digests": {"sketches": "1"}}
    other = dataclasses.replace(IDENTITY, data=drawn)
    with pytest.raises(BadInput, match=r"the data: Clothes there; what is given now \(sketches\)"):
        choose(other, tmp_path / "fashion_mnist-quick-0", fresh=False)
    chosen = choose(other, None, fresh=False, root=tmp_path)
    assert chosen.path == tmp_path / "fashion_mnist-quick-0-2"


def test_other_first_weights_are_refused(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    other = dataclasses.replace(IDENTITY, initial="d" * 64)
    with pytest.raises(BadInput, match="--init-from: fresh there, weights dddddddddddd now"):
        choose(other, tmp_path / "run", fresh=False)


def test_a_fork_with_the_name_of_a_recipe_is_another_recipe(tmp_path: Path) -> None:
    begin(tmp_path / "run", dataclasses.replace(IDENTITY, recipe_file="/home/me/fashion_mnist.py"))
    with pytest.raises(BadInput, match=r"fashion_mnist\.py there, the one of flaxmill now"):
        choose(IDENTITY, tmp_path / "run", fresh=False)


def test_a_run_of_another_recipe_is_refused(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    other = dataclasses.replace(IDENTITY, recipe="images")
    with pytest.raises(BadInput, match="a run of the recipe fashion_mnist, not of images"):
        choose(other, tmp_path / "run", fresh=False)


def test_a_directory_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for fresh in (False, True):
        with pytest.raises(BadInput, match="holds other files and no run"):
            choose(IDENTITY, tmp_path, fresh=fresh)
    with pytest.raises(BadInput, match="is a file"):
        choose(IDENTITY, tmp_path / "thesis.txt", fresh=False)


def test_a_run_that_was_killed_before_its_config_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert not choose(IDENTITY, tmp_path, fresh=False).begun


def test_fresh_renames_and_never_deletes(tmp_path: Path) -> None:
    begin(tmp_path / "run", finished=True)
    (tmp_path / "run-old-1").mkdir()
    aside = rename_old(choose(IDENTITY, tmp_path / "run", fresh=True))
    assert aside == tmp_path / "run-old-2"
    assert (tmp_path / "run-old-2" / "result.json").exists()


def test_fresh_without_a_name_renames_the_first_run(tmp_path: Path) -> None:
    begin(tmp_path / "fashion_mnist-quick-0")
    chosen = choose(IDENTITY, None, fresh=True, root=tmp_path)
    assert chosen.path == tmp_path / "fashion_mnist-quick-0"
    assert rename_old(chosen) == tmp_path / "fashion_mnist-quick-0-old-1"


def test_nothing_stays_of_a_directory_in_which_nothing_was_begun(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run").locked():
        assert (tmp_path / "run" / "lock").exists()
    assert not (tmp_path / "run").exists()


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    second = (
        "import sys; from pathlib import Path\n"
        "from flaxmill.training.directory import RunDirectory\n"
        "from flaxmill.errors import BadInput\n"
        "try:\n"
        "    with RunDirectory(Path(sys.argv[1])).locked(): print('held')\n"
        "except BadInput as trouble: print(trouble)"
    )
    command = [sys.executable, "-c", second, str(tmp_path)]
    with RunDirectory(tmp_path).locked():
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"is in use by process {os.getpid()} on " in output
    free = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert free == "held\n"


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            BadInput, match=r"file/run cannot be written \(.*\): choose another with --run"
        ),
        RunDirectory(tmp_path / "file" / "run").locked(),
    ):
        pass


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:  # no such file system can be made here
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with (
        pytest.raises(BadInput, match=r"run cannot be locked \(No locks available\): its file sys"),
        RunDirectory(tmp_path / "run").locked(),
    ):
        pass


def test_a_directory_that_is_renamed_before_it_is_held_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lock = tmp_path / "run", fcntl.flock
    begin(run)

    def renamed_first(*arguments: Any) -> None:
        run.rename(tmp_path / "run-old-1")  # as another process with --fresh does
        lock(*arguments)

    monkeypatch.setattr("fcntl.flock", renamed_first)
    with (
        pytest.raises(BadInput, match="was renamed by another process just now: give the same"),
        RunDirectory(run).locked(),
    ):
        pass
    assert not run.exists()


def test_what_is_no_run_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no run directory"):
        RunDirectory(tmp_path / "none").read("config.json")
    with pytest.raises(BadInput, match="is not a run directory"):
        RunDirectory(tmp_path).read("config.json")


def test_a_newer_format_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"format": 99}')
    with pytest.raises(BadInput, match="has format 99; this flaxmill reads up to 1"):
        RunDirectory(tmp_path).read("config.json")
    (tmp_path / "config.json").write_text('{"format": 1, "recipe": "x"}')
    with pytest.raises(
        BadInput, match=r"config\.json lacks recipe_file, .*, seed, initial: it was damaged"
    ):
        RunDirectory(tmp_path).read("config.json")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(
        BadInput, match=r"config\.json was not written by flaxmill: it has no format"
    ):
        RunDirectory(tmp_path).read("config.json")
    (tmp_path / "config.json").write_text('{"format": 1')
    with pytest.raises(BadInput, match=r"config\.json is not readable as JSON"):
        RunDirectory(tmp_path).read("config.json")
