"""Everything but inference: metadata, pictures, the page, and what describes them all."""

import json
import time
from importlib import metadata
from typing import Any, Protocol, runtime_checkable

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from flaxmill.serve import metrics, schema, static
from flaxmill.serve.intake import Intake, Reply
from flaxmill.serve.limits import Limits
from flaxmill.serve.refusal import Busy, Refused, error_body
from flaxmill.serve.served import ServedModel
from flaxmill.serve.settings import Settings
from flaxmill.serve.static import StaticFile
from flaxmill.trained.prediction import decode

ERROR = "flaxmill.error"
"""Where in a request's scope the words lie that it was refused with."""

FAILED = "the server failed; its log says more."
EXTENSIONS = ["binary_tensor_data", "classification"]

_MODEL = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"


@runtime_checkable
class Shared(Protocol):
    """What stands in front of the routes, and has what they share."""

    stopping: bool
    limits: Limits
    settings: Settings
    model: ServedModel
    metrics: metrics.Metrics
    intake: Intake

    def check_model(self, path: str) -> None:
        """Refuses a path that names another model or version."""
        ...


def application(front: Shared) -> FastAPI:
    """Returns what answers everything but inference."""
    app = FastAPI(
        title="flaxmill",
        version=metadata.version("flaxmill"),
        description="Classifies pictures, and speaks the Open Inference Protocol, version 2.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        responses={"4XX": {"model": schema.Error}, 503: {"model": schema.Error}},
    )
    routes = Routes(front, app)

    def add(path: str, endpoint: Any, summary: str, method: str = "GET", **more: Any) -> None:
        more.setdefault("response_model", None)
        app.add_api_route(path, endpoint, methods=[method], summary=summary, **more)

    def hidden(path: str, endpoint: Any) -> None:
        app.add_api_route(path, endpoint, include_in_schema=False, response_model=None)

    add(
        "/predict",
        routes.predict,
        "Classify pictures",
        "POST",
        openapi_extra=schema.PICTURES,
        response_model=schema.Predictions,
    )
    add("/signature.json", routes.signature, "What the model takes and gives")
    add("/limits.json", routes.limits, "How much a request may bring")
    add("/metrics", routes.metrics, "Figures for Prometheus")
    add("/v2", routes.server, "The server")
    add("/v2/health/live", routes.live, "Whether the server runs")
    add("/v2/health/ready", routes.ready, "Whether the server answers inference requests")
    for path in _MODEL:
        add(path, routes.model, "The model")
        add(f"{path}/ready", routes.model_ready, "Whether the model answers")
        add(
            f"{path}/infer",
            routes.infer,
            "Inference",
            "POST",
            openapi_extra=schema.INFERENCE,
            response_model=schema.InferenceResponse,
        )
    add("/openapi.json", routes.openapi, "This description")
    hidden("/docs", routes.docs)
    hidden("/", routes.index)
    hidden("/page/{file:path}", routes.page)
    hidden("/examples.json", routes.examples)
    hidden("/examples/{file}", routes.example)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _failed)
    return app


def _json(value: Any) -> Response:
    return Response(json.dumps(value, ensure_ascii=False).encode(), media_type="application/json")


def _predictions(
    model: dict[str, Any], predictions: list[dict[str, Any]], read: Reply, at: int
) -> Response:
    """Returns predictions as JSON, with the URL of each example that is shown as it is.

    Args:
        model: Which one predicted.
        predictions: Of each example.
        read: The request, as it was read.
        at: Where in its content the URLs begin.
    """
    rows = [json.dumps(one, ensure_ascii=False).encode() for one in predictions]
    for index, length in enumerate(read.facts["seen"]):
        rows[index] = b'%b, "seen": "%b"}' % (rows[index][:-1], read.content[at : at + length])
        at += length
    head = json.dumps(model, ensure_ascii=False).encode()
    body = b'{"model": %b, "predictions": [%b]}' % (head, b", ".join(rows))
    return Response(body, media_type="application/json")


