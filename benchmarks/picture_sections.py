"""The sections of benchmarks/results.md on pictures: folders of them, and how they are read."""

from typing import Any

from sections import row_of


def images(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the lines on the recipe images, given folders and nothing else, if it was tried."""
    rows = {name: row for name, row in found.items() if name.startswith("images ")}
    if not rows:
        return []
    lines = [
        *("", "## Folders of pictures, with no option", ""),
        "`flaxmill train images --data FOLDER`, beside PyTorch and torchvision: the same network, "
        "initial weights, pictures, settings and time of training.",
        "",
        row_of("folder", "seeds", "tested", "pixels", "s", "epochs", "test accuracy", "PyTorch's"),
        "|---" * 8 + "|",
    ]
    for row in rows.values():
        ((name, found),) = row["folders"].items()
        epochs = f"{found['epochs']:g}; {found['torch_epochs']:g}"
        shown = [
            f"{found[f'{who}_mean']:.1%}"
            + ("" if found[f"{who}_sd"] is None else f" ± {100 * found[f'{who}_sd']:.1f} points")
            for who in ("flaxmill", "torch")
        ]
        facts = (row["seeds"], found["tested"], found["size"], f"{found['seconds']:.0f}", epochs)
        lines.append(row_of(name, *facts, *shown))
    return lines


def reading(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on reading pictures, beside other libraries, if that was measured."""
    if row is None:
        return []
    workers = f"{row['workers']} threads or processes that read"
    lines = ["", "## Reading pictures: decoded, resized and cut, a second", ""]
    lines.append(
        f"Medians of {row['rounds']} rounds, in which the contestants took turns; {workers}."
    )
    if "equal" in row:
        asked = f"{row['pictures']} JPEGs of many sizes, over and over, cut to 224 of 256 pixels."
        lines += ["", asked, *_rates(row["equal"])]
    if "draft" in row:
        draft = row["draft"]
        lines += [
            "",
            "JPEGs of 2,000 pixels, which flaxmill decodes no larger than needed: its pixels "
            f"differ by {draft['mean_difference']} of 255 in the mean, by {draft['most']} at most.",
            *_rates(draft),
        ]
    if "memory" in row:
        memory = row["memory"]
        gigabytes = {name: f"{memory[f'{name}_bytes'] / 2**30:.2f}" for name in ("decoded", "peak")}
        lines += [
            "",
            f"Training on {memory['pictures']:,} of them, {gigabytes['decoded']} GiB decoded, took "
            f"{gigabytes['peak']} GiB of memory at most, JAX's own included.",
        ]
    return lines


def _rates(found: dict[str, Any]) -> list[str]:
    lines = ["", row_of("who", "pictures a second", "pixels"), "|---|---|---|"]
    for who, rate in found["pictures_per_second"].items():
        pixels = "Pillow's" if who in found["same_pixels"] else "others"
        lines.append(row_of(who, f"{rate:,.0f}", pixels))
    ours = ", ".join(f"{who} {share:.2f} ×" for who, share in found["to_the_best"].items())
    return [*lines, "", f"To the best of the others that counts: {ours}."]
