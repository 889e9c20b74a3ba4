"""What a recipe's own loss and measure return is on the page, whatever it is called."""

from typing import Any

from pages import Page, subject

from flaxmill.machine.progress import figures
from flaxmill.report.page import ReportedRun, render


def measured(seed: int = 0, **changes: Any) -> ReportedRun:
    """A run whose recipe measures more than flaxmill's own: each figure on other splits."""
    own = {
        "train": {"penalty": 0.00001234},
        "validation": {"top3": 0.75, "margin <b>": -2.5},
        "test": {"top3": 0.7},
        "other people": {"top3": 0.5},
    }
    rows = [
        {"step": 10 * epoch, "epoch": epoch, "split": split, "loss": 1 / epoch, **own[split]}
        for epoch in (1, 2)
        for split in own
    ]
    test = {"accuracy": 0.9, "loss": 0.5, "examples": 300, "top3": 0.7 + seed / 100, "cost": 12.5}
    made: dict[str, Any] = {"metrics": rows, "result": {"test": test}}
    made |= {"tested": None, "test_examples": None, "attributed": None}
    return subject(seed, **made | changes)


def test_every_figure_of_the_log_has_a_curve() -> None:
    page = Page(render([measured()]))
    titles = [title for title in page.texts["h3"] if title != "In plain words"]
    assert titles == ["Loss", "penalty", "top3", "margin <b>"]
    labels = [str(part["aria-label"]) for part in page.all("div") if part.get("role") == "img"]
    assert any("margin <b> over epochs; at the end: validation" in label for label in labels)
    assert any("other people 0.5000" in label for label in labels)
    assert any(label.endswith("training 1.234e-05") for label in labels)


def test_own_figures_of_the_test_stand_beside_the_result() -> None:
    text = Page(render([measured()])).text
    assert "Test top30.7000" in text and "Test cost12.5000" in text


def test_own_figures_are_compared_and_none_is_called_best() -> None:
    page = Page(render([measured(0), measured(1), measured(2, result={"test": {"loss": 0.4}})]))
    header = [text for text in page.texts["th"] if text in ("top3", "cost", "Accuracy", "Loss")]
    assert header == ["Accuracy", "Loss", "top3", "cost"]
    assert "0.7000" in page.texts["span"] and "0.7100" in page.texts["span"]
    best = [
        text
        for text, attributes in zip(page.texts["span"], page.all("span"), strict=True)
        if attributes.get("class") == "best"
    ]
    assert "0.4000" in best and not {"0.7100", "12.5000"} & set(
        best
    )  # nobody knows which is better


def test_many_figures_end_in_a_table() -> None:
    rows = [
        {"step": 1, "epoch": 1, "split": "train", **{f"m{i}": float(i) for i in range(30)}},
    ]
    page = Page(render([measured(metrics=rows)]))
    assert len(page.all("svg")) == 12
    assert "Where further figures ended" in page.texts["h3"]
    assert "m29trainingtraining 29.0000" not in page.text and "training 29.0000" in page.text


def test_nothing_is_made_of_the_name_of_a_figure() -> None:
    said = figures({"accuracy": 0.9, "accuracy_penalty": 3.2, "inexact": 0.25, "f1_loss": 1.5})
    assert said == "accuracy 90.00 %, accuracy_penalty 3.2000, inexact 0.2500, f1_loss 1.5000"
