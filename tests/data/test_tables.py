"""Tables that list pictures: CSV as people and programs write it, and Parquet."""

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from picture_files import encoded, save, textured
from pyarrow import parquet

from flaxmill.data.folder import Pictures, pictures
from flaxmill.data.listings.digests import digests
from flaxmill.data.listings.layouts import scan
from flaxmill.data.listings.listing import Listing
from flaxmill.errors import BadInput


def written(place: Path, text: str, *, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    """Writes a table, and the pictures of four animals beside it."""
    for animal in ("ant 1", "ant2", "bee1", "꿀벌"):
        save(place / f"pictures/{animal}.png")
    (place / name).write_bytes(text.encode(encoding))
    return place / name


PLAIN = "path,label\npictures/ant 1.png,ant\npictures/ant2.png,ant\npictures/bee1.png,bee\n"


def rows(listing: Listing) -> list[tuple[str, str]]:
    """Returns each file's name and its class's."""
    return [
        (file.name, listing.classes[label])
        for file, label in zip(listing.files, listing.labels, strict=True)
    ]


EXPECTED = [("ant 1.png", "ant"), ("ant2.png", "ant"), ("bee1.png", "bee")]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN.replace("\n", "\r\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "Class,id,File\nant,7,pictures/ant 1.png\nant,8,pictures/ant2.png\nbee,9,pictures/bee1.png",
        '"filename","class"\n"pictures/ant 1.png","ant"\n\npictures\\ant2.png,ant\n'
        "pictures/bee1.png , bee\n\n",
    ],
    ids=["plain", "windows", "byte-order mark", "semicolons", "tabs", "columns", "quoted"],
)
def test_csv_as_people_write_it(text: str, tmp_path: Path) -> None:
    listing = scan(written(tmp_path, text))["train"]
    assert rows(listing) == EXPECTED
    assert listing.files[0] == tmp_path / "pictures/ant 1.png"


def test_a_folder_with_a_table_is_read_by_it(tmp_path: Path) -> None:
    written(tmp_path, PLAIN)
    assert rows(scan(tmp_path)["train"]) == EXPECTED
    written(tmp_path, PLAIN, name="more.csv")
    with pytest.raises(BadInput, match=r"several tables for train, labels\.csv, more\.csv: give"):
        scan(tmp_path)


def test_splits_are_tables_or_a_column(tmp_path: Path) -> None:
    held = "file_name,label\npictures/꿀벌.png,bee\n"
    save(tmp_path / "tables/pictures/bee2.png")
    tested = held.replace("꿀벌", "bee2")
    for name, text in (("train", PLAIN), ("val", held), ("test_final", tested)):
        written(tmp_path / "tables", text, name=f"{name}.csv")
    listings = scan(tmp_path / "tables")
    assert {name: len(listing) for name, listing in listings.items()} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }
    column = "path,label,split\npictures/ant 1.png,ant,train\npictures/bee1.png,bee,Train\n"
    place = written(tmp_path / "column", column + "pictures/꿀벌.png,bee,valid\n")
    listings = scan(place)
    assert rows(listings["train"]) == [EXPECTED[0], EXPECTED[2]]
    assert rows(listings["validation"]) == [("꿀벌.png", "bee")]
    place.write_text(column + "pictures/꿀벌.png,bee,tset\n")
    with pytest.raises(BadInput, match=r"line 4: no split is called 'tset'. Did you mean 'test'\?"):
        scan(place)


def test_missing_pictures_are_counted_and_named(tmp_path: Path) -> None:
    gone = "".join(f"pictures/gone{number}.png,ant\n" for number in range(5))
    with pytest.raises(
        BadInput,
        match=r"labels\.csv lists 8 pictures, of which 5 are not there: 'pictures/gone0\.png' "
        r"\(line 5\), 'pictures/gone1\.png' \(line 6\), 'pictures/gone2\.png' \(line 7\) and 2 "
        r"more\. Their paths are taken from \S+\.$",
    ):
        scan(written(tmp_path, PLAIN + gone))
    with pytest.raises(BadInput, match=r"There is a bee1\.png: write the names with their endings"):
        scan(written(tmp_path, PLAIN.replace("bee1.png", "bee1")))


