"""A plain server of one model, as a person would write it, for `benchmarks/serve.py`.

    python fastapi_server.py MODEL --shape 28 28 1 --port 8000 [--handler direct|pooled]
        [--threads 1] [--workers 1] [--channels-last]

MODEL is an ONNX file, which ONNX Runtime runs, or the arrays of one that PyTorch runs (.npz).
POST /predict takes the bytes of one picture and gives the bytes of its logits. The handler
``direct`` is an ``async def`` that computes at once; ``pooled`` is a ``def``, which FastAPI runs
in its pool of threads. Served by uvicorn, with uvloop and httptools.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import uvicorn
from fastapi import Depends, FastAPI, Request, Response

OPTIONS = "FASTAPI_SERVER"  # the variable through which workers are told what to serve


def onnx(path: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what computes logits with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: session.run(["logits"], {name: picture})[0]


def torch(path: Path, threads: int, channels_last: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what computes logits with PyTorch."""
    import torch
    import torch_models

    torch.set_num_threads(threads)
    form = torch.channels_last if channels_last else torch.contiguous_format
    model = torch_models.load(path).to(memory_format=form)

    def predict(picture: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            x = torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255
            return model(x.contiguous(memory_format=form)).numpy()

    return predict


async def content(request: Request) -> bytes:
    """Reads a request's body."""
    return await request.body()


def application() -> FastAPI:
    """Returns what a worker serves."""
    options = json.loads(os.environ[OPTIONS])
    path, threads, shape = Path(options["model"]), options["threads"], options["shape"]
    if path.suffix == ".onnx":
        predict = onnx(path, threads)
    else:
        predict = torch(path, threads, options["channels_last"])
    app = FastAPI()

    def answered(body: bytes) -> Response:
        picture = np.frombuffer(body, np.uint8).reshape(1, *shape)
        return Response(predict(picture).tobytes(), media_type="application/octet-stream")

    if options["handler"] == "direct":

        @app.post("/predict")
        async def direct(request: Request) -> Response:
            return answered(await request.body())
    else:

        @app.post("/predict")
        def pooled(body: Annotated[bytes, Depends(content)]) -> Response:
            return answered(body)

    return app


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--shape", type=int, nargs=3, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--handler", choices=("direct", "pooled"), default="pooled")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    os.environ[OPTIONS] = json.dumps(vars(arguments))
    how = {"port": arguments.port, "workers": arguments.workers, "access_log": False}
    uvicorn.run("fastapi_server:application", factory=True, log_level="warning", **how)


if __name__ == "__main__":
    main()
