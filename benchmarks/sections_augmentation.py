"""The sections of benchmarks/results.md on augmentation: what it costs, and what it is worth."""

from typing import Any

from sections import row_of


def cost(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on what a step takes longer for augmentation, if it was measured."""
    if row is None:
        return []
    milliseconds = row["step_milliseconds"]
    step = f"{milliseconds:,.0f} ms" if milliseconds >= 100 else f"{milliseconds:.1f} ms"
    more = _compared(row["step_with_policy_to_without"])
    place = " on an accelerator" if on(row) else ""
    lines = ["", f"## What augmentation costs{place}", ""]
    lines += [
        "Milliseconds for a batch of 128 pictures, 32×32 in colour, in the compiled loop, and as a "
        f"share of a step of a ResNet-18, which takes {step}. With the whole policy, {more}. "
        f"Medians of {row['rounds']} rounds there and back, in which the contestants took turns."
        f"{on(row)}",
        "",
        row_of("change", "ms a batch", "of a step"),
        "|---|---|---|",
    ]
    for name, one in row["changes"].items():
        lines.append(row_of(name, f"{one['milliseconds']:.2f}", f"{one['share_of_a_step']:.2%}"))
    return lines


def on(row: dict[str, Any]) -> str:
    """Names the accelerator that a row was measured on; nothing, if it was the processor."""
    device = row["machine"].get("accelerator", "cpu")
    return "" if device == "cpu" else f" Device: {device}."


def _compared(ratio: float) -> str:
    """Says how much longer a step takes."""
    if ratio <= 1:
        return f"that step took no longer (it took {1 - ratio:.1%} less, by chance)"
    return f"that step takes {ratio - 1:.1%} longer"


def worth(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on what augmentation is worth, if it was measured."""
    if row is None:
        return []
    usual = row["cases"]["flip and shift"]["validation_accuracy"]
    seeds = f"{row['seeds']} seeds" if row["seeds"] > 1 else "one seed"
    together = row.get("together", 1)
    shared = f" So many trained at the same time: {together}." if together > 1 else ""
    lines = ["", "## What augmentation is worth", ""]
    lines += [
        f"A small network trained on {row['examples']:,} pictures of CIFAR-10 "
        f"(`train cifar10 {row['options']}`), of {seeds} that are not those above: validation "
        "accuracy, mean ± standard deviation, and the distance from flipped and shifted pictures. "
        "Another network, more pictures or more epochs can turn the order round. "
        "Erasing is done to a quarter of the pictures; RandAugment "
        f"makes two changes of magnitude 3; the alphas are 0.2 for mixup and 1 for CutMix.{on(row)}"
        f"{shared}",
        "",
        row_of("pictures", "validation accuracy", "points", "training accuracy", "seconds"),
        "|---" * 5 + "|",
    ]
    for name, one in row["cases"].items():
        sd = "" if one["sd"] is None else f" ± {one['sd'] * 100:.2f} points"
        lines.append(
            row_of(
                name,
                f"{one['validation_accuracy']:.2%}{sd}",
                f"{(one['validation_accuracy'] - usual) * 100:+.2f}",
                f"{one['train_accuracy']:.1%}",
                f"{one['train_seconds']:.0f}",
            )
        )
    return lines
