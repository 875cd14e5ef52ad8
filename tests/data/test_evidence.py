"""Where a label was decided goes with the example: into the cache, through cuts and changes, to the batch."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch

from attnpred.config.data_options import AugmentConfig
from attnpred.data.evidence import EVIDENCE_FILE, mark_tokens
from attnpred.errors import UserError
from attnpred.modalities.image.augment import Augment, shrink
from attnpred.modalities.image.batch import ImageInput, ImageSpec
from attnpred.modalities.text.reader import TextReader
from tests.data.made import (
    LONG,
    image_config,
    image_data,
    image_rows,
    make_image_source,
    make_text_source,
    text_config,
    text_data,
    text_rows,
)
from tests.models.made import as_batch, make_task

SIZE = (6, 11)  # neither side whole bytes
ROWS = 40


@pytest.fixture(scope="module")
def texts():
    return text_rows(ROWS, longest=40)[0]


@pytest.fixture(scope="module")
def spans(texts):
    """Some of each text's characters, whether they begin and end with words or not; of some texts none."""
    random = np.random.default_rng(0)

    def span(text):
        return np.sort(random.integers(0, len(text) + 1, 2)).tolist()

    found = [[span(text) for _ in range(row % 3)] for row, text in enumerate(texts)]
    return [None if row == 6 else one for row, one in enumerate(found)]


@pytest.fixture(scope="module")
def text_evidence(tmp_path_factory, texts, spans):
    rows = {"train": (texts, text_rows(ROWS, longest=40)[1])}
    return make_text_source(tmp_path_factory.mktemp("s"), rows=rows, evidence={"train": spans})


@pytest.fixture(scope="module")
def boxes():
    random = np.random.default_rng(0)

    def box():
        (left, right), (top, bottom) = (np.sort(random.integers(0, side + 1, 2)).tolist() for side in SIZE[::-1])
        return [left, top, right, bottom]

    return [[box() for _ in range(row % 3)] for row in range(ROWS)]


@pytest.fixture(scope="module")
def image_evidence(tmp_path_factory, boxes):
    rows = {"train": image_rows(ROWS, size=SIZE)}
    return make_image_source(tmp_path_factory.mktemp("s"), rows=rows, evidence={"train": boxes})


def texts_of(source, cache, **changes):
    options = {"test_split": None, "evidence_column": "evidence", **changes}
    return text_data(text_config(source, cache, **options))


def images_of(source, cache, **changes):
    return image_data(image_config(source, cache, **{"test_split": None, "evidence_column": "evidence", **changes}))


def batches(data):
    return list(chain.from_iterable(data.loader(split) for split in ("train", "val", "test")))


def expected_tokens(reader, text, spans):
    """Of each of a text's tokens, whether one of its characters is in a span; spaces belong to no token."""
    inside = set(chain.from_iterable(range(*span) for span in spans or []))
    return [bool(inside & set(range(*token))) for token in reader.vocabulary.ids_and_spans([text])[0][1]]


def test_tokens_that_share_a_character_are_marked(text_evidence, cache_dir, texts, spans):
    data = texts_of(text_evidence, cache_dir, max_length=200)
    rows = {}
    for batch in batches(data):
        assert batch.input.evidence.dtype == torch.bool
        assert batch.input.evidence.shape == batch.input.tokens.shape
        assert not (batch.input.evidence & (batch.input.tokens == data.reader.spec.pad_id)).any()
        for row, evidence, length in zip(batch.ids.tolist(), batch.input.evidence, batch.input.lengths, strict=True):
            rows[row] = evidence[:length]
    assert sorted(rows) == list(range(ROWS))
    assert any(len(text.split()) < len(rows[row]) for row, text in enumerate(texts)), "some words have several tokens"
    for row, text in enumerate(texts):
        assert rows[row].tolist() == expected_tokens(data.reader, text, spans[row])
    assert not rows[6].any(), "null is none"
    assert sum(r.any() for r in rows.values()) > ROWS / 2


@pytest.mark.parametrize(
    ("part", "kept"), [("head", range(24)), ("tail", range(96, 120)), ("both", [*range(12), *range(108, 120)])]
)
def test_evidence_is_cut_as_its_text_is(reader, part, kept):
    reader = TextReader(reader.spec, reader.vocabulary, strip_html=False, truncate=part)
    whole = np.array(reader.vocabulary.ids([LONG])[0])
    marks = whole == whole[3]
    texts = reader.collate([[whole], [whole[:4]]], [marks, marks[:4]])
    assert texts.evidence[0].tolist() == marks[kept].tolist()
    assert texts.evidence[0].any()
    assert texts.evidence[1].tolist() == [False] * 3 + [True] + [False] * 20