def test_names_are_found_in_either_form_of_unicode(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, PLAIN + "pictures/꿀벌.png,bee\n")
        assert len(scan(written(tmp_path / form, text))["train"]) == 4
    (tmp_path / "NFC/pictures/꿀벌.png").rename(
        tmp_path / "NFC/pictures" / unicodedata.normalize("NFD", "꿀벌.png")
    )
    assert len(scan(tmp_path / "NFC/labels.csv")["train"]) == 4


def test_several_labels(tmp_path: Path) -> None:
    text = "path,labels\npictures/ant 1.png,small|black\npictures/ant2.png,\n"
    text += "pictures/bee1.png, striped | small\n"
    listing = scan(written(tmp_path, text))["train"]
    assert listing.multi_label
    assert listing.classes == ("black", "small", "striped")
    assert listing.labels.dtype == np.float32
    assert listing.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1]]
    one = PLAIN.replace("ant\n", "ant/small\n", 1)
    assert scan(written(tmp_path, one))["train"].classes == ("ant", "ant/small", "bee")
    listing = scan(tmp_path / "labels.csv", sign="/")["train"]
    assert listing.classes == ("ant", "bee", "small")
    assert listing.labels.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]
    single = scan(written(tmp_path, PLAIN.replace("label", "labels")))["train"]
    assert not single.multi_label  # no sign occurs in it


def test_labels_may_be_numbers(tmp_path: Path) -> None:
    text = "path,label\npictures/ant 1.png,10\npictures/ant2.png,9\npictures/bee1.png,10\n"
    listing = scan(written(tmp_path, text))["train"]
    assert listing.classes == ("9", "10")
    assert listing.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,kind\na.png,ant\n", "no column of paths: its columns are 'name', 'kind'; expected "
         "one called path or file or filename or file_name or image "),
        ("path,kind\na.png,ant\n", "no column of labels: .*; expected one called label or labels"),
        ("path,label\n", "has no rows below its header: expected one for each picture"),
        ("", "has no rows below its header"),
        ("path,label\npictures/bee1.png,bee,yellow\n", r"line 2: there are 3 cells, but the header "
         r"has 2\. Put a cell with ',' in it into quotation marks"),
        ('path,label\npictures/bee1.png,"bee\n', "line [23]: it is no CSV"),
        ("path,label\npictures/bee1.png,\n", "line 2: the label is empty"),
    ],
)  # fmt: skip
def test_a_table_of_another_kind_is_explained(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=words):
        scan(written(tmp_path, text))


def test_nothing_is_learnt_from_one_class(tmp_path: Path) -> None:
    listing = scan(written(tmp_path, PLAIN.replace("bee\n", "ant\n")))["train"]
    assert "has one class only for training, 'ant': expected two or more." in listing.lacking


def test_one_picture_with_two_classes_is_refused(tmp_path: Path) -> None:
    twice = PLAIN + "pictures/ant2.png,bee\n"
    words = (
        r"labels\.csv, lines 3 and 5: the picture .*ant2\.png has the label 'ant' and the label "
        r"'bee'\. Leave one of them; or if both hold, call the column labels, .* as ant\|bee\."
    )
    with pytest.raises(BadInput, match=words):
        scan(written(tmp_path, twice))


def test_a_picture_that_is_listed_twice_counts_once(tmp_path: Path) -> None:
    repeated = "pictures/ant2.png,ant\n./pictures/ant2.png,ant\n"
    plain = scan(written(tmp_path, PLAIN))["train"]
    listing = scan(written(tmp_path, PLAIN + repeated))["train"]
    assert listing.files == plain.files
    assert listing.labels.tolist() == plain.labels.tolist()
    assert "labels.csv: 2 rows repeat a picture, which counts once." in listing.note


def test_a_picture_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = PLAIN.replace("label\n", "label,split\n").replace("ant\n", "ant,train\n")
    rows = rows.replace("bee\n", "bee,train\n")
    repeated = "./pictures/ant2.png,ant,test\n"
    words = (
        r"labels\.csv, line 5: the picture .*ant2\.png is for test, and for train too \(.*line 3\)"
    )
    with pytest.raises(BadInput, match=words):
        scan(written(tmp_path, rows + repeated))
    written(tmp_path / "two", PLAIN, name="train.csv")
    written(tmp_path / "two", "path,label\npictures/bee1.png,bee\n", name="test.csv")
    with pytest.raises(BadInput, match=r"is for (test|train), and for (test|train) too"):
        scan(tmp_path / "two")


