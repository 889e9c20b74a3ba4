"""What every request meets first: who may ask, how large it is, where it goes, what is noted of it.

Inference is answered here, ahead of the framework that routes everything else, because a small
model answers faster than a framework routes.
"""

import asyncio
import hmac
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from flaxmill.serve.connection import LAST_RESPONSE, WHOLE_RESPONSE, Connection
from flaxmill.serve.contents import Contents, Message, Receive, compress
from flaxmill.serve.intake import Intake
from flaxmill.serve.journal import Journal
from flaxmill.serve.metrics import Metrics
from flaxmill.serve.open_inference import InferenceRequest
from flaxmill.serve.refusal import Header, Refused, error_body
from flaxmill.serve.response import EncodedResponse
from flaxmill.serve.routes import ERROR, FAILED, application
from flaxmill.serve.served import LoadedExport, ServedModel
from flaxmill.serve.settings import Settings

Scope = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

CLIENT_LEFT = 499
"""Noted as the status of a request whose client did not wait for the answer."""

SECURITY: tuple[Header, ...] = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; "
        b"media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        b"form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)
_AT_ONCE = b"x-content-type-options: nosniff\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
_NOSNIFF: Header = (b"x-content-type-options", b"nosniff")

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_OPEN = re.compile(r"/|/page/.*|/limits\.json|/v2/health/(live|ready)|/favicon\.ico")
_HEALTH = "/v2/health/"  # asked by what knows an address and no name; anybody may
_ROUTES = re.compile(
    r"/v2/models/[^/]+(?:/versions/[^/]+)?(/infer|/ready)?|/(page|examples)/.+|(/[a-z0-9./]*)"
)
_KNOWN = frozenset(
    (
        *("/", "/docs", "/examples.json", "/limits.json", "/metrics", "/openapi.json"),
        *("/predict", "/signature.json", "/v2", "/v2/health/live", "/v2/health/ready"),
    )
)


