"""What a person reads: a bar in a terminal, plain lines elsewhere."""

import io
import sys

import pytest

from flaxmill.machine import progress
from flaxmill.machine.progress import ReadingProgress, Words
from flaxmill.training.facts import describe_step


class Terminal(io.StringIO):
    """Takes words as a terminal would."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Puts a terminal of 100 columns in the place of what these tests run in."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    return screen


def show(words: Words) -> None:
    """Shows figures after 250 of 1,000 steps of 0.1 seconds and 64 examples."""
    words.begin(0, 1000)
    words.show(250, 1000, {"loss": 0.5, "accuracy": 0.75}, 0.1, 64)
    words.end()


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    show(Words())
    shown = screen.getvalue()
    assert "25 %" in shown
    assert "step 250/1,000" in shown
    assert "loss 0.5000, accuracy 75.00 %, 640 examples/s, 1 min 15 s left" in shown
    hidden, back, clear = "\x1b[?25l", "\x1b[?25h", "\x1b[2K"  # the cursor, and a line
    assert shown.index(hidden) < shown.index("25 %") < shown.rindex(clear)
    assert shown.rindex(back) > shown.rindex("left")
    assert "  step 250 of 1,000" not in shown


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show(Words())
    line = "step 250 of 1,000: loss 0.5000, accuracy 75.00 %, 640 examples/s, 1 min 15 s left"
    assert capsys.readouterr().out == f"  {line}\n"


def test_a_device_that_waits_for_data_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    for idle in (0.05, 0.12):
        Words().show(1, 2, {"loss": 1.0}, 0.1, 64, idle)
    few, many = capsys.readouterr().out.splitlines()
    assert few.endswith("0.1 s left")
    assert many.endswith("0.1 s left, 12 % of the time waiting for data")


def test_reading_shows_a_bar_and_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    with ReadingProgress() as shown:
        shown(500, 2000)
    assert "25 %  read 500 of 2,000" in sys.stdout.getvalue()  # pyrefly: ignore


def test_reading_is_told_in_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ReadingProgress() as shown:
        shown(1, 2)  # too soon after the beginning
        monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
        shown(500, 2000)
    out, errors = capsys.readouterr()
    assert out == ""
    (line,) = errors.splitlines()
    assert line.startswith("  read 500 of 2,000, 0.")
    assert line.endswith(" s left")


def test_nothing_is_said_where_all_should_be_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    words = Words(quiet=True)
    words.say("a line")
    words.facts({"data": "many"})
    show(words)
    assert not words.due()
    assert screen.getvalue() == ""


def test_facts_stand_in_columns_and_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    Words().facts({"data": "160 train", "parameters": "1,234", "run": "runs/[bold]mine"})
    assert capsys.readouterr().out.splitlines() == [
        "  data        160 train",
        "  parameters  1,234",
        "  run         runs/[bold]mine",
    ]


def test_a_long_line_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    Words().say("word " * 100)
    assert capsys.readouterr().out == "word " * 100 + "\n"


def test_figures_are_asked_for_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    words = Words()
    words.begin(0, 1000)
    try:
        assert not words.due()
        now += 0.3
        assert words.due()
        words.show(1, 1000, {}, 0.1, 64)
        assert not words.due()
    finally:
        words.end()


def test_before_a_step_was_timed_no_speed_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    Words().show(0, 10, {"loss": 1.0}, 0.0, 64)
    assert capsys.readouterr().out == "  step 0 of 10: loss 1.0000, …, 0.0 s left\n"


def test_what_a_step_takes_is_told_in_units_that_are_read() -> None:
    words = [
        describe_step(None, seconds)["a step"] for seconds in (0.000123, 0.0116, 0.9999, 11.6, 75.0)
    ]
    assert words == ["0.123 ms", "11.6 ms", "1.0 s", "11.6 s", "1 min 15 s"]
