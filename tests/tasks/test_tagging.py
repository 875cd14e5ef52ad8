"""A tag a word: what is learned where, and how answers are told."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from attnpred.contracts import Batch, ModelOutput
from attnpred.data.tags_target import Tags
from attnpred.errors import UserError
from attnpred.models.chain import Chain
from tests.models.made import words_batch
from tests.tasks.made import make_task

TAGS = ("O", "B-loc", "I-loc", "B-per", "I-per")
SPEC = Tags(tags=TAGS, scheme="bio", counts=(80, 10, 5, 4, 1))
SIZES = ((1, 3, 2), (2, 1))  # tokens of each word
TRUE = [[1, 2, 0], [3, 0]]  # by word
ANSWERED = torch.tensor([[-1, 0, 1, -1, -1, 2, -1, -1], [-1, 0, -1, 1, -1, -1, -1, -1]])


@pytest.fixture
def batch():
    made = words_batch(SIZES)
    tags = torch.tensor([[*row, *[-1] * (3 - len(row))] for row in TRUE])
    found = replace(made, targets={"tags": made.input.on_parts(tags)})
    assert torch.equal(found.input.answered(), ANSWERED)
    return found


def drawn(seed=0, *, chained=False):
    numbers = torch.randn(*ANSWERED.shape, len(TAGS), generator=torch.Generator().manual_seed(seed))
    if not chained:
        return ModelOutput(numbers, answered=ANSWERED)
    steps = torch.randn(len(TAGS) + 1, len(TAGS) + 1, generator=torch.Generator().manual_seed(seed + 1))
    chain = Chain(numbers, steps, ANSWERED)
    return ModelOutput(chain.marginals(), answered=ANSWERED, chain=chain)


def saying(*rows):
    """An output that is sure of these tags of each row's words."""
    answer = torch.zeros(*ANSWERED.shape, len(TAGS))
    for row, tags in enumerate(rows):
        places = (ANSWERED[row] >= 0).nonzero()[:, 0]
        answer[row, places, torch.tensor([TAGS.index(tag) for tag in tags])] = 5.0
    return ModelOutput(answer, answered=ANSWERED)


def test_only_the_first_token_of_a_word_is_learned(batch):
    task, output = make_task("tagging", SPEC), drawn()
    places, tags = [(0, 1), (0, 2), (0, 5), (1, 1), (1, 3)], torch.tensor([1, 2, 0, 3, 0])
    expected = cross_entropy(torch.stack([output.answer[place] for place in places]), tags)
    torch.testing.assert_close(task.loss(output, batch), expected)
    elsewhere = output.answer.clone()
    elsewhere[ANSWERED < 0] = 100 * torch.randn(elsewhere[ANSWERED < 0].shape)
    torch.testing.assert_close(task.loss(replace(output, answer=elsewhere), batch), expected)


def test_all_tokens_of_a_word_can_be_learned_further_ones_as_its_inside(batch):
    task, output = make_task("tagging", SPEC, "task.pieces=all"), drawn()
    tags = torch.tensor([[-1, 1, 2, 2, 2, 0, 0, -1], [-1, 3, 4, 0, -1, -1, -1, -1]])
    expected = cross_entropy(output.answer.flatten(0, 1), tags.flatten(), ignore_index=-1)
    torch.testing.assert_close(task.loss(output, batch), expected)


def test_rare_tags_can_weigh_more_and_targets_be_smoothed(batch):
    output = drawn()
    flat, tags = output.answer.flatten(0, 1), batch.targets["tags"].flatten()
    weights = torch.tensor([1.0, 2, 3, 4, 5])
    weighed = make_task("tagging", SPEC, "task.class_weights=[1,2,3,4,5]")
    torch.testing.assert_close(weighed.loss(output, batch), cross_entropy(flat, tags, weights, ignore_index=-1))
    balanced = torch.tensor([100 / (5 * count) for count in SPEC.counts])
    even = make_task("tagging", SPEC, "task.class_weights=balanced")
    torch.testing.assert_close(even.loss(output, batch), cross_entropy(flat, tags, balanced, ignore_index=-1))
    smooth = make_task("tagging", SPEC, "task.label_smoothing=0.1")
    expected = cross_entropy(flat, tags, ignore_index=-1, label_smoothing=0.1)
    torch.testing.assert_close(smooth.loss(output, batch), expected)


def test_a_crf_learns_the_sentence_and_answers_for_it(batch):
    task, output = make_task("tagging", SPEC, "task.crf=true"), drawn(chained=True)
    assert task.answer.chained
    expected = -output.chain.likelihood(batch.targets["tags"]).sum() / 5
    torch.testing.assert_close(task.loss(output, batch), expected)
    choice = torch.tensor([1 * 5 + 2, 3 * 5 + 0])
    chances = torch.stack([output.answer[0, 1, 2], output.answer[1, 3, 0]]).exp()
    torch.testing.assert_close(task.score(output, choice), chances)
    torch.testing.assert_close(task.score(output, choice, linear=True), chances.logit(), atol=1e-4, rtol=1e-4)
    assert len(task.describe(output)[0]["tags"]) == 3


@pytest.mark.parametrize("odd", ["pieces=all", "class_weights=balanced", "label_smoothing=0.1"])
def test_what_a_crf_has_no_use_for_is_refused(odd):
    with pytest.raises(UserError, match=rf"task\.{odd.partition('=')[0]}.* set it to "):
        make_task("tagging", SPEC, "task.crf=true", f"task.{odd}")