def test_special_tokens_are_no_evidence(reader):
    spec = replace(reader.spec, prefix=(7,), suffix=(8, 9))
    reader = TextReader(spec, reader.vocabulary, strip_html=False, truncate="both")
    whole = reader.vocabulary.ids([LONG])[0]
    texts = reader.collate([[whole], [whole[:2]]], [np.ones(120, bool), np.ones(2, bool)])
    assert (texts.evidence == texts.own()).all()
    assert texts.evidence.sum(1).tolist() == [21, 2]


def test_a_token_that_brings_its_space():
    """Some tokenizers give the space before a word to it; a span that ends with the space means the word before."""
    places = [(0, 3), (3, 8), (8, 13)]  # "the", " film", " ends"
    assert mark_tokens([[0, 4]], "the film ends", places).tolist() == [True, False, False]
    assert mark_tokens([[4, 8]], "the film ends", places).tolist() == [False, True, False]
    assert mark_tokens([[3, 4], [5, 5]], "the film ends", places).tolist() == [False] * 3
    assert mark_tokens([[7, 9]], "the film ends", places).tolist() == [False, True, False]
    assert mark_tokens([[0, 2]], "  ", []).tolist() == [False]


def test_dropped_words_stay_evidence(text_evidence, cache_dir):
    data = texts_of(text_evidence, cache_dir, word_dropout=0.5)
    batch = next(iter(data.loader("train")))
    changed = data.augment(1)(batch, 0)
    assert (changed.input.tokens != batch.input.tokens).any()
    assert torch.equal(changed.input.evidence, batch.input.evidence)


def test_pixels_in_a_box_are_marked(image_evidence, cache_dir, boxes):
    seen = 0
    for batch in batches(images_of(image_evidence, cache_dir)):
        assert batch.input.evidence.dtype == torch.bool
        assert batch.input.evidence.shape == (len(batch), *SIZE)
        for row, evidence in zip(batch.ids.tolist(), batch.input.evidence, strict=True):
            inside = torch.zeros(SIZE, dtype=torch.bool)
            for left, top, right, bottom in boxes[row]:
                inside[top:bottom, left:right] = True
            assert torch.equal(evidence, inside)
            seen += bool(inside.any())
    assert seen > ROWS / 3


def lit(count=64):
    """Images that are bright where the evidence is, and nowhere else."""
    evidence = torch.rand(count, 8, 8) < 0.3
    pixels = (evidence[:, None] * torch.tensor([200, 100])[:, None, None]).to(torch.uint8)
    return ImageInput(pixels=pixels, evidence=evidence)


def augmented(images, **changes):
    off = {"crop": 0, "flip": False, "cutout": 0, "mixup": 0.0, "cutmix": 0.0}
    spec = ImageSpec(channels=2, height=8, width=8, mean=(20.0, 10.0), std=(1.0, 1.0))
    change = Augment(AugmentConfig(**{**off, **changes}), spec, 1, make_task().soften)
    return change(as_batch(images, "image"), 0).input


@pytest.mark.parametrize("changes", [{"crop": 3}, {"flip": True}, {"crop": 2, "flip": True}])
def test_evidence_moves_with_the_pixels(changes):
    given = lit()
    torch.manual_seed(0)
    changed = augmented(given, **changes)
    assert changed.pixels.shape == given.pixels.shape
    assert not torch.equal(changed.evidence, given.evidence)
    assert torch.equal(changed.evidence, changed.pixels[:, 0] == 200)
    assert torch.equal(changed.evidence, changed.pixels[:, 1] == 100)
    torch.manual_seed(0)
    without = augmented(replace(given, evidence=None), **changes)
    assert without.evidence is None
    assert torch.equal(without.pixels, changed.pixels)


def test_cutout_leaves_evidence_and_mixing_ends_it():
    given = lit()
    assert torch.equal(augmented(given, cutout=3).evidence, given.evidence)
    for changes in ({"mixup": 0.4}, {"cutmix": 1.0}, {"cutmix": 1.0, "crop": 2}):
        assert augmented(given, **changes).evidence is None