def test_one_picture_with_two_sets_of_labels_is_refused(tmp_path: Path) -> None:
    rows = "path,labels\npictures/ant2.png,ant|red\npictures/bee1.png,bee\n"
    assert len(scan(written(tmp_path, rows + "pictures/ant2.png,red|ant\n"))["train"]) == 2
    words = r"2 and 4: .*ant2\.png has the label 'ant', 'red' and the label 'red'\. .* ant\|red"
    with pytest.raises(BadInput, match=words):
        scan(written(tmp_path, rows + "pictures/ant2.png,red\n"))


def test_two_tables_with_rows_for_one_split_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "path,label\npictures/ant 1.png,ant\n", name="test.csv")
    rows = "path,label,split\npictures/ant2.png,ant,train\npictures/bee1.png,bee,train\n"
    written(tmp_path, rows + "pictures/꿀벌.png,bee,test\n", name="train.csv")
    with pytest.raises(BadInput, match=r"test\.csv and .*train\.csv both have rows for test: "):
        scan(tmp_path)


def test_a_column_of_labels_may_hold_one_at_most_for_each(tmp_path: Path) -> None:
    rows = "path,labels\npictures/ant2.png,red\npictures/bee1.png,blue\npictures/꿀벌.png,\n"
    listing = scan(written(tmp_path, rows))["train"]
    assert listing.classes == ("blue", "red")
    assert listing.labels.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_a_table_in_another_encoding_is_named(tmp_path: Path) -> None:
    place = written(tmp_path, PLAIN.replace("ant", "개미"), encoding="cp949")
    with pytest.raises(BadInput, match=r"labels\.csv is not written in UTF-8: save it anew so"):
        scan(place)


def test_a_class_in_validation_alone_is_named_with_its_line(tmp_path: Path) -> None:
    written(tmp_path, PLAIN, name="train.csv")
    written(tmp_path, "path,label\npictures/bee1.png,bees\n", name="val.csv")
    with pytest.raises(
        BadInput,
        match=r"val\.csv, line 2: the class 'bees' is in the rows for validation and not in those "
        r"for training, so it cannot be learnt\. Did you mean 'bee'\?",
    ):
        scan(tmp_path)


def table(columns: dict[str, Any], place: Path, *, features: dict[str, Any] | None = None) -> Path:
    """Writes a Parquet file, with the note that Hugging Face's datasets leave in it."""
    made = pyarrow.table(columns)
    if features:
        note = {"huggingface": json.dumps({"info": {"features": features}})}
        made = made.replace_schema_metadata(note)
    place.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(made, place)
    return place


def test_parquet_lists_pictures(tmp_path: Path) -> None:
    written(tmp_path, PLAIN)
    names = [f"pictures/{name}" for name, _ in EXPECTED]
    place = table({"image": names, "label": [3, 3, 12]}, tmp_path / "labels.parquet")
    listing = scan(place)["train"]
    assert listing.classes == ("3", "12")
    assert listing.files[2] == tmp_path / "pictures/bee1.png"
    place = table({"image": names, "label": [3.0, 3.0, 12.0]}, tmp_path / "pandas.parquet")
    assert scan(place)["train"].classes == ("3", "12")
    gap = table({"image": names, "label": [3.0, float("nan"), 12.0]}, tmp_path / "gap.parquet")
    with pytest.raises(BadInput, match=r"gap\.parquet, line 2: the label is empty"):
        scan(gap)
    place = table({"image": names, "labels": [["a"], [], ["b", "a"]]}, tmp_path / "many.parquet")
    assert scan(place)["train"].labels.tolist() == [[1, 0], [0, 0], [1, 1]]
    place = table(
        {"image": [*names[:2], "gone.png"], "label": [1, 2, 3]}, tmp_path / "gone.parquet"
    )
    with pytest.raises(
        BadInput, match=r"lists 3 pictures, of which 1 is not there: 'gone\.png' \(line 3\)"
    ):
        scan(place)


