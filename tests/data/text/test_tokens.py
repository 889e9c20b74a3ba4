import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from flaxmill.data.text.tokens import MARKS, SPACES, Encoder, byte_characters, encode, normal
from flaxmill.data.text.vocabulary import build_vocabulary
from flaxmill.errors import BadInput


def about(kind: str, *tokens: str, **more: Any) -> dict[str, Any]:
    vocabulary = ["<padding>", "<unknown>", *tokens]
    usual = {"kind": kind, "lower": True, "normal": "NFC", "longest": 64}
    return {**usual, "vocabulary": vocabulary, "merges": [], **more}


def cut(text: str, kind: str, *, lower: bool = True) -> list[str]:
    return Encoder(about(kind, lower=lower)).tokens(text)


# What a program in another language has to give too.
WORDS = {
    "A fine film!": ["a", "fine", "film", "!"],
    "don't -- it's (3d)": ["don't", "-", "-", "it's", "(", "3d", ")"],
    "3.5/5 ★ 50%": ["3", ".", "5", "/", "5", "★", "50", "%"],
    "영화가 좋았다…진짜": ["영화가", "좋았다", "…", "진짜"],
    "영화": ["영화"],  # decomposed: NFC joins the parts of its syllables
    "\u3000a\u00a0b\u200bc\ufeff\x85\t": ["a", "b", "c"],
    "ΟΔΟΣ": ["οδοσ"],  # each letter by itself: no final sigma
    "İ ﬁ ß": ["i̇", "ﬁ", "ß"],
    "«mot» “q” don’t": ["«", "mot", "»", "“", "q", "”", "don’t"],
    "👍🏽 ok": ["👍", "🏽", "ok"],
    "a\ud800b": ["a\ufffdb"],
    "": [],
    " \n ": [],
}


@pytest.mark.parametrize("text", WORDS, ids=ascii)
def test_words_and_marks(text: str) -> None:
    assert cut(text, "words") == WORDS[text]


def test_characters_are_code_points_and_spaces_are_some() -> None:
    assert cut(" 좋아  A👍 ", "characters") == ["좋", "아", " ", "a", "👍"]
    assert cut("aB", "characters", lower=False) == ["a", "B"]


def test_a_normal_form_stays_as_it_is() -> None:
    for text in WORDS:
        for lower in (True, False):
            once = normal(text, lower=lower)
            assert normal(once, lower=lower) == once


def test_numbers_are_places_in_the_vocabulary() -> None:
    words = about("words", "a", "film", "!", longest=3)
    assert encode("A film!", words) == [2, 3, 4]
    assert encode("a new film", words) == [2, 1, 3]
    assert encode("a a a a a", words) == [2, 2, 2]  # no more than the longest
    assert encode("", words) == encode(" \t", words) == [1]  # never nothing
    assert encode("<padding> <unknown>", about("words")) == [1] * 6  # no text is taken for them


def test_a_description_is_json() -> None:
    description = build_vocabulary(["a b", "b c"], "words")
    assert json.loads(json.dumps(description)) == description
    assert encode("c b a d", json.loads(json.dumps(description))) == [4, 2, 3, 1]


def test_the_most_frequent_come_first_and_ties_are_in_their_order() -> None:
    texts = ["b b a", "c a b", "d"]
    assert build_vocabulary(texts, "words")["vocabulary"][2:] == ["b", "a", "c", "d"]
    assert build_vocabulary(texts, "words", least=2)["vocabulary"][2:] == ["b", "a"]
    assert build_vocabulary(texts, "words", most=3)["vocabulary"][2:] == ["b"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "word"}, "--tokens 'word'. Did you mean 'words'?"),
        ({"kind": "words", "most": 2}, "--vocabulary 2: words need 3 or more"),
        ({"kind": "bpe", "most": 257}, "--vocabulary 257: bpe need 258 or more"),
        ({"kind": "words", "longest": 0}, "--longest 0: give 1 or more"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        build_vocabulary(["a"], **fields)


def test_marks_and_spaces_are_told_apart() -> None:
    both = set(re.findall(f"[{MARKS}]", "".join(map(chr, range(0x11000)))))
    assert not both & set(re.findall(f"[{SPACES}]", "".join(map(chr, range(0x11000)))))
    assert not any(character.isalnum() and character.isascii() for character in both)
    ascii_marks = {c for c in map(chr, range(33, 127)) if not c.isalnum()} - {"'"}
    assert {c for c in both if c.isascii()} == ascii_marks


# Byte-pair encoding.

TEXTS = [
    "the film was fine , the film was not fine",
    "a thousand films and a film",
    "영화가 좋았다 , 영화는 좋았다",
    "don't ! don't !! 👍👍",
] * 3


def test_every_byte_has_a_character_of_its_own() -> None:
    table = byte_characters()
    assert len(set(table)) == 256
    assert (table[32], table[97], table[0], table[173]) == ("Ġ", "a", "Ā", "\u0143")


def test_byte_pairs_leave_nothing_unknown() -> None:
    pytest.importorskip("tokenizers")
    description = build_vocabulary(TEXTS, "bpe", most=300)
    assert len(description["vocabulary"]) == 300
    assert 1 not in encode("日本 \x00 ñ 🤖 never seen", {**description, "longest": 99})
    assert "".join(Encoder(description).tokens("the film")) == "theĠfilm"
    again = "".join(Encoder(description).tokens("Wholly  new: 日本"))
    raw = bytes(byte_characters().index(character) for character in again)
    assert raw.decode() == "wholly new: 日本"


def test_byte_pairs_are_the_same_every_time() -> None:
    pytest.importorskip("tokenizers")
    assert build_vocabulary(TEXTS, "bpe", most=320) == build_vocabulary(TEXTS, "bpe", most=320)


def lines(file: str) -> list[str]:
    path = Path(os.environ.get("FLAXMILL_DATA", "absent")) / file
    if not path.is_file():
        pytest.skip(f"needs {file} where FLAXMILL_DATA points to")
    return path.read_text("utf-8").split("\n")


@pytest.mark.parametrize("file", ["sst2/train.tsv", "korean-text/nsmc-subset/test.tsv"])
def test_byte_pairs_are_joined_as_the_library_does(file: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import models, pre_tokenizers

    from flaxmill.data.text.tokens import PIECE
    from flaxmill.data.text.vocabulary import _oniguruma

    texts = lines(file)[:2000]
    description = build_vocabulary(texts, "bpe", most=1500)
    vocabulary = {token: number for number, token in enumerate(description["vocabulary"])}
    merges = [tuple(merge.split(" ")) for merge in description["merges"]]
    theirs = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_oniguruma(PIECE)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    encoder = Encoder({**description, "longest": 10_000})
    normals = [normal(text, lower=True) for text in texts]
    expected = [answer.ids for answer in theirs.encode_batch(normals)]
    assert [encoder(text) if text else [] for text in normals] == expected


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(BadInput, match=r"--tokens bpe needs the package tokenizers.*pip install"):
        build_vocabulary(TEXTS, "bpe", most=300)
    assert build_vocabulary(TEXTS, "characters")["merges"] == []
