"""The log of a run: rows of figures in ``metrics.jsonl``, and the same for TensorBoard."""

import functools
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flaxmill.errors import BadInput, quoted
from flaxmill.machine import files, json_forms
from flaxmill.maths.metrics import spread
from flaxmill.training import run_files

Row = dict[str, Any]
CLOCK_FIELDS = ("seconds", "examples_per_second", "idle")
"""The fields of a row that depend on the machine's speed; all others are the same in every run."""

PLACE_FIELDS = ("step", "epoch", "split", "seed", "why", "examples")
"""The fields of a row, or of a result, that say what its figures are of."""

BYTES = 64 * 2**20
"""A metrics file is no larger: its rows are held in memory, and take ten times as much there."""

UNREADABLE = "unreadable"
"""Stands for the split in rows that only say ``why`` an example was skipped."""


def metrics_in(row: Mapping[str, Any]) -> Row:
    """Returns the metrics of a row, or of a result: what a recipe's loss or measure returned.

    >>> metrics_in({"step": 3, "split": "test", "loss": 0.5, "top3": 0.9, "seconds": 1.0})
    {'loss': 0.5, 'top3': 0.9}
    """
    others = (*PLACE_FIELDS, *CLOCK_FIELDS)
    return {name: value for name, value in row.items() if name not in others}


