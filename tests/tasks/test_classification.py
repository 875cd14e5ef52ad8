"""The objective of classification, against its definition."""

import torch
from torch.nn.functional import cross_entropy, kl_div

from attnpred.contracts import ModelOutput
from attnpred.training.learner import Learner
from tests.models.made import CLASSES, TEXT, make_model, text_batch
from tests.tasks.made import classification


def task(*overrides):
    return classification(CLASSES["text"], *overrides)


def test_label_smoothing_spreads_the_target():
    batch = text_batch()
    logits = torch.randn(len(batch), 2)
    target = torch.full((len(batch), 2), 0.1)
    target[torch.arange(len(batch)), batch.targets["label"]] = 0.9
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(task("task.label_smoothing=0.2").loss(ModelOutput(logits), batch), expected)


def test_two_answers_to_one_example_are_asked_to_agree():
    once = text_batch()
    twice = task("task.consistency=3").seen(once)
    assert torch.equal(twice.input.tokens, torch.cat((once.input.tokens, once.input.tokens)))
    first, second = torch.randn(2, len(once), 2)
    p, q = first.log_softmax(1), second.log_softmax(1)
    apart = sum(kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((p, q), (q, p))) / 2
    expected = (
        cross_entropy(first, once.targets["label"]) + cross_entropy(second, once.targets["label"])
    ) / 2 + 3 * apart
    torch.testing.assert_close(
        task("task.consistency=3").loss(ModelOutput(torch.cat((first, second))), twice), expected
    )
    assert task().seen(once) is once


def test_an_example_that_is_answered_twice_counts_once():
    torch.manual_seed(0)
    learner = Learner(make_model("transformer", TEXT, dropout=0.5), task("task.consistency=1")).train()
    batch = text_batch()
    first, second = learner.model(learner.task.seen(batch)).answer.chunk(2)
    assert not torch.equal(first, second)
    learner.training_step(batch, 0)
    assert learner.steps[0][2] == len(batch)
    learner.model.eval()  # nothing dropped: the answers agree, and being right twice is being right
    logits = learner.model(batch).answer
    # over as many terms as there are answers: the mean of half of them need not round alike on every processor
    assert learner.training_step(batch, 0) == cross_entropy(logits.repeat(2, 1), batch.targets["label"].repeat(2))
    assert learner.steps[1][1]["accuracy"] == (logits.argmax(1) == batch.targets["label"]).sum()
