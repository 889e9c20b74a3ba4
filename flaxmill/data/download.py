"""Downloading a data set: over HTTPS, resumed where it broke off, checked before it counts."""

import contextlib
import errno
import fcntl
import gzip
import hashlib
import http.client
import os
import ssl
import threading
import urllib.request
import warnings
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from flaxmill.data.known.published import DataFile, DataSet
from flaxmill.data.places import Progress, stored_path
from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine.files import UNPACKED_ANYWAY, sync_folder

BLOCK = 1 << 16
"""Bytes read at a time."""

ATTEMPTS = 20
"""Requests made for one file at most; mirrors that break off again and again end there."""


@dataclass(frozen=True)
class Patience:
    """How long a download waits.

    Attributes:
        connect: Seconds after which the network counts as absent, over all mirrors together and
            with everything that comes before the first byte (name look-up, connection, TLS).
        stall: Seconds without a byte after which a transfer is given up.
    """

    connect: float = 60.0
    stall: float = 10.0


PATIENT = Patience()
"""For a person who asked for a download."""
HURRIED = Patience(connect=4.0)
"""For one who asked to train, and waits."""


class _MirrorFailed(Exception):
    """A mirror did not send the file; the next one may."""


class _Unreachable(_MirrorFailed):
    """A mirror did not answer at all; it is not asked for other files."""


class _RefuseHttp(urllib.request.BaseHandler):
    """Keeps a mirror, or an address it redirects to, from being read without encryption."""

    def http_open(self, request: urllib.request.Request) -> None:
        raise URLError(f"{request.full_url} is not HTTPS")


def _opener() -> urllib.request.OpenerDirector:
    """Returns what opens HTTPS addresses and no others, through the environment's proxy if any."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _RefuseHttp(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


@dataclass
class _Download:
    """The download of one data set: what to get from where, and what went wrong so far."""

    data_set: DataSet
    folder: Path
    on_progress: Progress | None
    patience: Patience
    opener: urllib.request.OpenerDirector = field(default_factory=_opener)
    unreachable: dict[str, str] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)


def download(
    data_set: DataSet,
    folder: Path,
    *,
    on_progress: Progress | None = None,
    patience: Patience = PATIENT,
) -> Path:
    """Downloads the files of a data set that a folder lacks or has wrong.

    A file that is wrong is set aside with ``.rejected`` added to its name. Certificates are checked
    against the system's authorities; ``SSL_CERT_FILE`` names others.

    Args:
        data_set: What to download and from where.
        folder: Where to put the files; made if need be.
        on_progress: Called for every piece that arrives.
        patience: How long to wait for mirrors.

    Returns:
        The folder, in which every file now has the published content.

    Raises:
        BadInput: The folder cannot be written, or no mirror served a file; the message says what
            was tried, and which files with which digests to put where by hand.
        CannotGoOn: The disk is full; what has arrived is kept and continued the next time.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            run = _Download(data_set, folder, on_progress, patience)
            for file in data_set.files:
                if not _is_published(stored_path(folder, file), file):
                    _obtain(run, file)
    except OSError as error:  # the mirrors' errors are _MirrorFailed: what is left is the disk
        raise _disk_trouble(error, data_set, folder) from error
    return folder


def _obtain(run: _Download, file: DataFile) -> None:
    """Asks the mirrors in turn until the file is whole and right, then gives it its name."""
    target = run.folder / file.name
    part = run.folder / f"{file.name}.part"
    if _size(part) >= file.size and _md5(part) != file.md5:
        part.unlink()
    waiting = deque(mirror for mirror in run.data_set.mirrors if mirror not in run.unreachable)
    failures = dict(run.unreachable)
    attempts = 0
    while _size(part) != file.size:
        if not waiting or attempts == ATTEMPTS:
            raise BadInput(*_failure_lines(run, failures))
        attempts += 1
        mirror = waiting.popleft()
        begun = _size(part)
        try:
            _transfer(run, mirror, file, part)
        except _MirrorFailed as failure:
            failures[mirror] = str(failure)
            if isinstance(failure, _Unreachable):
                run.unreachable[mirror] = str(failure)
            elif _size(part) > begun:  # it sent something: it may send the rest
                waiting.append(mirror)
        else:
            if (digest := _md5(part)) != file.md5:
                part.unlink()
                failures[mirror] = f"sent other content than published (MD5 {digest})"
                if begun:  # the wrong bytes may be the earlier ones: once more from the start
                    waiting.appendleft(mirror)
    if target.exists():
        os.replace(target, f"{target}.rejected")
    os.replace(part, target)
    sync_folder(run.folder)


