"""Opens thousands of damaged runs, exports, weights and tables as the commands do.

    python tests/fuzz_files.py 2000 --kinds signature parity --seed 0 --processes 2

Every file is a pure function of (seed, number), so that one can be made again:

    python tests/fuzz_files.py 1 --kinds signature --first 471 --save DIRECTORY

Whatever is in it, the command goes on or says one message, within 30 seconds and 1 GiB.
"""

import argparse
import contextlib
import gzip
import io
import json
import random
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_DATA

import damaging_files
import damaging_parquet
import jax
import numpy as np
import picture_files
import pyarrow
import small_runs
from flax import nnx
from fuzzing import Trial, Tried, forget_peak, fuzz

from flaxmill.commands import cli
from flaxmill.data.folder import pictures
from flaxmill.data.known import real_or_drawn
from flaxmill.data.known.cifar import RECORD, read_cifar10
from flaxmill.data.known.idx import read_idx
from flaxmill.data.known.published import DataFile, DataSet
from flaxmill.errors import BadInput, CannotGoOn
from flaxmill.machine.files import sha256
from flaxmill.models.fitting import fitted
from flaxmill.trained.run import TrainedRun
from flaxmill.training.checkpoint import best_step
from flaxmill.training.initial import read_initial
from flaxmill.training.integrity import seal
from flaxmill.training.log import read_rows

SECONDS, MEGABYTES = 30.0, 1024
_CLEARED = 40  # attempts at each kind, after which JAX forgets what it compiled
_ALL = 20  # attempts, of which one is read in every way, for some take long


def bases(folder: Path) -> None:
    """Makes runs with an export, prepared pictures, arrays and archives, all small and whole."""
    _few_pictures()
    run = small_runs.train("fashion_mnist", folder / "run")
    run.export(formats=["stablehlo", "safetensors"])
    small_runs.train("fashion_mnist", folder / "seeds", seeds=2)
    tables(folder)


def tables(folder: Path) -> None:
    """Makes those of the bases that nothing is trained for."""
    picture_files.classes(folder / "pictures", {"ant": 12, "bee": 12})
    _command("prepare", folder / "pictures", "--size", "8", "--to", folder / "made")
    for name in ("arrays", "npz", "known", "table"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (24, 8, 8, 3), np.uint8), np.arange(24) % 2
    np.save(folder / "arrays" / "images.npy", pixels)
    np.save(folder / "arrays" / "labels.npy", labels)
    np.savez(folder / "npz" / "set.npz", images=pixels, labels=labels)
    idx = b"\0\0\x08\x03" + np.array([24, 8, 8], ">u4").tobytes() + pixels[..., 0].tobytes()
    (folder / "known" / "pictures.gz").write_bytes(gzip.compress(idx))
    (folder / "known" / "tiny.tar.gz").write_bytes(damaging_files.tar_of(_MEMBERS))
    (folder / "table" / "train.parquet").write_bytes(damaging_parquet.whole(random.Random(1)))


def _few_pictures() -> None:
    vars(real_or_drawn).update(TRAIN=small_runs.TRAIN, TEST=small_runs.TEST)


def _command(*words: str | Path) -> None:
    """Runs a command in this process.

    Raises:
        BadInput: It ends with a message, and the status 2 or 3.
    """
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        status = cli._status(*map(str, words))
    if status in (2, 3):
        raise BadInput(said.getvalue())
    assert status == 0, f"{words} ends with {status}"


def _export(place: Path, base: Path) -> None:
    picture = base / "pictures" / "ant" / "0.png"
    _command("predict", place / "export", picture, "--json")
    _command("evaluate", place / "export", "--json")


def _run(place: Path, base: Path) -> None:
    _command("predict", place, base / "pictures" / "bee" / "1.png")
    _command("evaluate", place)


def _reported(place: Path, _: Path) -> None:
    _command("report", place, "--to", place / "page.html")


def _logged(place: Path, _: Path) -> None:
    best_step(read_rows(place / "metrics.jsonl"))


