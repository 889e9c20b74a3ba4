"""Checkpoints: written beside the training, whole or not at all, and verified when read.

Orbax stores the arrays; digests of all files are saved beside them, and a checkpoint that does not
match them is passed over. A folder ``checkpoints/<step>`` exists only once all of its content is
written and digested.
"""

import contextlib
import errno
import logging
import math
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine import files, json_forms
from flaxmill.training import run_files
from flaxmill.training.integrity import FORMAT, Damaged, all_files, first_line, seal, verify
from flaxmill.training.log import Row, encoded_rows, mean_rows, read_rows

_PARTIAL = ".partial-"
_FACTS = "facts.json"
_ROWS = "metrics.jsonl"
_ARRAYS = "arrays"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Holds a folder for each saved step.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # Orbax takes no relative paths
        self._writer: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None

    def steps(self) -> list[int]:
        """Returns the saved steps, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(int(path.name) for path in self.folder.iterdir() if _is_of_step(path))

    def warm_up(self) -> None:
        """Imports what saving needs on the writer's thread, while the caller goes on."""
        self._thread().submit(_orbax)

    def save(
        self,
        step: int,
        arrays: Mapping[str, np.ndarray],
        facts: Mapping[str, Any],
        keep: Collection[int],
        last: int,
    ) -> None:
        """Starts to save, and returns once an earlier save is finished.

        Args:
            step: Training steps done.
            arrays: By name; they must not change any more.
            facts: What else to save, as JSON; the log's as ``rows``.
            keep: Steps whose checkpoints stay.
            last: How many of the newest stay too.

        Raises:
            CannotGoOn: An earlier save failed.
        """
        self.wait()
        self._pending = self._thread().submit(
            self._write, step, dict(arrays), dict(facts), set(keep), last
        )

    def wait(self) -> None:
        """Waits until everything is saved.

        Raises:
            CannotGoOn: A save failed; the message says why and which checkpoint remains.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except Exception as error:
            steps = self.steps()
            remains = (
                f"the checkpoint of step {steps[-1]:,} is kept" if steps else "none was kept yet"
            )
            raise CannotGoOn(
                f"saving into {self.folder} failed: {first_line(error)}; {remains}. Make room, or "
                f"make the folder writable, and give the same command again to go on from there."
            ) from error

    def close(self) -> None:
        """Waits for the writer, whether or not its work succeeded."""
        if self._writer is not None:
            self._writer.shutdown(wait=True)
            self._writer = None

    def restore(self, step: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Reads a checkpoint, verified.

        Returns:
            Its arrays by name, and its facts.

        Raises:
            Damaged: A file is missing, added, or not as it was written.
        """
        folder = self.folder / str(step)
        verify(folder)
        try:
            facts = json_forms.read(folder / _FACTS, run_files.FACTS, cure="", newest=None)
            facts["rows"] = self.rows(step)
        except BadInput as error:
            raise Damaged(str(error)) from None
        ocp = _orbax()
        try:
            with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
                tree = reader.metadata(folder / _ARRAYS).item_metadata.tree
                size = sum(
                    math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in tree.values()
                )
                stored = sum(path.stat().st_size for path in all_files(folder / _ARRAYS))
                files.check_unpacked(folder / _ARRAYS, size, stored)
                restore_args = dict.fromkeys(tree, ocp.RestoreArgs(restore_type=np.ndarray))
                restore = ocp.args.PyTreeRestore(restore_args=restore_args)
                return reader.restore(folder / _ARRAYS, args=restore), facts
        except Exception as error:  # whatever Orbax and its dependencies raise
            raise Damaged(f"{folder / _ARRAYS} cannot be read ({first_line(error)})") from error

    def rows(self, step: int) -> list[Row]:
        """Returns the rows of the log that a checkpoint holds, if any."""
        return read_rows(self.folder / str(step) / _ROWS)

    def restore_newest(
        self, *, set_aside: bool = True
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """Reads the newest checkpoint that is whole; None if there is none.

        Args:
            set_aside: Clear up: remove what a kill left, and rename a damaged checkpoint. Without
                it, as in a directory of somebody else's, both are only passed over.
        """
        if set_aside:
            self._clear_partial()
        for step in reversed(self.steps()):
            try:
                return self.restore(step)
            except Damaged as damage:
                where = f" It was set aside as {self._set_aside(step)}." if set_aside else ""
                warnings.warn(
                    f"the checkpoint of step {step:,} is damaged: {damage}.{where} The one before "
                    f"it is used, or the beginning where there is none.",
                    stacklevel=2,
                )
        return None

    def _set_aside(self, step: int) -> Path:
        aside = self.folder / f"damaged-{step}"
        number = 2
        while aside.exists():
            aside, number = self.folder / f"damaged-{step}-{number}", number + 1
        (self.folder / str(step)).rename(aside)
        return aside

    def _clear_partial(self) -> None:
        for left in self.folder.glob(f"{_PARTIAL}*"):
            files.remove(left)

    def _thread(self) -> ThreadPoolExecutor:
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        return self._writer

    def _write(
        self, step: int, arrays: dict[str, Any], facts: dict[str, Any], keep: set[int], last: int
    ) -> None:
        """Writes under another name, digests, and only then gives the folder its name."""
        final, partial = self.folder / str(step), self.folder / f"{_PARTIAL}{step}"
        self.folder.mkdir(exist_ok=True)  # not the run's own folder, which may have been renamed
        if final.exists():
            return
        files.remove(partial)
        partial.mkdir()
        begun = partial.stat()
        try:
            _fill(partial, step, arrays, facts)
            if not os.path.samestat(begun, partial.stat()):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(partial))
            partial.rename(final)
        except BaseException:
            self._clear_made_again(partial)
            raise
        files.sync_folder(self.folder)
        for old in self.steps()[:-last]:
            if old not in keep:  # renamed first: a folder named as a step is a whole checkpoint
                doomed = self.folder / f"{_PARTIAL}old-{old}"
                (self.folder / str(old)).rename(doomed)
                files.remove(doomed)

    def _clear_made_again(self, partial: Path) -> None:
        """Removes what was not finished, and folders that exist for it alone.

        Where the run's folder is renamed during a save, Orbax makes the way to its file again.
        """
        files.remove(partial)
        with contextlib.suppress(OSError):  # a folder that holds anything stays
            self.folder.rmdir()
            self.folder.parent.rmdir()