def _transfer(run: _Download, mirror: str, file: DataFile, part: Path) -> None:
    """Appends to the partial file what a mirror sends, up to the whole file.

    Raises:
        _MirrorFailed: It did not answer, or not with this file, or broke off.
    """
    begun = _size(part)
    request = urllib.request.Request(mirror + file.name, headers={"User-Agent": "flaxmill"})
    if begun:
        request.add_header("Range", f"bytes={begun}-")
        if mirror + file.name in run.etags:
            request.add_header("If-Range", run.etags[mirror + file.name])
    with _open(run, request) as response:
        resumed = response.status == 206
        start = begun if resumed else 0  # a server without ranges sends the file from its start
        if response.length is not None and start + response.length != file.size:
            raise _MirrorFailed(f"offers {start + response.length:,} bytes, not {file.size:,}")
        etag = response.headers.get("ETag", "")
        if etag.startswith('"'):  # a weak one does not promise equal bytes
            run.etags[mirror + file.name] = etag
        with open(part, "ab" if resumed else "wb") as output:
            received = start
            while received < file.size and (block := _read(response)):
                output.write(block)
                received += len(block)
                if run.on_progress:
                    run.on_progress(file.name, received, file.size)
            output.flush()
            os.fsync(output.fileno())
    if received < file.size:
        raise _MirrorFailed(f"broke off after {received:,} of {file.size:,} bytes")


def _open(run: _Download, request: urllib.request.Request) -> http.client.HTTPResponse:
    """Opens an address within a mirror's share of the time, whatever hangs.

    Looking up a name knows no time limit, so it happens in a thread that may be left behind.
    """
    seconds = run.patience.connect / len(run.data_set.mirrors)
    answer: Future[Any] = Future()

    def ask() -> None:
        try:
            answer.set_result(run.opener.open(request, timeout=run.patience.stall))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except HTTPError as error:
        error.close()
        raise _MirrorFailed(f"answered {error.code} {error.reason}") from None
    except TimeoutError:
        answer.add_done_callback(_close)
        raise _Unreachable(f"no answer within {seconds:.1f} seconds") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Unreachable(_reason(error)) from None


def _close(answer: Future[Any]) -> None:
    late = answer.exception() or answer.result()
    if isinstance(late, (HTTPError, http.client.HTTPResponse)):
        late.close()


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK)
    except TimeoutError:
        raise _MirrorFailed("stalled") from None
    except (OSError, http.client.HTTPException) as error:
        raise _MirrorFailed(f"broke off: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({reason.verify_message}); SSL_CERT_FILE can name "
            f"a file with your network's authorities"
        )
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks a folder against a second download; that waits, and then finds the files there."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not every network file system can lock a directory
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                warnings.warn(f"waiting for another process that fills {folder} …", stacklevel=2)
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_published(path: Path | None, file: DataFile) -> bool:
    if path is None:
        return False
    if path.name == file.name and _md5(path) == file.md5:
        return True
    if file.holds:  # what an archive was unpacked to may be incomplete: only itself is right
        return False
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as content:
            return _digest(content, "sha256", UNPACKED_ANYWAY) == file.sha256
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return False


def _digest(content: Any, algorithm: str, most: int | None = None) -> str:
    """Returns the digest of a file, or of its first bytes: it stops once it has read ``most``."""
    digest, read = hashlib.new(algorithm, usedforsecurity=False), 0
    while (most is None or read < most) and (block := content.read(BLOCK)):
        digest.update(block)
        read += len(block)
    return digest.hexdigest()


def _md5(path: Path) -> str:
    with path.open("rb") as content:
        return _digest(content, "md5")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _failure_lines(run: _Download, failures: dict[str, str]) -> list[str]:
    """Describes what was tried, and which files to put where by hand."""
    absent = [
        file
        for file in run.data_set.files
        if not _is_published(stored_path(run.folder, file), file)
    ]
    lines = [f"{run.data_set.title} could not be downloaded."]
    lines += [f"  {mirror}: {reason}" for mirror, reason in failures.items()]
    lines.append(f"Get these files some other way and put them into {run.folder}:")
    lines += [f"  {file.name}  {file.size:,} bytes  MD5 {file.md5}" for file in absent]
    if any(_size(run.folder / f"{file.name}.part") for file in absent):
        lines.append("What has arrived is kept; the same command continues there.")
    return lines


def _disk_trouble(error: OSError, data_set: DataSet, folder: Path) -> BadInput | CannotGoOn:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        size = sum(file.size for file in data_set.files)
        return CannotGoOn(
            f"the disk is full: {data_set.title} needs {size:,} bytes in {folder}. Make room and "
            f"try again (what has arrived is kept), or download to another disk with --to DIR or "
            f"FLAXMILL_CACHE."
        )
    reason = (error.strerror or str(error)).lower()
    return BadInput(
        f"{folder} cannot take the files of {data_set.title} ({reason}: {error.filename or folder})"
        f". Choose another folder with --to DIR or FLAXMILL_CACHE."
    )