def _error(request: Request, status: int, words: str, headers: Any = None) -> Response:
    request.scope[ERROR] = words
    return Response(error_body(words), status, headers, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {name.decode(): value.decode() for name, value in error.headers}
    return _error(request, error.status, error.message, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """Words the framework's own refusals as all others are."""
    assert isinstance(error, HTTPException)
    words = {
        404: f"there is nothing at {request.url.path[:200]}.",
        405: f"{request.method[:20]} is not for {request.url.path[:200]}.",
    }
    message = words.get(error.status_code, str(error.detail))
    return _error(request, error.status_code, message, error.headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    messages = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3]]
    return _error(request, 400, "; ".join(messages))


async def _failed(request: Request, error: Exception) -> Response:
    """Says that it is our fault; the exception goes on to whoever writes the log."""
    return _error(request, 500, FAILED)


class Routes:
    """What answers at each path.

    Args:
        front: What requests meet first.
        app: Whose description is shown.
    """

    def __init__(self, front: Shared, app: FastAPI) -> None:
        self._front = front
        self._app = app
        self._page = static.page_files()

    async def server(self) -> Response:
        """Returns the server's name, version and extensions of the protocol."""
        version = metadata.version("flaxmill")
        return _json({"name": "flaxmill", "version": version, "extensions": EXTENSIONS})

    async def live(self) -> Response:
        """Says that the server runs."""
        return _json({"live": True})

    async def ready(self) -> Response:
        """Returns whether the server is ready for requests."""
        self._check_ready()
        return _json({"ready": True})

    def _check_ready(self) -> None:
        if self._front.stopping or not self._front.model.ready:
            raise Busy("the server is stopping.")
        if not self._front.intake.ready:
            raise Busy("the server cannot read uploads at the moment; its log says why.")

    async def model(self, request: Request) -> Response:
        """Returns the model's metadata."""
        self._front.check_model(request.url.path)
        return _json(self._front.model.current.inference.metadata())

    async def model_ready(self, request: Request) -> Response:
        """Returns whether the model answers."""
        self._front.check_model(request.url.path)
        self._check_ready()
        return _json({"name": self._front.model.current.signature.name, "ready": True})

    async def infer(self, request: Request) -> Response:
        """Answers tensors with tensors, in JSON or as bytes after it."""
        self._front.check_model(request.url.path)
        raise AssertionError("inference is answered before it comes here")

    async def predict(self, request: Request) -> Response:
        """Names the likeliest classes of each example.

        They are preprocessed as the model's signature says: turned, padded, resized.
        """
        front = self._front
        loaded = front.model.current
        signature = loaded.signature
        if not signature.output_kind.CLASSIFIES:
            raise Refused(404, "this model names no classes: see /signature.json.")
        kind, query = request.headers.get("content-type", ""), request.query_params
        content = (await request.receive())["body"]  # all of it; request.body() copies it
        read = await front.intake.parse_upload(signature, kind, query, content)
        names = read.facts["names"]
        size = loaded.inference.example_bytes * len(names)
        due = time.monotonic() + front.limits.deadline
        outputs = await loaded.batcher(read.content[:size], len(names), due)
        predictions, (thing, _) = [], signature.input_kind.THING
        for name, probabilities in zip(names, outputs["probabilities"], strict=True):
            prediction = decode(np.asarray(probabilities), signature, read.facts["top"])
            predictions.append({thing: name, **prediction})
        return _predictions(loaded.identity(), predictions, read, size)

    async def signature(self) -> Response:
        """Gives the export's signature."""
        return self._file(self._front.model.current.signature_file)

    async def limits(self) -> Response:
        """Describes how much a request may bring, and whether it needs a token."""
        limits = self._front.limits
        named = ("max_batch", "max_body_bytes", "max_pictures", "max_pixels")
        values = {name: getattr(limits, name) for name in named}
        return _json({**values, "token": bool(self._front.settings.token)})

    async def metrics(self) -> Response:
        """Gives figures of all workers."""
        return Response(self._front.metrics.text(), media_type=metrics.CONTENT_TYPE)

    async def openapi(self) -> Response:
        """Describes the server, as OpenAPI has it."""
        return _json(self._app.openapi())

    async def docs(self) -> Response:
        """Leads to the description: FastAPI's page of it would load scripts from another host."""
        return RedirectResponse("openapi.json")

    async def index(self, request: Request) -> Response:
        """Shows the page."""
        return self._file_or_404(self._page.get("index.html"), request)

    async def page(self, file: str, request: Request) -> Response:
        """Gives a file of the page."""
        return self._file_or_404(self._page.get(file), request)

    async def examples(self) -> Response:
        """Lists the export's example pictures."""
        return _json(list(self._front.model.current.examples))

    async def example(self, file: str, request: Request) -> Response:
        """Gives an example picture."""
        return self._file_or_404(self._front.model.current.examples.get(file), request)

    def _file_or_404(self, file: StaticFile | None, request: Request) -> Response:
        if file is None:
            raise Refused(404, f"there is nothing at {request.url.path[:200]}.")
        known = request.headers.get("if-none-match", "").encode("latin-1")
        return self._file(file, fresh=file.etag in known)

    def _file(self, file: StaticFile, *, fresh: bool = False) -> Response:
        response = Response(b"" if fresh else file.content, 304 if fresh else 200)
        headers = response.raw_headers if not fresh else []
        response.raw_headers = [*headers, *file.headers]
        return response
