"""The benchmarks' own logic: running sides, comparing with the last time, the table, and peers that match ours."""

import argparse
import json
import math
from dataclasses import replace

import pytest
import torch

from attnpred.config import compose, schema
from attnpred.contracts import AnswerSpec, ModelSpec
from attnpred.modalities.image.batch import ImageSpec
from attnpred.modalities.text.batch import TextSpec
from attnpred.runs.run import Run
from scripts.bench import __main__ as bench
from scripts.bench import harness, minilm_sst2, ours, plain, resnet_cifar10, results, timing, transformer_imdb
from scripts.bench.harness import Options
from scripts.bench.results import Row
from scripts.tables import put
from scripts.tests import fake_bench

START, END = "<!-- bench -->", "<!-- /bench -->"
PHOTOGRAPHS = ImageSpec(channels=3, height=32, width=32, mean=(120.0,) * 3, std=(60.0,) * 3)
REVIEWS = TextSpec(vocab_size=50, max_length=12, pad_id=0, mask_id=1)


def row(ours_values, *, difference=False, **changes):
    """Against a peer of 1: the ratios are the values themselves, and differences are one less."""
    values = {
        "benchmark": "fake_bench",
        "work": "work",
        "against": "a peer",
        "unit": "s" if difference else "examples/s",
        "difference": difference,
        "target": 2.0,
        "ours": list(ours_values),
        "peer": [1.0] * len(ours_values),
        "machine": "a machine",
        "date": "2026-01-02",
    }
    return Row(**{**values, **changes})


@pytest.mark.parametrize(
    ("old", "new", "difference", "fell"),
    [
        ((3.0, 3.1, 3.2), (2.0, 2.1, 2.2), False, True),
        ((3.0, 3.1, 3.2), (3.0, 3.1, 3.2), False, False),
        ((3.0, 3.1, 3.2), (4.0, 4.1, 4.2), False, False),  # rose
        ((2.0, 3.0, 4.0), (2.1, 2.2, 2.3), False, False),  # within the last one's range
        ((3.0, 3.1, 3.2), (2.0, 2.5, 3.15), False, False),  # its own range reaches the last median
        ((3.0, 3.1, 3.2), (4.0, 4.1, 4.2), True, True),  # of a difference, more is worse
        ((3.0, 3.1, 3.2), (2.0, 2.1, 2.2), True, False),
    ],
)
def test_worse_is_what_lies_outside_the_noise_of_both(old, new, difference, fell):
    assert row(new, difference=difference).fell_from(row(old, difference=difference)) is fell


def test_a_fall_is_told_with_both_measurements():
    stored = [row([3.0, 3.1, 3.2]), row([3.0], against="another")]
    (line,) = results.falls(stored, [row([2.0, 2.1, 2.2]), row([1.0], work="new work")])
    assert line == "fake_bench: work, against a peer: 2.1 (2 to 2.2), was 3.1 (3 to 3.2) on 2026-01-02"
    newer = row([2.0, 2.1, 2.2], machine="a machine, torch 9")
    (line,) = results.falls(stored, [newer])
    assert line.endswith("(that was with a machine)")
    assert results.falls(stored, [row([2.0, 2.1, 2.2], machine="slower")]) == []


def test_rows_survive_the_file_and_those_of_other_benchmarks_stay(tmp_path):
    file = tmp_path / "results.json"
    assert results.load(file) == []
    stored = [row([1.0], benchmark="second"), row([1.0], benchmark="first"), row([1.0], benchmark="gone")]
    new = [row([2.0, 4.0, 3.0], benchmark="first")]
    elsewhere = row([5.0], benchmark="first", machine="slower, torch 9")
    results.save(file, results.merged([*stored, elsewhere], new, ["first", "second"]))
    assert results.load(file) == [new[0], elsewhere, stored[0]]
    described = json.loads(file.read_text())["rows"][0]
    assert (described["pairs"], described["median"], described["range"]) == (3, 3.0, [2.0, 4.0])
    assert (described["machine"], described["date"]) == ("a machine", "2026-01-02")


def test_the_table_has_a_column_each_kind_of_machine_and_tells_its_origin():
    lines = results.table(
        [
            row([2.0, 4.0, 3.0]),
            row([2.5], machine="other, torch 9"),
            row([1501.0, 1201.0], difference=True, unit="µs", target=300.0, benchmark="steps"),
            row([1.0], difference=True, target=None, benchmark="more", machine="other, torch 9"),
        ]
    ).splitlines()
    assert lines[0] == "| work | against | target | a machine | other |"
    assert lines[2] == ("| work | a peer | at least 2 | 3 (2 to 4); 3 examples/s | 2.5 (2.5 to 2.5); 2.5 examples/s |")
    assert lines[3] == "| work | a peer | at most 300 µs | +1,350 µs (+1,200 to +1,500); 1,351 µs |  |"
    assert lines[4].startswith("| work | a peer |  |  | +0 s")
    assert lines[6:] == [
        "`fake_bench`: 3 pairs on a machine, 2026-01-02.",
        "`fake_bench`, `more`: 1 pairs on other, torch 9, 2026-01-02.",
        "`steps`: 2 pairs on a machine, 2026-01-02.",
    ]


