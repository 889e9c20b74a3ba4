"""The commands: parse, import what is needed, do, print.

Nothing heavy is imported before a command asks for it, so that help comes at once. Parameters
before the ``/`` of a command are its positional arguments, the others its options.
"""

import gc
import sys
import warnings
from collections.abc import Callable, Sequence
from json import dumps
from pathlib import Path
from typing import Any, Literal

from flaxmill import exit_status
from flaxmill.errors import BadInput, nearest

Checkpoint = Literal["final", "best"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    warnings.formatwarning = exit_status.plain_warning
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        try:
            print(_overview(), flush=True)
        except BrokenPipeError:  # head has seen enough
            exit_status.drop_output()
    elif arguments[0] == "--version":
        from importlib import metadata

        print(f"flaxmill {metadata.version('flaxmill')}")
    else:
        status = _status(*arguments)
        gc.freeze()  # Python need not look through all of JAX's objects once more before it ends
        sys.exit(status)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "flaxmill trains, looks at and reports on deep-learning models on JAX and Flax.",
        "",
        "  flaxmill train fashion_mnist     a trained clothing classifier in a quarter of a minute",
        "",
        "Commands (flaxmill COMMAND --help says more):",
    ]
    for name, command in COMMANDS.items():
        headline = (command.__doc__ or "").partition("\n")[0].rstrip(".")
        lines.append(f"  {name:{width}}  {headline}")
    return "\n".join(lines)


def _status(name: str, *arguments: str) -> int:
    """Runs a command; returns the exit status that its end deserves."""

    def command() -> None:
        if name not in COMMANDS:
            raise BadInput(f"there is no command {name!r}.{nearest(name, COMMANDS)}")
        if name == "train":
            train(list(arguments))
        else:
            from tyro.conf import FlagCreatePairsOff

            style = (FlagCreatePairsOff,)
            _parse(COMMANDS[name], f"flaxmill {name}", list(arguments), config=style)

    return exit_status.after(command)


def _parse(target: Any, program: str, arguments: list[str], **how: Any) -> Any:
    import tyro

    return tyro.cli(target, args=arguments, prog=program, **how)


# The commands, in the order of their help.


def list_recipes() -> None:
    """List the recipes, a line each."""
    from flaxmill import recipes

    for name in recipes.names():
        text = recipes.text(name)
        print(f"{name:16}  {recipes.headline(text)} {recipes.expectation(text)}")


def train(arguments: list[str]) -> None:
    """Train a recipe; the same command again goes on where it stopped."""
    from flaxmill import recipes

    if not arguments or arguments[0].startswith("-"):
        if not arguments or arguments[0] not in ("-h", "--help"):
            raise BadInput(
                "train takes the recipe first: flaxmill train RECIPE [OPTIONS]."
                + nearest("", recipes.names())
            )
        print("usage: flaxmill train RECIPE [--preset NAME] [OPTIONS]\n")
        list_recipes()
        print("\nflaxmill train RECIPE --help lists all options of a recipe.")
        return
    from flaxmill.clock import Clock
    from flaxmill.order import from_command
    from flaxmill.progress import Words
    from flaxmill.training import fulfil

    recipe = recipes.load(arguments[0])
    order = from_command(recipe, arguments[1:], f"flaxmill train {arguments[0]}")
    fulfil(order, Words(), Clock())


def evaluate(
    run: Path,
    /,
    *,
    data: str | None = None,
    split: Literal["test", "validation", "train"] = "test",
    checkpoint: Checkpoint = "final",
    recipe: str | None = None,
    json: bool = False,
) -> None:
    """Evaluate a run exactly on its test data.

    Args:
        run: A run directory.
        data: Another place to take the data from.
        split: Which part of the data.
        checkpoint: The final weights, or the best by validation.
        recipe: Where a fork's file lies now.
        json: Print JSON.
    """
    from flaxmill.progress import figures
    from flaxmill.trained import TrainedRun

    found = TrainedRun(run, recipe=recipe, checkpoint=checkpoint).evaluate(data, split=split)
    if json:
        print(dumps(found))
    else:
        print(f"{found['split']}: {figures(found)} on {found['examples']:,} examples")
        print(f"step {found['step']:,}, weights {found['weights_sha256'][:16]}")


def predict(
    model: Path,
    files: tuple[str, ...],
    /,
    *,
    top: int = 3,
    checkpoint: Checkpoint = "final",
    recipe: str | None = None,
    json: bool = False,
    look: bool = False,
) -> None:
    """Classify pictures of yours.

    Args:
        model: A run directory.
        files: Pictures; - reads one from standard input.
        top: How many classes to name for each.
        checkpoint: The final weights, or the best by validation.
        recipe: Where a fork's file lies now.
        json: Print a line of JSON for each picture.
        look: Also write predictions.png, a sheet of the pictures as the model saw them.
    """
    from flaxmill.data.pictures import open_picture
    from flaxmill.trained import TrainedRun

    if not files:
        raise BadInput("predict takes pictures after the run: flaxmill predict RUN PICTURE …")
    if top < 1:
        raise BadInput(f"--top {top}: give 1 or more.")
    pictures = [open_picture(file) for file in files]
    trained = TrainedRun(model, recipe=recipe, checkpoint=checkpoint)
    answers = trained.predict(pictures, top=top)
    for file, answer in zip(files, answers, strict=True):
        answer["picture"] = file
        if json:
            print(dumps(answer, ensure_ascii=False))
        else:
            said = ", ".join(f"{p['label']} {p['probability']:.1%}" for p in answer["predictions"])
            print(f"{file}: {said}")
    if look:
        from flaxmill.report.look import own_pictures

        print(f"wrote {own_pictures(trained, pictures, answers, Path('predictions.png'))}")


