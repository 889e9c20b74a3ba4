"""What is published was measured: every table is made of what the benchmarks printed."""

import json
from pathlib import Path

import pytest


def test_the_tables_are_those_of_the_results(benchmarks: Path) -> None:
    import table

    made = table.texts(table.summaries())
    assert sorted(path.name for path in made) == ["README.ko.md", "README.md", "results.md"]
    for path, text in made.items():
        assert path.read_text("utf-8") == text, "python benchmarks/table.py writes it anew"


def test_a_single_seed_has_no_deviation(benchmarks: Path) -> None:
    import table

    row = {
        "preset": "quick",
        "seeds": 3,
        "test_accuracy_mean": 0.9125,
        "test_accuracy_sd": 0.0032,
        "test_accuracy_lowest": 0.9,
        "seconds_median": 60.4,
    }
    several = table.accuracy_rows({"accuracy quick": row})[-1]
    assert several == "| quick | 3 | 91.25% ± 0.32 points | 90.00% | 60 |"
    one = table.accuracy_rows({"accuracy quick": row | {"seeds": 1, "test_accuracy_sd": None}})[-1]
    assert one == "| quick | 1 | 91.25% ± – | 90.00% | 60 |"
    korean = table.accuracy_rows({"accuracy quick": row}, table.KOREAN)
    assert korean[0] == "| 프리셋 | 시드 수 | 테스트 정확도 | 최저 | 시간(초) |"
    assert "91.25% ± 0.32%p" in korean[-1]


def test_a_readme_shows_no_accuracy_of_few_seeds(benchmarks: Path) -> None:
    import table

    row = {"test_accuracy_mean": 0.9, "test_accuracy_sd": 0.01, "test_accuracy_lowest": 0.89}
    row |= {"seconds_median": 60.4, "machine": {"processor": "one", "cores": 2}}
    found = {f"accuracy {n}": {**row, "preset": f"of-{n}", "seeds": n} for n in (1, 2, 3)}
    made = {path.name: text for path, text in table.texts(found).items()}
    for name in ("README.md", "README.ko.md"):
        assert [n for n in (1, 2, 3) if f"| of-{n} |" in made[name]] == [3]
    assert all(f"| of-{n} |" in made["results.md"] for n in (1, 2, 3))


def test_costs_by_size_and_gear_have_tables(benchmarks: Path) -> None:
    import table

    costs = {
        "parameters": 206_922.0,
        "step_milliseconds": 9.84,
        "start_seconds": 5.06,
        "peak_memory_mib": 701.4,
    }
    found = {
        "streaming": {
            "examples_per_second": {"quick": {"resident": 8000, "streaming": 7920}},
            "streaming_to_resident": {"quick": 0.991},
            "machine": {"processor": "one", "cores": 2, "jax": "0"},
        },
        "scaling": {
            "cases": {"channels 8, 32": costs},
            "machine": {"processor": "one", "cores": 2, "jax": "0"},
        },
    }
    page = table.page(found)
    assert "| quick | 8000 | 7920 | 99.1% |" in page
    assert "| channels 8, 32 | 206,922 | 9.8 | 5.1 | 701 |" in page
    assert "- streaming, scaling: one, 2 cores; jax 0." in page