def test_the_table_goes_between_the_markers_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    for _ in range(2):
        put("| new |", "bench", page)
        assert page.read_text() == f"before\n{START}\n\n| new |\n\n{END}\nafter\n"
    for text in ("no markers", f"{END} the wrong way {START}"):
        page.write_text(text)
        put("| new |", "bench", page)
        assert page.read_text() == text


def test_sides_run_in_turn_each_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv(fake_bench.LOG, str(tmp_path / "log"))
    work, terminal = harness.measure(fake_bench.BENCHMARK, fake_bench.BENCHMARK.defaults)
    assert (tmp_path / "log").read_text().split() == ["ours", "peer", "ours", "peer"]
    assert (work.benchmark, work.ours, work.peer, work.values) == ("fake_bench", [70.0] * 2, [28.0] * 2, [2.5] * 2)
    assert terminal.ours == [1.0, 1.0]
    assert work.machine
    assert work.date


def test_a_side_that_fails_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv(fake_bench.LOG, str(tmp_path / "log"))
    with pytest.raises(harness.SideFailed, match=r"fake_bench: side peer failed(.|\n)*no encoder to fine-tune"):
        harness.measure(fake_bench.BENCHMARK, Options(pairs=1, bert="missing"))


def test_a_benchmarks_own_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(fake_bench.LOG, str(tmp_path / "log"))
    monkeypatch.setattr("sys.argv", ["fake_bench.py", "--pairs", "1"])
    harness.main(fake_bench.BENCHMARK, None)
    shown = capsys.readouterr()
    assert "| work | a peer | at least 2 | 2.5 (2.5 to 2.5); 70 examples/s |" in shown.err
    assert [r["ours"] for r in json.loads(shown.out)["rows"]] == [[70.0], [1.0]]

    monkeypatch.setattr("sys.argv", ["fake_bench.py", "--pairs", "1", "--json", str(tmp_path / "rows.json")])
    harness.main(fake_bench.BENCHMARK, None)
    assert capsys.readouterr().out == ""
    assert [r.ours for r in results.load(tmp_path / "rows.json")] == [[70.0], [1.0]]

    monkeypatch.setattr("sys.argv", ["fake_bench.py", "--side", "peer", "--steps", "2"])
    harness.main(fake_bench.BENCHMARK, None)
    assert json.loads(capsys.readouterr().out) == {"rate": 8.0}


def test_options_not_given_are_the_benchmarks_own():
    given = harness.parser(None).parse_args(["--steps", "9"])
    options = harness.options_of(fake_bench.BENCHMARK, argparse.Namespace(**vars(given), only=["fake_bench"]))
    assert options == Options(pairs=2, steps=9)
    assert Options(steps=9).arguments() == ["--pairs", "3", "--warmup", "20", "--steps", "9"]


def test_the_suite_keeps_results_and_says_what_became_slower(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "BENCHMARKS", {"fake_bench": fake_bench.BENCHMARK})
    kept, page = tmp_path / "results.json", tmp_path / "page.md"
    page.write_text(f"# Title\n{START}\n{END}\n")
    measured = [row([3.0, 3.1])]
    monkeypatch.setattr(harness, "measure", lambda benchmark, options: measured)
    assert bench.main([], kept=kept, page=page) == 0
    assert "| work | a peer | at least 2 | 3.05 (3 to 3.1); " in page.read_text()
    measured = [row([2.0, 2.1])]
    assert bench.main([], kept=kept, page=page) == 1
    assert "slower: fake_bench: work" in capsys.readouterr().err
    assert results.load(kept) == measured
    page.write_text("no markers\n")
    assert bench.main([], kept=kept, page=page) == 0
    shown = capsys.readouterr()
    assert "| work | a peer | at least 2 | 2.05 (2 to 2.1); " in shown.out
    assert "has no" in shown.err
    assert page.read_text() == "no markers\n"


def test_every_comparison_names_sides_that_there_are():
    for name, benchmark in bench.BENCHMARKS.items():
        assert benchmark.module == f"scripts.bench.{name}"
        for comparison in benchmark.comparisons:
            assert {place.partition("/")[0] for place in (comparison.ours, comparison.peer)} <= set(benchmark.sides)


