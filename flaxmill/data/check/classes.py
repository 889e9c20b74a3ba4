"""Classes that do not fit together, and names that may be mistaken for each other."""

import re
from collections import defaultdict
from collections.abc import Iterator

from flaxmill.data.check.finding import Facts, Finding, are, few, number
from flaxmill.data.listings.listing import normal
from flaxmill.errors import quoted, short

_UNEVEN = 10  # pictures of the largest class for one of the smallest
_FEW = 10  # pictures of a class to learn it from
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
}


def classes(facts: Facts) -> Iterator[Finding]:
    """Finds what is wrong with the classes of the splits.

    Args:
        facts: Of all pictures.
    """
    counts = facts.counts()
    train = counts.get("train", {})
    everything = {label for per_class in counts.values() for label in per_class}
    for split, per_class in counts.items():
        if strangers := [label for label in per_class if label not in train]:
            yield Finding(
                "unknown-class",
                True,
                f"{split} has {number(len(strangers), 'class')} that train lacks: "
                f"{few(strangers)}.",
                "Put pictures of them into train, or take them away.",
                tuple(strangers),
            )
        if lacking := [label for label in train if label not in per_class]:
            yield Finding(
                "untested-class",
                False,
                f"{split} has no pictures of {number(len(lacking), 'class')}: {few(lacking)}.",
                f"Put some there, or nothing will be known of them by {split}.",
                tuple(lacking),
            )
    alike = defaultdict(list)
    for label in sorted(everything):
        alike[_key(label)].append(label)
    if close := [names for names in alike.values() if len(names) > 1]:
        shown = few(" / ".join(map(quoted, names)) for names in close)
        yield Finding(
            "class-names",
            False,
            f"{number(len(close), 'class')} may go under several names: {shown}.",
            "If they mean the same, give them one name.",
            tuple(name for names in close for name in names),
        )
    if len(train) > 1:
        (most, large), *_, (least, little) = train.items()
        if rare := [label for label, count in train.items() if count < _FEW]:
            yield Finding(
                "few",
                False,
                f"of {number(len(rare), 'class')} there are fewer than {_FEW} pictures to learn "
                f"from: {few(rare)}.",
                "Collect more of them; what is said of such a class means little.",
                tuple(rare),
            )
        if large >= _UNEVEN * little:
            yield Finding(
                "uneven",
                False,
                f"classes are uneven: {short(most)} has {large:,} pictures in train, "
                f"{short(least)} has {little:,}.",
                "Collect more of the rare ones, and judge by each class, not by accuracy alone.",
                (most, least),
            )


def _key(label: str) -> str:
    """Returns what is left of a class name without case, spaces, hyphens and a plural's s."""
    bare = re.sub(r"[\s_-]+", "", normal(label).casefold())
    return bare[:-1] if len(bare) > 3 and bare.endswith("s") else bare


def names(facts: Facts) -> Iterator[Finding]:
    """Finds what is odd about the names of files.

    Args:
        facts: Of all pictures.
    """
    forms = defaultdict(list)
    for name in facts.names:
        folder, _, file = name.rpartition("/")
        forms[folder, normal(file).casefold()].append(name)
    if close := [names for names in forms.values() if len(names) > 1]:
        shown = few(" / ".join(map(ascii, names)) for names in close)
        yield Finding(
            "names",
            False,
            f"in {number(len(close), 'place')} names differ in case or in their form of Unicode "
            f"only: {shown}.",
            "Rename them: on macOS and Windows one would take the place of the other.",
            tuple(name for names in close for name in names),
        )
    wrong = []
    for at in facts.good:
        if not (kind := facts.records[at]["format"].decode()) or facts.survey.load:
            continue  # it has no file of its own
        endings = _ENDINGS.get(kind, (f".{kind.lower()}",))
        if not facts.names[at].lower().endswith(endings):
            wrong.append(facts.names[at])
    if wrong:
        yield Finding(
            "ending",
            False,
            f"{number(len(wrong))} {are(len(wrong))} of another kind than the name says: "
            f"{few(wrong)}.",
            "Nothing needs doing here; other programs may stumble.",
            tuple(wrong),
            "wrong ending",
        )
