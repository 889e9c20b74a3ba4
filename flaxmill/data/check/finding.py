"""What a finding about pictures is, and the facts that findings are drawn from."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from flaxmill.data.check.index import Index
from flaxmill.data.check.survey import Survey
from flaxmill.errors import short

_SHOWN = 3  # names in a sentence


@dataclass(frozen=True)
class Finding:
    """Something that is wrong or odd.

    Attributes:
        kind: A word for programs.
        serious: Whether it would stop a training, or make its result worth little.
        words: What it is, with numbers and examples.
        advice: What to do.
        names: The files that are meant, the most telling first.
        caption: What a sheet says below such a picture.
        details: A line on each file.
    """

    kind: str
    serious: bool
    words: str
    advice: str
    names: tuple[str, ...] = ()
    caption: str = ""
    details: tuple[str, ...] = ()


class Facts:
    """What is known of each picture, by its place in the index.

    Attributes:
        names: Of the files.
        records: From `flaxmill.data.check.index`.
        good: Places of the pictures that can be read.
        splits: The splits that each is in.
        labels: The labels that each has, from one row or several.
    """

    def __init__(self, survey: Survey, index: Index) -> None:
        self.survey, self.index = survey, index
        self.names, self.records = index.names, index.records
        self.good = [at for at in range(len(index.names)) if at not in index.errors]
        place = {name: at for at, name in enumerate(index.names)}
        self.splits: list[set[str]] = [set() for _ in index.names]
        self.labels: list[set[tuple[str, ...]]] = [set() for _ in index.names]
        self.repeated: list[int] = []
        for row in survey.rows:
            at = place[row.name]
            if self.splits[at] or self.labels[at]:
                self.repeated.append(at)
            if row.split:
                self.splits[at].add(row.split)
                self.labels[at].add(row.labels)

    def totals(self) -> dict[str, int]:
        """Returns how many pictures each split has; one of several labels counts once."""
        return dict(Counter(row.split for row in self.survey.rows if row.split))

    def counts(self) -> dict[str, dict[str, int]]:
        """Returns how many pictures each class has, in each split, the largest class first."""
        counts: dict[str, dict[str, int]] = {}
        for row in self.survey.rows:
            if row.split:
                per_class = counts.setdefault(row.split, {})
                for label in row.labels:
                    per_class[label] = per_class.get(label, 0) + 1
        order = [split for split in ("train", "validation", "test") if split in counts]
        return {
            split: dict(sorted(counts[split].items(), key=lambda item: (-item[1], item[0])))
            for split in order
        }


def number(count: int, what: str = "picture") -> str:
    """Returns a number of things in words.

    >>> number(1), number(1200, "class")
    ('1 picture', '1,200 classes')
    """
    plural = "es" if what.endswith("s") else "s"
    return f"{count:,} {what}{plural if count != 1 else ''}"


def few(names: Iterable[str]) -> str:
    """Returns the first names of a list, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(short, names[:_SHOWN])) + more


def are(count: int) -> str:
    """Returns the verb for a number of things."""
    return "is" if count == 1 else "are"
