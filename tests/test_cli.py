"""The commands as a person types them: exit statuses, messages, and what they leave behind."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import small_runs
from forbidding import forbidden
from PIL import Image

from flaxmill import cli, recipes
from flaxmill.report.page import percent
from flaxmill.trained import TrainedRun

pytestmark = pytest.mark.usefixtures("small_data")
SMALL = small_runs.flags(small_runs.SMALL["fashion_mnist"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> TrainedRun:
    """A small run, finished."""
    return small_runs.train("fashion_mnist", tmp_path_factory.mktemp("runs") / "small")


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Runs a command in this process; returns its status and what it printed."""
    with pytest.raises(SystemExit) as end:
        cli.main([*arguments])
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


def words(text: str) -> str:
    """Returns a message without the frame and the line ends that a narrow terminal gives it."""
    return " ".join(text.translate(str.maketrans("│╭╮╰╯─", "      ")).split())


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("trian", "there is no command 'trian'. Did you mean 'train'?"),
        ("train", "train takes the recipe first"),
        ("train fashion_mnits", "Did you mean 'fashion_mnist'?"),
        ("train absent.py", "there is no recipe file absent.py"),
        ("train fashion_mnist --preset qick", "no preset 'qick'. Did you mean 'quick'?"),
        ("train fashion_mnist --learning-rte 1", "Perhaps you meant: --learning-rate"),
        ("train fashion_mnist --epochs many", "Error parsing --epochs"),
        ("train fashion_mnist --schedule cosine", "invalid choice 'cosine'"),
        ("train fashion_mnist --precision half", "invalid choice 'half'"),
        (
            "train fashion_mnist --data sketches --validation 40 --batch-size 0",
            "--batch-size 0 must be",
        ),
        ("train fashion_mnist --data sketches --validation 999", "--validation 999 does not fit"),
        ("train fashion_mnist --data sketches --validation 40 --overfit 999", "--overfit 999"),
        (
            "train fashion_mnist --data sketches --validation 40 --mesh data=99",
            "this machine has 8 cpu device(s)",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --gear fast",
            "expected auto, resident or streaming",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --chunk 0",
            "--chunk must be at least 1",
        ),
        ("train fashion_mnist --data absent", "absent cannot be used as the folder"),
        ("train fashion_mnist --data empty", "empty is an empty directory"),
        ("train fashion_mnist --data sketches --validation 40 --run file", "--run file is a file"),
        (
            "train fashion_mnist --data sketches --validation 40 --run .",
            "holds other files and no run",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --init-from none",
            "no such run directory",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --init-from empty",
            "there is no whole checkpoint in it",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --keep 0",
            "--keep must be at least 1",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --save-every=-1",
            "--save-every at least 0 seconds",
        ),
        (
            "train fashion_mnist --data sketches --validation 40 --save-every nan",
            "--save-every at least 0 seconds",
        ),
        ("evaluate absent", "there is no run directory absent"),
        ("predict absent", "predict takes pictures after the run"),
        ("predict absent shoe.png --top 0", "--top 0: give 1 or more"),
        ("evaluate empty", "empty is not a run directory"),
        ("report", "report takes run directories"),
        ("fork fashion_mnist file", "give a name that ends in .py"),
        ("fork fashion_mnist taken.py", "taken.py exists and is not overwritten"),
        ("look fashon_mnist", "Did you mean 'fashion_mnist'?"),
        (
            "look fashion_mnist --recipe mine.py",
            "and fashion_mnist is a recipe: leave --recipe out",
        ),
        ("look ./fashion_mnist", "there is no run directory fashion_mnist"),
        ("look runs/absent", "there is no run directory runs/absent"),
        ("fork fashion_mnist file/mine.py", "file: File exists."),
        (f"fork fashion_mnist {'long' * 99}.py", "File name too long."),
        ("fetch fashion-mnits", "Did you mean 'fashion-mnist'?"),
    ],
)
def test_what_cannot_be_used_gets_one_message_and_status_2(
    typed: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file").write_text("")
    Path("taken.py").write_text("")
    before = sorted(tmp_path.rglob("*"))
    status, _, error = command(capsys, *typed.split())
    assert status == 2
    assert said in words(error)
    assert "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_trained_run_evaluates_to_its_own_result(
    trained: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = command(capsys, "evaluate", str(trained.path), "--json")
    found = json.loads(out)
    assert status == 0
    assert found["recipe"] == "fashion_mnist"
    assert found["split"] == "test"
    assert found["examples"] == small_runs.TEST
    assert found["step"] == trained.result["step"]
    assert found["weights_sha256"] == trained.result["weights_sha256"]
    assert found["accuracy"] == trained.result["test"]["accuracy"]
    assert found["loss"] == pytest.approx(trained.result["test"]["loss"], rel=1e-6)


def test_the_best_checkpoint_can_be_asked_for(
    trained: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    best = trained.result["best"]
    status, out, _ = command(
        capsys,
        *["evaluate", str(trained.path), "--json", "--checkpoint", "best", "--split", "validation"],
    )
    found = json.loads(out)
    assert status == 0
    assert found["step"] == best["step"]
    assert found["accuracy"] == best["accuracy"]


def test_predict_answers_for_each_picture(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = trained.splits().test.take(np.arange(3))["image"]
    files = []
    for number, picture in enumerate(pictures):
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(picture[..., 0]).save(files[-1])
    status, out, _ = command(capsys, "predict", str(trained.path), *files, "--json", "--top", "10")
    assert status == 0
    answers = [json.loads(line) for line in out.splitlines()]
    expected = trained.classify(pictures)
    for file, answer, scores in zip(files, answers, expected, strict=True):
        assert answer["picture"] == file
        given = {one["label"]: one["probability"] for one in answer["predictions"]}
        assert list(given.values()) == sorted(given.values(), reverse=True)
        for label, score in zip(trained.signature.labels, scores, strict=True):
            assert given[label] == pytest.approx(score, rel=1e-5)  # another batch, other rounding


def test_predict_names_what_is_no_picture(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("words")
    status, _, error = command(capsys, "predict", str(trained.path), str(tmp_path / "notes.txt"))
    assert status == 2
    assert "notes.txt is no picture that can be read" in error


def test_look_and_report_write_what_they_say(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A recipe whose data is as small as these tests' runs'.
    fork = small_runs.fork(tmp_path / "mine.py", ("float = 5000", "float = 40"))
    for arguments in (
        ["look", str(trained.path), "--to", str(tmp_path / "said.png")],
        ["look", str(trained.path), "--augmented", "--to", str(tmp_path / "augmented.png")],
        ["look", str(fork), "--data", "sketches", "--to", str(tmp_path / "data.png")],
        ["report", str(trained.path), "--to", str(tmp_path / "page.html")],
        ["report", str(trained.path), str(trained.path), "--to", str(tmp_path / "both.html")],
        ["report", str(trained.path), "--data", "sketches", "--to", str(tmp_path / "again.html")],
    ):
        status, out, _ = command(capsys, *arguments)
        assert status == 0
        assert f"wrote {arguments[-1]}" in out
    for name in ("said.png", "augmented.png", "data.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 500
            assert np.asarray(picture).std() > 20  # something was drawn
    page = (tmp_path / "page.html").read_text()
    assert percent(trained.result["test"]["accuracy"], 2) in page
    assert "Ankle boot" in page


def test_a_name_that_is_also_a_folder_means_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fashion-mnist").mkdir()  # such as one with the data
    status, _, error = command(capsys, "look", "fashion-mnist", "--data", "absent")
    assert status == 2
    assert "absent cannot be used as the folder" in words(error)


def test_look_draws_a_run_on_other_data(
    trained: TrainedRun,
    real_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pictures = []
    for data in ("sketches", str(real_data)):
        to = tmp_path / f"{len(pictures)}.png"
        command(capsys, "look", str(trained.path), "--data", data, "--to", str(to))
        pictures.append(np.asarray(Image.open(to)))
    assert pictures[0].shape != pictures[1].shape or (pictures[0] != pictures[1]).any()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's device that is full")
def test_a_full_disk_ends_with_status_3(python: str) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [python, "-m", "flaxmill", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 3
    assert ended.stderr == "flaxmill: the disk is full (no room left).\n"


@pytest.mark.parametrize("platform", ["cuda", "quantum"])
def test_an_absent_platform_is_named(platform: str, tmp_path: Path, python: str) -> None:
    if platform == "cuda" and shutil.which("nvidia-smi"):
        pytest.skip("this machine may have the platform")
    environment = {**os.environ, "JAX_PLATFORMS": platform}
    told = f"check JAX_PLATFORMS (now '{platform}'), or unset it."

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [python, "-m", "flaxmill", *arguments]
        return subprocess.run(
            program, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    refused = run("train", "fashion_mnist", "--data", "sketches")
    assert refused.returncode == 2
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []
    examined = run("doctor")
    assert examined.returncode == 0
    assert told in examined.stdout


def test_a_finished_run_prints_its_result_again(
    trained: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    options = small_runs.flags(trained.identity["config"])
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "fashion_mnist", *options, "--run", str(trained.path)])
    out = capsys.readouterr().out
    assert not end.value.code
    assert "is finished" in out
    assert f"{trained.result['test']['accuracy']:.2%}".replace("%", " %") in out


def test_a_dry_run_says_what_would_be_done_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = command(capsys, "train", "fashion_mnist", *SMALL, "--dry-run")
    assert status == 0
    for said in (
        "drawn garments (sketches): 160 train, 40 validation, 40 test",
        "25 of 16 examples (epochs: 2.5)",
        "training takes about",
    ):
        assert said in out
    assert "Epoch" not in out
    assert list(tmp_path.iterdir()) == []


def test_fresh_sets_the_old_run_aside_and_trains_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, old = tmp_path / "run", tmp_path / "run-old-1"
    again = ["train", "fashion_mnist", *SMALL, "--no-report", "--run", str(run)]
    assert command(capsys, *again)[0] == 0
    first = (run / "result.json").read_text()
    status, out, _ = command(capsys, *again, "--fresh")
    assert status == 0
    assert f"The old run is now {old}." in out
    assert (old / "result.json").read_text() == first
    second = json.loads((run / "result.json").read_text())
    assert second["weights_sha256"] == json.loads(first)["weights_sha256"]
    assert second["attempts"] == 1


def test_init_from_takes_the_weights_and_nothing_else(
    trained: TrainedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    small_runs.fork(
        Path("mine.py"),  # keeps the state that its loop begins with
        ("import jax\n", "import jax\nimport numpy as np\n"),
        ("import State, create_state", "import State, create_state, to_arrays"),
        ("    smoothed =", "    np.savez('begun.npz', **to_arrays(state))\n    smoothed ="),
    )

    def begun(*options: str) -> dict[str, np.ndarray]:
        arguments = ["train", "mine.py", *SMALL, "--ema", "0.9", "--dry-run", *options]
        assert command(capsys, *arguments)[0] == 0
        with np.load("begun.npz") as found:
            return dict(found)

    fresh, taken = begun(), begun("--init-from", str(trained.path))
    given = trained.arrays()
    averages = {name.replace("params.", "average.0."): array for name, array in given.items()}
    expected = fresh | given | averages  # so step and optimizer are as in a fresh state
    assert taken.keys() == expected.keys() == fresh.keys()
    assert taken["step"] == 0
    assert any((fresh[name] != array).any() for name, array in given.items())
    for name, array in expected.items():
        np.testing.assert_array_equal(taken[name], array, err_msg=name)


def test_a_fork_is_trained_then_edited_then_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(capsys, "fork", "fashion_mnist", "mine.py")[0] == 0
    fork, loop = Path("mine.py"), "    for chunk in batches("
    mine = fork.read_text().replace(loop, f'    run.words.say("a loop of mine")\n{loop}')
    fork.write_text(mine)
    train = ["train", "mine.py", *SMALL, "--no-report", "--run", "run"]
    status, out, _ = command(capsys, *train)
    assert status == 0
    assert "a loop of mine" in out

    fork.write_text(mine.replace("a loop of mine", "another loop"))
    status, out, error = command(capsys, *train)
    assert status == 2
    assert "another loop" not in out
    assert f"the recipe {fork.resolve()} was edited: its text had the digest" in error
    status, _, error = command(capsys, "evaluate", "run")
    assert status == 2
    assert f"the recipe {fork.resolve()} was edited since run was trained" in error

    Path("moved").mkdir()
    fork.rename("moved/mine.py").write_text(mine)
    status, _, error = command(capsys, "evaluate", "run")
    assert status == 2
    assert f"lay at {fork.resolve()} and is gone: give --recipe FILE" in error
    expected = json.loads(Path("run/result.json").read_text())["weights_sha256"]
    for file in ("moved/mine.py", "run/recipe.py"):  # the file itself, and the run's record of it
        status, out, _ = command(capsys, "evaluate", "run", "--recipe", file, "--json")
        assert status == 0
        assert json.loads(out)["weights_sha256"] == expected


def test_the_run_directory_of_another_recipe_is_refused(
    trained: TrainedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fork = small_runs.fork(tmp_path / "mine.py")
    before = {path: path.stat().st_mtime_ns for path in trained.path.rglob("*")}
    status, _, error = command(capsys, "train", str(fork), *SMALL, "--run", str(trained.path))
    assert status == 2
    assert "is a run of the recipe fashion_mnist, not of mine: choose another --run" in error
    assert {path: path.stat().st_mtime_ns for path in trained.path.rglob("*")} == before


def test_a_run_directory_that_may_not_be_written_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # for pytest's own are closed to other users
        run = Path(folder, "run")
        with forbidden(Path(folder), mode=0o555):
            if not os.access(folder, os.X_OK, effective_ids=True):
                pytest.skip(f"needs a temporary folder that every user may enter, not {folder}")
            status, _, error = command(capsys, "train", "fashion_mnist", *SMALL, "--run", str(run))
        assert status == 2
        assert f"the run directory {run} cannot be written (Permission denied): choose" in error
        assert os.listdir(folder) == []


def test_a_recipe_without_augmentation_has_nothing_augmented_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small_runs.fork(Path("mine.py"), ("float = 5000", "float = 40"))
    status, _, error = command(capsys, *["look", "mine.py", "--augmented", "--data", "sketches"])
    assert status == 2
    assert "mine trains without augmentation under this config." in error
    assert "It has some with --preset good." in error


def test_the_augmentation_of_another_preset_can_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fork = small_runs.fork(tmp_path / "mine.py", ("float = 5000", "float = 40"))
    sheet = tmp_path / "good.png"
    words = ["look", str(fork), "--augmented", "--data", "sketches", "--to", str(sheet)]
    status, out, _ = command(capsys, *words, "--preset", "good")
    assert status == 0
    assert f"wrote {sheet}" in out
    status, _, error = command(capsys, *words, "--preset", "goood")
    assert status == 2
    assert "no preset 'goood'. Did you mean 'good'?" in error


def test_look_takes_no_preset_for_a_run(
    trained: TrainedRun, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, error = command(capsys, "look", str(trained.path), "--preset", "good")
    assert status == 2
    assert "is a run, which has its config: leave it out" in error


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = command(capsys, "recipes")
    assert status == 0
    for name, line in zip(recipes.names(), out.splitlines(), strict=True):
        assert line.startswith(name)
        for part in (recipes.headline(recipes.text(name)), "Data: ", "Expected: "):
            assert part in line


def test_help_imports_nothing_heavy() -> None:
    heavy = "jax numpy flax optax orbax matplotlib tyro rich PIL"
    code = (
        "import sys; from flaxmill import cli; cli.main(['--help'])\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"
    for name in cli.COMMANDS:
        assert f"  {name}" in told.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_the_same_command_goes_on(
    number: signal.Signals, tmp_path: Path, python: str
) -> None:
    options = shlex.split(
        "--data sketches --epochs 40 --channels 2 4 --hidden 8 --no-report --run run"
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "XLA_FLAGS": ""}
    program = [python, "-m", "flaxmill", "train", "fashion_mnist", *options]

    def start() -> subprocess.Popen[str]:
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(program, cwd=tmp_path, env=environment, **out)

    with start() as process:
        assert process.stdout is not None
        guard = threading.Timer(120, process.kill)
        guard.start()
        for line in process.stdout:
            if line.startswith("Epoch"):
                process.send_signal(number)
                break
        said = process.stdout.read()
    guard.cancel()
    assert process.returncode == 128 + number
    assert f"{number.name}: saving" in said
    step = max(int(path.name) for path in (tmp_path / "run" / "checkpoints").glob("[0-9]*"))
    assert f"flaxmill: stopped; step {step:,} is saved in run, and the same command" in said
    with start() as process:
        assert process.stdout is not None
        resumed = next(line for line in process.stdout if line.startswith("Resuming"))
        process.kill()
    assert f"step {step:,} of" in resumed
