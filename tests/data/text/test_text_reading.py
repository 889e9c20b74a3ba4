import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flaxmill.data.text.reading import read
from flaxmill.data.text.splits import TextOptions, own_texts
from flaxmill.errors import BadInput


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(listing: Any) -> list[tuple[str, str]]:
    return [
        (text, listing.classes[label])
        for text, label in zip(listing.files, listing.labels.tolist(), strict=True)
    ]


EXPECTED = [("a fine film", "good"), ("not, so fine", "bad"), ("dull", "bad")]
JSONL = "\n".join(json.dumps({"text": text, "label": label}) for text, label in EXPECTED)
WAYS = {
    "a.csv": 'text,label\na fine film,good\n"not, so fine",bad\ndull,bad\n',
    "b.csv": 'id;Review;Class\r\n1;a fine film;good\r\n2;"not, so fine";bad\r\n3;dull;bad\r\n',
    "c.tsv": "label\tsentence\ngood\ta fine film\nbad\tnot, so fine\nbad\tdull",
    "d.tsv": "a fine film\tgood\nnot, so fine\tbad\ndull\tbad\n",
    "e.tsv": "good\ta fine film\r\nbad\tnot, so fine\r\n\r\nbad\tdull\r\n",
    "f.jsonl": JSONL + "\n\n",
    "g.csv": b'\xef\xbb\xbftext,label\na fine film,good\n"not, so fine",bad\ndull,bad',
}


@pytest.mark.parametrize("name", WAYS)
def test_tables_of_every_kind(name: str, tmp_path: Path) -> None:
    listings = read(written(tmp_path / name, WAYS[name]))
    assert listings.keys() == {"train"}
    assert listings["train"].classes == ("bad", "good")
    assert rows(listings["train"]) == EXPECTED


def test_columns_that_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "Q,A,label\nhow?,so,x\nwhy?,thus,y\n")
    assert rows(read(path, text="A")["train"]) == [("so", "x"), ("thus", "y")]
    assert rows(read(path, text="2")["train"]) == [("so", "x"), ("thus", "y")]
    path = written(tmp_path / "c.tsv", "question\thow?\nquestion\twhy?\nanswer\tso\n")
    assert rows(read(path)["train"])[0] == ("how?", "question")
    assert read(path, text="2")["train"].files == ("how?", "why?", "so")
    path = written(tmp_path / "b.tsv", "1\thow?\tx\tso\n2\twhy?\ty\tthus\n")
    assert rows(read(path, text="2", label="3")["train"]) == [("how?", "x"), ("why?", "y")]


