"""The program of a process that reads requests; see `flaxmill.serve.intake`.

What decodes pictures of strangers' is the part of a server that is taken over, if any is. So what
this process says is data to its parent, never a pickle; it knows no token, and has no socket.
"""

import contextlib
import ctypes
import gc
import json
import os
import pickle
import re
import resource
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from PIL import AvifImagePlugin, Image

from flaxmill.serve import uploads
from flaxmill.serve.intake import SIZES
from flaxmill.serve.json_values import check_values
from flaxmill.serve.limits import Limits
from flaxmill.serve.open_inference import Inference
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.kinds import Large
from flaxmill.tasks.signature import Signature

_SMALL_SECONDS = 0.03  # of the processor, for a request that counts as small
_END_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_ENDED_FIRST = "500"  # of 1,000: the process that the system ends where memory is short

Facts = dict[str, Any]


def main() -> None:
    """Reads requests until the server has ended."""
    limits, nice = Limits(**json.loads(sys.argv[1])), int(sys.argv[2])
    jobs, replies = os.fdopen(os.dup(0), "rb"), os.dup(1)
    _detach(nice)
    _limit_memory(limits.read_bytes)
    _send(replies, {}, [])
    signature = None
    while (job := _next_job(jobs)) is not None:
        (new, facts), content = job
        if new is not None:
            signature = new
            _rehearse(signature, limits)
        assert signature is not None, "it comes with the first request"
        signal.setitimer(signal.ITIMER_REAL, limits.read_seconds)  # ends the process
        reply, parts = _read(facts, content, signature, limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del job, content
        _send(replies, reply, parts)
        if not facts["small"]:
            del parts
            gc.collect()  # errors may hold what they were about


def _detach(nice: int) -> None:
    """Takes leave of the terminal, and of signals that are for the server."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, _interrupt)
    if sys.platform == "linux":  # elsewhere it ends when it next looks for a request
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    os.nice(nice)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_ENDED_FIRST)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # decoders print what they think of clients' files
        os.dup2(nowhere, stream)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # type: ignore[bad-assignment]
    Image.init()  # all that reads pictures is loaded before the first one is here
    gc.collect()
    gc.freeze()


def _rehearse(signature: Signature, limits: Limits) -> None:
    """Reads an example as clients send them, with no limit of time.

    What is imported when it is first needed would make the first small request count as a large
    one, which waits for those before it.
    """
    kind = signature.input_kind
    if kind.BYTES:
        suffix, content = kind.to_file(kind.random_batch(signature, 1)[0], signature)
        about = f'content-disposition: form-data; name="file"; filename="one{suffix}"'
        body = b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (b"edge", about.encode(), content, b"edge")
        how = {"kind": "multipart/form-data; boundary=edge", "query": {"seen": "1"}}
        with contextlib.suppress(Refused):  # where limits are smaller than what the model takes
            uploads.reply(body, signature, limits, **how, small=False)


def _limit_memory(most: int) -> None:
    """Lets requests take so many bytes beyond what is in use, where the system can say that."""
    with contextlib.suppress(OSError):
        match = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            soft = int(match[1]) * 1024 + most
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _next_job(jobs: BinaryIO) -> tuple[Any, bytes] | None:
    """Returns the next request: what is said of it, and its content; None at the end."""
    if len(sizes := jobs.read(SIZES.size)) < SIZES.size:
        return None
    head, content = SIZES.unpack(sizes)
    return pickle.loads(jobs.read(head)), jobs.read(content)


def _read(
    facts: Facts, content: bytes, signature: Signature, limits: Limits
) -> tuple[Facts, list[bytes]]:
    """Returns what a request says: facts, and the bytes that go with them."""
    try:
        with _interrupted_after(_SMALL_SECONDS if facts["small"] else 0):
            if "kind" in facts:
                return uploads.reply(content, signature, limits, **facts)
            split = facts["split"]
            check_values(content[:split], limits.max_json_values)
            inference = Inference(signature, limits.queue)
            return inference.to_facts(content, split, facts["following"])
    except Large:
        return {"large": True}, []
    except Refused as refused:
        return {"refused": [refused.status, refused.message]}, []
    except MemoryError:
        words = f"reading the request takes more than {limits.read_bytes:,} bytes of memory."
        return {"refused": [413, words]}, []
    except Exception:
        return {"failed": traceback.format_exc()}, []


@contextlib.contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Gives up on what takes more processor time than small requests do; 0 never does.

    A file of a few kilobytes may have a hundred thousand markers before its pixels.

    Raises:
        Large: It does.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)  # again, if a decoder passes over it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Large


def _send(replies: int, facts: Facts, parts: list[bytes]) -> None:
    head = json.dumps(facts).encode()
    sizes = SIZES.pack(len(head), sum(map(len, parts)))
    for part in (sizes + head, *parts):
        left = memoryview(part)
        while left:
            left = left[os.write(replies, left) :]


if __name__ == "__main__":
    main()
