"""Downloads from an HTTPS server on this machine that breaks off, stalls, lies and errs."""

import dataclasses
import fcntl
import gzip
import hashlib
import os
import queue
import socket
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from https_server import CONTENTS, FILES, PICTURES, Server, complete, need_loopback, put

from flaxmill.data.download import ATTEMPTS, BLOCK, HURRIED, PATIENT, Patience, download
from flaxmill.data.known.published import FASHION_MNIST, DataSet
from flaxmill.errors import BadInput, CannotGoOn

HALF = len(PICTURES) // 2
ZEROS_MD5 = hashlib.md5(bytes(len(PICTURES))).hexdigest()


def failure(data_set: DataSet, folder: Path, patience: Patience = PATIENT) -> str:
    with pytest.raises(BadInput) as caught:
        download(data_set, folder, patience=patience)
    return str(caught.value)


def test_downloads_every_file_and_tells_progress(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    folder = tmp_path / "new" / "tiny"

    def tell(name: str, received: int, size: int) -> None:
        calls.append((name, received, size))

    result = download(server.offering("good"), folder, on_progress=tell)
    assert result == folder and complete(folder)
    for file in FILES:
        received = [now for name, now, total in calls if name == file.name and total == file.size]
        assert received == sorted(set(received)) and received[-1] == file.size
    download(server.offering("good"), folder)
    assert len(server.requests) == len(FILES)  # nothing is downloaded twice


def test_a_broken_download_is_resumed(server: Server, tmp_path: Path) -> None:
    download(server.offering("breaking"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [("breaking", None), ("breaking", f"bytes={HALF}-")]
    assert server.requests[1][2] == '"one"'  # only if the server still has the same file


def test_the_next_mirror_resumes(server: Server, tmp_path: Path) -> None:
    download(server.offering("breaking", "good"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [("breaking", None), ("good", f"bytes={HALF}-")]


def test_a_stalled_transfer_is_given_up_and_resumed(server: Server, tmp_path: Path) -> None:
    download(server.offering("stalling", "good"), tmp_path, patience=Patience(stall=0.5))
    assert complete(tmp_path)
    assert server.asked() == [("stalling", None), ("good", f"bytes={HALF}-")]


def test_an_earlier_download_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pictures.gz.part").write_bytes(PICTURES[:1000])
    download(server.offering("good"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [("good", "bytes=1000-")]


def test_a_whole_part_needs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pictures.gz.part").write_bytes(PICTURES)
    download(server.offering("good"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == []


@pytest.mark.parametrize("length", [len(PICTURES), len(PICTURES) + 5])
def test_a_part_that_cannot_become_the_file_is_dropped(
    server: Server, tmp_path: Path, length: int
) -> None:
    (tmp_path / "pictures.gz.part").write_bytes(bytes(length))
    download(server.offering("good"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [("good", None)]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pictures.gz.part").write_bytes(bytes(1000))
    download(server.offering("rangeless"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [("rangeless", "bytes=1000-")]


def test_wrong_bytes_after_resuming_start_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pictures.gz.part").write_bytes(bytes(1000))
    download(server.offering("good"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [("good", "bytes=1000-"), ("good", None)]


@pytest.mark.parametrize("bad", ["404", "500", "page", "wrong", "endless", "insecure"])
def test_the_next_mirror_helps_out(server: Server, tmp_path: Path, bad: str) -> None:
    download(server.offering(bad, "good"), tmp_path)
    assert complete(tmp_path)
    assert server.asked() == [(bad, None), ("good", None)]


def test_a_mirror_that_breaks_off_again_and_again_ends(server: Server, tmp_path: Path) -> None:
    message = failure(server.offering("crumbling"), tmp_path)
    assert f"broke off after {ATTEMPTS * 1000:,} of {len(PICTURES):,} bytes" in message
    assert len(server.requests) == ATTEMPTS


def test_no_more_than_the_file_is_read(server: Server, tmp_path: Path) -> None:
    received: list[int] = []

    def tell(name: str, now: int, size: int) -> None:
        received.append(now)

    with pytest.raises(BadInput, match="sent other content"):
        download(server.offering("endless"), tmp_path, on_progress=tell)
    assert max(received) < len(PICTURES) + BLOCK


def test_redirections_are_followed(server: Server, tmp_path: Path) -> None:
    download(server.offering("redirecting"), tmp_path)
    assert complete(tmp_path)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("404", "answered 404 Not Found"),
        ("500", "answered 500 Internal Server Error"),
        ("page", f"offers 26 bytes, not {len(PICTURES):,}"),
        ("wrong", rf"sent other content than published \(MD5 {ZEROS_MD5}\)"),
        ("endless", "sent other content than published"),
        ("insecure", "http://localhost/good/pictures.gz is not HTTPS"),
        ("crumbling", f"broke off after .* of {len(PICTURES):,} bytes"),
    ],
)
def test_a_failure_says_why(server: Server, tmp_path: Path, behaviour: str, words: str) -> None:
    with pytest.raises(BadInput, match=f"Tiny could not be .*\n  {server.address}.*: {words}"):
        download(server.offering(behaviour), tmp_path)
    names = [path.name for path in tmp_path.iterdir()]
    assert names == (["pictures.gz.part"] if behaviour == "crumbling" else [])


def test_a_failure_says_what_to_do_by_hand(server: Server, tmp_path: Path) -> None:
    message = failure(server.offering("404", "crumbling"), put(tmp_path, "labels.gz"))
    assert f"put them into {tmp_path}:" in message
    assert f"  pictures.gz  {len(PICTURES):,} bytes  MD5 {FILES[0].md5}" in message
    assert "labels.gz" not in message
    assert "What has arrived is kept" in message


def test_http_is_refused(tmp_path: Path) -> None:
    data_set = DataSet("tiny", "Tiny", FILES, ("http://127.0.0.1:1/",))
    assert "http://127.0.0.1:1/pictures.gz is not HTTPS" in failure(data_set, tmp_path)


def test_an_unknown_authority_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    message = failure(server.offering("good"), tmp_path)
    assert "certificate is not trusted (self-signed certificate" in message
    assert "SSL_CERT_FILE" in message
    assert server.requests == []


# Giving up

IMPATIENT = Patience(connect=0.3, stall=0.2)
# far above those 0.3 seconds, for a busy machine; without the bound the wait has no end
SOON = 3.0


def elapsed(action: Callable[[], str]) -> tuple[float, str]:
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def test_mirrors_that_never_answer_take_bounded_time(tmp_path: Path) -> None:
    need_loopback()
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # connects, but nobody accepts
        mirrors = tuple(f"https://127.0.0.1:{deaf.getsockname()[1]}/{i}/" for i in range(3))
        data_set = DataSet("tiny", "Tiny", FILES, mirrors)
        seconds, message = elapsed(lambda: failure(data_set, tmp_path, IMPATIENT))
    assert seconds < SOON
    assert all(f"{mirror}: no answer within 0.1 seconds" in message for mirror in mirrors)
    assert all(f"{file.name}  {file.size:,} bytes  MD5 {file.md5}" in message for file in FILES)


def test_a_name_server_that_never_answers_takes_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def hang(*args: object, **options: object) -> list[object]:
        over.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "over")

    # no test can make the system's own resolver hang, so this stands in for it
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    data_set = DataSet("tiny", "Tiny", FILES, ("https://a.invalid/", "https://b.invalid/"))
    seconds, message = elapsed(lambda: failure(data_set, tmp_path, IMPATIENT))
    over.set()
    assert seconds < SOON
    assert message.count("no answer within 0.1 seconds") == 2


def test_an_unknown_host_is_named(tmp_path: Path) -> None:
    data_set = DataSet("tiny", "Tiny", FILES, ("https://flaxmill.invalid/",))
    assert "https://flaxmill.invalid/: " in failure(data_set, tmp_path)


def test_an_unreachable_mirror_is_asked_once(server: Server, tmp_path: Path) -> None:
    patience = Patience(connect=8.0, stall=0.5)
    download(server.offering("silent", "good"), tmp_path, patience=patience)
    assert complete(tmp_path)
    assert [path for path, *_ in server.requests].count("/silent/pictures.gz") == 1
    assert server.asked("labels.gz") == [("good", None)]


def test_a_hurried_download_gives_up_within_five_seconds() -> None:
    assert HURRIED.connect <= 4.5  # leaves the rest of the five for starting Python


# What is on the disk


def test_files_with_right_content_are_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pictures").write_bytes(CONTENTS["pictures.gz"])
    (tmp_path / "labels.gz").write_bytes(gzip.compress(CONTENTS["labels.gz"], 1))
    download(server.offering("good"), tmp_path)
    assert server.requests == []


# Named, for the workers that share the tests must all call them the same.
@pytest.mark.parametrize(
    "wrong",
    [b"junk", PICTURES[:-20], gzip.compress(b"other", mtime=0)],
    ids=["junk", "cut short", "another"],
)
def test_a_wrong_file_is_replaced_and_set_aside(
    server: Server, tmp_path: Path, wrong: bytes
) -> None:
    put(tmp_path)
    (tmp_path / "pictures.gz").write_bytes(wrong)
    download(server.offering("good"), tmp_path)
    assert (tmp_path / "pictures.gz.rejected").read_bytes() == wrong
    (tmp_path / "pictures.gz.rejected").unlink()
    assert complete(tmp_path)


@pytest.mark.filterwarnings("ignore:waiting for another process")
def test_two_downloads_at_once_share_the_work(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(download, server.offering("good"), tmp_path) for _ in range(2)]:
            done.result()
    assert complete(tmp_path)
    assert len(server.requests) == len(FILES)


def test_a_download_says_that_it_waits_for_another(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: queue.SimpleQueue[str] = queue.SimpleQueue()
    with warnings.catch_warnings(), ThreadPoolExecutor(1) as pool:
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: messages.put(str(message)))
        first = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(first, fcntl.LOCK_EX)
        second = pool.submit(download, server.offering("good"), tmp_path)
        try:
            assert (
                messages.get(timeout=60) == f"waiting for another process that fills {tmp_path} …"
            )
            assert server.requests == []
        finally:
            os.close(first)
        second.result()
    assert complete(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    message = failure(server.offering("good"), tmp_path / "file" / "tiny")
    assert "cannot take the files of Tiny (not a directory" in message
    assert "--to DIR or FLAXMILL_CACHE" in message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "pictures.gz.part").symlink_to("/dev/full")
    size = sum(file.size for file in FILES)
    with pytest.raises(CannotGoOn, match=f"disk is full: Tiny needs {size:,} bytes in {tmp_path}"):
        download(server.offering("good"), tmp_path)


def test_the_published_files_are_recognised(real_data: Path) -> None:
    names = {path.name for path in real_data.iterdir()}
    nowhere = dataclasses.replace(FASHION_MNIST, mirrors=())
    assert download(nowhere, real_data) == real_data
    assert {path.name for path in real_data.iterdir()} == names
