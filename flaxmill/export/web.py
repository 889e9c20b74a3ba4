"""A folder for any static host: the page with the model inside, run by the browser itself."""

import json
from importlib import resources
from pathlib import Path

from flaxmill.errors import BadInput
from flaxmill.machine import files
from flaxmill.tasks import page_parts

# What of onnxruntime-web runs a model on the processor, and its names on the page's side: there are
# web servers that do not know .mjs as JavaScript, and browsers then refuse it.
RUNTIME = {
    "ort.wasm.bundle.min.mjs": "ort.js",
    "ort-wasm-simd-threaded.wasm": "ort.wasm",
}

# Nothing leaves the folder's own host; onnxruntime-web must be allowed to compile WebAssembly.
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'"
)


def check_installed(runtime: Path | None = None) -> Path:
    """Returns where onnxruntime-web lies.

    Args:
        runtime: The folder with it; by default the package's own.

    Raises:
        BadInput: It is not there; the message says how to get it.
    """
    folder = runtime or Path(str(resources.files("flaxmill.export") / "runtime"))
    if missing := [name for name in RUNTIME if not (folder / name).is_file()]:
        raise BadInput(
            f"the format web needs onnxruntime-web, and {folder} lacks {' and '.join(missing)}: "
            f"run 'make web' in a checkout of flaxmill (it needs npm), install a wheel that was "
            f"built after it, or leave the format web out."
        )
    return folder


def write_web(export_dir: Path, to: Path, *, runtime: Path | None = None) -> None:
    """Writes the page as a folder of files that any web server can hand out.

    The browser runs ``model.onnx`` itself, so what a person gives does not leave the device, and
    the page works under any path and without other hosts.

    Args:
        export_dir: Holds ``signature.json``, ``model.onnx`` and ``examples/``.
        to: The folder to write; files of an earlier export in it are replaced.
        runtime: The folder with onnxruntime-web; by default the package's own.

    Raises:
        BadInput: onnxruntime-web or ``model.onnx`` is missing, or the page has no place for what
            the model takes, or no words for what it gives.
    """
    folder = check_installed(runtime)
    if not (export_dir / "model.onnx").is_file():
        raise BadInput(f"{export_dir} lacks model.onnx, which the page runs: export onnx as well.")
    signature = files.read_json(export_dir / "signature.json")
    takes, gives = signature["takes"], signature["gives"]
    parts = page_parts.files(takes, gives)
    for path, kind in (
        (f"inputs/{takes}/{page_parts.FIELD}", takes),
        (f"answers/{gives}.js", gives),
    ):
        if path not in parts:
            raise BadInput(
                f"the page has nothing for {kind}, and {signature['name']} takes {takes} and gives "
                f"{gives}: leave the format web out."
            )
    for path, content in parts.items():
        files.write_atomic(to / "page" / path, content)
    page = resources.files("flaxmill.serve") / "page"
    for part in page.iterdir():
        if part.is_file() and part.name != "index.html":
            files.write_atomic(to / "page" / part.name, part.read_bytes())
    files.write_atomic(to / "index.html", _standing_alone((page / "index.html").read_text("utf-8")))
    for name, served in RUNTIME.items():
        files.write_atomic(to / "runtime" / served, (folder / name).read_bytes())
    licence = resources.files("flaxmill.export") / "onnxruntime-web.txt"
    files.write_atomic(to / "runtime" / "LICENSE.txt", licence.read_bytes())
    for name in ("signature.json", "model.onnx"):
        files.write_atomic(to / name, (export_dir / name).read_bytes())
    examples = sorted((export_dir / "examples").glob("[!.]*"))
    for example in examples:
        files.write_atomic(to / "examples" / example.name, example.read_bytes())
    files.write_atomic(to / "examples.json", json.dumps([example.name for example in examples]))


def _standing_alone(page: str) -> str:
    """Returns the page as it is without our server: the model beside it, and its own policy."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    for old, new in (
        ('data-model="server"', 'data-model="browser"'),
        ('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}'),
    ):
        assert page.count(old) == 1, old
        page = page.replace(old, new)
    return page