def test_parquet_holds_pictures_as_hugging_face_stores_them(tmp_path: Path) -> None:
    features = {"label": {"names": ["zebra", "ant"], "_type": "ClassLabel"}}
    made = [textured((20 + number, 16), seed=number) for number in range(5)]
    stored = [{"bytes": encoded(each, "png"), "path": f"{at}.png"} for at, each in enumerate(made)]
    for name, part in (("train-00000-of-00002", slice(0, 2)), ("train-00001-of-00002", slice(2, 4)),
                       ("test-00000-of-00001", slice(4, 5))):  # fmt: skip
        columns = {"image": stored[part], "label": [0, 1, 0, 1, 1][part]}
        table(columns, tmp_path / f"data/{name}.parquet", features=features)
    listings = scan(tmp_path)
    assert {name: len(listing) for name, listing in listings.items()} == {"train": 4, "test": 1}
    assert listings["train"].classes == ("zebra", "ant")  # in the order of their numbers
    assert listings["train"].labels.tolist() == [0, 1, 0, 1]
    source = Pictures(listings["train"], (16, 22), "squash")
    for index in (3, 0):
        expected = np.asarray(made[index].resize((22, 16), 2))
        np.testing.assert_array_equal(source[index]["image"], expected)
    assert source[3]["aspect"] == np.float32(23 / 16)
    splits = pictures(str(tmp_path), size=16, validation=1)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (3, 1, 1)
    known = digests(listings)
    assert digests(scan(tmp_path)) == known


def test_parquet_files_of_one_split_need_one_type(tmp_path: Path) -> None:
    stored = [{"bytes": encoded(textured((9, 8), seed=n)), "path": None} for n in range(4)]
    for name, labels, some in (
        ("train-0", [0, 1], stored[:2]),
        ("train-1", [0.0, 1.0], stored[2:]),
    ):
        table({"image": some, "label": labels}, tmp_path / f"{name}.parquet")
    words = (
        r"train-1\.parquet has a column 'label' of double, and .*train-0\.parquet one of int64: "
    )
    with pytest.raises(BadInput, match=words):
        scan(tmp_path)


def test_a_path_beside_the_picture_itself_is_passed_over(tmp_path: Path) -> None:
    stored = [{"bytes": encoded(textured((9, 8), seed=n)), "path": None} for n in range(2)]
    columns = {"path": ["a.jpg", "b.jpg"], "image": stored, "label": ["a", "b"]}
    listing = scan(table(columns, tmp_path / "x.parquet"))["train"]
    assert [listing.files[number] for number in range(2)] == [each["bytes"] for each in stored]


def test_a_bad_picture_in_a_parquet_file_is_named_by_its_row(tmp_path: Path) -> None:
    stored = [
        {"bytes": encoded(textured((9, 9)))[:90], "path": "a.jpg"},
        {"bytes": None, "path": "b"},
    ]
    place = table({"image": stored, "label": ["a", "b"]}, tmp_path / "x.parquet")
    source = Pictures(scan(place)["train"], (8, 8))
    with pytest.raises(BadInput, match=r"x\.parquet, row 1 \(a\.jpg\) is (no|a damaged) picture"):
        source[0]
    with pytest.raises(
        BadInput, match=r"x\.parquet, row 2 \(b\) has no picture, but a path, 'b', at"
    ):
        source[1]


def test_a_parquet_file_of_another_kind_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(BadInput, match=r"bad\.parquet cannot be read as Parquet \(.+\)\."):
        scan(tmp_path / "bad.parquet")
    place = table({"text": ["a"], "label": [1]}, tmp_path / "text.parquet")
    with pytest.raises(BadInput, match=r"no column of paths: its columns are 'text', 'label'"):
        scan(place)
    stored = {"bytes": encoded(textured((9, 9))), "path": "a"}
    place = table({"image": [stored, stored], "label": ["a", None]}, tmp_path / "empty.parquet")
    with pytest.raises(BadInput, match=r"empty\.parquet, line 2: the label is empty"):
        scan(place)
    monkeypatch.setattr("flaxmill.data.listings.parquet._MOST", 100)
    with pytest.raises(BadInput, match=r"are held in memory up to 0 GiB\. Load them with datasets"):
        scan(place)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"which is not installed: python -m pip install .*pyarrow"):
        scan(place)
