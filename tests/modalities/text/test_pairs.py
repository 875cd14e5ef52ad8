"""Two texts in one sequence: where each stands, what is cut, what is taken away, and how they are told."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from attnpred.contracts import Attention
from attnpred.errors import BadInput
from attnpred.inference.inputs import Inputs
from attnpred.modalities import load_reader
from attnpred.modalities.reader import save_reader
from attnpred.modalities.text.reader import TextReader
from attnpred.modalities.text.tokens import checkpoint_vocabulary
from tests.data.made import make_text_source, text_config, text_data, text_rows
from tests.models.made import CLASSES, CLS, MASK, PAD, PAIR, SEP, make_encoder

NAMES = ("premise", "hypothesis")


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    return checkpoint_vocabulary(str(make_encoder(tmp_path_factory.mktemp("hub") / "tiny")))


def make_reader(vocabulary, max_length=24, truncate="both", names=NAMES):
    spec = replace(PAIR, max_length=max_length, names=names)
    return TextReader(spec, vocabulary, strip_html=False, truncate=truncate)


@pytest.fixture
def reader(vocabulary):
    return make_reader(vocabulary)


def read(reader, *given):
    """One batch of new input."""
    [reading] = reader.readings(given, 16)
    return reading


def test_a_checkpoint_says_what_stands_between_two_texts(vocabulary):
    assert (vocabulary.prefix, vocabulary.between, vocabulary.suffix) == ((CLS,), (SEP,), (SEP,))


def test_texts_follow_one_another_with_special_tokens_around_and_between(reader):
    found = reader.collate([[[10, 11, 12], [20, 21]], [[30], [40]]])
    assert found.tokens[0, :8].tolist() == [CLS, 10, 11, 12, SEP, 20, 21, SEP]
    assert found.tokens[1, :5].tolist() == [CLS, 30, SEP, 40, SEP]
    assert (found.tokens[1, 5:] == PAD).all()
    assert found.lengths.tolist() == [8, 5]
    assert found.segments.tolist()[0][:8] == [-1, 0, 0, 0, -1, 1, 1, -1]
    assert found.segments.tolist()[1] == [-1, 0, -1, 1, -1, -1, -1, -1]
    assert torch.equal(found.own(), found.segments >= 0)


def test_special_tokens_have_the_type_of_the_text_before_them(reader):
    found = reader.collate([[[10, 11], [20]], [[30], [40]]])
    assert found.types().tolist()[0][:6] == [0, 0, 0, 0, 1, 1]
    single = TextReader(replace(PAIR, names=(), between=()), reader.vocabulary, strip_html=False, truncate="both")
    assert single.collate([[[10, 11]]]).types() is None
    assert single.collate([[[10, 11]]]).segments is None


CUT = [  # lengths of two texts -> how many tokens of each are kept, where there is room for nine
    ((4, 5), (4, 5)),
    ((20, 2), (7, 2)),
    ((2, 20), (2, 7)),
    ((20, 20), (4, 5)),
    ((1, 9), (1, 8)),
    ((5, 5), (4, 5)),
]


@pytest.mark.parametrize(("lengths", "kept"), CUT)
def test_the_longest_text_is_cut_first(lengths, kept, vocabulary):
    reader = make_reader(vocabulary, max_length=9 + 3, truncate="head")
    first, second = ([start + i for i in range(n)] for start, n in zip((10, 50), lengths, strict=True))
    found = reader.collate([[first, second]])
    segments = found.segments[0]
    counts = [int((segments == number).sum()) for number in (0, 1)]
    assert tuple(counts) == kept
    assert found.tokens[0][segments == 0].tolist() == first[: counts[0]]
    assert found.tokens[0][segments == 1].tolist() == second[: counts[1]]
    assert found.lengths.tolist() == [sum(counts) + 3]


@pytest.mark.parametrize(
    ("truncate", "kept"), [("head", [10, 11, 12, 13]), ("tail", [26, 27, 28, 29]), ("both", [10, 11, 28, 29])]
)
def test_each_text_is_cut_where_it_is_said_to_be(truncate, kept, vocabulary):
    reader = make_reader(vocabulary, max_length=8 + 3, truncate=truncate)
    found = reader.collate([[list(range(10, 30)), [n + 40 for n in range(10, 30)]]])
    for number, offset in ((0, 0), (1, 40)):
        assert found.tokens[0][found.segments[0] == number].tolist() == [token + offset for token in kept]


def gone_of(found, *places):
    gone = torch.zeros(found.tokens.shape, dtype=torch.bool)
    gone[0, list(places)] = True
    return gone


def test_a_masked_token_keeps_its_place(reader):
    found = reader.collate([[[10, 11], [20, 21]]])  # CLS 10 11 SEP 20 21 SEP
    masked = found.without(gone_of(found, 1, 5), "mask", reader.spec, None)
    assert masked.tokens[0, :7].tolist() == [CLS, MASK, 11, SEP, 20, MASK, SEP]
    assert torch.equal(masked.segments, found.segments)
    whole = found.without(torch.ones_like(gone_of(found)), "mask", reader.spec, None)
    assert whole.tokens[0, :7].tolist() == [CLS, MASK, MASK, SEP, MASK, MASK, SEP], "special tokens stay"


def test_a_deleted_token_closes_the_sequence_up(reader):
    found = reader.collate([[[10, 11], [20, 21]], [[30], [40]]])
    deleted = found.without(gone_of(found, 1, 5), "delete", reader.spec, None)
    assert deleted.tokens[0].tolist() == [CLS, 11, SEP, 20, SEP, PAD, PAD, PAD]
    assert deleted.segments[0].tolist() == [-1, 0, -1, 1, -1, -1, -1, -1]
    assert deleted.lengths.tolist() == [5, 5]
    assert torch.equal(deleted.tokens[1], found.tokens[1])
    first = found.without(gone_of(found, 1, 2), "delete", reader.spec, None)
    assert first.tokens[0, :5].tolist() == [CLS, SEP, 20, 21, SEP], "one text may be empty"
    bare = found.without(torch.ones_like(gone_of(found)), "delete", reader.spec, None)
    assert bare.tokens[0, :4].tolist() == [CLS, MASK, SEP, SEP]
    assert bare.own().sum(1).tolist() == [1, 1], "something is left to attend to"


GIVEN = {"premise": "the film was great", "hypothesis": "a dull plot"}


def importance_of(reading, **at):
    """Attention of 1 at these places, shared."""
    values = torch.zeros(reading.batch.input.tokens.shape)
    for place, share in at.items():
        values[0, int(place[1:])] = share
    return Attention(values)


def test_words_are_described_text_by_text(reader):
    reading = read(reader, GIVEN)
    assert reading.inputs == [GIVEN]
    tokens = reading.batch.input
    own = tokens.own()[0].nonzero().flatten().tolist()
    first = own[0]
    second = int((tokens.segments[0] == 1).nonzero()[0])
    [found] = reading.describe(importance_of(reading, **{f"p{first}": 0.75, f"p{second}": 0.25}))
    assert found["words"] == ["the", "film", "was", "great", "a", "dull", "plot"]
    assert found["texts"] == {"premise": 4, "hypothesis": 3}
    assert found["attention"] == pytest.approx([0.75, 0, 0, 0, 0.25, 0, 0])
    [spelled] = reader.describe(tokens)(importance_of(reading, **{f"p{first}": 0.75, f"p{second}": 0.25}))
    assert spelled["words"] == found["words"]
    assert spelled["texts"] == found["texts"]
    assert spelled["attention"] == pytest.approx(found["attention"])


def test_words_that_were_cut_off_of_either_text_have_nothing(vocabulary):
    reader = make_reader(vocabulary, max_length=8 + 3, truncate="both")
    given = {"premise": " ".join(["film"] * 20), "hypothesis": " ".join(["plot"] * 6)}
    reading = read(reader, given)
    [found] = reading.describe(Attention(reading.batch.input.own().float()))
    shares = np.array(found["attention"])
    assert found["texts"] == {"premise": 20, "hypothesis": 6}
    assert np.flatnonzero(shares).tolist() == [0, 1, 18, 19, 20, 21, 24, 25]
    assert shares[shares > 0] == pytest.approx(np.full(8, 1 / 8))


def test_an_empty_text_of_two_is_one_unknown_token(reader):
    reading = read(reader, {"premise": "", "hypothesis": "plot"})
    assert reading.batch.input.segments[0].tolist()[:5] == [-1, 0, -1, 1, -1]
    [found] = reading.describe(Attention(reading.batch.input.own().float()))
    assert (found["words"], found["texts"]) == (["plot"], {"premise": 0, "hypothesis": 1})


@pytest.mark.parametrize(
    "given",
    [
        GIVEN,
        json.dumps(GIVEN),
        json.dumps({**GIVEN, "more": 3}),
        "the film was great\ta dull plot",
    ],
    ids=["mapping", "JSON", "more than is read", "tab"],
)
def test_new_input_comes_as_a_mapping_as_json_or_with_a_tab(given, reader):
    [value] = Inputs([given], reader) if isinstance(given, str) else [given]
    reading = read(reader, value)
    assert reading.inputs == [GIVEN]
    assert torch.equal(reading.batch.input.tokens, read(reader, GIVEN).batch.input.tokens)


BAD = {
    "one text": "the film was great",
    "three texts": "the film\twas\tgreat",
    "a list": '["a", "b"]',
    "a number": "3",
    "one name": '{"premise": "a"}',
    "another kind": '{"premise": "a", "hypothesis": 3}',
    "nothing": "",
    "nested for ever": "[" * 100_000,
    "a mapping without": {"premise": "a"},
    "no text at all": 3,
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_new_input_is_refused_in_one_line_with_its_position(kind, reader):
    with pytest.raises(BadInput) as refused:
        list(reader.readings([GIVEN, BAD[kind]], 16))
    assert str(refused.value) == (
        'the model reads 2 texts; give them as {"premise": "…", "hypothesis": "…"}, or with a tab between'
    )
    assert refused.value.position == 1


def test_a_reader_of_two_texts_travels(reader, tmp_path):
    save_reader(tmp_path, reader, CLASSES["text"])
    again = load_reader(tmp_path)
    assert again.spec == reader.spec
    assert again.spec.names == NAMES
    assert torch.equal(read(again, GIVEN).batch.input.tokens, read(reader, GIVEN).batch.input.tokens)


def test_a_dataset_of_two_columns_gives_both_in_order(tmp_path):
    texts, labels = text_rows(40)
    pairs = [f"{text} second" for text in texts]
    source = make_text_source(tmp_path / "s", rows={"train": (texts, labels), "test": (texts[:8], labels[:8])})
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in source.rglob("*.parquet"):
        table = pq.read_table(file)
        pq.write_table(table.append_column("other", pa.array(pairs[: len(table)])), file)
    encoder = make_encoder(tmp_path / "tiny")
    for names, swapped in ((["text", "other"], False), (["other", "text"], True)):
        config = text_config(source, tmp_path / "c", text_column=names, max_length=200)
        data = text_data(config, tokenizer_source=str(encoder))
        assert data.reader.spec.names == tuple(names)
        seen = 0
        for batch in data.loader("test"):
            for row, tokens, segments in zip(batch.ids, batch.input.tokens, batch.input.segments, strict=True):
                expected = [data.reader.vocabulary.ids([column[row]])[0] for column in (texts, pairs)]
                found = [tokens[segments == number].tolist() for number in (0, 1)]
                assert found == (expected[::-1] if swapped else expected)
                seen += 1
        assert seen == 8