class Front:
    """The application that answers requests.

    Args:
        settings: Of the server.
        model: What answers.
        metrics: Where requests are counted.
        journal: Where they are noted.
        intake: What reads them, where that takes long.
    """

    def __init__(
        self,
        settings: Settings,
        model: ServedModel,
        metrics: Metrics,
        journal: Journal,
        intake: Intake,
    ) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.model = model
        self.metrics = metrics
        self.journal = journal
        self.intake = intake
        self.stopping = False
        self.date = b""  # the header of all answers, with its line's end
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()  # that answer requests
        self.unread: dict[Connection, tuple[int, float]] = {}  # bytes of answers, and since when
        self._contents = Contents(settings.limits)
        self._token = settings.token.encode()
        self._allowed = frozenset(name.lower().rstrip(".") for name in settings.allow_hosts)
        self._hosts = self._allowed | settings.own_names
        self._any_host = not self._hosts
        self._is_called = lru_cache(maxsize=64)(self._named)
        self._id = secrets.token_hex(4)
        self._counter = itertools.count(1)
        self._others: Any = application(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        start = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        client_id = headers.get(b"x-request-id")
        if client_id is not None and _SANE_ID.fullmatch(client_id):
            request_id = client_id
        else:
            request_id = b"%s-%x" % (self._id.encode(), next(self._counter))
        sender = _Sender(send, request_id)
        error = None
        path, method = scope["path"], scope["method"]
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]  # means the same here, for whoever asks
            scope = scope | {"path": path}
        inference = path.endswith("/infer") and method == "POST" and path.startswith("/v2/models/")
        try:
            self._admit(path, headers)
            if inference:
                response = await self._infer(path, headers, receive)
                sender.status, sender.started = 200, True
                if not _send_at_once(scope, response, request_id):
                    await sender.respond(200, [_NOSNIFF, *response.headers], response.body)
            else:
                await self._respond_other(scope, headers, receive, sender)
        except Refused as refused:
            error = refused.message
            if not (refused.last and sender.end(scope, refused)):
                await sender.error(refused.status, refused.body, refused.headers)
        except asyncio.CancelledError:  # the connection is gone, and cancelled this task
            sender.status = CLIENT_LEFT
        except Exception:
            logging.getLogger(__name__).exception("request %s failed", request_id.decode())
            error = FAILED
            await sender.error(500, error_body(error))
        seconds = time.perf_counter() - start
        route = "infer" if inference else route_of(path)
        self.metrics.request(route, sender.status, seconds)
        error = error or scope.get(ERROR)
        self.journal.request(request_id.decode(), scope, sender.status, seconds, error)

    def refused(self, refusal: Refused, client: tuple[str, int] | None) -> None:
        """Notes what a connection answered by itself, before there was a request to answer."""
        self.metrics.request("connection", refusal.status, 0.0)
        scope = {"client": client, "method": "", "path": ""}
        self.journal.request("", scope, refusal.status, 0.0, refusal.message)

    def _admit(self, path: str, headers: dict[bytes, bytes]) -> None:
        """Refuses whom this server is not meant for.

        A page of another site, open in a browser on this machine, can send requests to a local
        server, also under a name of its own that it points here. Both give themselves away.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not (self._any_host or self._is_called(host) or path.startswith(_HEALTH)):
            raise Refused(
                400,
                f"this server is not called {host[:100]!r}: ask for "
                f"{', '.join(sorted(self._hosts))}, or start it with --allow-hosts and that name.",
            )
        if (origin := headers.get(b"origin")) is not None:
            theirs = origin.decode("latin-1").lower().partition("://")[2]
            if theirs != host and theirs.partition(":")[0] not in self._allowed:
                raise Refused(403, "pages of other sites may not use this server.")
        if self._token and not _OPEN.fullmatch(path):
            kind, _, shown = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(shown.strip(), self._token):
                raise Refused(
                    401,
                    "this server asks for a token: send the header Authorization: Bearer TOKEN.",
                    ((b"www-authenticate", b"Bearer"),),
                )

    def _named(self, host: str) -> bool:
        """Returns whether a host, with or without a port or a last dot, is one of its names."""
        return re.sub(r"\.?(:\d*)?$", "", host) in self._hosts

    async def _infer(
        self, path: str, headers: dict[bytes, bytes], receive: Receive
    ) -> EncodedResponse:
        """Answers an inference request."""
        body = await self._contents.read(headers, receive)
        try:
            loaded = self.model.current
            self.check_model(path)
            split = headers.get(b"inference-header-content-length")
            if (offloaded := loaded.inference.offload(body, split)) is None:
                request, examples = loaded.inference.read(body, split)
            else:
                request, examples = await self._read_offloaded(loaded, body, *offloaded)
            patience = min(request.timeout or self.limits.deadline, self.limits.deadline)
            due = time.monotonic() + patience
            outputs = await loaded.batcher(examples, request.count, due)
        finally:
            self._contents.release(body)
        response = loaded.inference.respond(request, outputs)
        accepted = headers.get(b"accept-encoding")
        return response if accepted is None else compress(response, accepted)

    async def _read_offloaded(
        self, loaded: LoadedExport, body: bytes, content: memoryview, split: int
    ) -> tuple[InferenceRequest, Any]:
        """Reads an inference request that takes longer."""
        following = len(body) - split
        reply = await self.intake.parse_inference(loaded.signature, content, split, following)
        return loaded.inference.from_facts(reply.facts), reply.content or memoryview(body)[split:]

    def check_model(self, path: str) -> None:
        """Refuses a path below /v2/models that is not of the model that is served."""
        _, _, _, name, *rest = path.split("/")
        signature = self.model.current.signature
        if name != signature.name:
            raise Refused(404, f"there is no model {name[:80]!r} here, only {signature.name!r}.")
        if rest[:1] == ["versions"]:
            version, rest = rest[1:2], rest[2:]
            if version != [signature.version]:
                raise Refused(
                    404,
                    f"there is no version {'/'.join(version)[:40]!r} of {name!r} here, only "
                    f"{signature.version!r}.",
                )
        if rest not in ([], ["infer"], ["ready"]):
            raise Refused(404, f"there is nothing at {path[:200]}.")

    async def _respond_other(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: "_Sender"
    ) -> None:
        """Has the framework answer, with the content read already, within the limits."""
        if scope["method"] == "HEAD":  # the connection leaves the content out
            scope = scope | {"method": "GET"}
        body = await self._contents.read(headers, receive)
        if b"content-encoding" in headers:
            others = [pair for pair in scope["headers"] if pair[0] != b"content-encoding"]
            scope = scope | {"headers": others}
        pending = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        try:
            await self._others(scope, replay, send)
        finally:
            self._contents.release(body)


def _send_at_once(scope: Scope, response: EncodedResponse, request_id: bytes) -> bool:
    """Sends an answer the short way, where there is one; says whether it did."""
    send = scope.get("extensions", {}).get(WHOLE_RESPONSE)
    if send is None or scope["http_version"] != "1.1":
        return False
    lines = [b"%b: %b\r\n" % header for header in response.headers]
    own = _AT_ONCE % (len(response.body), request_id)
    return send([b"HTTP/1.1 200 OK\r\n", own, *lines], response.body)


class _Sender:
    """Sends an answer with the headers that all have, and knows its status."""

    __slots__ = ("_request_id", "_send", "started", "status")

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self.started = False
        self.status = CLIENT_LEFT

    async def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        """Sends an answer whole."""
        headers.append((b"content-length", b"%d" % len(body)))
        headers.append((b"x-request-id", self._request_id))
        self.status, self.started = status, True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def error(self, status: int, body: bytes, headers: tuple[Header, ...] = ()) -> None:
        """Sends an error, unless an answer has begun already."""
        if not self.started:
            kind = (b"content-type", b"application/json")
            await self.respond(status, [kind, *SECURITY, *headers], body)

    def end(self, scope: Scope, refused: Refused) -> bool:
        """Ends the connection with an error, where there is a way to; says whether it did."""
        send = scope.get("extensions", {}).get(LAST_RESPONSE)
        if send is None or self.started:
            return False
        self.status, self.started = refused.status, True
        headers = (*SECURITY, *refused.headers, (b"x-request-id", self._request_id))
        return send(refused.status, headers, refused.body)

    async def __call__(self, message: Message) -> None:
        """Passes on what the framework sends."""
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            added = [*SECURITY, (b"x-request-id", self._request_id)]
            message = message | {"headers": [*message["headers"], *added]}
        await self._send(message)


def route_of(path: str) -> str:
    """Returns which of few routes a path is of, for counting.

    >>> route_of("/v2/models/clothes/infer"), route_of("/page/main.js"), route_of("/etc/passwd")
    ('infer', '/page', 'other')
    """
    match = _ROUTES.fullmatch(path)
    if not match:
        return "other"
    if path.startswith("/v2/models/"):
        return (match[1] or "/model").lstrip("/")
    if match[2]:
        return f"/{match[2]}"
    return path if path in _KNOWN else "other"
