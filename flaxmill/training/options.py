"""How a run is carried out: its options beside recipe, config and seed."""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

from flaxmill.data.batches import Gear
from flaxmill.data.reading.readers import Reading
from flaxmill.data.source import Source
from flaxmill.devices import parallel
from flaxmill.errors import BadInput


@dataclass(frozen=True)
class Options:
    """How a run is carried out.

    None of this changes what a step computes, but for the last bits under another mesh; and
    --init-from is what the first step begins with.

    Attributes:
        gear: resident, streaming or auto.
        chunk: Most training steps in one call of the compiled function.
        prefetch: Chunks read ahead of time.
        readers: Threads that read streamed and evaluated examples; 0 for as many as cores.
        reader_processes: Have processes read in their place, where there are many cores.
        skip_unreadable: Train and evaluate without the examples that cannot be read.
        mesh: Devices to spread batches over, such as data=8.
        save_every: Seconds between saves.
        keep: Checkpoints that stay, beside the best.
        init_from: A run directory, or a safetensors file, to take the first weights from.
        dry_run: Say what would be done, and stop before the first step.
        report: Write report.html at the end.
    """

    gear: str = "auto"
    chunk: int = 64
    prefetch: int = 2
    readers: int = 0
    reader_processes: bool = False
    skip_unreadable: bool = False
    mesh: str | None = None
    save_every: float = 30.0
    keep: int = 3
    init_from: Path | None = None
    dry_run: bool = False
    report: bool = True

    def reading(self) -> Reading:
        """Returns how examples are read."""
        return Reading(self.readers, self.skip_unreadable, self.reader_processes)

    def check(self, batch_size: int, source: Source) -> None:
        """Refuses options that cannot be satisfied here, before anything is written.

        Raises:
            BadInput: The message names the option.
        """
        parallel.check_batch_size(batch_size, parallel.make_mesh(self.mesh))
        Gear(self.gear, self.chunk, self.prefetch).choose(source)
        self.reading()
        if self.keep < 1 or not self.save_every >= 0:
            raise BadInput("--keep must be at least 1, and --save-every at least 0 seconds.")


def training_arguments(kind: type) -> type:
    """Returns a dataclass of the arguments of ``train`` for a recipe's kind of config."""
    from tyro.conf import OmitArgPrefixes, arg

    def documented(form: Any, words: str) -> Any:
        return Annotated[form, arg(help=words)]

    seeds = "Train so many models at once, of the seeds from --seed on; together they answer."
    fresh = "Begin anew; a run that is there is renamed."
    run = "The run directory, by default one in runs; an unfinished run in it is gone on with."
    return make_dataclass(
        "Arguments",
        [
            ("config", OmitArgPrefixes[kind]),
            ("seed", documented(int, "Everything random follows from it."), 0),
            ("seeds", documented(int, seeds), 1),
            ("run", documented(Path | None, run), None),
            ("fresh", documented(bool, fresh), False),
            ("options", OmitArgPrefixes[Options], Options()),
        ],
        frozen=True,
    )


def option_names(kind: type) -> Iterator[str]:
    """Yields the options that a dataclass of arguments has on the command line."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        renamed = [m.name for m in getattr(hint, "__metadata__", ()) if getattr(m, "name", None)]
        yield from option_spellings(renamed[0] if renamed else field.name, hint)


def option_spellings(name: str, hint: Any) -> Iterator[str]:
    """Yields the spellings of a field as an option; those of its own fields, if it has any."""
    kind = getattr(hint, "__origin__", hint)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        yield from option_names(kind)
        return
    option = name.strip("_").replace("_", "-")  # class_ is --class
    yield f"--{option}"
    if kind is bool:
        yield f"--no-{option}"
