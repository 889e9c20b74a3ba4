"""Commands run in the process of a test, as a person types them."""

import pytest

from flaxmill import cli


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs a command in this process; returns its status and what it printed."""
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments])
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def words(text: str) -> str:
    """Returns a message without the frame and the line ends that a narrow terminal gives it."""
    return " ".join(text.translate(str.maketrans("│╭╮╰╯─", "      ")).split())
