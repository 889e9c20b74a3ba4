"""Files are whole or not there, and as readable as the person wants files to be."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from flaxmill.commands import exit_status
from flaxmill.machine import files, stopping
from flaxmill.machine.files import write_atomic


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    for content in ("first", "second, longer", "3"):
        write_atomic(tmp_path / "folder" / "file.txt", content)
        assert (tmp_path / "folder" / "file.txt").read_text() == content
    assert os.listdir(tmp_path / "folder") == ["file.txt"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.mkdir()
    with pytest.raises(OSError):
        write_atomic(target, "a folder cannot be replaced by a file")
    assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_is_what_the_umask_leaves(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_atomic(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 3), (errno.EACCES, 2)])
def test_a_message_names_what_was_meant_and_no_temporary_name(
    number: int, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    staged = files.beside(tmp_path / "export")
    assert staged.parent == tmp_path
    assert staged != files.beside(tmp_path / "export")

    def fail() -> None:
        raise OSError(number, "trouble", str(staged / "model.onnx"))

    assert exit_status.run_command(fail) == status
    assert str(tmp_path / "export" / "model.onnx") in capsys.readouterr().err


LIVING = """
import os, sys
from pathlib import Path
from flaxmill.machine import files, stopping

def folder(place):
    place.mkdir()
    return os.open(place, os.O_RDONLY)

def file(place):
    return os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR)

target = Path(sys.argv[1])
made = [files.create_beside(target, make)[0] for make in (folder, file)]
(made[0] / "inside").write_text("half")
with stopping.temporary_folder() as temporary:
    print(*made, temporary, sep="\\n", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_cleared_by_the_next_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, temporary = tmp_path / "file.txt", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    others = [".file.txt.01234567.txt", ".file.txt.0123456", ".other.txt.01234567", "file.txt.old"]
    for name in others:
        (tmp_path / name).write_text("somebody's")
    (tmp_path / ".file.txt.89abcdef").symlink_to(others[0])

    def start_anew() -> None:
        write_atomic(target, "whole")
        with stopping.temporary_folder() as folder:
            assert folder.stat().st_mode & 0o777 == 0o700

    command = [sys.executable, "-c", LIVING, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        made = [Path(os.fsdecode(process.stdout.readline().rstrip(b"\n"))) for _ in range(3)]
        start_anew()
        assert all(place.exists() for place in made)
        process.kill()
    assert all(place.exists() for place in made)
    start_anew()
    assert not any(place.exists() for place in made)
    kept = {"file.txt", "temporary", ".file.txt.89abcdef", *others}
    assert set(os.listdir(tmp_path)) == kept
    assert not os.listdir(temporary)


def test_two_that_write_one_file_do_not_take_each_others_for_left(tmp_path: Path) -> None:
    """One clears while the other has made its file and not taken hold of it yet."""
    target, made = tmp_path / "file.txt", []

    def slow(place: Path) -> int:
        handle = os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        if not made:
            files.clear_leftovers(target)
        made.append(place)
        return handle

    place, handle = files.create_beside(target, slow)
    os.close(handle)
    assert [one.exists() for one in made] == [False, True]
    assert place == made[1]
