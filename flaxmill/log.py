"""The log of a run: rows of figures in ``metrics.jsonl``, and the same for TensorBoard."""

import json
import shutil
from pathlib import Path
from typing import Any

from flaxmill import files

Row = dict[str, Any]
CLOCK_FIELDS = ("seconds", "examples_per_second")
"""The fields of a row that depend on the machine's speed; all others are the same in every run."""


def read_rows(path: Path) -> list[Row]:
    """Reads a metrics file; a last line that a kill cut off is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class Log:
    """Appends rows; the TensorBoard files are made from the rows, so that both always agree.

    Args:
        folder: The run directory.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "metrics.jsonl"
        self._board_folder = folder / "tensorboard"
        self._board: Any = None
        self.rows = read_rows(self._path)

    def cut(self, step: int) -> None:
        """Drops the rows beyond a step, which will be computed again."""
        self.rows = [row for row in self.rows if row["step"] <= step]
        files.write_atomic(self._path, "".join(map(_line, self.rows)))
        shutil.rmtree(self._board_folder, ignore_errors=True)

    def append(self, row: Row) -> None:
        """Writes a row."""
        self.rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(row))
        if self._board is None:
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(self._board_folder))
            for earlier in self.rows[:-1]:
                self._show(earlier)
        self._show(row)

    def flush(self) -> None:
        """Hands everything to the operating system."""
        if self._board is not None:
            self._board.flush()

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _show(self, row: Row) -> None:
        for name, value in row.items():
            if name not in ("step", "epoch", "split"):
                self._board.add_scalar(f"{name}/{row['split']}", value, row["step"])


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