def test_reading_pictures_has_its_tables(benchmarks: Path) -> None:
    import input as reading
    import table

    rates = [
        {"flaxmill": 880, "PyTorch, Pillow": 800, "PyTorch, torchvision decodes and resizes": 1200},
        {"flaxmill": 990, "PyTorch, Pillow": 900, "PyTorch, torchvision decodes and resizes": 1320},
    ]
    pixels = {name: ["a", "b"] for name in rates[0]}
    pixels["PyTorch, torchvision decodes and resizes"] = ["c", "d"]
    found = {"rates": rates, "pixels": pixels}
    equal, draft = (reading.summary(found, equal=equal) for equal in (True, False))
    assert equal["to_the_best"] == {"flaxmill": 1.1}
    assert draft["to_the_best"] == {"flaxmill": 0.742}  # the mean of 880/1200 and 990/1320
    assert equal["same_pixels"] == ["flaxmill", "PyTorch, Pillow"]
    page = table.page(
        {
            "input": {
                **{"rounds": 2, "workers": 2, "pictures": 176, "equal": equal},
                "draft": draft | {"mean_difference": 0.392, "most": 13},
                "memory": {"pictures": 71_456, "decoded_bytes": 10 * 2**30, "peak_bytes": 2**29},
                "machine": {"processor": "one", "cores": 2},
            }
        }
    )
    assert "| flaxmill | 935 | Pillow's |" in page
    assert "| PyTorch, torchvision decodes and resizes | 1,260 | others |" in page
    assert "To the best of the others that counts: flaxmill 1.10 ×." in page
    assert "its pixels differ by 0.392 of 255 in the mean, by 13 at most" in page
    assert "71,456 of them, 10.00 GiB decoded, took 0.50 GiB of memory at most" in page


def test_what_choices_are_worth_has_a_table_for_each_preset(benchmarks: Path) -> None:
    import choices
    import table

    one = {"validation_accuracy": 0.9125, "sd": 0.0021, "train_seconds": 4.44}
    row = {"seeds": 2, "rows": {"as it is": one}, "machine": {"processor": "one", "cores": 2}}
    for preset in choices.CHOICES:
        page = table.page({f"choices {preset}": {**row, "preset": preset}})
        assert f"## What the choices of {preset} are worth" in page
        assert "over 2 seeds that are not those above" in page
        assert "| as it is | 91.25% ± 0.21 points | 4.4 |" in page
        page = table.page({f"choices {preset}": {**row, "preset": preset, "seeds": 1}})
        assert "of one seed that is not among those above" in page
        assert "| as it is | 91.25% | 4.4 |" in page


def test_sizes_and_accelerators_have_tables_when_they_were_measured(benchmarks: Path) -> None:
    import peers
    import sections
    import table

    assert "Unmeasured: no accelerator was at hand." in table.page({})
    machine = {"processor": "one", "cores": 2, "jax": "0", "accelerator": "a card"}
    both = {"flaxmill, article": 1.0, "PyTorch": 2.0}
    to = {"PyTorch": 0.5}
    shared = {"rounds": 3, "machine": machine}
    sizes = {"learning_rate": 0.001, "sizes": {"28": both}, "flaxmill_to": {"28": to}, **shared}
    assert "| PyTorch | 2.00 (0.50 ×) |" in sections.sizes(sizes)
    epoch = {"seconds_an_epoch": both, "flaxmill_to": to, **shared}
    lines = sections.accelerator({"accelerator": epoch})
    assert "left out; medians of 3 rounds. Device: a card." in " ".join(lines)
    once = sections.accelerator({"accelerator": {**epoch, "rounds": 1}})
    assert "left out; of one round. Device: a card." in " ".join(once)
    assert "| PyTorch | 2.00 | 0.50 × |" in lines
    assert "The way to an accuracy is unmeasured." in lines
    tried = {**epoch, "machine": {**machine, "accelerator": "cpu"}}
    assert sections.accelerator({"accelerator": tried}) == sections.accelerator({})
    one = {
        "seconds_to": {"0.9": 4.0, "0.95": None},
        "reached": {"0.9": 3, "0.95": 1},
        "seconds": 12.0,
        "test_accuracy_mean": 0.94,
        "test_accuracy_sd": 0.001,
    }
    row = {"preset": "good", "seeds": 3, "fields": [], "contestants": {"flaxmill": one}}
    lines = sections.accelerator({"targets good": {**row, "machine": machine}})
    assert "| who | 90% | 95% | in all (s) | test accuracy |" in lines
    assert "medians of 3 seeds" in " ".join(lines)
    assert "| flaxmill | 4.0 | in 1 of 3 seeds | 12.0 | 94.00% ± 0.10 points |" in lines
    assert "The seconds an epoch takes are unmeasured." in lines
    lines = sections.accelerator({"targets good": {**row, "seeds": 1, "machine": machine}})
    assert "first reached so much, of one seed. Device: a card. Ways " in " ".join(lines)
    one["reached"]["0.95"] = 0
    lines = sections.accelerator({"targets good": {**row, "machine": machine}})
    assert "| flaxmill | 4.0 | not reached | 12.0 | 94.00% ± 0.10 points |" in lines
    every = {name: one for name in ("flaxmill", *peers.TORCH)}
    row["contestants"] = every
    lines = sections.accelerator({"targets good": {**row, "machine": machine}})
    assert "not measured" not in " ".join(lines)
    assert len(every) == sections.CONTESTANTS


