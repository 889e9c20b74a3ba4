"""Reads pictures with flaxmill, or with Grain and flaxmill's decoding, for `benchmarks/input.py`.

    python benchmarks/reading/ways.py PLAN.json [--draft]
        [--way flaxmill|flaxmill-processes|grain-threads|grain-processes]

PLAN.json says which files, how often, and what is made of them. Prints a JSON line: pictures a
second, and a digest of each picture of the first pass.
"""

import argparse
import functools
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from flaxmill.data.folder import Pictures
from flaxmill.data.listings.listing import Listing
from flaxmill.data.reading.readers import Filled, Reading, read_ahead

Plan = dict[str, Any]


def listed(files: list[str], passes: int) -> Listing:
    """Returns a listing of files over and over, all of one class."""
    labels = np.zeros(len(files) * passes, np.int32)
    return Listing(tuple(map(Path, files)) * passes, labels, ("any",), Path("/"))


def source(plan: Plan, *, draft: bool) -> Pictures:
    """Returns what a plan asks for."""
    side, share = plan["size"], plan["size"] / plan["resize"]
    files = listed(plan["files"], plan["passes"])
    return Pictures(files, (side, side), "crop", share, draft=draft)


def own(plan: Plan, pictures: Pictures, *, processes: bool = False) -> Iterator[np.ndarray]:
    """Yields batches as flaxmill reads them, by threads or by processes."""
    size = plan["batch"]

    def requests() -> Iterator[tuple[np.ndarray, None]]:
        for start in range(0, len(pictures), size):
            yield np.arange(start, start + size), None

    def images(_: None, filled: Filled) -> np.ndarray:
        return filled.arrays["image"]

    reading = Reading(plan["workers"], processes=processes)
    yield from read_ahead(pictures, requests(), reading, ahead=2, finish=images)


def grain_threads(plan: Plan, pictures: Pictures) -> Iterator[np.ndarray]:
    """Yields batches as Grain's threads read them."""
    import grain

    dataset = grain.MapDataset.source(pictures).batch(plan["batch"])
    per_thread = 2 * plan["batch"]
    options = grain.ReadOptions(num_threads=plan["workers"], prefetch_buffer_size=per_thread)
    for batch in dataset.to_iter_dataset(options):
        yield batch["image"]


def grain_processes(plan: Plan, pictures: Pictures) -> Iterator[np.ndarray]:
    """Yields batches as Grain's processes read them."""
    import grain
    from absl import flags

    flags.FLAGS(["ways.py"])  # else the processes do not start
    sampler = grain.samplers.SequentialSampler(len(pictures), grain.sharding.NoSharding())
    loader = grain.DataLoader(
        data_source=pictures,
        sampler=sampler,
        operations=[grain.transforms.Batch(plan["batch"])],
        worker_count=plan["workers"],
        # Not sixteen threads in each of them: all contestants have as many that read.
        read_options=grain.ReadOptions(num_threads=1, prefetch_buffer_size=plan["batch"]),
    )
    for batch in loader:
        yield batch["image"]


WAYS = {
    "flaxmill": own,
    "flaxmill-processes": functools.partial(own, processes=True),
    "grain-threads": grain_threads,
    "grain-processes": grain_processes,
}


def main() -> None:
    """Reads, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("--way", choices=WAYS, default="flaxmill")
    parser.add_argument("--draft", action="store_true")
    arguments = parser.parse_args()
    plan = json.loads(arguments.plan.read_text())
    each = len(plan["files"]) // plan["batch"]
    checked, first, last = (plan[name] * each for name in ("checked", "begin", "end"))
    digests: list[str] = []
    began = 0.0
    batches = WAYS[arguments.way](plan, source(plan, draft=arguments.draft))
    for number, images in enumerate(batches, start=1):
        if number <= checked:
            digests += [hashlib.sha256(np.asarray(image).tobytes()).hexdigest() for image in images]
        if number == first:
            began = time.perf_counter()
        if number == last:
            break
    seconds = time.perf_counter() - began
    rate = (last - first) * plan["batch"] / seconds
    print(json.dumps({"pictures_per_second": rate, "sha256": sorted(digests)}))


if __name__ == "__main__":
    main()
