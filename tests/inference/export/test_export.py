"""A run as a folder that works without attnpred, beside the run itself."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.inference.export import onnx_file
from attnpred.inference.export.check import Check
from attnpred.inference.export.folder import Asked, export
from attnpred.inference.export.session import Exported
from attnpred.inference.export.wrapped import axes_of, general, tensors_of
from attnpred.inference.predict import predict
from attnpred.runs.run import Run
from tests.data.made import make_text_source, text_rows
from tests.inference.export.conftest import train
from tests.models.made import made, make_encoder

TEXTS = ["", "great", *text_rows(7, seed=3)[0], "a<br/>lovely plot", "dull " * 40]


def test_a_folder_answers_as_the_run_does_at_any_batch_and_length(run, exported):
    session = Exported(exported, threads=1)
    for texts in (TEXTS, TEXTS[:1], TEXTS[-1:]):
        for mine, theirs in zip(session.answers(texts), predict(run, run.config(), texts), strict=True):
            assert mine["words"] == theirs["words"]
            assert mine["label"] == theirs["label"]
            assert mine["probabilities"] == pytest.approx(theirs["probabilities"], abs=1e-5)
            assert mine["attention"] == pytest.approx(theirs["attention"], abs=1e-5)


def test_occlusion_explains_a_folder_too_and_gradients_are_refused(run, exported):
    session = Exported(exported, threads=1)
    mine = list(session.answers(TEXTS[1:4], "occlusion"))
    theirs = list(predict(run, run.config(), TEXTS[1:4], "occlusion"))
    for one, other in zip(mine, theirs, strict=True):
        assert one["attention"] == pytest.approx(other["attention"], abs=1e-2)
    with pytest.raises(UserError, match="no gradients"):
        list(session.answers(["great"], "integrated_gradients"))


def test_what_the_folder_holds(exported):
    names = {file.name for file in exported.iterdir()}
    assert names == {
        "check.json", "config.yaml", "example.py", "export.json", "labels.json", "model.onnx", "model_card.md",
        "spec.json", "tokenizer.json",
    }  # fmt: skip
    told = json.loads((exported / "check.json").read_text())
    assert told["examples"] == 12
    assert told["agreement"] == 1
    assert told["largest_difference"] < 1e-4
    low, high = told["metrics"]["accuracy"][1:]
    assert 0 <= low <= told["metrics"]["accuracy"][0] <= high <= 1
    card = (exported / "model_card.md").read_text()
    assert card.startswith("---\nlibrary_name: attnpred\n")
    for heading in ("Data", "Results", "Attention", "Limits", "Checked", "Licence of the weights"):
        assert f"\n## {heading}\n" in card
    assert "comprehensiveness" in card
    config = (exported / "config.yaml").read_text()
    assert str(exported.parents[1]) not in config  # no place of this machine


@pytest.mark.slow
@pytest.mark.parametrize("text", ["a lovely plot", "dull " * 40, "a<br/>b &amp; c"])
def test_its_example_runs_without_attnpred(run, exported, text, tmp_path):
    # -I: neither the checkout nor PYTHONPATH
    told = subprocess.run(
        [sys.executable, "-I", exported / "example.py", text], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = json.loads(told.stdout)
    [theirs] = predict(run, run.config(), [text])
    assert found["answer"] == pytest.approx(theirs["probabilities"], abs=1e-5)
    assert sum(share for _, share in found["attention"]) == pytest.approx(1)
    assert len((exported / "example.py").read_text().splitlines()) < 50


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["lora", "ia3"])
def test_adapters_go_into_the_file(adapter, tmp_path):
    encoder, source = make_encoder(tmp_path / "encoder"), make_text_source(tmp_path / "imdb")
    chosen = "model.lora_rank=2" if adapter == "lora" else f"model.adapter={adapter}"
    small = [f"model.source={encoder}", f"data.source={source}", "data.max_length=24", "trainer.attention_examples=0"]
    run = train(tmp_path, "model=bert", "data=imdb", chosen, *small)
    folder = tmp_path / "onnx"
    export(run, run.config(), folder, Asked(examples=8))
    assert json.loads((folder / "check.json").read_text())["agreement"] == 1


@pytest.mark.slow
def test_an_ensemble_is_one_file(run, tmp_path, capsys):
    capsys.readouterr()
    assert main(["ensemble", str(run.path), str(run.path), "--output-dir", str(tmp_path)]) == 0
    made = Run.find(capsys.readouterr().out.split()[-1])
    folder = tmp_path / "onnx"
    export(made, made.config(), folder, Asked(examples=8))
    assert json.loads((folder / "check.json").read_text())["agreement"] == 1


def test_a_program_of_torch_answers_alike(run, tmp_path):
    told = export(run, run.config(), tmp_path / "torch", Asked(kind="torch", examples=8))
    assert told["largest_difference"] < 1e-4
    program = torch.export.load(tmp_path / "torch" / "model.pt2")
    assert program.example_inputs is None  # nobody's data
    with pytest.raises(UserError, match=r"program of torch\.export"):
        Exported(tmp_path / "torch")


def test_an_export_that_parts_from_the_run_is_refused_and_leaves_nothing(run, tmp_path, monkeypatch):
    write = onnx_file.write_program

    def spoilt(wrapped, *given):
        with torch.no_grad():
            wrapped.model.head.weight.add_(0.1)
        return write(wrapped, *given)

    monkeypatch.setattr(onnx_file, "write_program", spoilt)
    with pytest.raises(UserError, match="parts from the run by more than rounding"):
        export(run, run.config(), tmp_path / "out" / "torch", Asked(kind="torch", examples=8))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("found", "apart"),
    [
        ((1e-6, 1e-6, 1.0), False),
        ((1e-2, 1e-6, 1.0), True),
        ((1e-6, 1e-2, 1.0), True),
        ((1e-6, 1e-6, 0.9), True),
        ((float("nan"), 1e-6, 1.0), True),
        ((1e-6, float("nan"), 1.0), True),
    ],
)
def test_what_is_more_than_rounding(found, apart):
    check = Check("val", 10, "float32", *found)
    if apart:
        with pytest.raises(UserError, match="parts from the run"):
            check.refuse()
    else:
        check.refuse()


def test_mistakes_are_told_in_a_line(run, exported, tmp_path, capsys):
    assert main(["export", str(run.path), "--out", str(exported)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["export", str(run.path), "--format", "torch", "--int8"]) == 2
    assert "float32 alone" in capsys.readouterr().err
    assert main(["export", str(run.path), "--examples", "0"]) == 2
    assert "must be 1 or more" in capsys.readouterr().err
    with pytest.raises(UserError, match="no exported folder"):
        Exported(run.path)


@pytest.mark.parametrize("kind", ["text", "pair", "words", "image", "series"])
def test_axes_are_those_that_differ_from_batch_to_batch(kind):
    _, batch = made(kind)
    batch = replace(batch, inputs={name: general(one) for name, one in batch.inputs.items()})
    tensors, axes = tensors_of(batch), axes_of(batch)
    assert tensors.keys() == axes.keys()
    assert all(of[0] == "batch" for of in axes.values())
    length = {name for name, of in axes.items() if "length" in of.values()}
    assert length == {name for name, tensor in tensors.items() if kind != "series" and tensor.ndim == 2}
