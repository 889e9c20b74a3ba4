"""The sections of benchmarks/results.md on exports: what is refused, and how sure answers are."""

from typing import Any

from sections import row_of


def parity(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on models that were exported whole and damaged, if that was tried."""
    if row is None:
        return []
    return [
        *("", "## Exports of small two-class models", ""),
        "Five folders of two classes that are easily confused. The largest difference of a logit "
        "is a share of the logits' size. In the damaged ones a weight of each layer is moved by a "
        "tenth of its layer's norm.",
        *("", row_of("models", "", "difference"), "|---|---|---|"),
        row_of(
            "as they are",
            f"{row['exported']} of {row['models']} exported",
            f"{row['largest_difference']:.1e} at most",
        ),
        row_of(
            "damaged, on test pictures",
            f"{row['refused']} of {row['layers_damaged']} refused",
            f"{row['smallest_damage']:.1e} at least",
        ),
        row_of(
            "damaged, on made inputs",
            f"{row['refused_on_made_inputs']} of {row['layers_damaged']} refused",
            "–",
        ),
    ]


def calibration(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on the test loss with a temperature and without, if it was measured."""
    if row is None:
        return []
    lines = ["", "## What a temperature brings", ""]
    lines += [
        "Test loss in nats of exports, whose temperature was fitted on what was held out.",
        "",
    ]
    lines += [row_of("run", "held out", "temperature", "accuracy", "loss", "exported loss")]
    lines += ["|---" * 6 + "|"]
    for one in row["runs"]:
        temperature = "–" if one["temperature"] is None else f"{one['temperature']:.3f}"
        loss, exported = f"{one['loss']:.4f}", f"{one['exported_loss']:.4f}"
        name = one["run"] + (" (large)" if one["size"] == "large" else "")
        lines.append(
            row_of(
                name, f"{one['held_out']:,}", temperature, f"{one['accuracy']:.2%}", loss, exported
            )
        )
    return lines
