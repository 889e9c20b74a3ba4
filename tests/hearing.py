"""Words that a training would say to a person, kept for a test."""

from flaxmill.machine.progress import Words


class Heard(Words):
    """Says nothing, and remembers what it was to say."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)
