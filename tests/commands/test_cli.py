"""The commands as a person types them: exit statuses, messages, and what they leave behind."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import small_runs
from commands import command, words
from PIL import Image

from flaxmill import recipes
from flaxmill.commands import cli, doctor
from flaxmill.report.page import percent
from flaxmill.trained.run import TrainedRun

pytestmark = pytest.mark.usefixtures("small_data")
SMALL = small_runs.flags(small_runs.SMALL["fashion_mnist"])


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
        ("train fashion_mnist --data absent", "--data absent: there is no such folder"),
        (
            "train fashion_mnist --data fashion_mnist",
            "/fashion_mnist). Did you mean 'fashion-mnist'?",
        ),
        ("train fashion_mnist --data skeches", "Did you mean 'sketches'?"),
        ("train mnist --data nothing", "/nothing). Other words are: 'mnist', 'auto', 'sketches'."),
        ("train images --lr 0.1", "images has no option --lr: that is --learning-rate here."),
        ("train images --data_dir=here", "has no option --data_dir=here: that is --data here."),
        ("train mnist --fp16", "that is --precision bfloat16 here."),
        ("train mnist --device cuda", "has 8 × cpu (cpu). JAX_PLATFORMS=cpu before the command"),
        ("train mnist --resume", "the same command goes on with a run that is not finished"),
        ("train images empty", ": flaxmill train images --data empty."),
        ("lr-find images empty", ": flaxmill lr-find images --data empty."),
        ("train mnist --imgsz 28", "Unrecognized options: --imgsz"),
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
        ("predict absent", "predict takes pictures after the model"),
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
    assert "--data absent: there is no such folder" in words(error)


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


def test_doctor_names_the_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = dict(doctor._extras()[0])
    assert f"onnxruntime {metadata.version('onnxruntime')}" in installed["extra onnx"]
    monkeypatch.setitem(doctor.EXTRAS, "serve", ("fastapi", "no-such-package"))
    found, wrong = doctor._extras()
    assert dict(found)["extra serve"].startswith("not here: python -m pip install 'fastapi>")
    assert not wrong  # nothing is amiss without them


def test_a_recipe_without_augmentation_has_nothing_augmented_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small_runs.fork(Path("mine.py"), ("float = 5000", "float = 40"))
    status, _, error = command(capsys, *["look", "mine.py", "--augmented", "--data", "sketches"])
    assert status == 2
    assert "mine trains without augmentation under this config." in error
    assert "It has some with --preset good or best." in error


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


def test_recipes_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    status, out, _ = command(capsys, "recipes")
    assert status == 0
    assert all(len(line) <= 100 for line in out.splitlines())
    rows = re.split(r"\n(?! )", out.strip())
    for name, row in zip(recipes.names(), rows, strict=True):
        assert row.startswith(name)
        first, *more = (" ".join(line.split()) for line in row.splitlines())
        assert first == f"{name} {recipes.headline(recipes.text(name))}"
        assert " ".join(more) == recipes.expectation(recipes.text(name))
        assert 1 <= len(more) <= 3
        assert all(" ".join(more).count(part) == 1 for part in ("Data: ", "Expected: "))
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = command(capsys, "recipes")
    assert max(map(len, out.splitlines())) <= 60


def test_help_imports_nothing_heavy() -> None:
    heavy = "jax numpy flax optax orbax matplotlib tyro rich PIL"
    code = (
        "import sys; from flaxmill.commands import cli; cli.main(['--help'])\n"
        f"print([name for name in {heavy.split()!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"
    for name in cli.COMMANDS:
        assert f"  {name}" in told.stdout