def _fill(folder: Path, step: int, arrays: dict[str, Any], facts: dict[str, Any]) -> None:
    """Writes the files of a checkpoint, their digests last, so that they survive a power cut."""
    ocp = _orbax()
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=True)) as writer:
        writer.save(folder / _ARRAYS, args=ocp.args.PyTreeSave(arrays))
    files.write_atomic(folder / _ROWS, encoded_rows(facts.pop("rows", ())))
    files.write_json(folder / _FACTS, {"format": FORMAT, "step": step, **facts})
    for path in all_files(folder):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    inner = {parent for path in all_files(folder) for parent in path.parents}
    for parent in sorted(inner - set(folder.parents)):
        files.sync_folder(parent)
    seal(folder)


def _is_of_step(path: Path) -> bool:
    """Returns whether a folder is named as a step is: 12, and neither 012 nor ١٢."""
    name = path.name
    return name.isascii() and name.isdecimal() and name == str(int(name)) and path.is_dir()


def _orbax() -> Any:
    """Imports Orbax when it is needed, for it takes a second; silences its log."""
    import orbax.checkpoint as ocp

    logging.getLogger("absl").addFilter(_not_orbax)
    return ocp


def _not_orbax(record: logging.LogRecord) -> bool:
    """Returns whether a record is not from Orbax.

    Orbax logs its progress, and pages of each error that it raises, of which one line is shown.
    """
    return "/orbax/" not in record.pathname


def best_step(rows: Sequence[Row]) -> int | None:
    """Returns the step with the best validation figures in a run's log; None without any.

    The highest accuracy counts, or the lowest loss where there is no accuracy; the first of equals.
    With several seeds, the mean over their models counts.
    """
    rows = mean_rows([row for row in rows if row["split"] == "validation"])
    if not rows:
        return None
    if all("accuracy" in row for row in rows):
        return max(rows, key=lambda row: row["accuracy"])["step"]
    return min(rows, key=lambda row: row["loss"])["step"]


def check_saved(checkpoints: Checkpoints, step: int, what: str) -> None:
    """Refuses a step without a checkpoint.

    Raises:
        BadInput: The message lists the steps that have one.
    """
    steps = checkpoints.steps()
    if step not in steps:
        listed = ", ".join(f"{saved:,}" for saved in steps) or "none"
        raise BadInput(
            f"{checkpoints.folder.parent}: the {what} checkpoint (step {step:,}) is not there; "
            f"kept are: {listed}. The training command with --fresh makes it again, bit for bit."
        )
