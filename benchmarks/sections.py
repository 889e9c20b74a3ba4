"""The sections of benchmarks/results.md, each made of the summary of a benchmark."""

from typing import Any

CONTESTANTS = 4
"""flaxmill, and the ways to train in PyTorch."""


def row_of(*cells: Any) -> str:
    """Returns a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def speed(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on the seconds an epoch takes, if they were measured."""
    if row is None:
        return []
    seconds = row["seconds_an_epoch"]
    ratios = {
        "tutorial_loop": 1.0,
        "article": row["article_to_tutorial_loop"],
        "linen_cnn": row["article_to_tutorial_loop"] * row["linen_cnn_to_article"],
    }
    return [
        *("", "## Seconds an epoch (60,000 examples, batch 32)", ""),
        *("| who | seconds | to the plain loop |", "|---|---|---|"),
        *(f"| {who} | {seconds[who]:.1f} | {ratios[who]:.2f} × |" for who in seconds),
    ]


def peers(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on other libraries, if they were measured."""
    if row is None:
        return []
    lines = ["", "## Side by side: the tutorial's training, seconds for 60,000 examples", ""]
    lines += [f"Medians of {row['rounds']} rounds, in which the contestants took turns.", ""]
    return lines + side_by_side(row, digits=1)


def known_sets(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the lines on CIFAR-10 and MNIST, if they were measured."""
    lines = []
    trained = {name: row for name, row in found.items() if " accuracy" in name}
    if trained:
        lines += ["", "## Other recipes", ""]
        lines += [row_of("recipe", "preset", "seeds", "test accuracy", "lowest", "seconds")]
        lines += ["|---|---|---|---|---|---|"]
    for name, row in trained.items():
        sd, lowest = row["test_accuracy_sd"], row["test_accuracy_lowest"]
        spread = "" if sd is None else f" ± {sd * 100:.2f} points"
        mean = f"{row['test_accuracy_mean']:.2%}{spread}"
        facts = (row["preset"], row["seeds"], mean, f"{lowest:.2%}", f"{row['seconds_median']:.0f}")
        lines.append(row_of(name.split()[0], *facts))
    if row := found.get("cifar10 speed"):
        lines += ["", "## Side by side: quick of cifar10, seconds for 50,000 examples", ""]
        lines += [f"Medians of {row['rounds']} rounds, in which the contestants took turns.", ""]
        lines += side_by_side(row, digits=1)
    return lines


def side_by_side(row: dict[str, Any], *, digits: int) -> list[str]:
    """Returns a table of contestants, and of what flaxmill takes to each."""
    lines = ["| who | seconds | flaxmill takes |", "|---|---|---|"]
    for who, seconds in row["seconds_an_epoch"].items():
        ratio = row["flaxmill_to"].get(who)
        share = "" if ratio is None else f"{ratio:.2f} ×"
        lines.append(f"| {who} | {seconds:.{digits}f} | {share} |")
    return lines


def parity(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on models that got the weights of torchvision's and timm's, if compared."""
    if row is None:
        return []
    lines = [
        *("", "## The same weights in torchvision or timm, and here", ""),
        "Every parameter and buffer random; evaluation of random pictures of 224×224 pixels; "
        f"float32 on CPU. Largest difference of any logit. {row['rows'][0]['peer']}.",
        *("", row_of("weights of", "largest logit", "difference", "as a share of that logit")),
        "|---|---|---|---|",
    ]
    for one in row["rows"]:
        figures = (f"{one[key]:.1e}" for key in ("difference", "relative_difference"))
        lines.append(row_of(one["model"], f"{one['logits']:.1f}", *figures))
    return lines


def networks(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on a step in the loop and as a call of its own, if they were timed."""
    if row is None:
        return []
    lines = [
        *("", "## A training step in the loop, and as a plain call", ""),
        f"Batches of {row['batch_size']} pictures of 32×32 pixels, in small networks of each kind; "
        f"medians of {row['rounds']} rounds, in which the two took turns.",
        *("", row_of("network", "loop (s)", "plain (s)", "loop to plain"), "|---|---|---|---|"),
    ]
    for one in row["rows"]:
        seconds = (f"{one['seconds_a_step'][way]:.3f}" for way in ("loop", "plain"))
        lines.append(row_of(one["network"], *seconds, f"{one['loop_to_plain']:.2f} ×"))
    return lines


def choices(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on what each choice of a preset is worth, if that was measured."""
    if row is None:
        return []
    seeds = row["seeds"]
    counted = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "of one seed"
    others = "that are not those above" if seeds > 1 else "that is not among those above"
    return [
        *("", f"## What the choices of {row['preset']} are worth", ""),
        f"Accuracy on the validation split, {counted} {others}; one choice taken back at a time.",
        *("", f"| {row['preset']} | validation accuracy | seconds of training |", "|---|---|---|"),
        *(
            row_of(
                name,
                f"{one['validation_accuracy']:.2%}"
                + (f" ± {one['sd'] * 100:.2f} points" if seeds > 1 else ""),
                f"{one['train_seconds']:.1f}",
            )
            for name, one in row["rows"].items()
        ),
    ]


def gears(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on the two gears, if they were measured."""
    if row is None:
        return []
    lines = ["", "## Examples a second, by where the data lies", ""]
    lines += [row_of("preset", "on the device", "sent while it computes", "ratio")]
    lines += ["|---|---|---|---|"]
    for preset, rates in row["examples_per_second"].items():
        ratio = f"{row['streaming_to_resident'][preset]:.1%}"
        lines.append(row_of(preset, rates["resident"], rates["streaming"], ratio))
    return lines


def costs(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on what the size of data and model costs, and bfloat16, if measured."""
    if row is None:
        return []
    columns = ("case", "parameters", "a step (ms)", "start (s)", "peak memory (MiB)")
    lines = ["", "## What size and type cost", ""]
    lines += ["The preset quick on 60,000 drawn garments in float32, but for what is said.", ""]
    lines += [row_of(*columns), "|---" * len(columns) + "|"]
    for name, case in row["cases"].items():
        step, start = f"{case['step_milliseconds']:.1f}", f"{case['start_seconds']:.1f}"
        memory = f"{case['peak_memory_mib']:.0f}"
        lines.append(row_of(name, f"{case['parameters']:,.0f}", step, start, memory))
    return lines


def serve(row: dict[str, Any] | None, limits: dict[str, Any] | None) -> list[str]:
    """Returns the lines on servers under load, and on what bounds them, if they were measured."""
    if row is None:
        return []
    lines = ["", "## Served: requests a second, over loopback", ""]
    lines += [
        "Single pictures, sent and answered as bytes; the same weights. Medians of rounds in which "
        "the contestants took turns; each runs with one thread, two threads, or two processes, "
        "whichever answered most. In brackets, the milliseconds until the answer: median, 99th "
        "percentile."
    ]
    for name, model in row["models"].items():
        lines += _served(name, model)
        if limits is not None and name in limits["models"]:
            lines += _rates(limits["models"][name])
    return lines


def _served(name: str, model: dict[str, Any]) -> list[str]:
    """Returns the lines on the servers of one model."""
    contestants = {who: one for who, one in model["contestants"].items() if who != "null"}
    null = model["contestants"]["null"]
    clients = list(null)
    lines = ["", f"### {name}, {model['rounds']} rounds", ""]
    lines += [row_of("clients", *(f"{int(n):,}" for n in clients))]
    lines += ["|---" * (1 + len(clients)) + "|"]
    for who, one in [*contestants.items(), ("(a constant)", null)]:
        lines.append(row_of(who, *(_answered(one[n]) for n in clients)))
    for who in model["ratios"][clients[0]]:
        shares = (f"{model['ratios'][n][who]:.2f} ×" for n in clients)
        lines.append(row_of(f"flaxmill to {who}", *shares))
    lines += ["", _went_wrong(contestants), "", "Run with, at so many clients:", ""]
    for who, one in contestants.items():
        ways = "; ".join(f"{one[n]['way']} ({int(n):,})" for n in clients)
        lines.append(f"- {who}: {ways}.")
    n = max(clients, key=int)
    shares = ", ".join(f"{one[n]['client_cores']:.2f} ({who})" for who, one in contestants.items())
    cost = 1e6 * null[n]["client_cores"] / null[n]["requests_per_second"]
    lines += [
        "",
        f"The clients share the processor with the server. A request cost them {cost:.0f} µs where "
        f"a constant was answered; {int(n):,} of them took so many cores: {shares}.",
    ]
    return lines


def _answered(figures: dict[str, Any]) -> str:
    """Returns the cell of a contestant at a number of clients."""
    if figures["p50_ms"] is None:
        return "–"
    times = ", ".join(
        f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}" for ms in (figures["p50_ms"], figures["p99_ms"])
    )
    return f"{figures['requests_per_second']:,.0f} ({times})"


def _went_wrong(contestants: dict[str, Any]) -> str:
    """Returns what the clients found wrong, or that they found nothing."""
    every = [figures for one in contestants.values() for figures in one.values()]
    answers, wrong, lost = (sum(one[key] for one in every) for key in ("answers", "wrong", "lost"))
    statuses: dict[str, int] = {}
    for one in every:
        for status, count in one["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    errors = ", ".join(f"{count:,} of status {status}" for status, count in statuses.items())
    difference = max(one["largest_difference"] for one in every)
    return (
        f"Of {answers:,} answers {wrong:,} were wrong or another's, {lost:,} were lost; errors: "
        f"{errors or 'none'}. No logit differed by more than {difference:g} from the Flax model's."
    )


def _rates(limits: dict[str, dict[str, float]]) -> list[str]:
    """Returns the table of what the engines compute without a server."""
    sizes = list(next(iter(limits.values())))
    lines = ["", "What bounds any server: examples a second in batches of so many, served to none."]
    lines += ["", row_of("engine", *sizes, "the most to 1"), "|---" * (2 + len(sizes)) + "|"]
    for engine, rates in limits.items():
        most = f"{max(rates.values()) / rates[sizes[0]]:.2f} ×"
        lines.append(row_of(engine, *(f"{rates[size]:,.0f}" for size in sizes), most))
    return lines


def sizes(row: dict[str, Any] | None) -> list[str]:
    """Returns the lines on larger pictures, if they were measured."""
    if row is None:
        return []
    sides = list(row["sizes"])
    lines = ["", "## Side by side: larger pictures, milliseconds an example", ""]
    lines += [
        "The tutorial's network and training on pictures enlarged to so many pixels a side, at a "
        f"learning rate of {row['learning_rate']:g}; in brackets, what flaxmill takes of it. "
        f"Medians of {row['rounds']} rounds, in which the contestants took turns.",
        "",
        row_of("who", *sides),
        "|---" * (1 + len(sides)) + "|",
    ]
    for who in row["sizes"][sides[0]]:
        cells = []
        for side in sides:
            ratio = row["flaxmill_to"][side].get(who)
            own = "" if ratio is None else f" ({ratio:.2f} ×)"
            cells.append(f"{row['sizes'][side][who]:.2f}{own}")
        lines.append(row_of(who, *cells))
    return lines


def rates(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the lines on what lr-find suggests, if it was asked."""
    rows = {name.split()[1]: row for name, row in found.items() if name.startswith("lr-find ")}
    if not rows:
        return []
    lines = ["", "## What lr-find suggests", ""]
    lines += [
        "Learning rates, beside those of the presets.",
        "",
        row_of("preset", "suggested", "the preset's", "seconds"),
        "|---" * 4 + "|",
    ]
    for name, row in rows.items():
        suggested = "none" if row["suggestion"] is None else f"{row['suggestion']:g}"
        lines.append(row_of(name, suggested, f"{row['learning_rate']:g}", f"{row['seconds']:.0f}"))
    return lines


def accelerator(found: dict[str, dict[str, Any]]) -> list[str]:
    """Returns the lines on training on an accelerator, or says that it is unmeasured."""
    lines = ["", "## On an accelerator", ""]
    # What was tried without one, to see that the scripts work, does not count.
    found = {
        name: row
        for name, row in found.items()
        if row["machine"].get("accelerator", "cpu") != "cpu"
    }
    epoch = found.get("accelerator")
    targets = [row for name, row in found.items() if name.startswith("targets ")]
    if epoch is None and not targets:
        lines.append("Unmeasured: no accelerator was at hand. `make accelerator` fills this in.")
        return lines
    if epoch is None:
        lines.append("The seconds an epoch takes are unmeasured.")
    else:
        rounds = epoch["rounds"]
        counted = f"medians of {rounds} rounds" if rounds > 1 else "of one round"
        what = "Seconds for 60,000 examples of the tutorial's training, compiling left out"
        lines += [f"{what}; {counted}. {_on(epoch)}", ""]
        lines += side_by_side(epoch, digits=2)
    if not targets:
        lines += ["", "The way to an accuracy is unmeasured."]
    for row in targets:
        lines += _target_lines(row)
    return lines


def _on(row: dict[str, Any]) -> str:
    return f"Device: {row['machine']['accelerator']}."


def _missed(reached: int, seeds: int) -> str:
    return f"in {reached} of {seeds} seeds" if reached else "not reached"


def _target_lines(row: dict[str, Any]) -> list[str]:
    """Returns the lines on how soon a preset reaches its targets."""
    seeds = row["seeds"]
    counted = f"medians of {seeds} seeds" if seeds > 1 else "of one seed"
    of = f" with {' '.join(row['fields'])}" if row["fields"] else ""
    fewer = len(row["contestants"]) < CONTESTANTS
    accuracies = next(iter(row["contestants"].values()))["seconds_to"]
    columns = ("who", *(f"{100 * float(target):g}%" for target in accuracies), "in all (s)")
    lines = [
        "",
        f"The preset {row['preset']}{of}: seconds from the start of the process until the "
        f"validation accuracy first reached so much, {counted}. {_on(row)}"
        + (" Ways to train it in PyTorch that are not shown were not measured." if fewer else ""),
        "",
        row_of(*columns, "test accuracy"),
        "|---" * (len(columns) + 1) + "|",
    ]
    for who, one in row["contestants"].items():
        cells = [
            _missed(one["reached"][target], seeds) if seconds is None else f"{seconds:.1f}"
            for target, seconds in one["seconds_to"].items()
        ]
        sd = one["test_accuracy_sd"]
        deviation = "–" if sd is None else f"{sd * 100:.2f} points"
        tested = f"{one['test_accuracy_mean']:.2%} ± {deviation}"
        lines.append(row_of(who, *cells, f"{one['seconds']:.1f}", tested))
    return lines