def test_what_every_call_costs_is_no_part_of_a_rate(monkeypatch):
    clock = [0.0]

    def work(count):
        clock[0] += 10 + 2 * count

    monkeypatch.setattr(timing, "now", lambda: clock[0])
    assert timing.rate(work, 100) == pytest.approx(0.5)


def test_steps_are_timed_between_two_lines_of_the_log(tmp_path):
    lines = [{"step": s, "time": 100 + t, "train/loss": 1.0} for s, t in ((20, 5.0), (40, 7.0), (60, 9.0))]
    log = tmp_path / "metrics.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"step": 60, "time": 130, "val/loss": 1.0}]))
    assert ours.seconds_a_step(Run(tmp_path), warmup=20, steps=40) == pytest.approx(0.1)
    with log.open("a") as file:
        file.write(json.dumps({"step": 30, "time": 106, "val/loss": 1.0}) + "\n")
    with pytest.raises(SystemExit, match="a validation fell among them"):
        ours.seconds_a_step(Run(tmp_path), warmup=20, steps=40)


def test_the_peers_resnet_has_the_parameters_of_ours():
    config = compose.compose(["model=resnet_attention"]).model
    own = schema.load(config._target_)(config, ModelSpec({"image": PHOTOGRAPHS}, AnswerSpec(10)))
    peer = resnet_cifar10.PlainResnet(3, 10)
    # no part differs in size: MultiheadAttention packs its projections as we do
    sizes = [sorted(p.numel() for p in model.parameters()) for model in (own, peer)]
    assert sizes[0] == sizes[1]
    assert peer(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_the_peers_transformer_classifies_and_sees_no_padding():
    model = transformer_imdb.PlainTransformer(REVIEWS, 2).eval()
    tokens = torch.randint(1, 50, (2, 6))
    padded = torch.nn.functional.pad(tokens, (0, 6))
    with torch.inference_mode():
        assert model(padded).shape == (2, 2)
        torch.testing.assert_close(model(padded), model(tokens), atol=1e-5, rtol=1e-4)


def test_the_peers_images_are_normalised_floats_of_the_same_size():
    pixels = torch.full((3, 3, 32, 32), 180, dtype=torch.uint8)
    for train in (True, False):
        dataset = resnet_cifar10.Photographs(
            pixels, torch.arange(3), resnet_cifar10.transforms(PHOTOGRAPHS, train=train)
        )
        image, label = dataset[2]
        assert len(dataset) == 3
        assert label == 2
        torch.testing.assert_close(image, torch.ones(3, 32, 32))


def test_the_plain_loop_counts_what_it_trains_on():
    examples = torch.utils.data.TensorDataset(torch.randn(12, 5), torch.arange(12) % 2)
    model = torch.nn.Linear(5, 2)
    batches = torch.utils.data.DataLoader(examples, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    assert plain.training_rate(model, batches, optimizer, warmup=1, steps=2) > 0
    with pytest.raises(SystemExit, match="an epoch has 3 alone"):
        plain.training_rate(model, batches, optimizer, warmup=1, steps=3)
    assert math.isfinite(plain.evaluation_rate(model, examples, 12, batch_size=4))


def test_without_an_encoder_the_remedy_is_told(monkeypatch):
    monkeypatch.setenv("ATTNPRED_BERT", "one/of-the-environment")
    assert minilm_sst2.checkpoint(None) == "one/of-the-environment"
    assert minilm_sst2.checkpoint("given/one") == "given/one"
    monkeypatch.delenv("ATTNPRED_BERT")
    monkeypatch.setattr(minilm_sst2, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(SystemExit, match="--bert or ATTNPRED_BERT"):
        minilm_sst2.checkpoint(None)


def test_both_sides_read_the_same_texts(tmp_path):
    small = ["data.rows=1200", "data.tokenizer.vocab_size=200", "data.max_length=24", "model.width=16"]
    overrides = ["model=transformer", "data=evidence_text", f"data.cache_dir={tmp_path / 'cache'}", *small]
    config = ours.composed(overrides)
    texts, labels = ours.texts(config.data, "val")
    data = ours.prepared(config)
    tokens, peer_labels = transformer_imdb.padded(data, "val").tensors
    assert len(texts) == 120
    assert tokens.shape == (120, 24)
    assert sorted(peer_labels.tolist()) == sorted(labels)
    read = [row for reading in data.reader.readings(texts, 128) for row in reading.batch.input.tokens.tolist()]
    assert {tuple(t[:3]) for t in read} == {tuple(t[:3]) for t in tokens.tolist()}

    measured = ours.text_side(overrides, replace(Options(), warmup=1, steps=2, examples=9))
    assert set(measured) == {"training", "evaluation", "prediction"}
    assert measured["training"] > 0