def test_quotation_marks_are_characters_in_tabbed_tables(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", 'text\tlabel\n"fine\tgood\nsaid "so\tbad\n')
    assert rows(read(path)["train"]) == [('"fine', "good"), ('said "so', "bad")]


def test_files_are_splits_by_their_names(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        written(tmp_path / f"{name}.tsv", f"text\tlabel\n{name} one\ta\n{name} two\tb\n")
    written(tmp_path / "README.md", "of the data")
    listings = read(tmp_path)
    assert listings.keys() == {"train", "validation", "test"}
    assert rows(listings["validation"]) == [("dev one", "a"), ("dev two", "b")]


def test_a_column_may_say_the_split(tmp_path: Path) -> None:
    content = "text,label,split\nfine,a,train\npoor,b,train\nso so,a,test\n"
    listings = read(written(tmp_path / "a.csv", content))
    assert rows(listings["test"]) == [("so so", "a")]
    assert len(listings["train"]) == 2
    bad = written(tmp_path / "b.csv", content + "never,a,maybe\n")
    with pytest.raises(BadInput, match=r"b\.csv, line 5: split is 'maybe', expected train"):
        read(bad)


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    written(tmp_path / "one" / "neg" / "1.txt", "poor\n")
    written(tmp_path / "one" / "pos" / "deep" / "2.txt", "fine\nindeed")
    assert rows(read(tmp_path / "one")["train"]) == [("poor", "neg"), ("fine\nindeed", "pos")]
    for split in ("train", "test"):
        written(tmp_path / "two" / split / "neg" / "1.txt", f"poor {split}")
        written(tmp_path / "two" / split / "pos" / "1.txt", f"fine {split}")
    listings = read(tmp_path / "two")
    assert rows(listings["test"]) == [("poor test", "neg"), ("fine test", "pos")]


WRONG = {
    "bytes.csv": (b"text,label\nfine,a\ncaf\xe9,b\n", "bytes.csv, line 3: byte 0xe9 is no UTF-8"),
    "ragged.csv": ("text,label\nfine,a\na, b,c\n", "ragged.csv, line 3: it has 3 cells"),
    "ragged.tsv": ("text\tlabel\nfine\ta\nb\n", "ragged.tsv, line 3: it has 1 cell,"),
    "label.csv": ("text,label\nfine,a\nfine,\n", "label.csv, line 3: there is no label"),
    "text.csv": ('text,label\n" ",a\nfine,b\n', "text.csv, line 2: there is no text"),
    "names.csv": ("Q,A,label\na,b,c\n", "has the columns 'Q', 'A', 'label', and none of them"),
    "two.csv": ("text,review,label\na,b,c\n", "more than one of them is called as the texts"),
    "none.tsv": ("1\ta\tx\n2\tb\ty\n", "has 3 columns, and none has a usual name"),
    "either.tsv": ("a\tx\nb\ty\n", "two columns without names, and either may be the label"),
    "header.tsv": (
        "Satz\tSinn\n" + "".join(f"text {i}\t{'ab'[i % 2]}\n" for i in range(9)),
        "its first line ('Satz', 'Sinn') seems to name the columns",
    ),
    "json.jsonl": ('{"text": "a", "label": "b"}\n{"text": \n', "json.jsonl, line 2: it is no JSON"),
    "list.jsonl": ("[1]\n", "list.jsonl, line 1: expected"),
    "null.jsonl": ('{"text": "a", "label": null}\n', "null.jsonl, line 1: there is no label"),
    "empty.csv": ("text,label\n", "holds no row with a text and a label"),
    "plain.txt": ("just a text\n", "line 1: expected a text and a label with a tab between them"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    content, words = WRONG[name]
    path = written(tmp_path / name, content)
    with pytest.raises(BadInput, match=re.escape(words)):
        read(path)


def test_what_is_no_data_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no such file or folder"):
        read(tmp_path / "absent.csv")
    with pytest.raises(BadInput, match=r"holds nothing: expected tables"):
        read(tmp_path)
    written(tmp_path / "a.csv", "text,label\na,b\n")
    with pytest.raises(BadInput, match=r"a\.csv has no column 'txt'\. Did you mean 'text'"):
        read(tmp_path / "a.csv", text="txt")
    written(tmp_path / "b.csv", "text,label\na,b\n")
    with pytest.raises(BadInput, match=r"holds 'a\.csv', 'b\.csv': call them train, dev and test"):
        read(tmp_path)


def table(path: Path, count: int = 60) -> Path:
    lines = [f"{'good fine' if i % 3 else 'bad poor'} number {i},{i % 3}" for i in range(count)]
    return written(path, "\n".join(["text,label", *lines]))


def test_one_table_is_divided_with_each_class_in_its_proportion(tmp_path: Path) -> None:
    path = str(table(tmp_path / "a.csv"))
    splits = own_texts(path, TextOptions(sizes=2), validation=0.2, test=0.2)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [36, 12, 12]
    assert sorted(splits.test.labels.tolist()) == [0] * 4 + [1] * 4 + [2] * 4
    every = {*splits.train.texts, *splits.validation.texts, *splits.test.texts}
    assert len(every) == 60
    assert "Held out of each class, the same at every run: 12 texts for validation" in splits.note
    assert len(splits.whole) == 60
    again = own_texts(path, TextOptions(sizes=2), validation=0.2, test=0.2)
    assert again.test.texts == splits.test.texts
    assert again.digests == splits.digests


def test_the_vocabulary_is_of_what_is_trained_on(tmp_path: Path) -> None:
    splits = own_texts(str(table(tmp_path / "a.csv")), TextOptions(), validation=0.2, test=0.2)
    known = set(splits.preprocess["vocabulary"])
    assert {"good", "bad", "number"} <= known
    numbers = {text.split()[-1] for text in splits.train.texts}
    assert known - {"good", "fine", "bad", "poor", "number"} == numbers | {
        "<padding>",
        "<unknown>",
    }
    assert splits.preprocess["longest"] == splits.sizes[-1] == 4
    assert (splits.test.take(np.arange(12))["tokens"] == 1).sum() == 12  # their numbers are unknown


def test_another_model_s_tokens_may_be_asked_for(tmp_path: Path) -> None:
    splits = own_texts(str(table(tmp_path / "a.csv")), TextOptions(), validation=0.2, test=0.2)
    assert splits.fitted is not None
    other = {**splits.preprocess, "vocabulary": ["<padding>", "<unknown>", "good"], "longest": 3}
    again = splits.fitted(other, (3,))
    assert set(again["test"].take(np.arange(12))["tokens"].ravel().tolist()) <= {1, 2}
    assert again["train"].sizes == (3,)


def test_few_texts_are_repeated_to_be_learnt_by_heart(tmp_path: Path) -> None:
    splits = own_texts(
        str(table(tmp_path / "a.csv")), TextOptions(), validation=0.2, test=0.2, overfit=5
    )
    assert len(splits.train) == 36
    assert len(splits.test) == len(splits.validation) == 5
    assert splits.train.texts[:5] == splits.train.texts[5:10] == splits.test.texts
    with pytest.raises(BadInput, match="--overfit 99: give a number from 1 to 36"):
        own_texts(
            str(table(tmp_path / "a.csv")), TextOptions(), validation=0.2, test=0.2, overfit=99
        )


def test_one_class_cannot_be_learnt(tmp_path: Path) -> None:
    content = "text,label\n" + "".join(f"a {i},x\n" for i in range(9))
    splits = own_texts(str(written(tmp_path / "a.csv", content)), TextOptions())
    assert "all texts of" in splits.lacking
    assert "have the label 'x'" in splits.lacking
