"""Pictures of which there are several: equal in every pixel, or alike."""

from collections.abc import Iterator, Sequence

import numpy as np

from flaxmill.data.check import duplicates
from flaxmill.data.check.finding import Facts, Finding, are, few, number


def same(facts: Facts) -> Iterator[Finding]:
    """Finds pictures that are there several times, equal in every pixel.

    Args:
        facts: Of all pictures.
    """
    pixels, used = facts.records["pixels"], _used(facts)
    groups = duplicates.equal([pixels[at] for at in used])
    groups = [[used[at] for at in group] for group in groups]
    across = [group for group in groups if len(_splits(facts, group)) > 1]
    apart = [group for group in groups if len(_labels(facts, group)) > 1]
    reported = {group[0] for group in across + apart}
    within = [g for g in groups if g[0] not in reported and len(_splits(facts, g)) == 1]
    if across:
        yield Finding(
            "leak",
            True,
            f"{number(len(across))} {are(len(across))} in more than one split, equal in every "
            f"pixel: {_pairs(facts, across, facts.splits)}. "
            "What is trained on must not be tested on.",
            "Leave each in one split only; take them out of training.",
            _flat(facts, across),
            "in two splits",
        )
    if apart:
        yield Finding(
            "contradiction",
            True,
            f"{number(len(apart))} {are(len(apart))} there with different labels, equal in every "
            f"pixel: {_pairs(facts, apart, facts.labels)}.",
            "Decide on one label, and delete the others.",
            _flat(facts, apart),
            "two labels",
        )
    if within:
        surplus = sum(len(group) - 1 for group in within)
        yield Finding(
            "duplicate",
            False,
            f"{number(surplus)} {are(surplus)} there again in the same split, equal in every "
            f"pixel: {_pairs(facts, within)}.",
            "Delete all but one of each: a copy counts twice.",
            _flat(facts, within),
            "there twice",
        )
    twice = sorted({facts.names[at] for at in facts.repeated})
    if twice:
        yield Finding(
            "repeated",
            any(len(facts.splits[at]) > 1 or len(facts.labels[at]) > 1 for at in facts.repeated),
            f"{number(len(twice))} {are(len(twice))} listed more than once: {few(twice)}.",
            "Leave one row of each.",
            tuple(twice),
            "listed twice",
        )


def alike(facts: Facts) -> Iterator[Finding]:
    """Finds pictures that look the same though their pixels differ.

    Args:
        facts: Of all pictures.
    """
    used = _used(facts)
    _, first = np.unique(facts.records[used]["pixels"], return_index=True)
    places = [used[at] for at in np.sort(first).tolist()]
    known = facts.records[places]
    groups = duplicates.alike(known["hash"], known["mirrored"], known["small"])
    groups = [[places[at] for at in group] for group in groups]
    across = [group for group in groups if len(_splits(facts, group)) > 1]
    reported = {group[0] for group in across}
    rest = [group for group in groups if group[0] not in reported]
    apart = [group for group in rest if len(_labels(facts, group)) > 1]
    within = [group for group in rest if len(_labels(facts, group)) == 1]
    if across:
        yield Finding(
            "near-leak",
            False,
            f"in more than one split there {_groups(facts, across, facts.splits)}.",
            "Look at them; what is the same thing should be in one split only.",
            _flat(facts, across),
            "alike, two splits",
        )
    if apart:
        yield Finding(
            "near-contradiction",
            False,
            f"with different labels there {_groups(facts, apart, facts.labels)}.",
            "Look at them; one of the labels may be wrong.",
            _flat(facts, apart),
            "alike, two labels",
        )
    if within:
        yield Finding(
            "near-duplicate",
            False,
            f"in one split there {_groups(facts, within)}.",
            "Look at them, and delete what is there for no reason.",
            _flat(facts, within),
            "alike",
        )


def _used(facts: Facts) -> list[int]:
    """Returns the places of the pictures that can be read and are in a split."""
    return [at for at in facts.good if facts.splits[at]]


def _groups(
    facts: Facts, groups: Sequence[Sequence[int]], apart: Sequence[object] | None = None
) -> str:
    return (
        f"{are(len(groups))} {number(len(groups), 'group')} of pictures that look the same "
        f"(scaled, mirrored, or saved in another way): {_pairs(facts, groups, apart)}"
    )


def _splits(facts: Facts, group: Sequence[int]) -> set[str]:
    return set().union(*(facts.splits[at] for at in group))


def _labels(facts: Facts, group: Sequence[int]) -> set[tuple[str, ...]]:
    return set().union(*(facts.labels[at] for at in group))


def _pairs(
    facts: Facts, groups: Sequence[Sequence[int]], apart: Sequence[object] | None = None
) -> str:
    """Names two of each group: two that differ in what stands at their places in ``apart``."""

    def pair(group: Sequence[int]) -> str:
        first, *rest = group
        others = (at for at in rest if apart is not None and apart[at] != apart[first])
        return f"{facts.names[first]} = {facts.names[next(others, rest[0])]}"

    return few(map(pair, groups))


def _flat(facts: Facts, groups: Sequence[Sequence[int]]) -> tuple[str, ...]:
    return tuple(facts.names[at] for group in groups for at in group)
