"""A tiny data set and an HTTPS server that offers it, well and badly."""

import contextlib
import datetime
import functools
import gzip
import hashlib
import http.server
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flaxmill.data.known.published import DataFile, DataSet

CONTENTS = {
    "pictures.gz": np.random.default_rng(0).bytes(200_000),  # several blocks, incompressible
    "labels.gz": b"0123456789" * 10,
}
PACKED = {name: gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
PICTURES = PACKED["pictures.gz"]
FILES = tuple(
    DataFile(
        name,
        len(PACKED[name]),
        hashlib.md5(PACKED[name]).hexdigest(),
        hashlib.sha256(CONTENTS[name]).hexdigest(),
    )
    for name in CONTENTS
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``/BEHAVIOUR/FILE``; what each behaviour does is told where it is used."""

    @property
    def script(self) -> "Server":
        assert isinstance(self.server, Server)
        return self.server

    def do_GET(self) -> None:
        asked = self.headers.get("Range"), self.headers.get("If-Range")
        self.script.requests.append((self.path, *asked))
        behaviour, name = self.path.strip("/").split("/")
        body = PACKED[name]
        if behaviour == "silent":
            self.script.released.wait()
        elif behaviour in ("404", "500"):
            self.send_error(int(behaviour))
        elif behaviour in ("redirecting", "insecure"):
            base = self.script.address if behaviour == "redirecting" else "http://localhost/"
            self.send_response(302)
            self.send_header("Location", f"{base}good/{name}")
            self.end_headers()
        elif behaviour == "page":
            self.answer(b"<html>Please log in</html>")
        elif behaviour == "endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bytes(20 * len(body)))
        elif behaviour == "rangeless":
            self.answer(body)
        else:
            self.ranged(behaviour, bytes(len(body)) if behaviour == "wrong" else body)

    def ranged(self, behaviour: str, body: bytes) -> None:
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        again = [path for path, *_ in self.script.requests].count(self.path) > 1
        breaks = behaviour in ("breaking", "stalling") and not again
        stop = start + (len(body) - start) // 2 if breaks else len(body)
        if behaviour == "crumbling":
            stop = start + 1000
        self.answer(body, start, stop)
        if behaviour == "stalling" and breaks:
            self.script.released.wait()

    def answer(self, body: bytes, start: int = 0, stop: int | None = None) -> None:
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(body[start:stop])

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test's output clean."""


class Server(http.server.ThreadingHTTPServer):
    """An HTTPS server on this machine that remembers what it was asked."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self.server_port}/"
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""

    def offering(self, *behaviours: str) -> DataSet:
        """Describes the tiny data set with one mirror for each behaviour."""
        mirrors = tuple(f"{self.address}{behaviour}/" for behaviour in behaviours)
        return DataSet("tiny", "Tiny", FILES, mirrors)

    def asked(self, name: str = "pictures.gz") -> list[tuple[str, str | None]]:
        """Returns the behaviour and the range of each request for a file."""
        paths = [(path.strip("/").split("/"), wanted) for path, wanted, _ in self.requests]
        return [(path[0], wanted) for path, wanted in paths if path[1] == name]


@functools.cache
def certificate() -> bytes:
    """A key and a certificate for 127.0.0.1 that is its own authority, made once."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "flaxmill tests")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + signed.public_bytes(serialization.Encoding.PEM)


def need_loopback() -> None:
    """Skips a test, and says so, where a process cannot even speak to itself over the network."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        try:
            socket.create_connection(listening.getsockname(), timeout=5).close()
        except OSError as error:
            pytest.skip(f"needs the loopback network ({error}): ip link set lo up")


@contextlib.contextmanager
def serving(certificate_file: Path) -> Iterator[Server]:
    """Runs a server; writes the certificate by which it can be trusted."""
    need_loopback()
    certificate_file.write_bytes(certificate())
    with Server(certificate_file) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield running
        finally:
            running.released.set()
            running.shutdown()
            thread.join()


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or PACKED:
        (folder / name).write_bytes(PACKED[name])
    return folder


def complete(folder: Path) -> bool:
    """Whether a folder holds the right files and nothing that a download leaves behind."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} == PACKED
