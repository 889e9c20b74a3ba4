"""Commands begin anew with large memory pages, where Linux gives them to those who ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flaxmill.machine.memory_pages import environment_for_large_pages, libc_version, policy

TUNABLE = "glibc.malloc.hugetlb=1"


def test_asks_for_large_pages_beside_what_is_set_already() -> None:
    others = {"HOME": "/home/a", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}
    environment = environment_for_large_pages(others, "madvise", (2, 36))
    assert environment is not None
    assert environment.items() > others.items() - {("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")}
    assert environment["GLIBC_TUNABLES"] == f"glibc.malloc.arena_max=2:{TUNABLE}"
    environment = environment_for_large_pages({}, "madvise", (2, 35))
    assert environment is not None and environment["GLIBC_TUNABLES"] == TUNABLE


def test_asks_once_even_where_the_tunable_is_taken_away_again() -> None:
    asked = environment_for_large_pages({}, "madvise", (2, 36))
    assert asked is not None
    del asked["GLIBC_TUNABLES"]  # as glibc does in a privileged program
    assert environment_for_large_pages(asked, "madvise", (2, 36)) is None


@pytest.mark.parametrize(
    ("tunables", "policy", "libc"),
    [
        ("", "always", (2, 36)),  # every program has them
        ("", "never", (2, 36)),
        ("", "madvise", (2, 34)),  # the tunable is not known
        ("", "madvise", ()),  # another C library
        ("glibc.malloc.hugetlb=0", "madvise", (2, 36)),  # somebody wants none
        (TUNABLE, "madvise", (2, 36)),  # it has begun anew
    ],
)
def test_begins_anew_only_where_something_is_won(
    tunables: str, policy: str, libc: tuple[int, ...]
) -> None:
    assert environment_for_large_pages({"GLIBC_TUNABLES": tunables}, policy, libc) is None


@pytest.mark.parametrize("asked", [None, "glibc.malloc.hugetlb=0"])
def test_a_command_computes_in_them_and_stays_the_same_process(
    tmp_path: Path, asked: str | None
) -> None:
    recipe = tmp_path / "mine.py"  # read when its help is asked for
    recipe.write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(tmp_path)!r}, str(os.getpid())).write_text("
        "os.environ.get('GLIBC_TUNABLES', ''))\n"
    )
    names = ("GLIBC_TUNABLES", "FLAXMILL_LARGE_PAGES")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {} if asked is None else {"GLIBC_TUNABLES": asked}
    command = [sys.executable, "-m", "flaxmill", "train", str(recipe), "--help"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    process.wait()
    here = policy() == "madvise" and libc_version() >= (2, 35)
    expected = asked or (TUNABLE if here else "")
    assert (tmp_path / str(process.pid)).read_text() == expected