def read_rows(path: Path) -> list[Row]:
    """Reads a metrics file; a last line that a kill cut off is left out.

    Raises:
        BadInput: Another line is damaged, or the file too large; the message names it.
    """
    if not path.exists():
        return []
    cure = "Restore it from a copy, or take it away: the last checkpoint keeps its rows."
    if path.stat().st_size > BYTES:
        raise BadInput(
            f"{path} has more than {BYTES >> 20} MiB, which are 400,000 rows: log less often. "
            f"{cure}"
        )
    rows = []
    with files.open_regular(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            try:
                row = files.parse_json(line)
            except ValueError as error:
                if not line.endswith(b"\n"):
                    break
                raise BadInput(f"{where} is damaged ({error}). {cure}") from None
            json_forms.check(row, run_files.row, where, cure)
            rows.append(row)
    _check_seeds(rows, path, cure)
    return rows


def _check_seeds(rows: Sequence[Row], path: Path, cure: str) -> None:
    """Refuses rows of several seeds, of one step and split, that do not have the same figures.

    Raises:
        BadInput: The message names the first of them.
    """
    names: dict[tuple[int, str], set[str]] = {}
    for row in rows:
        place = row["step"], row["split"]
        if "seed" in row and names.setdefault(place, set(row)) != set(row):
            raise BadInput(
                f"{path} is damaged: of step {place[0]:,} and {quoted(place[1])}, the rows of the "
                f"seeds do not have the same figures. {cure}"
            )


def checked_rows(path: Path, logged: Sequence[Row], saved: Sequence[Row]) -> list[Row]:
    """Returns the rows of a log; warns if they do not begin with those saved in a checkpoint.

    Args:
        path: The log.
        logged: The rows in it.
        saved: Those of the checkpoint, which count.
    """
    rest = list(logged[len(saved) :])
    if len(logged) < len(saved):
        trouble = f"has {len(logged):,} rows, and had {len(saved):,}"
    elif [*saved, *rest] != list(logged):
        trouble = "has other rows than were written"
    else:
        return list(logged)
    warnings.warn(f"{path} {trouble}: those that the checkpoint keeps are taken.", stacklevel=3)
    return [*saved, *rest]


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """Averages the rows of models of several seeds: one row remains for each step and split.

    The rows of a single model stay as they are.
    """
    groups: dict[Any, list[Row]] = {}
    for number, row in enumerate(rows):
        groups.setdefault((row["step"], row["split"]) if "seed" in row else number, []).append(row)
    means = []
    for group in groups.values():
        first, *others = group
        differing = [name for name in first if any(row[name] != first[name] for row in others)]
        figures = spread([{name: row[name] for name in differing} for row in group])[0]
        means.append({name: value for name, value in (first | figures).items() if name != "seed"})
    return means


class Log:
    """Appends rows; the TensorBoard files are made from the rows, so that both always agree.

    Args:
        folder: The run directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._board_folder = folder / "tensorboard"
        self._boards: dict[Path, Any] = {}
        self._shown = self._size = 0
        self.rows = read_rows(self._path)

    def restore(self, saved: Sequence[Row]) -> None:
        """Takes the rows of a checkpoint, and warns where the file has others."""
        self.rows = checked_rows(self._path, self.rows, saved)

    def cut(self, step: int) -> None:
        """Drops the rows beyond a step, which will be trained again."""
        self.rows = [row for row in self.rows if row["step"] <= step]
        self._write()
        files.remove(self._board_folder)
        _tensorboard()  # before training goes on, so that no row's rate counts the import

    def append(self, row: Row) -> None:
        """Writes a row; all of them if somebody changed the file meanwhile."""
        self.rows.append(row)
        size = self._path.stat().st_size if self._path.is_file() else 0
        if size == self._size:
            with self._path.open("ab") as file:
                self._size += file.write(encoded_rows([row]))
        else:
            warnings.warn(
                f"{self._path} was changed or taken away while this run trains: all its rows are "
                f"written again.",
                stacklevel=2,
            )
            self._write()
        self._show()

    def _write(self) -> None:
        content = encoded_rows(self.rows)
        files.write_atomic(self._path, content)
        self._size = len(content)

    def skip(self, reasons: Iterable[str], place: Row) -> list[str]:
        """Writes a row for each skipped example that has none yet.

        Args:
            reasons: Why each could not be read.
            place: Step and epoch.

        Returns:
            The reasons that are new.
        """
        logged = {row["why"] for row in self.rows if row["split"] == UNREADABLE}
        new = [why for why in reasons if why not in logged]
        for why in new:
            self.append({**place, "split": UNREADABLE, "why": why})
        return new

    def flush(self) -> None:
        """Puts everything on the disk."""
        if self._path.exists():
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
        for board in self._boards.values():
            board.flush()

    def close(self) -> None:
        """Ends the TensorBoard files, which hold all rows."""
        self._show()
        self._close_boards()

    def _close_boards(self) -> None:
        while self._boards:
            self._boards.popitem()[1].close()

    def _show(self) -> None:
        """Writes the rows that TensorBoard lacks, in this thread, so that errors arrive here."""
        _, event, scalar = _tensorboard()
        if not all(folder.is_dir() for folder in self._boards):  # deleted: write all of them again
            self._close_boards()
            self._shown = 0
        for row in self.rows[self._shown :]:
            board = self._board(row)
            for name, value in row.items():
                if name not in PLACE_FIELDS:
                    summary = scalar(f"{name}/{row['split']}", value)
                    board.write_event(
                        event(wall_time=time.time(), step=row["step"], summary=summary)
                    )
        self._shown = len(self.rows)

    def _board(self, row: Row) -> Any:
        """Returns the file that a row belongs to: each of several seeds is a run of its own."""
        writer, *_ = _tensorboard()
        folder = self._board_folder / f"seed-{row['seed']}" if "seed" in row else self._board_folder
        if folder not in self._boards:
            self._board_folder.mkdir(exist_ok=True)  # in the run's folder, if that is still there
            folder.mkdir(exist_ok=True)
            self._boards[folder] = writer(str(folder / "events"))
        return self._boards[folder]


@functools.cache
def _tensorboard() -> tuple[Any, Any, Any]:
    """Imports what writes TensorBoard's files: a writer, an event, and what makes a scalar of one.

    tensorboardX imports PyTorch where it finds it, which takes seconds, in order to take tensors.
    It gets none here, so PyTorch is hidden from it unless it has been imported already.
    """
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # pyrefly: ignore
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2
        from tensorboardX.summary import scalar
    finally:
        if hidden:
            del sys.modules["torch"]
    return EventsWriter, event_pb2.Event, scalar  # pyrefly: ignore[missing-attribute]


def encoded_rows(rows: Iterable[Row]) -> bytes:
    """Returns the content of a metrics file: a line of JSON for each row."""
    lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    return "".join(lines).encode(errors="backslashreplace")
