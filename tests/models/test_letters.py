from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch.nn.functional import cross_entropy

from attnpred.config.data_options import TokenizerConfig
from attnpred.errors import UserError
from attnpred.modalities import load_reader
from attnpred.modalities.reader import save_reader
from attnpred.modalities.text.batch import TextSpec
from attnpred.modalities.text.reader import TextReader
from attnpred.modalities.text.tokenizer_training import train_vocabulary
from attnpred.modalities.text.tokens import Vocabulary
from attnpred.models.letters import ROWS, Letters, rows_of
from attnpred.models.transformer import Transformer
from tests.explain.made import texts
from tests.models.made import CLASSES, IMAGE, make_config, make_model, wrapped

WORDS = dict(enumerate(("dull", "dullness", "a", "great", "greatest", "grate"), start=2))
SPEC = TextSpec(vocab_size=10, max_length=12, pad_id=0, mask_id=1, spelled=WORDS)
SMALL = {"width": 16, "depth": 1, "heads": 2}


def test_groups_are_counted_once_and_know_a_words_ends():
    # ^du dul ull ll$, and of four letters ^dul dull ull$
    assert len(rows_of("dull", 4)) == 4 + 3
    assert len(rows_of("dull", 3)) == 4
    assert len(rows_of("aaaaaaaa", 3)) == 3  # ^aa aaa aa$
    assert set(rows_of("dull", 5)) & set(rows_of("dullness", 5))
    assert not set(rows_of("dull", 5)) <= set(rows_of("dullness", 5))  # which does not end there
    assert rows_of("", 5) == []
    assert len(rows_of("a", 5)) == 1  # ^a$
    assert all(0 <= row < ROWS for word in WORDS.values() for row in rows_of(word, 6))


@torch.no_grad()
def test_a_token_has_the_sum_of_its_groups_over_the_root_of_their_number():
    letters = Letters(SPEC, torch.ones(6), 5)
    letters.table.weight.normal_(generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[2, 3, 2, 0], [9, 1, 4, 7]])  # 9 has no spelling: the tokenizer's numbers have gaps
    found = letters(tokens)
    assert found.shape == (2, 4, 6)
    for row, text in zip(found, tokens.tolist(), strict=True):
        for vector, token in zip(row, text, strict=True):
            rows = rows_of(WORDS.get(token, ""), 5)
            expected = letters.table.weight[rows].sum(0) / max(len(rows), 1) ** 0.5
            torch.testing.assert_close(vector, expected)


def test_its_precision_is_the_tables():
    assert Letters(SPEC, torch.ones(6), 5).bfloat16()(torch.tensor([[2, 3]])).dtype == torch.bfloat16


def test_threads_change_no_bit_of_a_gradient():
    letters = Letters(SPEC, torch.ones(128), 5)
    tokens = torch.randint(0, 8, (64, 32), generator=torch.Generator().manual_seed(0))
    each = torch.randn(64, 32, 128, generator=torch.Generator().manual_seed(1))
    found, threads = [], torch.get_num_threads()
    torch.set_num_threads(4)
    for _ in range(30):
        letters.table.weight.grad = None
        (letters(tokens) * each).sum().backward()
        found.append(letters.table.weight.grad)
    torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("ngrams", [None, 2])
def test_it_starts_as_the_model_without_it_and_is_no_burden_to_checkpoints(ngrams):
    batch, outputs, names = texts([2, 3, 4], [6, 7]), [], []
    for letters in (None, 5):
        torch.manual_seed(0)
        model = Transformer(make_config("transformer", **SMALL, ngrams=ngrams, letters=letters), wrapped(SPEC)).eval()
        outputs.append(model(batch, need_attention=True))
        names.append(set(model.state_dict()))
    assert torch.equal(outputs[0].answer, outputs[1].answer)
    assert torch.equal(outputs[0].attention.importance, outputs[1].attention.importance)
    assert names[1] - names[0] == {"embed.letters.table.weight"}


@pytest.mark.parametrize("ngrams", [None, 1])
@pytest.mark.parametrize(("letters", "learns"), [(None, False), (5, True)])
def test_a_word_that_training_never_saw_is_known_by_one_it_resembles(letters, learns, ngrams):
    torch.manual_seed(0)
    model = Transformer(make_config("transformer", **SMALL, dropout=0.0, ngrams=ngrams, letters=letters), wrapped(SPEC))
    with torch.no_grad():
        model.embed.table.weight[[3, 6]] = 0.0  # as far as chance says something of them
    seen, labels = texts([2], [5]), torch.tensor([0, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        cross_entropy(model(seen).answer, labels).backward()
        optimizer.step()
    with torch.no_grad():
        told = model.eval()(texts([3], [6])).answer.softmax(1)[[0, 1], labels]  # dullness, greatest
    assert bool((told > 0.8).all()) == learns


@pytest.mark.parametrize("kind", ["word", "wordpiece"])
def test_a_reader_tells_how_tokens_are_spelled_and_saves_it_once(kind, tmp_path):
    options = TokenizerConfig(kind=kind, vocab_size=60, lowercase=True)
    vocabulary = train_vocabulary(options, ["dull dullness", "great great greatness"])
    spec = replace(SPEC, vocab_size=vocabulary.size, spelled={})
    reader = TextReader(spec, vocabulary, strip_html=False, truncate="both")
    # 0 and 1 stand for padding, and for what is not known
    expected = {number: vocabulary.tokenizer.id_to_token(number) for number in range(2, vocabulary.size)}
    assert reader.spec.spelled == expected
    assert {"dull", "great"} < set(expected.values())
    save_reader(tmp_path, reader, CLASSES["text"])
    assert "spelled" not in (tmp_path / "spec.json").read_text()
    again = load_reader(tmp_path).spec
    assert again == reader.spec
    assert again.spelled == reader.spec.spelled


@pytest.mark.slow
def test_a_tokenizer_with_a_large_number_is_no_large_table():
    tokenizer = Tokenizer(WordLevel({"dull": 0, "great": 2**30}, "dull"))
    assert Vocabulary(tokenizer.to_str(), pad_id=0, unknown_id=0).spelled == {0: "dull", 2**30: "great"}


def test_images_have_none():
    with pytest.raises(UserError) as error:
        make_model("transformer", IMAGE, letters=4)
    assert str(error.value) == "model.letters=4: images have no tokens; take null, or a text"
