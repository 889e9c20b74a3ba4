"""A run directory: where its files are, which process holds it, and which one a command means."""

import contextlib
import fcntl
import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine import files, json_forms
from flaxmill.machine.program import quote
from flaxmill.training import run_files
from flaxmill.training.identity import Attempt, Identity

LOCK = "lock"
_FORMS = {
    "config.json": run_files.CONFIG,
    "manifest.json": run_files.MANIFEST,
    "result.json": run_files.result,
}
_CURE = "Restore it from a copy, or train again."
_BEGINNINGS = {LOCK, "manifest.json", "signature.json", "recipe.py"}
"""What a run that was killed before its config.json may have left."""


@dataclass(frozen=True)
class RunDirectory:
    """The files of a run.

    Attributes:
        path: The directory.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Holds a folder for each saved step."""
        return self.path / "checkpoints"

    def read(self, name: str) -> dict[str, Any]:
        """Reads ``config.json``, ``manifest.json`` or ``result.json``.

        Raises:
            BadInput: This is no run directory, or the file is damaged or too new.
        """
        path = self.path / name
        if not self.path.is_dir():
            raise BadInput(f"there is no run directory {self.path}: check the path.")
        if name == "config.json" and not path.exists():
            raise BadInput(
                f"{self.path} is not a run directory (it has no config.json): "
                f"give a directory that training made, such as runs/fashion_mnist-quick-0."
            )
        return json_forms.read(path, _FORMS[name], cure=_CURE)

    def place(self) -> tuple[int, int] | None:
        """Identifies this very directory, whatever its name; None where it is gone."""
        try:
            status = os.stat(self.path / LOCK)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def check_place(self, place: tuple[int, int] | None, identity: Identity) -> None:
        """Refuses to write into another directory than the one that a run was begun in.

        A config that was deleted is written again: without it, the rest is no run.

        Args:
            place: What `place` returned then.
            identity: Of the run.

        Raises:
            CannotGoOn: It was renamed, replaced or deleted.
        """
        if self.place() != place:
            raise CannotGoOn(
                f"{self.path} was renamed, replaced or deleted while this run trained in it, or "
                f"its file {LOCK} was: nothing more is written there. What was saved went with "
                f"it: where it was renamed, the same command with its new name, as --run, goes on."
            )
        if not self.begun:
            warnings.warn(
                f"{self.path / 'config.json'} is gone: it is written again.", stacklevel=2
            )
            files.write_json(self.path / "config.json", identity.json())

    @property
    def begun(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "config.json").exists()

    @property
    def finished(self) -> bool:
        """Whether the run here has its result."""
        return (self.path / "result.json").exists()

    def last_attempt(self) -> Attempt | None:
        """Returns the last attempt at this run; None where nothing was recorded of it."""
        if is_lost(self.path / "manifest.json"):
            return None
        attempts = self.read("manifest.json")["attempts"]
        if not attempts or "versions" not in attempts[-1]:
            return None
        first = self.read("config.json")["recipe_sha256"]
        digest = attempts[-1].get("recipe_sha256", first)  # which not all versions record
        return Attempt(attempts[-1]["versions"].get("flaxmill", ""), digest)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the directory for this process.

        Raises:
            BadInput: Another process holds it, or it cannot be written; the message says which.
        """
        created = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = open(self.path / LOCK, "a+", encoding="utf-8", opener=files.open_own)  # noqa: SIM115
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadInput(
                f"the run directory {self.path} cannot be written ({reason}): "
                f"choose another with --run DIR."
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BadInput(
                    f"the run directory {self.path} is in use by {_holder(self.path / LOCK)}. "
                    f"Wait for it, or train elsewhere with --run DIR."
                ) from None
            except OSError as error:
                raise BadInput(
                    f"the run directory {self.path} cannot be locked ({error.strerror}): its file "
                    f"system has no locks. Choose another with --run DIR."
                ) from None
            if not _is_same(self.path / LOCK, file):  # renamed with its directory since (--fresh)
                raise BadInput(
                    f"the run directory {self.path} was renamed by another process just now: "
                    f"give the same command again."
                )
            file.truncate(0)
            began = time.strftime("%Y-%m-%d %H:%M:%S")
            holder = {"process": os.getpid(), "host": platform.node(), "since": began}
            file.write(json.dumps(holder))
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)  # the lock itself goes with the file, also after a kill
                if _visible(self.path) == {LOCK}:  # nothing was begun: leave nothing behind
                    with contextlib.suppress(OSError):
                        (self.path / LOCK).unlink()
                        if created:
                            self.path.rmdir()


def _is_same(path: Path, file: IO[str]) -> bool:
    """Returns whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(lock: Path) -> str:
    try:
        holder = json_forms.read(lock, run_files.HOLDER, cure="", newest=None)
        return f"process {holder['process']} on {holder['host']} since {holder['since']}"
    except BadInput:
        return "another process"


