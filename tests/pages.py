"""A report page, to be read by its elements as by a browser or a screen reader; and its subject."""

from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, Literal

import numpy as np

from flaxmill.report.page import ReportedRun
from flaxmill.tasks.kinds import Explanation, Explanations
from flaxmill.tasks.signature import Signature, Tensor

LABELS = ["Coat", "Shirt", "Bag & <b>more</b>"]
RESULT = {"accuracy": 0.9121, "loss": 0.24681, "examples": 10_000}
_SIGNED = ("labels", "gives", "temperature", "held_out")
VOID = {"meta", "link", "br", "img"}
_LOOKED_INTO = Explanation(1, '<img src="data:image/png;base64," alt="looked into">', 0.93, 0.125)
EXPLAINED = Explanations("Beside each class, what speaks for it.", [_LOOKED_INTO])


class Page(HTMLParser):
    """Collects a page's elements and texts; fails on an end tag that does not fit."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> within {self.open}"

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if not {"style", "script", "svg"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        """What a person reads, with its white space evened out."""
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def outcomes(seed: int = 0, examples: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a classifier of three classes that is right now and then, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, examples)
    return rng.normal(0, 1.5, (examples, 3)) + 2 * np.eye(3)[labels], labels


def subject(
    seed: int = 0,
    examples: int = 300,
    *,
    tested: tuple[np.ndarray, np.ndarray] | Literal["usual"] | None = "usual",
    **changes: Any,
) -> ReportedRun:
    """A run of a classifier of three classes that is right now and then.

    Args:
        seed: Of its outputs.
        examples: How many were tested.
        tested: Other logits and labels.
        changes: Of its fields.
    """
    logits, labels = outcomes(seed, examples)
    shape = (examples, 28, 28, 1)
    right = float((logits.argmax(-1) == labels).mean())
    rows = [
        {"step": 10 * epoch, "epoch": epoch, "split": split, "loss": 1 / epoch, "accuracy": 0.5}
        | {"examples_per_second": 1000.0 * epoch, "seconds": 2.0}
        for epoch in (1, 2, 3)
        for split in ("train", "validation", "test")
    ]
    made = ReportedRun(
        name=f"fashion_mnist-quick-{seed}",
        recipe="fashion_mnist",
        preset="quick",
        seed=seed,
        data_title="Fashion-MNIST",
        drawn=False,
        seen=False,
        signature=Signature(
            name="fashion_mnist",
            takes="picture",
            gives="one_class",
            inputs=(Tensor("image", "uint8", (-1, 28, 28, 1)),),
            outputs=(Tensor("logits", "float32", (-1, 3)),),
            labels=tuple(LABELS),
            temperature=1.25,
            held_out=300,
        ),
        result={
            "step": 30,
            "parameters": 12345,
            "test": {"accuracy": right, "loss": 0.5, "examples": examples},
            "weights_sha256": "0123456789abcdef" * 4,
            "seconds": {"import": 1.0, "train": 60.0, "total": 75.0},
        },
        metrics=rows,
        config={"epochs": 3, "optimizer": {"momentum": 0.9}},
        manifest={"versions": {"jax": "0.10.2"}},
        test_examples=np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8),
        attributed=EXPLAINED,
    )
    made = changed(made, **changes)
    if tested is None:
        return made
    outputs = (logits, labels) if tested == "usual" else tested
    return replace(made, tested=made.kind.tally(*outputs, made.temperature or 1.0))


def changed(run: ReportedRun, **changes: Any) -> ReportedRun:
    """Returns a subject with other fields, of its own or of its signature."""
    signed = {name: changes.pop(name) for name in _SIGNED if name in changes}
    signed |= {"labels": tuple(signed["labels"])} if "labels" in signed else {}
    return replace(run, signature=replace(run.signature, **signed), **changes)
