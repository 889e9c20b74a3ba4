"""Vocabularies: the tokens that a model knows, chosen from the texts that it is trained on."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from flaxmill.data.text.tokens import (
    KINDS,
    PIECE,
    SPECIAL,
    Encoder,
    byte_characters,
    normal,
)
from flaxmill.errors import BadInput, nearest
from flaxmill.machine.program import install_command

_BYTES = len(byte_characters())


def build_vocabulary(
    texts: Sequence[str],
    kind: str,
    *,
    lower: bool = True,
    most: int = 20_000,
    least: int = 1,
    longest: int = 64,
) -> dict[str, Any]:
    """Builds a vocabulary; returns a description by which any text can be cut into tokens.

    Args:
        texts: The training texts, and no others.
        kind: "characters", "words", or "bpe": byte-pair encoding (Sennrich et al. 2016) of bytes,
            which leaves nothing unknown.
        lower: Whether to ignore capitals.
        most: Tokens in all, the two special ones included.
        least: How often a token has to occur; under "bpe", a pair that is merged.
        longest: Tokens of a text that are used, at most.

    Returns:
        The description that `flaxmill.data.text.tokens.encode` takes. The most frequent tokens
        come first, those that are as frequent in the order of their characters.

    Raises:
        BadInput: A value is out of its range, or "bpe" is asked for without the extra ``text``.
    """
    if kind not in KINDS:
        raise BadInput(f"--tokens {kind!r}.{nearest(kind, KINDS)}")
    room = len(SPECIAL) + (_BYTES if kind == "bpe" else 1)
    if most < room:
        raise BadInput(f"--vocabulary {most}: {kind} need {room:,} or more.")
    if least < 1 or longest < 1:
        raise BadInput(f"--least {least} and --longest {longest}: give 1 or more.")
    about = {"kind": kind, "lower": lower, "normal": "NFC", "longest": longest}
    if kind == "bpe":
        vocabulary, merges = _byte_pairs(texts, lower, most - len(SPECIAL), least)
        return {**about, "vocabulary": [*SPECIAL, *vocabulary], "merges": merges}
    encoder = Encoder({**about, "vocabulary": ()})
    counts = Counter(itertools.chain.from_iterable(map(encoder.tokens, texts)))
    frequent = sorted((-count, token) for token, count in counts.items() if count >= least)
    known = [token for _, token in frequent[: most - len(SPECIAL)]]
    return {**about, "vocabulary": [*SPECIAL, *known], "merges": []}


def _byte_pairs(
    texts: Sequence[str], lower: bool, most: int, least: int
) -> tuple[list[str], list[str]]:
    """Trains byte-pair encoding; returns the tokens, and the merges."""
    try:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
    except ImportError:
        raise BadInput(
            f"--tokens bpe needs the package tokenizers, to be trained: {install_command('text')}. "
            f"words and characters need nothing."
        ) from None
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(  # pyrefly: ignore
        [
            pre_tokenizers.Split(Regex(_oniguruma(PIECE)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=most,
        min_frequency=least,
        show_progress=False,
        initial_alphabet=list(byte_characters()),
    )
    tokenizer.train_from_iterator((normal(text, lower=lower) for text in texts), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return vocabulary, merges


def _oniguruma(pattern: str) -> str:
    """Escapes a pattern for the regular expressions of that library."""
    return pattern.replace("&", "\\&")
