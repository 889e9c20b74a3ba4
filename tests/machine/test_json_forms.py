"""The JSON of a file is checked as a whole where it is read; what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from flaxmill.errors import BadInput
from flaxmill.machine import files, json_forms
from flaxmill.machine.json_forms import (
    by_name,
    each,
    flag,
    maybe,
    number,
    one_of,
    record,
    text,
    whole,
)

FORM = record(
    {"name": text(5), "sizes": each(whole(1, 9), least=1, most=3)},
    {
        "share": number(0, 1),
        "how": one_of("crop", "pad"),
        "done": maybe(flag),
        "counts": by_name(whole(), most=2),
        "of": record({"a": whole()}, closed=True),
    },
)
GOOD: dict[str, Any] = {"name": "ant", "sizes": [1, 2]}


def test_what_is_as_it_should_be_is_taken(tmp_path: Path) -> None:
    value = GOOD | {"share": 1, "how": "pad", "done": None, "counts": {"a": 0}, "of": {"a": 3}}
    value |= {"more": [1.5]}
    (tmp_path / "a.json").write_text(json.dumps({"format": 1, **value}))
    read = json_forms.read(tmp_path / "a.json", FORM, cure="Mend it.")
    assert read == {"format": 1, **value}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 3}, "has 3 at name, expected text of up to 5 characters"),
        ({"name": "spider"}, "has 'spider' at name, expected text of up to 5"),
        ({"name": "a\0b"}, r"has 'a\\x00b' at name, expected text"),
        ({"sizes": {}}, r"has \{\} at sizes, expected a list"),
        ({"sizes": []}, "has 0 values at sizes, expected 1 to 3"),
        ({"sizes": [1, 10]}, r"has 10 at sizes\[1\], expected a whole number from 1 to 9"),
        ({"sizes": [1.0]}, r"has 1.0 at sizes\[0\], expected a whole number"),
        ({"sizes": [True]}, r"has True at sizes\[0\], expected a whole number"),
        ({"sizes": [10**4000]}, r"has 1000000.*… \(4,001 characters\) at sizes\[0\], expected"),
        ({"share": -0.1}, "has -0.1 at share, expected a number from 0 to 1"),
        ({"share": "half"}, "has 'half' at share, expected a number:"),
        ({"how": "crops"}, "has 'crops' at how, expected one of 'crop', 'pad':"),
        ({"how": True}, "has True at how, expected one of"),
        ({"done": 0}, "has 0 at done, expected true or false"),
        ({"counts": [1]}, r"has \[1\] at counts, expected values by name"),
        ({"counts": {"a": 1, "b": 2, "c": 3}}, "has 3 values at counts, expected up to 2"),
        ({"counts": {"x y": "1"}}, "has '1' at counts.'x y', expected a whole number"),
        ({"of": {"b": 1}}, r"lacks of\.a: it was damaged"),
        ({"of": {"a": 1, "b": 1}}, r"has 'of\.b', which is unknown \(There are: 'a'\)"),
        ({"of": None}, r"has None at of, expected values by name \('a'\)"),
    ],
)
def test_the_place_that_is_wrong_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=rf"^a\.json {words}"):
        json_forms.check(GOOD | change, FORM, "a.json", "Mend it.")


def test_a_misspelt_name_is_recognised() -> None:
    with pytest.raises(BadInput, match=r"lacks sizes \(it has 'size'\): it was damaged .* Mend it"):
        json_forms.check({"name": "ant", "size": [1]}, FORM, "a.json", "Mend it.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"\xff{}", "can't decode byte"),
        (b"{}{}", "Extra data"),
        (b'{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        (b"[NaN]", "nan is no number of JSON"),
        (b"[-1e999]", "-inf is no number of JSON"),
        (b"[" * 51 + b"]" * 51, "nested more than 50 deep"),
        (b"[" * 100_000, "nested more than 50 deep"),
        (b"9" * 5000, "4300 digits"),
        (b" " * 5000 + b"[" + b" " * 5000, "Expecting value"),
    ],
)
def test_json_that_no_file_of_ours_has_is_refused(
    content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadInput, match=rf"a\.json is not readable as JSON \(.*{words}"):
        files.read_json(tmp_path / "a.json")


def test_a_file_is_measured_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadInput, match=r"a\.json has more than 8 MiB"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "b.json").mkdir()
    with pytest.raises(BadInput, match=r"b\.json cannot be read \(is a directory\)"):
        files.read_json(tmp_path / "b.json")
    with pytest.raises(BadInput, match=r"c\.json is missing"):
        files.read_json(tmp_path / "c.json")
