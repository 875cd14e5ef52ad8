"""What becomes of measured curves: fits, tables, sentences and the picture; and how points are run, on made works."""

import sys
from dataclasses import replace

import pytest

from scripts.bench import growth, growth_data, growth_page, growth_plot, harness
from scripts.bench.growth import Measure, Sizes
from scripts.bench.growth_data import Curve, Point, exponent, upper

HELD = {"model": "transformer", "width": 128, "depth": 4, "seconds": 1.0}


def step_point(*seconds, size, **at):
    measured = [{"seconds": s, "bytes": size, "parameters": 1e6, "steps": 9} for s in seconds]
    return Point({**HELD, "batch": 4, **at}, measured)


def curve(*points):
    return Curve("a machine", "2026-01-02", list(points))


def by_length(*, power=1.0, masked=1.0):
    """Steps of 1 µs and 2 KiB a token; memory follows the length to the power."""
    lengths = (64, 128, 256, 512)
    return curve(
        *(
            step_point(4e-6 * length * factor, size=8192 * 64 * (length / 64) ** power, length=length, padded=padded)
            for padded, factor in ((False, 1.0), (True, masked))
            for length in lengths
        )
    )


def by_rows(bytes_a_row):
    def point(rows):
        seconds = {"prepare_seconds": rows / 1e4, "open_seconds": 0.25, "batch_seconds": 0.5}
        peaks = {"prepare_bytes": 2**20 + rows * bytes_a_row, "open_bytes": rows * 8.0, "batch_bytes": rows * 16.0}
        return Point(
            {"rows": rows, "words": 12}, [{**seconds, **peaks, "disk_bytes": rows * 44.0, "kept_bytes": rows * 16.0}]
        )

    return curve(*(point(rows) for rows in (10_000, 100_000, 1_000_000)))