def test_folders_of_pictures_have_a_table(
    benchmarks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import picture_sections
    import table

    found = {"tested": 63, "epochs": 90, "size": 128, "torch_epochs": 80.5, "seconds": 118.2}
    found |= {"flaxmill_mean": 0.61, "flaxmill_sd": 0.02, "torch_mean": 0.6, "torch_sd": None}
    row = {"benchmark": "images", "seeds": 3, "folders": {"ants": found, "bees": found}}
    newer = {"benchmark": "images", "seeds": 1, "folders": {"bees": {**found, "tested": 70}}}
    monkeypatch.setattr(table, "HERE", tmp_path)
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, (row, newer))))
    lines = picture_sections.images(table.summaries())  # the newest of each folder
    assert lines[-2:] == [
        "| ants | 3 | 63 | 128 | 118 | 90; 80.5 | 61.0% ± 2.0 points | 60.0% |",
        "| bees | 1 | 70 | 128 | 118 | 90; 80.5 | 61.0% ± 2.0 points | 60.0% |",
    ]
    assert picture_sections.images({}) == []


def test_what_lr_find_suggests_has_a_table(benchmarks: Path) -> None:
    import sections

    row = {"suggestion": 0.046, "learning_rate": 0.04, "seconds": 5.5}
    nothing = {**row, "suggestion": None, "seconds": 9.4}
    lines = sections.rates({"lr-find mnist/quick": row, "speed": {}, "lr-find a/b": nothing})
    assert lines[-2:] == ["| mnist/quick | 0.046 | 0.04 | 6 |", "| a/b | none | 0.04 | 9 |"]
    assert sections.rates({"speed": {}}) == []


def test_what_is_told_of_networks(benchmarks: Path) -> None:
    import sections

    assert sections.parity(None) == sections.networks(None) == []
    one = {"model": "timm/resnet18", "logits": 13.46, "difference": 8.6e-06, "peer": "torch 2"}
    lines = sections.parity({"rows": [one | {"relative_difference": 6.4e-07}]})
    assert lines[-1] == "| timm/resnet18 | 13.5 | 8.6e-06 | 6.4e-07 |"
    assert any(line.endswith("of any logit. torch 2.") for line in lines)
    two = {"network": "ViT", "seconds_a_step": {"loop": 0.6, "plain": 1.2}, "loop_to_plain": 0.55}
    lines = sections.networks({"rows": [two], "batch_size": 64, "rounds": 5})
    assert lines[-1] == "| ViT | 0.600 | 1.200 | 0.55 × |"


def test_texts_stand_beside_what_simple_models_reach(benchmarks: Path) -> None:
    import sections_texts
    import table

    simple = {"accuracy": 0.825, "macro_f1": 0.8246}
    row = {
        "preset": "sst2",
        "seeds": 3,
        "test_accuracy_mean": 0.8312,
        "test_accuracy_sd": 0.0041,
        "test_macro_f1_mean": 0.83,
        "baselines": dict.fromkeys(sections_texts.BASELINES, simple),
        "padding": 0.108,
        "seconds_median": 62.4,
        "machine": {"processor": "one", "cores": 2},
    }
    page = table.page({"texts sst2": row})
    expected = (
        "| sst2 | 3 | 83.12% ± 0.41 points | 0.830 | 82.50%, 0.825 | 82.50%, 0.825 | 10.8% | 62 |"
    )
    assert expected in page
    alone = table.page({"texts sst2": row | {"seeds": 1, "test_accuracy_sd": None}})
    assert "| sst2 | 1 | 83.12% | 0.830 |" in alone