def look(
    what: str,
    /,
    *,
    augmented: bool = False,
    preset: str | None = None,
    data: str | None = None,
    recipe: str | None = None,
    to: Path | None = None,
) -> None:
    """Draw a sheet of a recipe's data, or of a run's predictions.

    Args:
        what: A recipe, or a run directory.
        augmented: Show training examples as augmentation changes them.
        preset: Which of the recipe's presets.
        data: Another place to take the data from.
        recipe: Where a fork's file lies now.
        to: The PNG to write.
    """
    from flaxmill.report import look as sheets

    sheet = sheets.draw(
        what, augmented=augmented, preset=preset, data_from=data, recipe=recipe, to=to
    )
    print(sheet.words)
    print(f"wrote {sheet.path}")


def report(
    runs: tuple[Path, ...],
    /,
    *,
    data: str | None = None,
    to: Path | None = None,
    open: bool = False,
    recipe: str | None = None,
) -> None:
    """Write one HTML page of a run, or of a comparison of several.

    Args:
        runs: Run directories.
        data: Another place to take their data from.
        to: The page to write; by default report.html in the run, or comparison.html here.
        open: Show it in the browser.
        recipe: Where a fork's file lies now.
    """
    from flaxmill.report import evidence, page
    from flaxmill.trained import TrainedRun

    if not runs:
        raise BadInput("report takes run directories: flaxmill report RUN [RUN …]")
    target = to or (runs[0] / "report.html" if len(runs) == 1 else Path("comparison.html"))
    page.write_page(
        [evidence.subject(TrainedRun(run, recipe=recipe), data) for run in runs], target
    )
    print(f"wrote {target}")
    if open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())


def serve(
    model: Path,
    /,
    *,
    engine: Literal["jax", "onnx", "int8"] | None = None,
    threads: int = 0,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    token_file: Path | None = None,
    allow_hosts: tuple[str, ...] = (),
    max_batch: int = 64,
    max_wait: float = 0.0,
    queue: int = 1024,
    deadline: float = 10.0,
    max_body_bytes: int = 16 << 20,
    max_pictures: int = 32,
    max_pixels: int = 25_000_000,
    connections: int = 2048,
    grace: float = 30.0,
    quiet: bool = False,
) -> None:
    """Serve a model over HTTP, with a page to try it.

    It answers the Open Inference Protocol and /predict, until SIGTERM or Ctrl-C; SIGHUP loads the
    export anew. Clients must show a token if the environment holds FLAXMILL_TOKEN.

    Args:
        model: A run, or an export directory.
        engine: What computes: jax, onnx (ONNX Runtime), or int8 (the same, quantised); by default
            onnx where it is installed and exported, else jax.
        threads: Threads of ONNX Runtime for one batch; 0 chooses.
        host: The address to listen at; 0.0.0.0 lets other machines in.
        port: The port; 0 takes any that is free.
        workers: Processes that share the port.
        token_file: A file that holds the token that clients must show.
        allow_hosts: Names under which clients may reach it, such as that of a proxy.
        max_batch: Examples in one call of the model; a power of two.
        max_wait: Seconds to wait for a fuller batch while the model is free.
        queue: Examples that may wait at a time; beyond, clients are told to come again.
        deadline: Seconds that an example may wait.
        max_body_bytes: Bytes in one request.
        max_pictures: Pictures in one request.
        max_pixels: Width times height of a picture.
        connections: Connections open at a time.
        grace: Seconds to finish what was begun when asked to stop.
        quiet: Leave requests that were answered without error out of the log.
    """
    from flaxmill.serve import check_installed

    check_installed()
    from flaxmill.serve.launch import run
    from flaxmill.serve.settings import Limits, settings

    limits = Limits(
        max_batch=max_batch,
        max_wait=max_wait,
        queue=queue,
        deadline=deadline,
        max_body_bytes=max_body_bytes,
        max_pictures=max_pictures,
        max_pixels=max_pixels,
        connections=connections,
        grace=grace,
    )
    run(
        settings(
            model,
            engine=engine,
            threads=threads,
            host=host,
            port=port,
            workers=workers,
            token_file=token_file,
            allow_hosts=allow_hosts,
            quiet=quiet,
            limits=limits,
        )
    )


def fork(recipe: str, file: Path | None = None, /) -> None:
    """Copy a recipe into a file of yours, to change its loop.

    Args:
        recipe: The recipe to copy.
        file: The new file; by default the recipe's name, here.
    """
    from flaxmill import recipes

    made = recipes.fork(recipe, file)
    print(f"wrote {made}; change it, then: flaxmill train {made}")


def fetch(name: str, /, *, to: Path | None = None) -> None:
    """Download a data set and check it.

    Args:
        name: A data set, such as fashion-mnist.
        to: The folder to put its files in; by default one in the user's cache.
    """
    from flaxmill.data import fetch as data
    from flaxmill.progress import Download

    with Download() as progress:
        folder = data.fetch(name, to, on_progress=progress)
    print(f"{name} is in {folder}")


def doctor() -> None:
    """Say what is installed and found here, what is wrong, and how to mend it."""
    from flaxmill import doctor as checks

    checks.examine()


COMMANDS: dict[str, Callable[..., None]] = {
    "recipes": list_recipes,
    "train": train,
    "evaluate": evaluate,
    "predict": predict,
    "look": look,
    "report": report,
    "serve": serve,
    "fork": fork,
    "fetch": fetch,
    "doctor": doctor,
}
