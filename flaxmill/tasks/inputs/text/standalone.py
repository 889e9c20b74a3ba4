"""What is done to a text before an export sees it, for a program without flaxmill.

The model card prints this function, and a test holds it to what `predict` does.
"""

import itertools
import re
import unicodedata
from typing import Any


def preprocess(text: Any, signature: Any) -> Any:
    """Returns the numbers of a text's tokens, with Python alone: a list for the model's batch."""
    how = signature["preprocess"]
    spaces = "\t-\r \x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
    marks = (
        "!-&(-/:-@\\[-`{-~\xa1-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb-\xbf\xd7\xf7\u2010-\u2018"
        "\u201a-\u2027\u2030-\u205e\u20a0-\u20cf\u2100-\u214f\u2190-\u2bff\u3001-\u3003"
        "\u3008-\u3020\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
        "\U0001f000-\U0001faff"
    )
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    text = "".join(map(str.lower, text)) if how["lower"] else text
    text = re.sub(f"[{spaces}]+", " ", unicodedata.normalize("NFC", text)).strip(" ")
    if how["kind"] == "characters":
        tokens = list(text)
    elif how["kind"] == "words":
        tokens = re.findall(f"[{marks}]|[^ {marks}]+", text)
    else:
        plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
        others = iter(range(256, 512))
        table = [chr(byte if byte in plain else next(others)) for byte in range(256)]
        ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(how["merges"])}
        tokens = []
        for piece in re.findall(f" ?(?:[{marks}]|[^ {marks}]+)", text):
            parts = [table[byte] for byte in piece.encode()]
            while known := [pair for pair in itertools.pairwise(parts) if pair in ranks]:
                pair = min(known, key=ranks.__getitem__)
                at = list(itertools.pairwise(parts)).index(pair)
                parts[at : at + 2] = ["".join(pair)]
            tokens += parts
    numbers = {token: number for number, token in enumerate(how["vocabulary"])}
    return [numbers.get(token, 1) for token in tokens[: how["longest"]]] or [1]
