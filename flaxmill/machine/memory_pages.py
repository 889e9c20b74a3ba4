"""Memory in large pages, for what a command computes with.

A call of a compiled function works in memory that XLA asks for anew, gigabytes for a larger
network. Linux hands out new memory in pages of 4 KiB, each cleared when it is first touched, which
was a quarter of a training step of cifar10's preset quick; and a processor finds its way through
pages of 2 MiB faster. Where Linux gives large pages to those who ask, the C library asks if a
tunable tells it to. It reads that once, when a process starts.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

_TUNABLE = "glibc.malloc.hugetlb"
_MARK = "FLAXMILL_LARGE_PAGES"
"""Marks an environment that asked already: glibc takes its tunables from privileged programs."""
_SINCE = (2, 35)
"""The version of glibc that knows it."""
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def begin_anew_with_large_pages() -> None:
    """Starts this process again, with large pages, where that is possible and not done already.

    For a command's first line: nothing may have happened yet. The process stays the same to others.
    """
    environment = environment_for_large_pages(os.environ, policy(), libc_version())
    if environment is not None:
        with contextlib.suppress(OSError):  # then it goes on as it is
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def environment_for_large_pages(
    environment: Mapping[str, str], policy: str, libc: tuple[int, ...]
) -> dict[str, str] | None:
    """Returns the environment to start again with; None where that would gain nothing.

    Args:
        environment: Of this process. Its own settings of large pages are left alone.
        policy: From `policy`.
        libc: From `libc_version`.
    """
    tunables = environment.get("GLIBC_TUNABLES", "")
    if policy != "madvise" or libc < _SINCE or _TUNABLE in tunables or _MARK in environment:
        return None
    joined = ":".join(filter(None, [tunables, f"{_TUNABLE}=1"]))
    return {**environment, "GLIBC_TUNABLES": joined, _MARK: "asked"}


def in_use() -> str:
    """Returns what `policy` comes to for a command of flaxmill."""
    asks = _TUNABLE + "=1" in os.environ.get("GLIBC_TUNABLES", "")
    return policy() if policy() != "madvise" or asks else "never"


def policy() -> str:
    """Returns who gets large pages here: "always" all, "madvise" who asks, or "never"."""
    try:
        return _SETTING.read_text().partition("[")[2].partition("]")[0] or "never"
    except OSError:
        return "never"


def libc_version() -> tuple[int, ...]:
    """Returns the version of glibc, or () where the C library is another one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return tuple(map(int, version.split("."))) if name == "glibc" else ()
    except (AttributeError, OSError, ValueError):
        return ()
