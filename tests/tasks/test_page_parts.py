"""What the page has of a kind of data is found beside the kind's Python module."""

import json
from pathlib import Path

import pytest

from flaxmill.serve.static import page_files
from flaxmill.tasks import kinds, page_parts

TASKS = Path(kinds.__file__).parent


def test_every_file_beside_a_kind_is_handed_out() -> None:
    found = page_parts.files()
    lying = [
        path.relative_to(TASKS).as_posix()
        for path in TASKS.rglob("*")
        if path.suffix in (".js", ".html", ".css")
    ]
    assert len(lying) > 10
    assert set(found) == {*lying, "kinds.json"}
    served = page_files()
    for path, content in found.items():
        assert served[path].content == content
    assert dict(served["inputs/picture/field.js"].headers)[b"content-type"].startswith(b"text/java")
    assert not any(path.endswith((".py", ".pyc")) for path in served)


def test_the_kinds_that_the_page_knows_are_named() -> None:
    named = json.loads(page_parts.files()["kinds.json"])
    assert "picture" in named["inputs"] and "tensors" not in named["inputs"]
    assert {"labels", "one_class"} <= set(named["answers"])
    assert "bars" not in named["answers"]  # what they share is none
    for folder, known in named.items():
        assert set(known) <= set(kinds.kind_names(folder))


@pytest.mark.parametrize(
    ("takes", "gives", "there", "gone"),
    [
        ("picture", "one_class", "inputs/picture/field.js", "answers/labels.js"),
        ("picture", "labels", "answers/labels.js", "answers/one_class.js"),
        ("tensors", "labels", "answers/bars.js", "inputs/picture/field.js"),
    ],
)
def test_a_model_has_the_parts_of_its_own_kinds_alone(
    takes: str, gives: str, there: str, gone: str
) -> None:
    found = page_parts.files(takes, gives)
    assert there in found and gone not in found
    named = json.loads(found["kinds.json"])
    assert named["answers"] == [gives]
    assert named["inputs"] == [kind for kind in ("picture",) if kind == takes]


def test_the_page_itself_names_no_kind() -> None:
    named = [*kinds.kind_names("inputs"), *kinds.kind_names("answers")]
    own = Path(__file__).parents[2] / "flaxmill" / "serve" / "page"
    for file in own.glob("*.*"):
        text = file.read_text("utf-8")
        for kind in named:
            assert f'"{kind}"' not in text and f"'{kind}'" not in text, (file.name, kind)
