"""What others have named, as commands show it: no control character, and no line but ours."""

import ast
import io
import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import small_runs
from commands import command
from PIL import Image
from safetensors.numpy import save_file

import flaxmill
from flaxmill.export.card import code, quoted
from flaxmill.machine.program import quote
from flaxmill.machine.progress import Words
from flaxmill.machine.terminal import plain, show_json

PACKAGE = Path(flaxmill.__file__).parent
FAKE = "flaxmill: all is well"
CLASSES = (
    "ant\x1b[31m\x1b]0;title\x07",
    f"bee\n{FAKE}\r",
    "\u202egnp.exe\u2066",
    "<img src=x onerror=alert(1)>",
    "[fly](javascript:alert(1)) `x` ${HOME} $\\frac$",
    "gnat\x9b2J\u2028\u200b{{7*7}}",
)


def assert_plain(*texts: str) -> None:
    """Makes sure that nothing acts on a terminal, and that no line only looks like one of ours."""
    for text in texts:
        acting = {
            letter
            for letter in text.replace("\n", "")
            if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        }
        assert not acting, text
        assert FAKE not in [line.strip() for line in text.split("\n")]


def test_a_line_shows_what_it_quotes() -> None:
    assert plain("개미 é 한글 \u200d\u200c\u3000 'a' \\") == "개미 é 한글 \u200d\u200c\u3000 'a' \\"
    assert plain("\x00\t\x7f\x85\u2029\ufeff\udcb0") == r"\x00\t\x7f\x85\u2029\ufeff\udcb0"
    assert_plain(*map(plain, CLASSES))


@pytest.mark.parametrize("word", [*CLASSES, "it's", "a\\\n'b", "\x01\udcb0f", "plain", ""])
def test_a_printed_word_is_that_word_to_a_shell(word: str) -> None:
    assert_plain(quote(word).replace("\udcb0", ""))
    printed = subprocess.run(
        ["bash", "-c", f"printf %s {quote(word)}"], capture_output=True, check=True
    ).stdout
    assert printed == os.fsencode(word)


@pytest.mark.parametrize(
    "name", [*CLASSES, "__bold__", "www.example.org", "a\n# b", "``", " ", "a`"]
)
def test_nothing_in_a_model_card_is_alive(name: str) -> None:
    shown = quoted(name)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    assert fence
    assert shown.endswith(fence)
    assert fence not in shown[len(fence) : -len(fence)]
    assert_plain(shown)


def test_words_stay_words_in_a_model_card() -> None:
    for name in ("T-shirt/top", "Fashion-MNIST", "개미 (붉은)", "CC BY-SA 3.0 (MNIST, Y. LeCun)"):
        assert quoted(name) == name
    assert code("a``b") == "```a``b```"


def test_what_a_run_says_is_neither_markup_nor_a_picture(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Words().say("runs/:bomb: [bold]one[/bold] \x1b[1m")
    assert capsys.readouterr().out == "runs/:bomb: [bold]one[/bold] \\x1b[1m\n"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_is_the_same_in_every_encoding(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, errors="backslashreplace")
    value = {name: f"é 개미 \U000e0067 {name}" for name in CLASSES}
    show_json(value, file=stream)
    stream.flush()
    line = stream.buffer.getvalue().decode(encoding)
    assert json.loads(line) == value
    assert_plain(line)


def test_what_libraries_log_and_warn_of_is_shown_as_text(capfd: pytest.CaptureFixture[str]) -> None:
    script = (
        "from flaxmill.commands import exit_status; import logging, warnings, sys; "
        "exit_status.speak_plainly(); name = sys.argv[1]; "
        "logging.getLogger('a.library').warning(name); warnings.warn(name); "
        "raise ValueError(name)"
    )
    subprocess.run([sys.executable, "-c", script, CLASSES[1] + CLASSES[0]], check=False)
    errors = capfd.readouterr().err
    assert_plain(errors)
    assert errors.count(r"bee\nflaxmill: all is well\rant\x1b[31m") == 2
    assert "ValueError" in errors


def test_there_is_one_way_to_a_terminal() -> None:
    ways = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == PACKAGE / "machine" / "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            arguments = [ast.unparse(one) for one in node.args]
            straight = called in ("print", "rich.print", "pprint", "traceback.print_exc")
            straight |= called.startswith(("sys.stdout.write", "sys.stderr.write", "sys.__std"))
            straight |= called == "os.write" and arguments[0] in ("1", "2")
            straight |= called.startswith("traceback.print_")
            straight |= called.endswith("console.print") and "terminal.plain(" not in arguments[0]
            if straight:
                ways.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {called}({arguments})")
    numbers_alone = [way for way in ways if "read {done:,} of {total:,}" in way]
    assert ways == numbers_alone


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in folders of hostile names, each called after its class too."""
    place = tmp_path_factory.mktemp("data") / f"photos\x1b[2J\n{FAKE}"
    random = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (place / name).mkdir(parents=True)
        for index in range(12):
            pixels = random.integers(0, 256, (20, 20, 3), np.uint8) // (number + 1)
            Image.fromarray(pixels).save(place / name / f"{index}{name[:20]}.png")
    (place / CLASSES[0] / f"{CLASSES[1]}.png").write_bytes(b"no picture")
    return place


def test_commands_show_what_others_have_named(
    hostile: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run, picture = f"run\x1b[1m\n{FAKE}", str(next((hostile / CLASSES[2]).iterdir()))
    how = small_runs.flags({**small_runs.SMALL["images"], "data": str(hostile), "validation": 6})
    how += ["--skip-unreadable"]
    save_file(
        {CLASSES[0]: np.zeros(3, np.float32), "b\nc": np.zeros(3, np.float32)}, "w.safetensors"
    )
    shown = ""
    for status, *words in (
        (2, "check", str(hostile), "--sheet", "odd.png"),
        (2, "check", str(hostile), "--json"),
        (2, "train", "images", *how, "--run", "other", "--init-from", "w.safetensors"),
        (0, "train", "images", *how, "--run", run),
        (0, "train", "images", *how, "--run", run),
        (2, "train", "images", *how, "--run", run, "--seed", "1"),
        (0, "look", run),
        (2, "look", run, "--class", "\x1b[31mnone"),
        (0, "predict", run, picture, "--look"),
        (2, "predict", run, picture, str(hostile / CLASSES[0] / f"{CLASSES[1]}.png")),
        (0, "predict", run, picture, "--json"),
        (2, "predict", run, f"--\x1b[31m{FAKE}"),
        (0, "evaluate", run),
        (0, "evaluate", run, "--json"),
        (0, "report", run),
        (0, "export", run, "--format", "stablehlo", "--format", "safetensors"),
        (2, "evaluate", f"{run}/export", "--data", f"no\x1b[1m\n{FAKE}"),
        (2, "serve", f"gone\x1b[1m\n{FAKE}"),
        (2, "fork", f"\x1b[1m\n{FAKE}"),
        (2, f"\x1b[1m\n{FAKE}"),
    ):
        code, out, err = command(capsys, *words)
        assert code == status, (words, out, err)
        assert_plain(out, err)
        if words[0] == "train" and status == 0:
            [shown] = [line for line in out.splitlines() if " look " in line]
    ansi = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {shown}"], capture_output=True, check=True
    ).stdout
    assert ansi.split(b"\0")[-2] == os.fsencode(run)  # the command that was shown is the one meant
    card = Path(run, "export", "README.md").read_text()
    assert_plain(card)
    assert "`<img src=x onerror=alert(1)>`" in card
    page = Path(run, "report.html").read_text()
    assert "<img src=x" not in page
    assert 'href="javascript:' not in page
