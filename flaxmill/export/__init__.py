"""Exports a trained model into files that run elsewhere, each checked against the model."""

import contextlib
import dataclasses
import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.source import Splits
from flaxmill.errors import BadInput, nearest
from flaxmill.export import card
from flaxmill.export.formats import ExportedModel, check, read_back, write_formats
from flaxmill.export.made import made_splits
from flaxmill.machine import files, json_forms, stopping
from flaxmill.machine.program import command_line, quote
from flaxmill.tasks.signature import Signature
from flaxmill.trained import exported
from flaxmill.trained.run import TrainedRun

FORMATS = ("stablehlo", "onnx", "safetensors", "web")
Done = Callable[[str, Mapping[str, Any]], None]
PLAIN = ("stablehlo", "onnx", "safetensors")
"""The formats that are written by default."""
MADE = "made"
"""The split in ``parity.json`` where inputs were made."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What an export wrote.

    Attributes:
        path: The export directory.
        parity: The content of its ``parity.json``.
        left_out: What was not written, and how to get it; empty if nothing was.
    """

    path: Path
    parity: dict[str, Any]
    left_out: str = ""

    def __repr__(self) -> str:
        """Describes what it is and where, in a line."""
        formats = ", ".join(self.parity["formats"])
        examples = f"{self.parity['examples']:,} examples"
        return f"<Written {self.path}: {formats}, checked on {examples}>"

    @property
    def checked_on(self) -> str:
        """What every format was checked on, in words."""
        count = f"{self.parity['examples']:,}"
        if self.parity["split"] == MADE:
            return f"{count} made inputs, since the run's data is not here"
        return f"{count} test example{'s' if self.parity['examples'] > 1 else ''}"


def export(
    run: TrainedRun,
    to: Path | None = None,
    *,
    formats: Sequence[str] = (),
    quantize: str | None = None,
    data: str | None = None,
    licence: str = "",
    done: Done = lambda name, row: None,
) -> Written:
    """Writes an export directory, after checking every format on the run's test examples.

    Where the run's data is not here, inputs are made to check them on. Always float32 and ordinary
    convolutions, whatever the training used. What was at the place before stays there until the new
    export is whole and right.

    Args:
        run: The trained run.
        to: The directory; by default ``export`` in the run directory.
        formats: Of `FORMATS`; nothing asks for all but web.
        quantize: ``int8`` also writes the ONNX graph in eight-bit integers.
        data: Another place to take the data from, which must then be there.
        licence: Of the model, in words, in the place of what the data says.
        done: Called for each format that was written and checked, with its name and its row in
            ``parity.json``.

    Raises:
        BadInput: A format is unknown or cannot be written here, or the place holds other things.
        CannotGoOn: A format differs from the trained model by more than its tolerance.
    """
    target = run.path / "export" if to is None else to
    selected, left_out = _select_formats(formats, quantize)
    place = Path(os.path.realpath(target))  # a link goes on pointing to where the export is
    _check_place(target, place)
    if quantize and not run.signature.output_kind.CLASSIFIES:
        raise BadInput(
            f"--quantize {quantize} is judged by the accuracy that it costs, and {run.path} gives "
            f"{run.signature.gives}, which have none: leave it out."
        )
    splits, missing = _splits(run, data)
    if missing and quantize:
        raise BadInput(
            f"--quantize {quantize} measures ranges on training examples, and those are not here: "
            f"{missing}"
        )
    model = ExportedModel.of(run, splits, licence or splits.licence, made=bool(missing))
    staged, handle = files.create_beside(place, lambda folder: _make_folder(folder, target))
    with stopping.cleaning(lambda: shutil.rmtree(staged, ignore_errors=True)):
        try:
            content = _write(model, staged, selected, quantize, done)
            _replace(staged, place)
        finally:
            os.close(handle)
    return Written(target, content, left_out)


def directory_of(
    model: Path, say: Callable[[str], None], *, recipe: str | None = None, trust: bool = False
) -> Path:
    """Returns the export directory that a run or an export means; a run is exported if need be.

    Args:
        model: An export directory, or a run: then its ``export``, which has its final weights.
        say: Called with a message when a run is exported.
        recipe: A file that holds the text of the run's recipe.
        trust: Run the recipe file that the run was trained by, though it was never trained here.

    Raises:
        BadInput: It is neither, the run cannot be exported, or its ``export`` has other weights.
    """
    if exported.is_export(model):
        return model
    run = TrainedRun(model, recipe=recipe, trust=trust)
    place = run.path / "export"
    again = command_line(f"export {quote(run.path)}")
    if not exported.is_export(place):
        say(f"writing {place}, for {run.path} is not exported yet")
        try:
            written = export(run)
        except BadInput as trouble:
            raise BadInput(
                f"{run.path} has no export yet, and none can be written: {trouble} (The options "
                f"are those of {again}; what that writes is found here.)"
            ) from trouble
        if written.parity["split"] == MADE:
            say(f"checked on {written.checked_on}; {again} --data DIR checks it on test examples")
        return written.path
    held = Signature.load(place / "signature.json").run
    if held.get("weights_sha256") != run.result["weights_sha256"]:  # such as its best checkpoint
        raise BadInput(
            f"{place} does not hold the final weights of {run.path} but those of step "
            f"{held.get('step')}: name the export itself, or have "
            f"{again} replace it."
        )
    return place


