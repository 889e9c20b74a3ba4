"""The log of a run, and what a kill may leave of it."""

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.proto import event_pb2

from flaxmill.errors import BadInput
from flaxmill.training.log import Log, Row, mean_rows, read_rows


def row(step: int) -> Row:
    return {"step": step, "epoch": step / 10, "split": "train", "loss": 1 / step, "seconds": 2.0}


def shown(folder: Path) -> list[tuple[int, str, float]]:
    """Returns what the TensorBoard files of a run hold: step, name, value."""
    events: list[tuple[int, str, float]] = []
    for path in sorted((folder / "tensorboard").glob("events*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)  # then 4 bytes of check sum
            event: Any = event_pb2.Event.FromString(content[place + 12 : place + 12 + length])  # pyrefly: ignore[missing-attribute]
            events += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
            place += 12 + length + 4
    return events


def test_rows_and_tensorboard_agree(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for step in (1, 2):
        log.append(row(step))
    log.close()
    assert read_rows(tmp_path / "metrics.jsonl") == [row(1), row(2)]
    assert shown(tmp_path) == [
        (1, "loss/train", 1.0),
        (1, "seconds/train", 2.0),
        (2, "loss/train", 0.5),
        (2, "seconds/train", 2.0),
    ]


def test_each_skipped_example_has_a_row_of_its_own(tmp_path: Path) -> None:
    log, place = Log(tmp_path), {"step": 3, "epoch": 0.3}
    assert log.skip(["a.png is damaged."], place) == ["a.png is damaged."]
    reasons = ["a.png is damaged.", "b.png is gone."]
    assert log.skip(reasons, {"step": 5, "epoch": 0.5}) == ["b.png is gone."]
    log.close()
    assert read_rows(tmp_path / "metrics.jsonl") == [
        {"step": 3, "epoch": 0.3, "split": "unreadable", "why": "a.png is damaged."},
        {"step": 5, "epoch": 0.5, "split": "unreadable", "why": "b.png is gone."},
    ]
    assert shown(tmp_path) == []
    log.cut(4)  # as after a resume from step 4
    assert log.skip(reasons, {"step": 5, "epoch": 0.5}) == ["b.png is gone."]
    log.close()


def test_a_name_that_is_no_text_is_written_as_an_escape(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.skip(["\udcb0.png is damaged."], {"step": 3, "epoch": 0.3})
    log.close()
    assert b'"\\udcb0.png is damaged."' in (tmp_path / "metrics.jsonl").read_bytes()
    again = Log(tmp_path)
    again.cut(3)
    assert again.skip(["\udcb0.png is damaged."], {"step": 3, "epoch": 0.3}) == []


def test_pytorch_is_not_imported_for_tensorboard(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    script = "import sys; from pathlib import Path; from flaxmill.training.log import Log; "
    script += "Log(Path('run')).cut(0); print('cut', 'torch' in sys.modules); import torch"
    (tmp_path / "run").mkdir()
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "cut False\n"
    assert answer.stderr == "torch was imported\n"  # by the script's last words


def test_rows_beyond_a_step_are_cut_from_both(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for step in (1, 2, 3):
        log.append(row(step))
    log.close()
    again = Log(tmp_path)
    again.cut(2)
    again.append(row(4))
    again.close()
    assert [r["step"] for r in read_rows(tmp_path / "metrics.jsonl")] == [1, 2, 4]
    assert sorted({step for step, *_ in shown(tmp_path)}) == [1, 2, 4]


def test_a_run_resumed_at_its_end_keeps_its_tensorboard_files(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(row(1))
    log.close()
    again = Log(tmp_path)
    again.cut(1)
    again.close()
    assert {step for step, *_ in shown(tmp_path)} == {1}


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(row(1))
    log.close()
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes() + b'{"step": 2, "spl')
    assert read_rows(path) == [row(1)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"\xff\xfe", r"is damaged \(.*can't decode"),
        (b"{}", "lacks step, split"),
        (b"[1]", r"has \[1\] at its top, expected values by name"),
        (b'{"step": 1, "split": "validation"}', "lacks loss"),
        (b'{"step": 1, "split": "test", "loss": "low"}', "has 'low' at loss, expected a number"),
        (b'{"step": 1, "split": "test", "loss": NaN}', r"is damaged \(nan is no number of JSON"),
    ],
)
def test_a_damaged_line_before_others_is_named(tmp_path: Path, damage: bytes, words: str) -> None:
    log = Log(tmp_path)
    log.append(row(1))
    log.close()
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(damage + b"\n" + path.read_bytes())
    with pytest.raises(BadInput, match=rf"metrics\.jsonl, line 1 {words}"):
        read_rows(path)


def test_rows_of_seeds_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(row(1) | {"seed": 0})
    log.append(row(1) | {"seed": 1, "f1": 0.5})
    log.close()
    with pytest.raises(BadInput, match="of step 1 and 'train', the rows of the seeds do not"):
        read_rows(tmp_path / "metrics.jsonl")


def test_a_log_is_held_in_memory_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "test"}\n' * 9)
    assert len(read_rows(tmp_path / "metrics.jsonl")) == 9
    monkeypatch.setattr("flaxmill.training.log.BYTES", 200)
    with pytest.raises(BadInput, match=r"metrics\.jsonl has more than .*: log less often"):
        read_rows(tmp_path / "metrics.jsonl")


def test_rows_of_several_seeds_are_averaged_where_they_differ() -> None:
    rows = [row(step) | {"seed": seed, "loss": step + seed} for step in (1, 2) for seed in (0, 1)]
    assert mean_rows(rows) == [row(step) | {"loss": step + 0.5} for step in (1, 2)]
    alone = [row(1), row(1), row(2)]
    assert mean_rows(alone) == alone
