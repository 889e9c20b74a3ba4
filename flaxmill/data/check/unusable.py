"""Pictures that cannot be read, are not there, or are not used."""

from collections.abc import Iterator

from flaxmill.data.check.finding import Facts, Finding, are, few, number
from flaxmill.data.check.survey import Survey


def unusable(facts: Facts) -> Iterator[Finding]:
    """Finds what training cannot use, or passes over.

    Args:
        facts: Of all pictures.
    """
    yield from _refusal(facts.survey)
    yield from _split_like(facts.survey)
    yield from _unreadable(facts)
    yield from _missing(facts.survey)


def _refusal(survey: Survey) -> Iterator[Finding]:
    if survey.refusal:
        yield Finding(
            "refused",
            True,
            f"training would refuse this: {survey.refusal}",
            "Mend this first; what follows may say more about it.",
        )


def _split_like(survey: Survey) -> Iterator[Finding]:
    if names := survey.split_like:
        yield Finding(
            "layout",
            True,
            f"{few(names)} would be taken for {number(len(names), 'class')}, "
            f"for they are not called train, val and test, or not alone.",
            "If they are splits, call them so, leave nothing beside them, and in them nothing but "
            "class folders.",
            tuple(names),
        )


def _unreadable(facts: Facts) -> Iterator[Finding]:
    errors = facts.index.errors
    for used, cannot in ((True, "cannot be read"), (False, "cannot be read, and is in no split")):
        indices = [at for at in errors if bool(facts.splits[at]) == used]
        if indices:
            yield Finding(
                "unreadable",
                used,
                f"{number(len(indices))} {cannot}:",
                "Save them anew or delete them (train --skip-unreadable leaves them out)."
                if used
                else "Nothing needs doing, unless they are meant to be used.",
                tuple(facts.names[at] for at in indices),
                details=tuple(errors[at] for at in indices),
            )
    if closed := facts.survey.closed:
        yield Finding(
            "closed",
            False,
            f"{number(len(closed), 'folder')} cannot be gone into, since you lack the permission "
            f"or it lies in itself (a link to a folder above): {few(closed)}.",
            "Give yourself the permission, or remove the link, if pictures in it are wanted.",
            tuple(closed),
        )


def _missing(survey: Survey) -> Iterator[Finding]:
    if survey.absent:
        yield Finding(
            "absent",
            True,
            f"{number(len(survey.absent))} in the list {are(len(survey.absent))} not there: "
            f"{few(survey.absent)}.",
            "Put them there, or take their rows out.",
            tuple(survey.absent),
        )
    unlisted = [row.name for row in survey.rows if not row.split]
    if unlisted:
        yield Finding(
            "unlisted",
            False,
            f"{number(len(unlisted))} {are(len(unlisted))} there and in no split and class: "
            f"{few(unlisted)}.",
            "Put them into class folders or into the list, if they are meant to be used.",
            tuple(unlisted),
            "not used",
        )
    if survey.others:
        what = "file among the pictures" if len(survey.others) == 1 else "files among the pictures"
        yield Finding(
            "others",
            False,
            f"{len(survey.others):,} {what} {are(len(survey.others))} not used, for the name is "
            f"not a picture's: {few(survey.others)}.",
            "Nothing needs doing, unless they are pictures under another name.",
            tuple(survey.others),
        )
    if survey.tables:
        shown = few(f"{name} ({why})" for name, why in survey.tables.items())
        yield Finding(
            "table",
            False,
            f"beside what is used, {shown} {are(len(survey.tables))} not.",
            "If it lists the pictures, give it, and not the folder.",
            tuple(survey.tables),
        )
    if survey.empty:
        yield Finding(
            "empty",
            True,
            f"{number(len(survey.empty), 'class folder')} {are(len(survey.empty))} empty: "
            f"{few(survey.empty)}.",
            "Put pictures in, or remove the folders.",
            tuple(survey.empty),
        )