def by_processes():
    rates = ((1, 900.0), (2, 1350.0))
    return curve(
        *(
            Point({"processes": n, "epochs": 10}, [{"examples_per_second": rate, "steps": 390 // n, "seconds": 14.0}])
            for n, rate in rates
        )
    )


def by_jobs():
    pairs = ((1, 7.0, 6.5), (4, 5.5, 6.0))
    return curve(*(Point({"jobs": k}, [{"job_seconds": job, "single_seconds": alone}]) for k, job, alone in pairs))


def by_devices():
    step = {"seconds": 0.1, "backward_seconds": 0.06, "bytes": 1.0, "parameters": 6 * 2**20, "bucket_bytes": 2**22}
    point = Point({**HELD, "batch": 4}, [{**step, "hop_seconds": 1e-4, "exchange_rate": 1e9}])
    return curve(point)


def all_curves():
    return {
        "length": by_length(),
        "batch_image": curve(*(step_point(b / 1e3, size=b * 2**20, batch=b) for b in (32, 64, 128))),
        "rows": by_rows(30.0),
        "processes": by_processes(),
        "devices": by_devices(),
        "jobs": by_jobs(),
    }


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_fitted_exponent_is_that_of_the_law(power):
    xs = [64, 128, 256, 512]
    assert exponent(xs, [3 * x**power for x in xs]) == pytest.approx(power)


@pytest.mark.parametrize(("xs", "ys"), [([64], [1.0]), ([64, 64], [1.0, 2.0]), ([64, 128], [0.0, 1.0])])
def test_nothing_is_fitted_to_too_little(xs, ys):
    assert exponent(xs, ys) is None


def test_the_upper_half_leaves_out_what_a_fixed_cost_hides():
    points = by_length().lines("padded")[False]
    assert [point.at["length"] for point in upper(points)] == [256, 512]
    assert [point.at["length"] for point in upper(points[:3])] == [128, 256]
    assert upper(points[:2]) == points[:2]


def test_repeats_are_shown_by_median_and_range():
    assert step_point(0.003, 0.001, 0.002, size=1).shown("seconds", 1e3) == "2 (1 to 3)"
    assert step_point(0.003, size=1).shown("seconds", 1e3) == "3"


def test_curves_survive_the_file(tmp_path):
    file = tmp_path / "docs" / "growth.json"
    assert growth_data.load(file) == {}
    growth_data.save(file, all_curves())
    assert growth_data.load(file) == all_curves()


def test_what_all_points_have_in_common_is_said_once():
    lines = growth_page.section("length", by_length())
    assert lines[0] == "`transformer`, width 128, depth 4, batch 4."
    assert "| tokens a text | padding | ms a step | µs a token | peak MiB | KiB a token | parameters |" in lines
    assert "| 256 | without padding | 1.02 | 1 | 2 | 2 | 1,000,000 |" in lines
    images = growth_page.section("batch_image", all_curves()["batch_image"])
    assert "| 64 | 64 | 1,000 | 64 | 1,024 | 1,000,000 |" in images


@pytest.mark.parametrize(
    ("power", "verdict"),
    [
        (1.0, "1.00 (linear)"),
        (1.05, "1.05 (linear)"),
        (2.0, "2.00 (more than linear)"),
        (0.5, "0.50 (less than linear)"),
    ],
)
def test_the_sentence_on_memory_follows_the_numbers(power, verdict):
    text = "\n".join(growth_page.section("length", by_length(power=power)))
    assert "- Without padding, from 256 to 512 tokens a text, the time of a step grows by the exponent 1.00" in text
    assert f"peak memory grows by the exponent {verdict}; a token takes 1 µs" in text


def test_masks_are_compared_point_by_point():
    assert growth_page.section("length", by_length(masked=1.5))[-1] == (
        "- Padding masks multiply the time by 1.5 and the memory by 1."
    )
    assert growth_page.masks(by_length().lines("length")) == []


def test_what_was_too_little_to_measure_gets_no_exponent():
    points = [step_point(length / 1e5, size=0.0, length=length, padded=False) for length in (64, 128)]
    text = "\n".join(growth_page.section("length", curve(*points)))
    assert "peak memory grows" not in text
    assert "the time of a step grows by the exponent 1.00" in text


@pytest.mark.parametrize(("bytes_a_row", "verdict"), [(30.0, "not more than 40"), (52.0, "more than 40")])
def test_bytes_a_row_are_those_between_two_sizes(bytes_a_row, verdict):
    text = "\n".join(growth_page.section("rows", by_rows(bytes_a_row)))
    assert f"by {bytes_a_row:g} bytes a row while preparing ({verdict})" in text
    assert "by 16 bytes a row on opening, with the first batch (not more than 40)" in text
    assert "1,000,000 rows are prepared in 100 s, 10,000 a second" in text
    assert "the peak grows" not in "\n".join(growth_page.section("rows", curve(by_rows(30.0).points[0])))


def test_a_note_on_the_machine_is_kept_and_shown(tmp_path):
    noted = replace(by_rows(30.0), note="Other work ran beside it.")
    growth_data.save(tmp_path / "growth.json", {"rows": noted})
    assert growth_data.load(tmp_path / "growth.json") == {"rows": noted}
    assert growth_page.origin(noted).endswith(". Other work ran beside it.")


def test_batches_are_told_where_they_were_timed():
    timed = {"read_rate": 5e4, "stream_rate": 2e4, "stream_open_seconds": 3.0, "stream_bytes": 2.0**21}
    points = [Point(one.at, [{**one.measured[0], **timed}]) for one in by_rows(30.0).points]
    assert "| 10,000 | 50,000 | 20,000 | 3 | 2 |" in "\n".join(growth_page.section("rows", curve(*points)))
    assert "streamed" not in "\n".join(growth_page.section("rows", by_rows(30.0)))


def test_processes_and_jobs_are_held_against_one():
    text = "\n".join(growth_page.section("processes", by_processes()))
    assert "- 2 processes together train 1.5 times as many examples a second as 1." in text
    text = "\n".join(growth_page.section("jobs", by_jobs()))
    assert "| 4 | 5.5 | 6 | -0.5 |" in text
    assert "- A job in a sweep of 1 takes 0.5 s more than a run on its own." in text
    assert "- A job in a sweep of 4 takes 0.5 s less than a run on its own." in text


def test_the_page_names_its_origin_and_its_picture():
    page = growth_page.page(all_curves(), numbers="numbers.json", picture="picture.svg")
    assert "(numbers.json)" in page
    assert "](picture.svg)" in page
    assert "Measured once on a machine, 2026-01-02." in page
    assert page.count("\n## ") == len(all_curves())
    assert "![" not in growth_page.page(all_curves(), numbers="numbers.json", picture=None)
    twice = curve(step_point(0.1, 0.2, size=1.0, length=64), step_point(0.2, 0.4, size=2.0, length=128))
    page = growth_page.page({"length": twice}, numbers="n", picture=None)
    assert "Measured 2 times; medians, with their ranges, on a machine" in page


def test_the_picture_shows_every_curve_and_is_the_same_for_the_same_numbers(tmp_path):
    pytest.importorskip("matplotlib")
    pictures = [tmp_path / "docs" / "one.svg", tmp_path / "two.svg"]
    for picture in pictures:
        growth_plot.draw(picture, all_curves())
    one, two = (picture.read_text(encoding="utf-8") for picture in pictures)
    assert one == two
    for name, measured in all_curves().items():
        for panel in growth_plot.panels_of(name, measured):
            assert f">{panel.title}<" in one
    assert "with padding masks" in one


def test_without_matplotlib_the_page_is_made_and_the_remedy_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    kept = tmp_path / "growth.json"
    growth_data.save(kept, all_curves())
    (trouble,) = growth.shown(kept)
    assert "pip install '.[bench]'" in trouble
    assert "![" not in (tmp_path / "growth.md").read_text(encoding="utf-8")


def test_every_measure_has_points_works_and_a_place_on_the_page():
    for name, measure in growth.MEASURES.items():
        assert len(measure.points(growth.SMALL)) >= 2
        for work in measure.works:
            module, _, function = work.partition(":")
            assert f"def {function}(" in (harness.ROOT / "scripts" / "bench" / f"{module}.py").read_text("utf-8")
        assert name in growth_page.STEPS or name in growth_page.OTHERS
        assert name in growth_page.STEPS or name in growth_plot.OTHERS
    lengths = [(at["length"], at["padded"]) for at in growth.MEASURES["length"].points(Sizes())]
    assert lengths[0] == (64, False)
    assert lengths[-1] == (4096, True)


def test_sizes_are_those_given_in_ascending_order():
    args = growth.parser().parse_args(["--small", "--rows", "900", "30", "--seconds", "0.5"])
    sizes = growth.sizes_of(args)
    assert (sizes.rows, sizes.seconds, sizes.jobs) == ((30, 900), 0.5, growth.SMALL.jobs)


def test_a_point_that_fails_costs_no_other(tmp_path, monkeypatch, capsys):
    ran = []

    def in_child(work, arguments):
        ran.append((work, arguments.get("jobs")))
        if arguments.get("jobs") == 4:
            raise harness.SideFailed("the second failed")
        return "a machine" if work == "scripts.machine:machine" else {"job_seconds": 2.0, "single_seconds": 1.0}

    monkeypatch.setattr(growth, "in_child", in_child)
    monkeypatch.setattr(growth_plot, "draw", lambda file, curves: None)
    monkeypatch.setitem(growth.MEASURES, "jobs", Measure(("one", "two"), growth.MEASURES["jobs"].points))
    kept = tmp_path / "growth.json"
    growth_data.save(kept, {"rows": by_rows(30.0), "jobs": by_jobs()})
    assert growth.main(["--only", "jobs", "--repeats", "2", "--json", str(kept)]) == 1
    assert "the second failed" in capsys.readouterr().err
    first = [("scripts.bench.one", 1), ("scripts.bench.two", 1)]
    assert ran[1:] == [
        *first,
        ("scripts.bench.one", 4),
        *((w, 8) for w, _ in first),
        *first,
        *((w, 8) for w, _ in first),
    ]
    stored = growth_data.load(kept)
    assert list(stored) == ["rows", "jobs"]
    assert stored["rows"] == by_rows(30.0)
    assert [(p.at["jobs"], len(p.measured)) for p in stored["jobs"].points] == [(1, 2), (8, 2)]
    assert "## Jobs of a sweep" in kept.with_suffix(".md").read_text(encoding="utf-8")


def test_a_child_does_its_work_and_answers():
    assert growth.in_child("json:dumps", {"obj": [1, 2]}) == "[1, 2]"