def _splits(run: TrainedRun, data: str | None) -> tuple[Splits, str]:
    """Returns the data to check on; if it is not here, made inputs, and what is wrong with it."""
    _ = run.config  # without its recipe there is no model either
    try:
        return run.splits(data), ""
    except BadInput as missing:
        if data is not None or not hasattr(run.signature.input_kind, "random_batch"):
            raise
        title, drawn = run.identity["data"]["title"], run.identity["data"]["drawn"]
        return made_splits(title, drawn=drawn, signature=run.signature), str(missing)


def _select_formats(formats: Sequence[str], quantize: str | None) -> tuple[list[str], str]:
    """Returns the formats to write, and a message on one that cannot be written here."""
    for name in formats:
        if name not in FORMATS:
            raise BadInput(f"--format {name}: no such format.{nearest(name, FORMATS)}")
    if quantize not in (None, "int8"):
        raise BadInput(f"--quantize {quantize}: only int8 is known.")
    selected, left_out = list(formats or PLAIN), ""
    try:
        if quantize or "onnx" in selected or "web" in selected:
            from flaxmill.export import graph

            graph.check_installed()
    except BadInput as missing:
        if formats or quantize:
            raise
        selected.remove("onnx")
        left_out = str(missing)
    if "web" in selected:
        from flaxmill.export import web

        web.check_installed()
    return selected, left_out


def _check_place(target: Path, place: Path) -> None:
    """Refuses to replace what is not an export, or cannot be replaced.

    Args:
        target: The directory as it was given, for messages.
        place: Where that is.
    """
    if place == Path.cwd() or place.is_mount():
        kind = "a mount point" if place.is_mount() else "the directory that you are in"
        raise BadInput(
            f"{target} is {kind}, and an export takes the place of a directory as a whole: give "
            f"--to a new directory, such as {target / 'export'}."
        )
    if place.is_dir() and any(place.iterdir()) and not exported.is_export(place):
        raise BadInput(
            f"{target} holds other files, and an export would replace them: give --to a new "
            f"directory."
        )
    if place.exists() and not place.is_dir():
        raise BadInput(f"{target} is a file: give --to a directory.")


def _make_folder(folder: Path, target: Path) -> int:
    """Makes the folder that an export is written in, which lies beside its target.

    Returns:
        A descriptor of it.

    Raises:
        BadInput: Nothing can be written there.
    """
    try:
        folder.mkdir(parents=True)
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise BadInput(
            f"{target} cannot be made ({error.strerror}): give --to a place that can be written."
        ) from None


def _write(
    model: ExportedModel,
    folder: Path,
    formats: Sequence[str],
    quantize: str | None,
    done: Done,
) -> dict[str, Any]:
    """Writes and checks all files of an export; returns the content of its ``parity.json``."""
    model.signature.save(folder / "signature.json")
    written = write_formats(model, folder, formats, quantize)
    compared = model.compare({name: read_back(model, name, written[name]) for name in written})
    content: dict[str, Any] = {
        "format": json_forms.NEWEST,
        "split": MADE if model.made else "test",
        "data": model.splits.title,
        "examples": compared.examples,
        "reference": {"precision": "float32", "accuracy": compared.accuracy},
        "formats": {},
    }
    for name, row in check(model, written, compared):
        content["formats"][name] = row
        done(name, row)
    files.write_json(folder / "parity.json", content)
    files.write_atomic(folder / "README.md", card.text(model.signature, content, model.splits))
    if compared.labels is not None:
        _write_examples(model.signature, model.splits, compared.labels, folder / "examples")
    if "web" in formats:
        from flaxmill.export.web import write_web

        write_web(folder, folder / "web")
    return content


def _write_examples(
    signature: Signature, splits: Splits, labels: np.ndarray, folder: Path, most: int = 10
) -> None:
    """Writes test examples to try the model on, the first of each class."""
    kind = signature.output_kind
    for label, name in list(enumerate(splits.labels))[:most]:
        places = np.flatnonzero(kind.of_class(labels, label)) if kind.CLASSIFIES else [label]
        if len(places):
            folder.mkdir(exist_ok=True)
            first = int(places[0])
            suffix, content = signature.input_kind.sample(splits.test, first, signature)
            slug = re.sub(r"\W+", "-", name.lower()).strip("-")
            (folder / f"{label:02}-{slug}{suffix}").write_bytes(content)


def _replace(staged: Path, target: Path) -> None:
    """Puts a whole new export in the place of an old one."""
    files.sync_folder(staged)
    replaced: list[Path] = []
    while not _moved(staged, target):
        old = files.beside(target)
        with contextlib.suppress(FileNotFoundError):  # taken away by another export at this moment
            os.rename(target, old)
            replaced.append(old)
    files.sync_folder(target.parent)
    for old in replaced:
        files.remove(old)
    files.clear_leftovers(target)  # only now: until then it may have been all that there was


def _moved(staged: Path, target: Path) -> bool:
    """Moves a directory to a place, unless there is something."""
    try:
        os.rename(staged, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
