"""Times a model without a server, for `benchmarks/serve.py`: what bounds whoever serves it.

    python benchmarks/load/rates.py EXPORT --engine onnx --threads 1 [--seconds 1]

Prints, as JSON, the examples a second by the size of the batch; of each size the median time.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from flaxmill.tasks.signature import Signature
from flaxmill.trained import engines

SIZES = (1, 2, 4, 8, 16, 32, 64)


def main() -> None:
    """Times each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("--engine", choices=("onnx", "jax"), required=True)
    parser.add_argument("--threads", type=int, default=1, help="of ONNX Runtime")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each size")
    arguments = parser.parse_args()
    signature = Signature.load(arguments.export / "signature.json")
    how = {"threads": arguments.threads}
    engine = engines.start(arguments.engine, arguments.export, signature, **how)
    rates = {}
    for size in SIZES:
        pictures = np.random.default_rng(0).integers(
            0, 256, (size, *signature.inputs[0].shape[1:]), np.uint8
        )
        for _ in range(3):
            engine(pictures)
        spent: list[float] = []
        begin = time.perf_counter()
        while (began := time.perf_counter()) - begin < arguments.seconds:
            engine(pictures)
            spent.append(time.perf_counter() - began)
        rates[str(size)] = round(size / statistics.median(spent), 1)
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
