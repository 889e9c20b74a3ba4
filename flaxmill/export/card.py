"""The model card of an export (Mitchell et al. 2019): what it is, how good, and what it is for."""

import re
from importlib import metadata
from typing import Any

import jinja2

from flaxmill.data.source import Splits
from flaxmill.export.parity import size
from flaxmill.machine.terminal import plain
from flaxmill.maths import calibration
from flaxmill.tasks.signature import Signature

_LINE = 200  # characters
_PLAIN = re.compile(r"[^\W_]((?:[\w ,./()'-]|: )*[\w)'.])?")
_LIVE = re.compile(r"\b_|_\b|www\.", re.IGNORECASE)


def quoted(name: str) -> str:
    """Returns a name as Markdown shows it, whatever it is: as code, unless it is plain words.

    In code nothing is alive: no HTML, no link, no picture and no address that would become a link.

    >>> quoted("T-shirt/top"), quoted("<b>"), quoted("[a](javascript:b)"), quoted("`")
    ('T-shirt/top', '`<b>`', '`[a](javascript:b)`', '`` ` ``')
    """
    if _PLAIN.fullmatch(name) and not _LIVE.search(name):
        return name
    return code(name)


def code(name: str) -> str:
    """Returns a name as code in Markdown."""
    shown = plain(name)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    room = " " if not shown.strip() or "`" in (shown[0], shown[-1]) else ""
    return f"{fence}{room}{shown}{room}{fence}"


def _short(value: Any) -> str:
    """Returns what a signature says, where it is no more than a line."""
    words = str(value)
    return words if len(words) <= _LINE else f"{words[:_LINE]} … (all of it is in signature.json)"


def text(signature: Signature, parity: dict[str, Any], splits: Splits) -> str:
    """Returns the card as Markdown.

    Args:
        signature: Of the export.
        parity: The content of ``parity.json``.
        splits: The data that the model was trained and measured on.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flaxmill.export", "."),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # this is Markdown
    )
    environment.filters |= {"size": size, "quoted": quoted, "code": code, "short": _short}
    kind, (thing, things) = signature.input_kind, signature.input_kind.THING
    preprocessing = kind.standalone_source().partition('"""\n\n')[2]
    preprocessing = preprocessing.replace("from typing import Any\n", "").strip()
    about = signature.output_kind.ABOUT
    return environment.get_template("card.md.jinja").render(
        signature=signature,
        kind=kind,
        thing=thing,
        things=things,
        preparing=preprocessing.replace("(file: Any, signature: Any) -> Any", "(file, signature)"),
        summary=f"A model that gives {about} of a {thing}, trained on {quoted(splits.title)}.",
        taken=signature.inputs[0],
        classifies=signature.output_kind.CLASSIFIES,
        last=signature.outputs[-1].name,
        several=signature.output_kind.SEVERAL,
        meaning=signature.output_kind.MEANING,
        weight=calibration.weight(signature.held_out),
        title=splits.title,
        drawn=splits.drawn,
        formats=parity["formats"],
        examples=parity["examples"],
        accuracy=parity["reference"]["accuracy"],
        made=parity["split"] != "test",
        version=metadata.version("flaxmill"),
        licence=quoted(signature.licence or "Nothing is known of the data's licence."),
    )
