"""`flaxmill check`: reads every picture once, and says what is there, what is wrong, what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.check import classes, copies, given, index, looks, survey, troubles
from flaxmill.data.check.finding import Facts, Finding, number
from flaxmill.data.source import Splits
from flaxmill.errors import short

_CLASSES = 10  # that are listed one by one; of more, the largest and the smallest
_DETAILS = 20  # lines of one finding
_POINTS = (0, 5, 50, 95, 100)  # percentiles


@dataclass(frozen=True, eq=False)
class Checked:
    """What was found in a place.

    Attributes:
        place: What was checked.
        facts: Of every picture.
        findings: What is wrong or odd, most important first.
    """

    place: Path
    facts: Facts
    findings: list[Finding]

    def __repr__(self) -> str:
        """Says what was checked and found, in a line."""
        pictures = number(len(self.facts.index.names))
        found = f"{number(len(self.findings), 'finding')}, {self.serious} serious"
        return f"<Checked {self.place}: {pictures}, {found}>"

    @property
    def serious(self) -> int:
        """Number of findings that would stop a training, or make its result worth little."""
        return sum(finding.serious for finding in self.findings)

    def json(self) -> dict[str, Any]:
        """Returns everything, for programs."""
        known = self.facts.index
        return {
            "format": 1,
            "place": str(self.place),
            "pictures": len(known.names),
            "read": known.read,
            "bytes": int(self.facts.records["bytes"].sum()),
            "splits": self.facts.counts(),
            "sizes": self.sizes(),
            "kinds": self.kinds(),
            "labels": self.facts.survey.labels,
            "unreadable": {known.names[at]: words for at, words in known.troubles.items()},
            "serious": self.serious,
            "findings": [
                {
                    "kind": finding.kind,
                    "serious": finding.serious,
                    "words": finding.words,
                    "advice": finding.advice,
                    "names": list(finding.names),
                    "details": list(finding.details),
                }
                for finding in self.findings
            ],
        }

    def sizes(self) -> dict[str, list[float]]:
        """Returns the smallest, 5 %, median, 95 % and largest of what pictures measure."""
        some = self.facts.records[self.facts.good]
        if not len(some):
            return {}
        width, height = some["width"].astype(np.float64), some["height"]
        measures = {"width": width, "height": height, "aspect": width / height}
        return {
            name: np.percentile(values, _POINTS, method="nearest").round(3).tolist()
            for name, values in measures.items()
        }

    def kinds(self) -> dict[str, int]:
        """Returns how many pictures are of each format and mode, or special in other ways."""
        some = self.facts.records[self.facts.good]
        kinds = [
            f"{form.decode()} {mode.decode()}".strip()
            for form, mode in zip(some["format"], some["mode"], strict=True)
        ]
        found = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
        special = {
            "of 16 bits": some["bits"] > 8,
            "animated": some["frames"] > 1,
            "turned by their EXIF data": some["orientation"] > 1,
        }
        return found | {what: int(which.sum()) for what, which in special.items() if which.any()}

    def lines(self) -> list[str]:
        """Says what there is, and then what to do, most important first."""
        known = self.facts.index
        megabytes = self.facts.records["bytes"].sum() / 1e6
        size = f", {megabytes:,.1f} MB" if megabytes else ""
        said = [
            f"{self.place}: {number(len(known.names))}{size}; {known.read:,} read now, "
            f"{len(known.names) - known.read:,} known from before."
        ]
        totals = self.facts.totals()
        for split, part in self.facts.counts().items():
            said.append(f"  {split:10}  {_shares(totals[split], part)}")
        for name, (least, low, median, high, most) in self.sizes().items():
            spread = (
                f"{least:g} to {most:g}, nine in ten from {low:g} to {high:g}, median {median:g}"
            )
            said.append(f"  {name:10}  {f'{least:g}' if least == most else spread}")
        if kinds := self.kinds():
            said.append(
                f"  {'kinds':10}  {', '.join(f'{n:,} {what}' for what, n in kinds.items())}"
            )
        if self.facts.survey.labels:
            said.append(f"  {self.facts.survey.labels}")
        if known.note:
            said.append(known.note)
        if not self.findings:
            return [*said, "Nothing is wrong."]
        said += ["", "What to do, most important first:"]
        for place, finding in enumerate(self.findings, start=1):
            mark = "!" if finding.serious else " "
            said.append(f"{mark}{place:3}. {finding.words[0].upper()}{finding.words[1:]}")
            said += [f"      - {line}" for line in finding.details[:_DETAILS]]
            if (left := len(finding.details) - _DETAILS) > 0:
                said.append(f"      - and {left:,} more, which --json lists")
            said.append(f"      {finding.advice}")
        return said


def _shares(pictures: int, part: dict[str, int]) -> str:
    """Says how many pictures each class has, the largest first."""
    total = f"{number(pictures)} in {number(len(part), 'class')}"
    least, most = min(part.values(), default=0), max(part.values(), default=0)
    if least == most and len(part) > _CLASSES:
        return f"{total}, {most:,} of each"
    rows = [f"{short(label)} {count:,}" for label, count in part.items()]
    if len(rows) > _CLASSES:
        rows = [*rows[: _CLASSES - 2], "…", *rows[-2:]]
    return f"{total}: {', '.join(rows)}"


def check(
    place: Path,
    *,
    size: int = 0,
    sign: str = "",
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    splits: Splits | None = None,
) -> Checked:
    """Reads every picture of a folder or table once, and says what is wrong or odd.

    What was found is remembered: the next time, only new and changed files are read.

    Args:
        place: A folder of class folders, with splits or without; a CSV file that lists pictures;
            anything else that `flaxmill.data.listings.layouts.scan` takes.
        size: Side of the pictures that a model will take, in pixels; 0 if that is not known.
        sign: What stands between the labels of a picture that has several, in a table.
        workers: Threads that read; 0 takes one for each processor.
        progress: Told how many files are read, of how many.
        splits: The data, where it is open already; then the place is what it is called.

    Raises:
        BadInput: There is no such place, or it is of another kind.
    """
    found = _survey(place, sign) if splits is None else given.survey_of_splits(place, splits)
    listed = list(dict.fromkeys(row.name for row in found.rows))
    how = {"given": found.given, "workers": workers, "progress": progress}
    facts = Facts(found, index.index(found.root, listed, **how))
    every = [
        *troubles.troubles(facts),
        *copies.same(facts),
        *copies.alike(facts),
        *classes.classes(facts),
        *classes.names(facts),
        *looks.looks(facts, size),
    ]
    return Checked(place, facts, sorted(every, key=lambda finding: not finding.serious))


def _survey(place: Path, sign: str) -> survey.Survey:
    listed = survey.tables_of(place)
    if listed is None:
        return given.survey_of_listings(place, sign=sign)
    return survey.survey(place, listed, sign=sign)
