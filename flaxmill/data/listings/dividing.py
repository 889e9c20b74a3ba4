"""How listings are divided: each class in its proportion, and something of every class first."""

import numpy as np
from jaxtyping import Bool, Float32, Int, Int32

from flaxmill.data.listings.listing import Listing
from flaxmill.data.permutation import permute
from flaxmill.errors import BadInput


def stratified_split(
    listing: Listing, held_out: int | float, *, seed: int = 0, option: str = "the number"
) -> tuple[Listing, Listing]:
    """Divides a listing in two, each with every class in its proportion.

    The draw depends on nothing but the listing's order and the seed. Pictures with several labels
    are divided as Sechidis, Tsoumakas and Vlahavas (2011, "On the stratification of multi-label
    data", algorithm 1) do: the rarest label first.

    Args:
        listing: What to divide.
        held_out: How many pictures to hold out, or which share of them if it is a fraction below 1.
            A share holds out at least one of each class that has two; every class keeps at least
            one. Of pictures with several labels, it is about so many, and at least one.
        seed: Of the draw.
        option: What messages call the number.

    Returns:
        What is kept, and what is held out; neither is empty, unless nothing was to be held out.

    Raises:
        BadInput: The number is negative, or more than can be held out so; the message says how many
            can.
    """
    most = spare(listing)
    fits = 0 <= held_out < 1 if isinstance(held_out, float) else 0 <= held_out <= most  # NaN not
    if not fits or (held_out and not most):
        raise BadInput(f"{option} {held_out} does not fit {_describe_limits(listing, most)}")
    if listing.multi_label:
        share = held_out if isinstance(held_out, float) else held_out / len(listing)
        held = _hold_out_labelled(listing.labels, share, seed)
        return listing.select(np.flatnonzero(~held)), listing.select(np.flatnonzero(held))
    groups = listing.groups()
    rows = _shuffled(groups, seed)
    classes, rank = np.unique(groups, return_counts=True), _ranks(groups[rows])
    counts = _counts(classes[1], held_out)
    held = rank < counts[np.searchsorted(classes[0], groups[rows])]
    return listing.select(np.sort(rows[~held])), listing.select(np.sort(rows[held]))


def spare(listing: Listing) -> int:
    """Returns the most pictures that can be held out if every class keeps one."""
    if not listing.multi_label:
        return len(listing) - len(np.unique(listing.labels))
    return len(listing) - 1 if len(listing) > 1 and _can_be_held_out(listing.labels).any() else 0


def _can_be_held_out(labels: Float32[np.ndarray, "example class"]) -> Bool[np.ndarray, " example"]:
    """Returns which pictures have no label that is theirs alone."""
    alone = labels.sum(axis=0) == 1
    return np.logical_not(labels[:, alone].any(axis=1))


def _describe_limits(listing: Listing, most: int) -> str:
    """Returns how many pictures there are, and how many of them can be held out, in words."""
    each = listing.labels.sum(axis=0) if listing.multi_label else np.bincount(listing.labels)
    classes, what = int(np.count_nonzero(each)), "labels" if listing.multi_label else "classes"
    things = listing.things.removesuffix("s" * (len(listing) == 1))
    words = f"{len(listing):,} {things} of {classes:,} {what}, each of which keeps one to be"
    words = f"{words} learnt from"
    if not most:
        return f"{words}: none is left over. Add {listing.things}, or give 0."
    return f"{words}: give a number from 0 to {most:,}, or a share such as 0.1."


def _hold_out_labelled(
    labels: Float32[np.ndarray, "example class"], share: float, seed: int
) -> Bool[np.ndarray, " example"]:
    """Returns which pictures with several labels to hold out."""
    rows = _shuffled(np.zeros(len(labels), np.int32), seed)
    shares = np.array([1 - share, share])
    of_label, of_all = shares[:, None] * labels.sum(axis=0), shares * len(labels)
    held, left = np.zeros(len(labels), bool), np.ones(len(labels), bool)

    def put(row: int, to_hold: bool) -> None:
        held[row], left[row] = to_hold, False
        of_label[int(to_hold)] -= labels[row]
        of_all[int(to_hold)] -= 1

    while (counts := labels[left].sum(axis=0)).any():
        label = np.where(counts > 0, counts, np.inf).argmin()
        for row in rows[left[rows] & (labels[rows, label] > 0)].tolist():
            kept_need, held_need = zip(of_label[:, label].tolist(), of_all.tolist(), strict=True)
            put(row, held_need > kept_need)
    for row in rows[left[rows]].tolist():  # those of which no label holds
        put(row, bool(of_all[1] > of_all[0]))
    for label in np.flatnonzero(labels[held].any(axis=0) & ~labels[~held].any(axis=0)):
        if not labels[~held, label].any():  # nor has a picture that was put back before it
            held[next(row for row in rows if labels[row, label])] = False
    if held.all():
        held[rows[0]] = False
    if share and not held.any():
        held[next(row for row in rows if _can_be_held_out(labels)[row])] = True
    return held


def interleaved(listing: Listing, *, seed: int = 0) -> Listing:
    """Orders a listing so that its beginning has something of every class."""
    groups = listing.groups()
    rows = _shuffled(groups, seed)
    return listing.select(rows[np.argsort(_ranks(groups[rows]), kind="stable")])


def _shuffled(groups: Int32[np.ndarray, " example"], seed: int) -> Int[np.ndarray, " example"]:
    """Returns all rows, group by group, in a drawn order within each."""
    total = len(groups)
    shuffled = permute(np.arange(total), total, seed=seed, epoch=np.zeros(total, np.int64))
    return shuffled[np.argsort(groups[shuffled], kind="stable")]


def _ranks(groups: Int32[np.ndarray, " example"]) -> Int[np.ndarray, " example"]:
    """Numbers the examples of each group, given group by group, from 0 on."""
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))


def _counts(sizes: Int[np.ndarray, " group"], held_out: int | float) -> np.ndarray:
    """Returns how many to hold out of each group, which keeps at least one."""
    if isinstance(held_out, float):
        counts = np.maximum(np.round(held_out * sizes), held_out > 0)
        return np.minimum(counts, sizes - 1).astype(np.int64)
    ideal = held_out * sizes / sizes.sum()
    counts = np.minimum(np.floor(ideal), sizes - 1)
    order = np.argsort(np.floor(ideal) - ideal, kind="stable")
    while left := held_out - int(counts.sum()):  # what rounding leaves goes to the largest remains
        counts[order[counts[order] < sizes[order] - 1][:left]] += 1
    return counts.astype(np.int64)
