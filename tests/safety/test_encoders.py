"""An encoder or tokenizer from a stranger, or of a stranger's run, runs no code and reads no other files."""

import json
import os

import pytest
import torch

from attnpred.cli import main
from attnpred.errors import UserError
from attnpred.machine import hub
from attnpred.modalities.text.tokens import checkpoint_vocabulary
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


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "more"]
)
def test_a_link_of_an_encoder_leads_nowhere_else(name, runs, refused, tmp_path):
    encoder, elsewhere = make_encoder(tmp_path / "encoder"), tmp_path / "elsewhere"
    if (encoder / name).exists():
        (encoder / name).rename(elsewhere)
    else:
        elsewhere.mkdir()
    (encoder / name).symlink_to(elsewhere)
    assert f"{name}: a link that leads out of the model's directory" in refused(*train_with(encoder, runs, tmp_path))


def test_a_pipe_of_an_encoder_is_not_waited_for(runs, refused, tmp_path):
    encoder = make_encoder(tmp_path / "encoder")
    (encoder / "special_tokens_map.json").unlink(missing_ok=True)
    os.mkfifo(encoder / "special_tokens_map.json")
    assert "neither a file nor a directory" in refused(*train_with(encoder, runs, tmp_path))


@pytest.mark.parametrize("where", ["a copied cache", "the cache", "within"])
def test_a_link_into_the_hubs_cache_is_followed(where, tmp_path, monkeypatch):
    cache = tmp_path / "hub"
    home = {"within": tmp_path / "encoder"}.get(where, cache / "models--owner--name")
    encoder = make_encoder(tmp_path / "encoder") if where == "within" else home / "snapshots" / "a0"
    if where != "within":
        make_encoder(encoder)
    if where == "the cache":  # as the hub's library once filled a directory that was asked for
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        encoder = encoder.rename(tmp_path / "encoder")
    (home / "blobs").mkdir()
    for number, file in enumerate(list(encoder.glob("*.*"))):
        file.rename(home / "blobs" / str(number))
        file.symlink_to(home / "blobs" / str(number))
    assert hub.locate_model(str(encoder), place="model.source") == encoder
    assert checkpoint_vocabulary(str(encoder)).size > 0


def test_a_directory_that_is_called_as_the_hubs_are_lets_nothing_out(tmp_path):
    encoder = make_encoder(tmp_path / "snapshots" / "a0")
    (encoder / "config.json").rename(tmp_path / "elsewhere")
    (encoder / "config.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out of the model's directory"):
        hub.locate_model(str(encoder), place="model.source")