def _resumed(place: Path, _: Path) -> None:
    fields = small_runs.flags(small_runs.small("fashion_mnist"))
    _command("train", "fashion_mnist", "--run", place, "--no-report", *fields)
    _command("evaluate", place, "--checkpoint", "best")


def _begun_with(place: Path, base: Path) -> None:
    """Does what --init-from does, up to the training."""
    arrays = read_initial(place / "weights.safetensors")
    run = TrainedRun(base / "run")
    model = nnx.eval_shape(lambda: run.recipe.call("model", run.config, run.signature, nnx.Rngs(0)))
    _, params, model_state = nnx.split(model, nnx.Param, ...)
    fitted({"params": params, "model_state": model_state}, arrays, ("head",))


def _listed(place: Path, _: Path) -> None:
    """Reads pictures as training does."""
    splits = pictures(str(place), size=8, test=0.3)
    for split in (splits.train, splits.test):
        split.take(np.arange(min(len(split), 3)))


def _checked(place: Path, _: Path) -> None:
    _command("check", place)


def _npz(place: Path, base: Path) -> None:
    _listed(place / "set.npz", base)


def _tar(place: Path, _: Path) -> None:
    read_cifar10(place, _TINY, _BATCHES)


def _idx(place: Path, _: Path) -> None:
    read_idx(place / "pictures.gz", expected="pictures")


def _sealed(place: Path) -> None:
    """Writes the digests of what is in an export, or in checkpoints, as if it belonged there."""
    for folder in (place / "checkpoints").glob("[0-9]*"):
        seal(folder)
    parity = place / "export" / "parity.json"
    if parity.is_file():
        found = json.loads(parity.read_text())
        for row in found["formats"].values():
            row["sha256"] = sha256(parity.parent / row["file"])
        parity.write_text(json.dumps(found))


_RECORDS = np.zeros((6, RECORD), np.uint8)
_MEMBERS = {f"tiny/{name}": _RECORDS.tobytes() for name in ("one.bin", "test.bin")}
_BATCHES = dict.fromkeys(("one.bin", "test.bin"), (6,) + (0,) * 9)
_TINY = DataSet(
    "tiny",
    "Tiny",
    (DataFile("tiny.tar.gz", 1, "", "", holds=("one.bin", "test.bin"), inside="tiny"),),
    mirrors=(),
)
Damage = Callable[[random.Random, bytes], bytes]
Reads = Callable[[Path, Path], None]
_JSON = damaging_files.json_file


@dataclass(frozen=True)
class Kind:
    """A kind of file that is damaged.

    Attributes:
        base: The folder of `bases` that it lies in.
        file: Where in it; a pattern, of which one is taken.
        damage: How it is damaged.
        reads: What reads it; the first always, the others now and then.
        sealed: Whether digests are then made to fit, as somebody would who means harm.
    """

    base: str
    file: str
    damage: Damage
    reads: tuple[Reads, ...]
    sealed: bool = False


