"""Finding data on this machine, and downloading what is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from https_server import CONTENTS, FILES, Server, complete, put

from flaxmill.data.fetch import fetch, locate
from flaxmill.data.known.published import DATA_SETS, DataSet
from flaxmill.data.places import cache_folder, find, places
from flaxmill.errors import BadInput


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the tiny data set known, which no mirror offers."""
    monkeypatch.setitem(DATA_SETS, "tiny", DataSet("tiny", "Tiny", FILES, mirrors=()))


# Finding


def test_places_are_searched_in_order(
    empty_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find("tiny") is None
    cached = put(tmp_path / "home" / ".cache" / "flaxmill" / "tiny")
    monkeypatch.setattr(sys, "platform", "linux")
    assert find("tiny") == cached
    below = put(empty_machine / "data" / "tiny")
    assert find("tiny") == below
    monkeypatch.setenv("FLAXMILL_DATA", "../sets")  # relative: made absolute
    assert find("tiny") == below
    named = put(tmp_path / "sets" / "tiny")
    assert find("tiny") == named
    folder = put(tmp_path / "anything")
    assert find("tiny", folder) == folder
    assert find("tiny", "../anything") == folder


def test_an_incomplete_folder_is_passed_over(empty_machine: Path, tmp_path: Path) -> None:
    put(empty_machine / "data" / "tiny", "labels.gz")
    cached = put(cache_folder("tiny"))
    assert find("tiny") == cached


def test_unpacked_files_are_found(empty_machine: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "mixed", "labels.gz")
    (folder / "pictures").write_bytes(CONTENTS["pictures.gz"])
    assert find("tiny", folder) == folder


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", "home/.cache/flaxmill/tiny"),
        ({}, "darwin", "home/Library/Caches/flaxmill/tiny"),
        ({"XDG_CACHE_HOME": "xdg"}, "linux", "xdg/flaxmill/tiny"),
        ({"XDG_CACHE_HOME": "xdg", "FLAXMILL_CACHE": "own"}, "linux", "own/tiny"),
    ],
)
def test_the_cache_follows_the_platform(
    empty_machine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    platform: str,
    expected: str,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    for name, folder in environment.items():
        monkeypatch.setenv(name, str(tmp_path / folder))
    assert cache_folder("tiny") == tmp_path / expected


def test_without_a_home_the_cache_must_be_named(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "~")  # what expanduser gives a user who has none
    with pytest.raises(BadInput, match=r"no home directory .* set FLAXMILL_CACHE"):
        cache_folder("tiny")


def test_an_unknown_name_offers_the_nearest() -> None:
    for look in (find, locate, fetch):
        with pytest.raises(BadInput, match=r"'fashion-mnits'. Did you mean 'fashion-mnist'\?"):
            look("fashion-mnits")


def test_a_given_folder_must_hold_the_files(empty_machine: Path, tmp_path: Path) -> None:
    empty = tmp_path / "em pty"
    empty.mkdir()
    with pytest.raises(BadInput) as caught:
        find("tiny", empty)
    message = str(caught.value)
    assert f"{empty} is an empty directory: it lacks pictures.gz, labels.gz." in message
    assert f"`flaxmill fetch tiny --to '{empty}'`" in message
    with pytest.raises(BadInput, match=r"lacks pictures.gz; it holds labels.gz\. Put") as caught:
        find("tiny", put(empty, "labels.gz"))
    assert "--to" not in str(caught.value)  # what it holds may be another set's
    own = put(empty_machine / "data" / "tiny", "labels.gz")
    with pytest.raises(BadInput, match=f"let `flaxmill fetch tiny --to {own}` download what is"):
        find("tiny", own)
    for number in range(9):
        (empty / f"{number}.txt").touch()
    with pytest.raises(BadInput, match=r"holds 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5 more"):
        find("tiny", empty)


def test_a_given_folder_must_exist(empty_machine: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent cannot be used .*\(no such file or directory\)"):
        find("tiny", tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"file cannot be used .*\(not a directory\): give a folder"):
        locate("tiny", tmp_path / "file")


def test_the_folder_above_is_recognised(empty_machine: Path, tmp_path: Path) -> None:
    inner = put(tmp_path / "sets" / "tiny")
    with pytest.raises(BadInput, match=f"its folder tiny does: give {inner}"):
        find("tiny", tmp_path / "sets")


# Finding or else downloading


def test_what_is_not_here_is_downloaded_into_the_cache(
    empty_machine: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATA_SETS, "tiny", server.offering("good"))
    assert locate("tiny") == cache_folder("tiny")
    assert complete(cache_folder("tiny"))
    assert locate("tiny") == cache_folder("tiny")
    assert len(server.requests) == len(FILES)


def test_fetch_puts_files_where_it_is_told(
    empty_machine: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATA_SETS, "tiny", server.offering("good"))
    assert fetch("tiny", "there") == empty_machine / "there"
    assert complete(empty_machine / "there")


def test_without_data_and_network_the_ways_out_are_told(
    empty_machine: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATA_SETS, "tiny", server.offering("404"))
    put(empty_machine / "data" / "tiny", "labels.gz")
    with pytest.raises(BadInput) as caught:
        locate("tiny")
    message = str(caught.value)
    assert "Tiny is not on this machine" in message
    below, cached = places("tiny")
    assert f"  {below}: lacks pictures.gz\n  {cached}: no such folder" in message
    assert "answered 404 Not Found" in message
    for way in ("`flaxmill fetch tiny`", "--data DIR", "FLAXMILL_DATA", "--data sketches"):
        assert way in message


def test_looking_for_data_imports_nothing_heavy() -> None:
    code = "import sys, flaxmill.data.fetch; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "flaxmill.data.fetch" in loaded
    assert not loaded & {"jax", "numpy", "urllib.request", "ssl", "http.client"}
