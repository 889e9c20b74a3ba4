"""Files are whole or not there, and as readable as the person wants files to be."""

import errno
import os
from pathlib import Path

import pytest

from flaxmill import exit_status, files
from flaxmill.files import write_atomic


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

    assert exit_status.after(fail) == status
    assert str(tmp_path / "export" / "model.onnx") in capsys.readouterr().err
