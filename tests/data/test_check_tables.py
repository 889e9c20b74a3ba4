"""`flaxmill check` of tables: they are compared with the pictures that are there."""

from pathlib import Path

import pytest
from commands import command
from picture_files import photographs

from flaxmill.data.check import Checked, check
from flaxmill.data.check.finding import Finding

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with which nothing is wrong."""
    return photographs(tmp_path / "my pictures")


def kinds(checked: Checked) -> dict[str, Finding]:
    findings = {finding.kind: finding for finding in checked.findings}
    assert len(findings) == len(checked.findings)
    return findings


def test_a_table_is_compared_with_what_is_there(folder: Path) -> None:
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    rows = [f"{name},{name.parent.name},{name.parent.parent.name}" for name in names]
    listed = [
        "path,label,split",
        *rows[2:],
        f"{names[5]},{names[5].parent.name},val",
        "gone.png,개,train",
    ]
    (folder / "list.csv").write_text("\r\n".join(listed), encoding="utf-8")
    findings = kinds(check(folder / "list.csv"))
    assert findings["absent"].names == ("gone.png",)
    assert findings["absent"].serious
    assert findings["unlisted"].names == tuple(map(str, names[:2]))
    assert findings["repeated"].words.startswith("1 picture is listed more than once")
    assert "'gone.png' (line 41)" in findings["refused"].words


def test_a_table_may_contradict_itself_or_name_several_labels(folder: Path) -> None:
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    table = folder / "list.csv"
    table.write_text("\n".join(["path,label", *(f"{n},{at % 2}" for at, n in enumerate(names))]))
    with table.open("a") as file:
        file.write(f"\n{names[4]},1\n")
    findings = kinds(check(table))
    assert findings["repeated"].serious
    assert "lines 6 and 42: the picture" in findings["refused"].words
    several = [
        f"{name},{label}" for name, label in zip(names, ("a|b", "a|b", "b", ""), strict=False)
    ]
    table.write_text("\n".join(["path,labels", *several]))
    lines = check(table).lines()
    assert "  train       4 pictures in 2 classes: b 3, a 2" in lines


def test_hidden_files_beside_a_table_are_passed_over(folder: Path) -> None:
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    (folder / "list.csv").write_text(
        "\n".join(["path,label", *(f"{name},{name.parent.name}" for name in names)])
    )
    (folder / "train" / "개" / "._0.png").write_bytes(b"\0\5\26\7")
    assert not check(folder / "list.csv").findings


def test_several_labels_are_told_apart_as_training_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    rows = [f"{name},{'cat+dog' if at % 2 else 'cat'}" for at, name in enumerate(names)]
    (folder / "list.csv").write_text("\n".join(["path,label", *rows]))
    status, output, _ = command(capsys, "check", str(folder / "list.csv"), "--separator", "+")
    assert status == 0
    assert "train       30 pictures in 2 classes: cat 30, dog 15" in output
    assert "validation  10 pictures in 2 classes: cat 10, dog 5" in output