def choose(
    identity: Identity, run: Path | None, *, fresh: bool, root: Path = Path("runs")
) -> RunDirectory:
    """Returns the directory that a training command means; nothing is made yet.

    Args:
        identity: Of the run to train.
        run: The directory of ``--run``; None finds an unfinished run to go on with, or the next
            free name.
        fresh: Whether to begin anew: an old directory is renamed, never deleted.
        root: Where directories go without ``--run``.

    Raises:
        BadInput: The directory holds something else, or a run with another config.
    """
    directory = _next(identity, root, fresh=fresh) if run is None else RunDirectory(run)
    run = directory.path
    if run.exists() and not run.is_dir():
        raise BadInput(f"--run {run} is a file: give a directory, new or of this run.")
    if directory.begun:
        if not fresh:
            check_same(identity, directory)
    elif run.is_dir() and not _BEGINNINGS.issuperset(_visible(run)):
        raise BadInput(
            f"--run {run} holds other files and no run (no config.json): "
            f"give a new directory, or an empty one."
        )
    return directory


def is_lost(path: Path) -> bool:
    """Returns whether a file is gone, or empty as a full disk or a power cut may leave it."""
    return not path.exists() or (path.is_file() and not path.stat().st_size)


def _visible(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def check_same(identity: Identity, directory: RunDirectory) -> None:
    """Refuses to go on with a run of another recipe or config.

    Raises:
        BadInput: The message lists what differs and says how to go on from its weights.
    """
    config = directory.read("config.json")
    if config["recipe"] != identity.recipe:
        raise BadInput(
            f"{directory.path} is a run of the recipe {config['recipe']}, not of "
            f"{identity.recipe}: choose another --run."
        )
    differences = identity.differences(config, directory.last_attempt())
    if differences:
        ways = ["--fresh to begin anew here (the old directory is renamed)"]
        if config.get("seeds", 1) == 1:  # the weights of several are not those of one
            run = quote(directory.path)
            ways.append(f"--init-from {run} with another --run to start from its weights")
        raise BadInput(
            f"{directory.path} was begun differently, and going on would mix the two:",
            *(f"  {difference}" for difference in differences),
            "Give the values of then to go on with it, another --run to begin a new run, "
            f"{', or '.join(ways)}.",
        )


def _next(identity: Identity, root: Path, *, fresh: bool) -> RunDirectory:
    """Returns the unfinished run of this identity, else the first free name."""
    first, *others = identity.every_seed
    seeds = f"seeds-{first}-to-{others[-1]}" if others else f"{first}"  # 0-3 would be a third 0
    stem = f"{identity.recipe}-{identity.preset}-{seeds}"
    number = 1
    while True:
        directory = RunDirectory(root / (stem if number == 1 else f"{stem}-{number}"))
        if not directory.begun or fresh:
            return directory
        if not directory.finished:
            config = directory.read("config.json")
            last = directory.last_attempt()
            if config["recipe"] == identity.recipe and not identity.differences(config, last):
                return directory
        number += 1


def rename_old(directory: RunDirectory) -> Path | None:
    """Moves a run directory aside, for ``--fresh``; returns its new name."""
    if not directory.begun:
        return None
    number = 1
    while (aside := directory.path.with_name(f"{directory.path.name}-old-{number}")).exists():
        number += 1
    directory.path.rename(aside)
    return aside
