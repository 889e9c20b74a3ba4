"""A trained run is read back whole, or what is wrong with its directory is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_runs

from flaxmill.errors import BadInput
from flaxmill.trained.run import TrainedRun

pytestmark = pytest.mark.usefixtures("small_data")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_data: None) -> TrainedRun:
    """A small run that held no validation part out."""
    run = tmp_path_factory.mktemp("runs") / "small"
    return small_runs.train("fashion_mnist", run, validation=0, epochs=0.5)


def changed(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def damage_checkpoint(run: Path) -> None:
    newest = max((run / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
    (newest / "facts.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda run: (run / "result.json").unlink(),
            "run is not finished: give its training command again to go on with it",
        ),
        (
            lambda run: changed(run / "config.json", lambda c: c["config"].update(depth=3)),
            r"another version of fashion_mnist, whose config had other fields \(.*'depth'\)",
        ),
        (
            lambda run: changed(run / "config.json", lambda c: c["config"].update(channels="ab")),
            r"was trained with channels='ab', expected tuple\[int, \.\.\.\]: its config was damag",
        ),
        (
            lambda run: changed(run / "signature.json", lambda c: c.pop("labels")),
            r"signature\.json lacks labels: it was damaged or edited by hand",
        ),
        (
            lambda run: changed(
                run / "config.json", lambda c: c["data"]["digests"].update(sketches="others")
            ),
            r"was trained on drawn garments \(sketches\); what is here now .* or give --data",
        ),
        (
            damage_checkpoint,
            r"step 6 is damaged: .*facts\.json is not as it was written\. .*with --fresh makes it",
        ),
        (
            lambda run: shutil.rmtree(run / "checkpoints"),
            r"the final checkpoint \(step 6\) is not there; kept are: none\.",
        ),
    ],
    ids=[
        "unfinished",
        "other fields",
        "other types",
        "signature",
        "other data",
        "damaged checkpoint",
        "no checkpoint",
    ],
)
def test_what_is_wrong_with_a_directory_is_named(
    trained: TrainedRun, tmp_path: Path, spoil: Callable[[Path], Any], words: str
) -> None:
    copy = Path(shutil.copytree(trained.path, tmp_path / "run"))
    assert TrainedRun(copy).weights_sha256() == trained.result["weights_sha256"]
    spoil(copy)
    with pytest.raises(BadInput, match=words):
        TrainedRun(copy).evaluate()


def test_without_a_validation_part_there_is_no_best(trained: TrainedRun) -> None:
    assert trained.result["best"] is None
    with pytest.raises(BadInput, match="held out no validation data, so it has no best checkpoint"):
        TrainedRun(trained.path, checkpoint="best").evaluate()
    with pytest.raises(BadInput, match="--checkpoint 'newest': expected final or best"):
        TrainedRun(trained.path, checkpoint="newest")


def test_no_pictures_are_no_question(trained: TrainedRun) -> None:
    with pytest.raises(BadInput, match="predict was given no pictures"):
        trained.predict([])