def test_weights_for_other_tags_are_refused():
    with pytest.raises(UserError, match="holds 2 weights; give 5, for O, B-loc"):
        make_task("tagging", SPEC, "task.class_weights=[1,2]")


def test_measures_are_of_whole_spans(batch):
    task = make_task("tagging", SPEC)
    metrics = task.metrics()
    output = saying(["B-loc", "O", "O"], ["B-per", "O"])
    task.update_metrics(metrics, output, batch)
    scalars, details = task.results(metrics, learn=True)
    assert float(scalars["entity_f1"]) == pytest.approx(0.5)
    assert float(scalars["accuracy"]) == pytest.approx(4 / 5)
    tags = batch.targets["tags"]
    expected = cross_entropy(output.answer.flatten(0, 1), tags.flatten(), ignore_index=-1)
    torch.testing.assert_close(scalars["loss"], expected)
    by_name = {one["name"]: one for one in details["entities"]}
    assert (by_name["loc"]["f1"], by_name["per"]["f1"], by_name["per"]["support"]) == (0, 1, 1)
    assert (details["words"], details["examples"]) == (5, 2)
    [text] = task.tables(details, "test")
    assert text.startswith("test by entity")
    assert task.pictures(details)["confusion"].ndim == 3


def test_spans_are_told_by_their_place_in_the_text():
    task = make_task("tagging", SPEC)
    output = saying(["B-loc", "I-loc", "O"], ["B-per", "O"])
    first, second = task.describe(output)
    parts = {"input": "New York sleeps", "words": ["New", "York", "sleeps"], "attention": [0.5, 0.25, 0.25]}
    found = task.located({**parts, **first, "characters": [[0, 3], [4, 8], [9, 15]]})
    [span] = found["spans"]
    sure = float(output.answer[0, 1].softmax(0).max())
    assert span == {"text": "New York", "start": 0, "end": 8, "tag": "loc", "score": pytest.approx(sure)}
    assert found["tags"] == ["B-loc", "I-loc", "O"]
    assert found["explained"] == {"word": 0, "tag": "B-loc"}
    assert task.headline(found) == ("New York: loc", span["score"])
    assert task.headline(second)[0] == "per"
    assert task.headline({"spans": []}) == ("no spans", None)


def test_words_that_were_cut_away_have_no_tag_and_end_a_span():
    task = make_task("tagging", SPEC)
    output = replace(saying(["B-loc", "I-loc", "O"], ["B-per", "O"]))
    cut = torch.where(ANSWERED >= 1, ANSWERED + 5, ANSWERED)
    described = task.describe(replace(output, answered=cut))[0]
    assert described["read"] == [0, 6, 7]
    assert [one["words"] for one in described["spans"]] == [(0, 1), (6, 7)]
    words = [f"w{i}" for i in range(8)]
    places = [[3 * i, 3 * i + 2] for i in range(8)]
    found = task.located({"input": " ".join(words), "words": words, **described, "characters": places})
    assert found["tags"] == ["B-loc", *[None] * 5, "I-loc", "O"]
    assert found["spans"][1]["text"] == "w6"


def test_an_example_is_wrong_where_any_span_is(batch):
    task = make_task("tagging", SPEC)
    output = saying(["B-loc", "O", "O"], ["B-per", "O"])
    first, second = task.summaries(output, task.choose(output), batch)
    assert (first.true, first.predicted, first.wrong) == ("loc", "loc", True)
    assert (second.true, second.predicted, second.wrong) == ("per", "per", False)
    assert first.marks == [("B-loc", "B-loc"), ("O", "I-loc"), ("O", "O")]
    new = task.summaries(output, task.choose(output), replace(batch, targets={}))
    assert new[0].marks == [("B-loc", None), ("O", None), ("O", None)]


def test_other_words_of_spans_are_explained_too(batch):
    task = make_task("tagging", SPEC)
    output = saying(["O", "B-per", "B-loc"], ["O", "O"])
    choice = task.choose(output)
    further = task.further(output, choice, batch)
    words = [{tuple(map(int, (one[row] // 5, one[row] % 5))) for one in (choice, *further)} for row in (0, 1)]
    assert words[0] == {(1, 0), (2, 3), (5, 2 - 1)}  # the first is missed, the others are said
    assert len(words[1]) == 1  # what is missed there is the usual choice
    assert task.further(output, choice, replace(batch, targets={}))[0][1] == choice[1]
    assert task.choice_name(2 * 5 + 3) == "B-per"
    assert task.choice_name(~(2 * 5 + 3)) == "not B-per"


def test_plain_tags_and_texts_without_o():
    spec = Tags(tags=("DET", "NOUN"), scheme="plain", counts=(1, 1))
    task = make_task("tagging", spec)
    assert task.answer.nothing is None
    answer = torch.tensor([[[2.0, 0], [0, 1], [0, 3]]])
    output = ModelOutput(answer, answered=torch.tensor([[0, 1, 2]]))
    assert task.choose(output).tolist() == [2 * 2 + 1]
    [found] = task.describe(output)
    assert [(one["tag"], one["words"]) for one in found["spans"]] == [("DET", (0, 1)), ("NOUN", (1, 3))]
    empty = Batch(inputs={}, targets={}, ids=torch.arange(1))
    assert task.truths(empty) == [None]
