"""`flaxmill check`: reads every picture once; reports what there is, what is wrong, what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.check import classes, copies, embedded, index, looks, survey, unusable
from flaxmill.data.check.finding import Facts, Finding, number
from flaxmill.data.source import Splits
from flaxmill.errors import short

_CLASSES = 10  # that are listed one by one; of more, the largest and the smallest
_DETAILS = 20  # lines of one finding
_POINTS = (0, 5, 50, 95, 100)  # percentiles


@dataclass(frozen=True, eq=False)
class Checked:
    """The result of a check.

    Attributes:
        place: What was checked.
        facts: Of every picture.
        findings: What is wrong or odd, most important first.
    """

    place: Path
    facts: Facts
    findings: list[Finding]

    def __repr__(self) -> str:
        """Returns what was checked and found, in a line."""
        pictures = number(len(self.facts.index.names))
        findings = f"{number(len(self.findings), 'finding')}, {self.serious} serious"
        return f"<Checked {self.place}: {pictures}, {findings}>"

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
            "unreadable": {known.names[at]: words for at, words in known.errors.items()},
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
        """Returns the smallest, 5 %, median, 95 % and largest of the pictures' measures."""
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
        counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
        special = {
            "of 16 bits": some["bits"] > 8,
            "animated": some["frames"] > 1,
            "turned by their EXIF data": some["orientation"] > 1,
        }
        return counts | {what: int(which.sum()) for what, which in special.items() if which.any()}

    def lines(self) -> list[str]:
        """Returns lines of what there is, and then what to do, most important first."""
        known = self.facts.index
        megabytes = self.facts.records["bytes"].sum() / 1e6
        size = f", {megabytes:,.1f} MB" if megabytes else ""
        lines = [
            f"{self.place}: {number(len(known.names))}{size}; {known.read:,} read now, "
            f"{len(known.names) - known.read:,} known from before."
        ]
        totals = self.facts.totals()
        for split, per_class in self.facts.counts().items():
            lines.append(f"  {split:10}  {_shares(totals[split], per_class)}")
        for name, (least, low, median, high, most) in self.sizes().items():
            spread = (
                f"{least:g} to {most:g}, nine in ten from {low:g} to {high:g}, median {median:g}"
            )
            lines.append(f"  {name:10}  {f'{least:g}' if least == most else spread}")
        if kinds := self.kinds():
            lines.append(
                f"  {'kinds':10}  {', '.join(f'{n:,} {what}' for what, n in kinds.items())}"
            )
        if self.facts.survey.labels:
            lines.append(f"  {self.facts.survey.labels}")
        if known.note:
            lines.append(known.note)
        if not self.findings:
            return [*lines, "Nothing is wrong."]
        lines += ["", "What to do, most important first:"]
        for place, finding in enumerate(self.findings, start=1):
            mark = "!" if finding.serious else " "
            lines.append(f"{mark}{place:3}. {finding.words[0].upper()}{finding.words[1:]}")
            lines += [f"      - {line}" for line in finding.details[:_DETAILS]]
            if (left := len(finding.details) - _DETAILS) > 0:
                lines.append(f"      - and {left:,} more, which --json lists")
            lines.append(f"      {finding.advice}")
        return lines


def _shares(pictures: int, per_class: dict[str, int]) -> str:
    """Returns how many pictures each class has, the largest first, in words."""
    total = f"{number(pictures)} in {number(len(per_class), 'class')}"
    least, most = min(per_class.values(), default=0), max(per_class.values(), default=0)
    if least == most and len(per_class) > _CLASSES:
        return f"{total}, {most:,} of each"
    rows = [f"{short(label)} {count:,}" for label, count in per_class.items()]
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
    """Reads every picture of a folder or table once, and returns what is wrong or odd.

    Records of the files are cached: the next time, only new and changed ones are read.

    Args:
        place: A folder of class folders, with splits or without; a CSV file that lists pictures;
            anything else that `flaxmill.data.listings.layouts.scan` takes.
        size: Side of the pictures that a model will take, in pixels; 0 if that is not known.
        sign: What stands between the labels of a picture that has several, in a table.
        workers: Threads that read; 0 takes one for each processor.
        progress: Called with how many files are read, of how many.
        splits: The data, where it is open already; then the place is what it is called.

    Raises:
        BadInput: There is no such place, or it is of another kind.
    """
    overview = _survey(place, sign) if splits is None else embedded.survey_of_splits(place, splits)
    names = list(dict.fromkeys(row.name for row in overview.rows))
    options = {"load": overview.load, "workers": workers, "progress": progress}
    facts = Facts(overview, index.index(overview.root, names, **options))
    findings = [
        *unusable.unusable(facts),
        *copies.same(facts),
        *copies.alike(facts),
        *classes.classes(facts),
        *classes.names(facts),
        *looks.looks(facts, size),
    ]
    return Checked(place, facts, sorted(findings, key=lambda finding: not finding.serious))


def _survey(place: Path, sign: str) -> survey.Survey:
    by_split = survey.tables_of(place)
    if by_split is None:
        return embedded.survey_of_listings(place, sign=sign)
    return survey.survey(place, by_split, sign=sign)
