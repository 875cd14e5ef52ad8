"""An encoder or tokenizer from a stranger, or of a stranger's run, runs no code."""

import json

import pytest
import torch

from attnpred.cli import main
from tests.models.made import make_encoder
from tests.safety.made import edit_json, pickled, train_with


@pytest.fixture
def encoder_run(runs, tmp_path):
    """A run of a pretrained encoder."""
    encoder = make_encoder(tmp_path / "encoder")
    assert main([*train_with(encoder, runs, tmp_path), "trainer.max_steps=1", "trainer.limit_batches=1"]) == 0
    return next((tmp_path / "outputs").rglob("run.json")).parent


def test_an_encoders_config_runs_no_code(encoder_run, tmp_path, refused):
    """`auto_map` names code, `attn_implementation` a kernel of the hub's; neither is looked at."""
    file = encoder_run / "encoder.json"
    whole = json.loads(file.read_text())
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    foreign = {
        "auto_map": {"AutoConfig": f"{tmp_path}--code.Config", "AutoModel": "code.Model"},
        "_name_or_path": str(tmp_path),
        "attn_implementation": "evil/kernel",
        "_attn_implementation": "evil/kernel",
        "quantization_config": {"quant_method": "evil"},
    }
    file.write_text(json.dumps({**whole, **foreign}))
    assert main(["predict", str(encoder_run), "a fine film"]) == 0
    assert not (tmp_path / "ran").exists()
    bad = [[], {}, {"model_type": "evil"}, {**whole, "hidden_size": "x"}, {**whole, "num_hidden_layers": -1}]
    for content in bad:
        file.write_text(json.dumps(content))
        line = refused("predict", encoder_run, "a fine film")
        assert "encoder.json" in line or "weights and config do not fit" in line


@pytest.mark.parametrize("kind", ["bin", "safetensors", "config"])
def test_a_strangers_encoder_runs_no_code(kind, runs, refused, tmp_path):
    encoder, ran = make_encoder(tmp_path / "encoder"), tmp_path / "ran"
    if kind == "bin":
        (encoder / "model.safetensors").unlink()
        (encoder / "pytorch_model.bin").write_bytes(pickled(ran))
    elif kind == "safetensors":
        (encoder / "model.safetensors").write_bytes(pickled(ran))
    else:
        bring_code(encoder / "config.json", {"AutoConfig": "code.Config", "AutoModel": "code.Model"}, ran)
    assert "model.source=" in refused(*train_with(encoder, runs, tmp_path))
    assert not ran.exists()
    assert not (tmp_path / "outputs").exists()


def test_a_strangers_tokenizer_runs_no_code(runs, tmp_path):
    """Its own class is not looked at; the tokenizer is read from tokenizer.json, as any other."""
    encoder, ran = make_encoder(tmp_path / "encoder"), tmp_path / "ran"
    bring_code(encoder / "tokenizer_config.json", {"AutoTokenizer": ["code.Slow", "code.Fast"]}, ran)
    assert main([*train_with(encoder, runs, tmp_path), "trainer.max_steps=1", "trainer.limit_batches=1"]) == 0
    assert not ran.exists()


def bring_code(file, names, ran):
    (file.parent / "code.py").write_text(f"open({str(ran)!r}, 'w')\n")
    edit_json(file, lambda values: values.update(auto_map=names, tokenizer_class="Foreign", model_type="foreign"))


def test_weights_of_an_older_kind_are_read_without_unpickling(tmp_path):
    from transformers import AutoModel

    encoder = make_encoder(tmp_path / "encoder")
    whole = AutoModel.from_pretrained(encoder)
    (encoder / "model.safetensors").unlink()
    torch.save(whole.state_dict(), encoder / "pytorch_model.bin")
    from attnpred.models.bert import Bert
    from tests.models.made import TEXT, make_config, wrapped

    assert Bert(make_config("bert", source=str(encoder)), wrapped(TEXT)).encoder.config.hidden_size == 16
