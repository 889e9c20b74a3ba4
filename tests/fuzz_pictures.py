"""Reads thousands of damaged pictures as every command reads them; says what came of it.

    python tests/fuzz_pictures.py 300000 --seed 0 --processes 2

Every file is a pure function of (seed, number), so that one can be made again:

    python tests/fuzz_pictures.py 1 --first 4711 --save DIRECTORY

Whatever lies in it, it is read, or refused in words that name it, within 5 seconds and 512 MiB.
"""

import argparse
import json
import random
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from resource import RLIMIT_AS
from typing import Any

import numpy as np
from damaging_pictures import damaged
from fuzzing import Trial, Tried, forget_peak, fuzz
from picture_bases import bases
from PIL import Image

from flaxmill.data.check.index import index
from flaxmill.data.folder import Pictures
from flaxmill.data.listings.listing import Listing
from flaxmill.errors import BadInput
from flaxmill.serve import uploads
from flaxmill.serve.limits import USUAL
from flaxmill.serve.refusal import Refused
from flaxmill.tasks.inputs.picture import preprocess
from flaxmill.tasks.signature import Signature, Tensor

SECONDS = 5.0
MEGABYTES = 512

_GREY = Signature(
    name="grey",
    takes="picture",
    gives="one_class",
    inputs=(Tensor("image", "uint8", (-1, 28, 28, 1)),),
    outputs=(Tensor("logits", "float32", (-1, 2)),),
    labels=("ant", "bee"),
    preprocess={"fit": "pad to a square", "background": "dark: light ones are inverted"},
)


def picture(seed: int, number: int) -> tuple[str, bytes]:
    """Returns a damaged file and the format that it was."""
    rng = random.Random(f"{seed} {number}")
    known = bases()
    kind = rng.choice(list(known))
    return kind, damaged(rng, kind, rng.choice(known[kind]), known)


class _Contents(list[bytes]):
    """Files that lie in memory, as those of a Parquet file do."""

    def __init__(self, contents: list[bytes], called: str) -> None:
        super().__init__(contents)
        self.called = called

    def name(self, _: int) -> str:
        """Returns what messages call one of them."""
        return self.called


def readings(content: bytes, path: Path) -> Iterator[tuple[str, Any]]:
    """Yields every way of reading a picture, with its name; each reads when it is called."""
    path.write_bytes(content)
    labels = np.zeros(1, np.int32)
    inside = Listing(_Contents([content], path.name), labels, ("ant",), path.parent)
    outside = Listing((path,), labels, ("ant",), path.parent)
    yield "predict", lambda: preprocess(path, _GREY)
    yield "draft", lambda: Pictures(outside, (8, 8), "squash").take(np.zeros(1, np.int64))
    yield "whole", lambda: Pictures(inside, (8, 8), share=0.875, draft=False)[0]
    upload = uploads.PredictionRequest([(path.name, content)], top=1, seen=False)
    yield "serve", lambda: uploads.preprocess(upload, _GREY, USUAL, small=False)
    yield "check", lambda: _checked(path)


def _checked(path: Path) -> None:
    """Raises what `flaxmill check` says of a picture."""
    errors = index(path.parent, [path.name], load=lambda _: path.read_bytes(), workers=1).errors
    if errors:
        raise BadInput(errors[0])


def outcome(content: bytes, path: Path) -> tuple[str, list[str], float]:
    """Reads a file in every way.

    Returns:
        Whether it is a picture, what should not have happened, and the seconds of a processor that
        the slowest way took.
    """
    faults, refused, slowest = [], 0, 0.0
    for name, reading in readings(content, path):
        begun = time.process_time()
        try:
            reading()
        except (BadInput, Refused) as error:
            refused += 1
            if path.name not in str(error):
                faults.append(f"unnamed by {name}: {error}")
        except BaseException:
            faults.append(f"traceback of {name}: {traceback.format_exc()}")
        slowest = max(slowest, time.process_time() - begun)
    came = "read" if not refused else "refused" if refused == 5 else "in part"
    return came, faults, round(slowest, 3)


def attempt(seed: int, number: int, place: Path) -> Tried:
    """Reads the file of a number in every way."""
    kind, content = picture(seed, number)
    forget_peak()
    return kind, *outcome(content, place / "picture 0")


def _kind(seed: int, number: int) -> str:
    return picture(seed, number)[0]


TRIAL = Trial(attempt, _kind, SECONDS, MEGABYTES, patience=30.0, room=(RLIMIT_AS, 4 << 30))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", type=Path, help="write the files there, and read none")
    given = parser.parse_args()
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
        for number in range(given.first, given.first + given.count):
            kind, content = picture(given.seed, number)
            (given.save / f"{number}.{kind.lower()}").write_bytes(content)
        sys.exit()
    numbers = range(given.first, given.first + given.count)
    found = fuzz(TRIAL, numbers, given.seed, processes=given.processes)
    found["pillow"] = Image.__version__
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["faults"]))
