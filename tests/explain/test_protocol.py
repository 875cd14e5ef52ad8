"""The protocol: measures whose values can be worked out by hand, and that a run is measured by all of them."""

import json
import shutil

import numpy as np
import pytest
import torch

from attnpred.cli import main
from attnpred.explain import cascade, fidelity
from attnpred.explain.against_chance import FLOOR
from attnpred.explain.faithfulness import between
from attnpred.explain.removal import second
from attnpred.explain.study import Study
from tests.explain.made import texts
from tests.explain.test_faithfulness import Counter, p, removing
from tests.models.made import CASES, IMAGE, TEXT, made, make_model, wrapped
from tests.models.made import CLASSES as CLASSES_OF
from tests.tasks.made import classification

TEN = texts([2, 2, 3, 3, 3, 3, 3, 3, 3, 3], [3, 3, 3, 2, 2])
TARGET = torch.tensor([1, 1])
RIGHT = torch.tensor([[9.0, 8, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 9, 8, 0, 0, 0, 0, 0]])


def test_racu_is_one_where_the_answer_falls_at_once_and_none_at_random():
    full, gone = torch.ones(2, 11), torch.zeros(2, 11)
    half = torch.linspace(1, 0, 11).expand(2, 11)
    at_once = torch.cat((full[:, :1], gone[:, 1:]), 1)
    found = between({"best": (at_once, full), "worst": (half.clamp(min=0.5), half), FLOOR: (half, half.flip(1))}, FLOOR)
    assert found[FLOOR].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found["best"].tolist() == pytest.approx([0.9, 0.9], abs=1e-6)
    assert (found["worst"] < 0).all()
    assert between({FLOOR: (gone, gone)}, FLOOR) == {}


def test_f_fidelity_compares_named_parts_with_as_many_others():
    found = fidelity.f_fidelity(removing(Counter()), TEN, TARGET, RIGHT, (None,))
    wrong = fidelity.f_fidelity(removing(Counter()), TEN, TARGET, -RIGHT, (None,))
    # of ten parts one named part is a two at sizes 0.1 and 0.2; what is not named costs nothing then
    assert found[0] > (p(2) - p(1)) / 2
    assert (found > 0).all()
    assert (wrong < 0).all()
    again = fidelity.f_fidelity(removing(Counter()), TEN.rows(torch.tensor([1, 0])), TARGET, RIGHT[[1, 0]], (None,))
    torch.testing.assert_close(again[[1, 0]], found)


def test_what_goes_is_never_more_than_a_share():
    asked = []
    watched = removing(Counter())
    scores = watched.scores
    watched.scores = lambda batch, choice, gone, grids: (asked.append(gone), scores(batch, choice, gone, grids))[1]
    fidelity.f_fidelity(watched, TEN, TARGET, RIGHT, (None,))
    [gone] = asked
    counts = gone.sum(2)  # (times, batch)
    assert torch.equal(counts[::2], counts[1::2])
    assert counts[:, 0].max() <= np.ceil(fidelity.MOST * 10)
    assert not (gone[::2] & gone[1::2]).any()


def test_levels_forget_from_the_answer_down():
    model = make_model("transformer", TEXT, depth=2)
    stages = list(cascade.forgetting(model))
    assert len(stages) == len(model.levels())

    def changed(other, module):
        pairs = zip(module(model).parameters(), module(other).parameters(), strict=True)
        return [not torch.equal(mine, theirs) for mine, theirs in pairs if mine.numel() > 4]

    assert all(changed(stages[0], lambda m: m.head))
    assert not any(changed(stages[0], lambda m: m.layers[1]))
    assert all(changed(stages[1], lambda m: m.layers[1]))
    assert not any(changed(stages[1], lambda m: m.layers[0]))
    assert all(changed(stages[-1], lambda m: m.embed))


def test_there_is_a_second_removal_where_an_input_knows_one():
    assert second("mask", wrapped(TEXT)) == "delete"
    assert second("delete", wrapped(TEXT)) == "mask"
    assert second("mask", wrapped(IMAGE)) == "blur"


@pytest.mark.parametrize("modality", ["text", "image", "series"])
def test_every_kind_of_input_is_measured_by_all_of_it(modality):
    name, changes = next((name, changes) for name, m, changes in CASES if m == modality)
    spec, batch = made(modality)
    model, twin = (make_model(name, spec, **changes) for _ in range(2))
    task = classification(CLASSES_OF[modality])
    study = Study(model, task, ["attention", "occlusion"], protocol=True, twin=twin)
    study.measure(study.explain(batch))
    found = study.result()
    for explainer in ("attention", "occlusion"):
        assert {"f_fidelity", "agreement"} <= set(found["scores"][explainer])
        assert found["scores"][explainer]["agreement"][0] > 0.7  # one text has a single part
    assert "agreement" not in found["scores"][FLOOR]
    assert found["second_removal"] != found["removal"]
    stages = cascade.cascade(model, task, ["attention", "random"], [batch])
    assert len(stages["attention"]) == min(len(model.levels()), cascade.STAGES)
    assert min(stages["random"]) > 0.7


def test_a_run_is_measured_by_the_protocol(trained, tmp_path, capsys):
    twin = shutil.copytree(trained, tmp_path / "twin")
    page = tmp_path / "page.html"
    flags = ["--limit", "8", "--explainer", "attention", "--protocol", "--twin", str(twin), "--output", str(page)]
    assert main(["explain", str(trained), *flags]) == 0
    told = capsys.readouterr().err
    for measure in ("f fidelity", "agreement", "1 from the answer shuffled"):
        assert measure in told
    found = page.read_text(encoding="utf-8")
    assert '"cascade"' in found
    assert "As levels forget" in found


def test_a_twin_reads_and_answers_the_same(trained, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "twin")
    told = json.loads((run / "spec.json").read_text())
    told["inputs"]["image"]["spec"]["mean"] = [1.0]
    (run / "spec.json").write_text(json.dumps(told))
    assert main(["explain", str(trained), "--limit", "2", "--twin", str(run)]) == 2
    assert f"--twin {run}: reads or answers something else" in capsys.readouterr().err