KINDS = {
    "signature": Kind("run", "export/signature.json", _JSON, (_export,)),
    "parity": Kind("run", "export/parity.json", _JSON, (_export,)),
    "stablehlo": Kind("run", "export/model.stablehlo", damaging_files.in_bytes, (_export,), True),
    "run signature": Kind("run", "signature.json", _JSON, (_run, _reported)),
    "config": Kind("run", "config.json", _JSON, (_run, _resumed, _reported)),
    "fields": Kind(
        "run", "config.json", damaging_files.json_within("config"), (_run, _resumed, _reported)
    ),
    "result": Kind("run", "result.json", _JSON, (_run, _resumed, _reported)),
    "manifest": Kind("run", "manifest.json", _JSON, (_run, _resumed, _reported)),
    "seeds": Kind("seeds", "[cr]*.json", _JSON, (_run, _reported)),
    "metrics": Kind(
        "run", "metrics.jsonl", damaging_files.json_lines, (_logged, _resumed, _reported)
    ),
    "facts": Kind("run", "checkpoints/*/facts.json", _JSON, (_run, _resumed), True),
    "digests": Kind("run", "checkpoints/*/digests.json", _JSON, (_run, _resumed)),
    "checkpoint": Kind("run", "checkpoints/*/arrays/**/*", damaging_files.any_file, (_run,), True),
    "safetensors": Kind(
        "run/export", "weights.safetensors", damaging_files.safetensors, (_begun_with,)
    ),
    "parquet": Kind("table", "train.parquet", damaging_parquet.damaged, (_listed, _checked)),
    "prepared": Kind("made", "prepared.json", _JSON, (_listed, _checked)),
    "prepared arrays": Kind("made", "*.npy", damaging_files.npy, (_listed, _checked)),
    "npy": Kind("arrays", "*.npy", damaging_files.npy, (_listed, _checked)),
    "npz": Kind("npz", "set.npz", damaging_files.npz, (_npz,)),
    "tar": Kind("known", "tiny.tar.gz", damaging_files.tar, (_tar,)),
    "gz": Kind("known", "pictures.gz", damaging_files.gz, (_idx,)),
}


def kind_of(number: int) -> str:
    """Returns the kind of a number: they take turns."""
    return list(KINDS)[number % len(KINDS)]


def damage(number: int, seed: int, base: Path, place: Path) -> Path:
    """Makes the files of a number in a place; returns the damaged one."""
    rng, kind = random.Random(f"{seed} {number}"), KINDS[kind_of(number)]
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base / kind.base, place)
    path = rng.choice([path for path in sorted(place.glob(kind.file)) if path.is_file()])
    path.write_bytes(kind.damage(rng, path.read_bytes()))
    if kind.sealed:
        _sealed(place)
    return path


def attempt(seed: int, number: int, folder: Path) -> Tried:
    """Opens the file of a number in every way, or in the usual one."""
    _few_pictures()
    turn, kind = number // len(KINDS), KINDS[kind_of(number)]
    if turn % _CLEARED == 0:
        jax.clear_caches()
    path = damage(number, seed, folder.parent, folder / "place")
    pyarrow.default_memory_pool().release_unused()
    forget_peak()
    return kind_of(number), *outcome(
        kind.reads if turn % _ALL == 0 else kind.reads[:1], path, folder / "place", folder.parent
    )


def outcome(
    reads: Sequence[Reads], path: Path, place: Path, base: Path
) -> tuple[str, list[str], float]:
    """Opens what lies in a place; returns what came of it, faults, and seconds of a processor."""
    faults, refused, slowest = [], 0, 0.0
    for read in reads:
        begun = time.process_time()
        try:
            with warnings.catch_warnings(action="ignore"):
                read(place, base)
        except (BadInput, CannotGoOn) as error:
            refused += 1
            if str(place) not in str(error) and "--" not in str(error):  # or an option's name
                faults.append(f"unnamed by {read.__name__}: {path.name}: {error}")
        except BaseException:
            faults.append(f"traceback of {read.__name__}: {traceback.format_exc()[-1500:]}")
        slowest = max(slowest, time.process_time() - begun)
    return "refused" if refused else "read", faults, round(slowest, 3)


TRIAL = Trial(
    attempt,
    lambda seed, number: kind_of(number),
    SECONDS,
    MEGABYTES,
    patience=90.0,
    room=(RLIMIT_DATA, 6 << 30),
    bases=bases,
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", type=int, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write the files of the first there, read none")
    given = parser.parse_args()
    wanted = range(given.first, given.first + given.count)
    numbers = [
        number * len(KINDS) + place
        for number in wanted
        for place, kind in enumerate(KINDS)
        if kind in given.kinds
    ]
    if given.save:
        bases(given.save / "bases")
        for number in numbers:
            print(damage(number, given.seed, given.save / "bases", given.save / f"{number}"))
        sys.exit()
    found = fuzz(TRIAL, numbers, given.seed, processes=given.processes)
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["faults"]))
