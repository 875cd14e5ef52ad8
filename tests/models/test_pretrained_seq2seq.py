"""Encoder-decoders of `transformers`, tiny and with random weights, keep to what ours do."""

from dataclasses import replace

import pytest
import torch

from attnpred.contracts import AnswerSpec, Generation, ModelSpec
from attnpred.errors import UserError
from attnpred.models.decoding import Decoding, shifted
from tests.models.generating_made import given_batch
from tests.models.made import SEP, TEXT, VOCABULARY, make_config

SPEC = ModelSpec(
    {"text": TEXT},
    AnswerSpec(len(VOCABULARY), shape="sequence", nothing=SEP, generation=Generation(0, SEP, 9, shared=True)),
)


def made(kind, directory):
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        MarianConfig,
        MarianMTModel,
        T5Config,
        T5ForConditionalGeneration,
    )

    torch.manual_seed(0)
    size = len(VOCABULARY)
    if kind == "t5":
        options = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
        network = T5ForConditionalGeneration(T5Config(vocab_size=size + 3, decoder_start_token_id=0, **options))
    else:
        sides = {f"{side}_{name}": 2 for side in ("encoder", "decoder") for name in ("layers", "attention_heads")}
        options = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, **sides, "scale_embedding": True}
        config = (BartConfig if kind == "bart" else MarianConfig)(
            vocab_size=size, pad_token_id=0, decoder_start_token_id=SEP, **options
        )
        network = (BartForConditionalGeneration if kind == "bart" else MarianMTModel)(config)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "embed_positions" not in name:  # of Marian, which makes them anew
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    network.save_pretrained(directory)
    return network.eval()


@pytest.fixture(scope="module", params=["t5", "bart", "marian"])
def both(request, tmp_path_factory):
    from attnpred.models.seq2seq import Seq2seq

    directory = tmp_path_factory.mktemp(request.param)
    network = made(request.param, directory)
    config = make_config("seq2seq", source=str(directory), dropout=0.0)
    return network, Seq2seq(config, SPEC).eval()


@torch.no_grad()
def test_logits_are_those_of_the_library(both):
    network, model = both
    batch = given_batch()
    read = batch.input
    expected = network(
        input_ids=read.tokens,
        attention_mask=read.valid().long(),
        decoder_input_ids=shifted(batch.given, model.generation),
    ).logits[..., : len(VOCABULARY)]
    output = model(batch, need_attention=True)
    torch.testing.assert_close(output.answer, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model(batch).answer, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.attention.steps.sum(2), torch.ones(4, 7))
    assert len(output.attention.layers) == 2


@torch.no_grad()
@pytest.mark.parametrize("decoding", [Decoding(), Decoding(beam=3)], ids=["greedy", "beams"])
def test_a_sentence_alone_gets_the_answer_that_it_gets_in_a_batch(both, decoding):
    _, model = both
    batch = replace(given_batch(), given=None)
    together = model.generate(batch, decoding).tokens[:, 0]
    for row in range(len(batch)):
        alone = model.generate(batch.rows(torch.tensor([row])), decoding).tokens[0, 0]
        assert torch.equal(alone, together[row, : len(alone)])
        assert (together[row, len(alone) :] == -1).all()


@torch.no_grad()
def test_a_run_needs_no_checkpoint_but_its_own(both, tmp_path):
    from attnpred.models.seq2seq import Seq2seq

    _, model = both
    model.save_assets(tmp_path)
    config = replace(model.config, source="nowhere/that-there-is")
    other = Seq2seq.restore(config, SPEC, tmp_path).eval()
    other.load_state_dict(model.state_dict())
    batch = given_batch()
    assert torch.equal(other(batch).answer, model(batch).answer)
    assert {id(p) for level in model.levels() for m in level for p in m.parameters()} == set(
        map(id, model.parameters())
    )


def test_gradients_reach_the_source_alone_where_it_enters(both):
    _, model = both
    seen = []
    handle = model.entrance().register_forward_hook(lambda m, given, found: seen.append(found.shape))
    try:
        model(given_batch())
    finally:
        handle.remove()
    assert seen == [(4, 13, 16)]


def test_a_place_without_an_encoder_decoder_is_one_line(tmp_path):
    from attnpred.models.seq2seq import Seq2seq

    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="no encoder-decoder can be loaded from there"):
        Seq2seq(make_config("seq2seq", source=str(tmp_path)), SPEC)