def test_a_smaller_image_has_evidence_where_a_pixel_of_it_was():
    pixels, evidence = shrink(torch.zeros(1, 1, 12, 12), torch.arange(144).view(1, 12, 12) == 5, 4)
    assert pixels.shape == (1, 1, 4, 4)
    assert evidence.nonzero().tolist() == [[0, 0, 1]]
    assert shrink(torch.zeros(1, 1, 12, 12), None, 4)[1] is None


def test_a_mirror_image_has_its_evidence_mirrored():
    turned = lit().mirrored()
    assert torch.equal(turned.evidence, turned.pixels[:, 0] == 200)
    assert replace(lit(), evidence=None).mirrored().evidence is None


def test_evidence_goes_to_the_device_too():
    assert lit().to("meta").evidence.is_meta


@pytest.mark.parametrize(("of", "source"), [(texts_of, "text_evidence"), (images_of, "image_evidence")])
def test_only_what_is_asked_for_is_prepared(of, source, tmp_path, request):
    source = request.getfixturevalue(source)
    plain = batches(of(source, tmp_path, evidence_column=None))
    assert all(batch.input.evidence is None for batch in plain)
    before = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert not list(tmp_path.rglob(EVIDENCE_FILE))
    assert all(batch.input.evidence is not None for batch in batches(of(source, tmp_path)))
    [new] = {path.name for path in tmp_path.iterdir() if path.is_dir()} - before
    assert new.partition("-")[0] in ("tokens", "pixels"), "neither tokenizer nor statistics depend on it"
    assert (tmp_path / new / EVIDENCE_FILE).exists()


def test_no_such_column(text_source, image_source, tmp_path):
    for of, source in ((texts_of, text_source), (images_of, image_source)):
        with pytest.raises(
            UserError, match=r"^data\.evidence_column=evidence: .* has no such column; it has \w+, label"
        ):
            of(source, tmp_path / "c").loader("train")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[0, 3, 4]], r"is no list of \[start, end\) in whole numbers"),
        ([[0]], "is no list of"),
        ([["0", "3"]], "is no list of"),
        ([[0.0, 1.5]], "is no list of"),
        ([0, 3], "is no list of"),
        ("0-3", "is no list of"),
        ([[3, 2]], r"has evidence \[3, 2\) in a text of 8 characters"),
        ([[-1, 2]], "has evidence"),
        ([[0, 9]], "has evidence"),
    ],
)
def test_bad_spans_name_the_row(tmp_path, value, said):
    texts, labels = ["the film"] * 2100, [0, 1] * 1050
    made = make_text_source(tmp_path / "s", rows={"train": (texts, labels)}, evidence={"train": [None] * 2100})
    write_evidence(made, 2050, value)
    with pytest.raises(
        UserError, match=rf"^data\.evidence_column=evidence: row 2050 of data\.train_split=train {said}"
    ):
        texts_of(made, tmp_path / "c").loader("train")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([[0, 3, 4]], r"is no list of \[left, top, right, bottom\) in whole numbers"),
        ([[0, 0, 12, 3]], r"has evidence \[0, 0, 12, 3\) in an image of 6 × 11"),
        ([[0, 0, 3, 7]], "has evidence"),
        ([[4, 0, 3, 3]], "has evidence"),
        ([[0, -1, 3, 3]], "has evidence"),
    ],
)
def test_bad_boxes_name_the_row(tmp_path, value, said):
    rows = {"train": image_rows(ROWS, size=SIZE)}
    made = make_image_source(tmp_path / "s", rows=rows, evidence={"train": [None] * ROWS})
    write_evidence(made, 33, value)
    with pytest.raises(UserError, match=rf"^data\.evidence_column=evidence: row 33 of data\.train_split=train {said}"):
        images_of(made, tmp_path / "c").loader("train")


def write_evidence(source, row, value):
    """Puts `value` into one row of a made source, whose column becomes one of such values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = source / "plain_text/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    values = [None] * len(table)
    values[row] = value
    place = table.schema.get_field_index("evidence")
    pq.write_table(table.set_column(place, "evidence", pa.array(values)), path)


def test_a_reader_that_strips_html_cannot_count_characters(text_evidence, cache_dir, reader):
    stripping = TextReader(reader.spec, reader.vocabulary, strip_html=True, truncate="both")
    options = text_config(text_evidence, cache_dir, evidence_column="evidence", test_split=None)
    with pytest.raises(UserError, match=r"^data\.evidence_column=evidence: counts the raw text's characters, but"):
        text_data(options, reader=stripping).loader("test")
