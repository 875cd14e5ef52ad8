"""Several tasks on one body: what each is given, what it learns and measures, and that none hears of the others."""

import json

import numpy as np
import pytest
import torch

from attnpred.config import compose, schema
from attnpred.config.options import TaskConfig
from attnpred.contracts import ModelOutput, ModelSpec
from attnpred.errors import UserError
from attnpred.explain.base import look
from attnpred.explain.study import Study
from attnpred.tasks.balance import Balance
from tests.models.made import MODELS, made, make_model

KINDS = ("transformer", "bert", "recurrent", "tcn", "resnet_attention", "vision")
CLASSES, NUMBERS = ["a", "b", "c", "b"], [1.0, 2.5, -4.0, 3.0]
FIRST = {"_target_": "attnpred.tasks.several.Several", "weighting": "fixed", "asymmetry": 0.5}


def config(**changes):
    members = {
        "kind": {"task": compose.plain_of("task", "classification"), "column": "k"},
        "size": {"task": compose.plain_of("task", "regression"), "column": "s", "weight": 3.0},
    }
    return schema.build(TaskConfig, {**FIRST, "members": members, **changes}, "task")


def task_and_targets(**changes):
    options = config(**changes)
    kind = schema.load(options._target_)
    target = kind.target(options, *options.target_columns(None))
    collector = target.collector([None, None])
    collector.add([CLASSES, NUMBERS])
    stored = collector.finish()
    rows = np.arange(4)
    spec = target.spec(stored, rows)
    adapted = target.adapted(stored, rows, spec, "data.train_split=train")
    return kind(options, type(spec).from_dict(json.loads(json.dumps(spec.as_dict())))), target.tensors(adapted)


def model_and_batch(name, modality, task):
    torch.manual_seed(0)
    spec, batch = made(modality)
    (input_name,) = batch.inputs
    return make_model(name, ModelSpec({input_name: spec}, task.answer)), batch


def answered(task):
    torch.manual_seed(1)
    return ModelOutput(torch.randn(4, task.answer.width))


def of(targets, batch):
    return type(batch)(inputs=batch.inputs, targets=targets, ids=batch.ids)


def test_each_has_the_loss_and_the_metrics_that_it_has_alone():
    task, targets = task_and_targets()
    _, batch = made("text")
    batch, output = of(targets, batch), answered(task)
    kind, size = (one.task for one in task.members.values())
    alone = [
        one.loss(ModelOutput(part), own.batch(batch))
        for one, own, part in zip((kind, size), task.members.values(), output.answer.split([3, 1], 1), strict=True)
    ]
    torch.testing.assert_close(task.loss(output, batch), alone[0] + 3 * alone[1])
    metrics = task.metrics()
    task.update_metrics(metrics, output, batch)
    scalars, details = task.results(metrics, learn=True)
    metrics_alone = size.metrics()
    size.update_metrics(metrics_alone, ModelOutput(output.answer[:, 3:]), task.members["size"].batch(batch))
    assert scalars["size/rmse"] == size.results(metrics_alone, learn=True)[0]["rmse"]
    torch.testing.assert_close(scalars["weighted_sum"], scalars["kind/accuracy"] + scalars["size/r2"])
    assert details["answers"]["kind"]["examples"] == 4
    metrics.reset()
    assert set(task.config.measured()) == set(scalars)


def test_the_monitor_is_any_weighted_sum_and_less_of_a_loss_is_more_of_it():
    task, targets = task_and_targets(monitored={"kind/loss": 2, "size/pearson": 0.5})
    _, batch = made("text")
    metrics = task.metrics()
    task.update_metrics(metrics, answered(task), of(targets, batch))
    scalars, _ = task.results(metrics, learn=False)
    torch.testing.assert_close(scalars["weighted_sum"], 0.5 * scalars["size/pearson"] - 2 * scalars["kind/loss"])


@pytest.mark.parametrize(("name", "modality"), [one for one in MODELS if one[0] in KINDS], ids=str)
def test_every_model_gives_each_answer_an_attention_of_its_own(name, modality, encoder):
    task, _ = task_and_targets()
    model, batch = model_and_batch(name, modality, task)
    if model.config.pooling == "attention":
        with torch.no_grad():
            model.pool.query.normal_()
    model.eval()
    found = []
    with torch.no_grad():
        output = model(batch)
        for one in task.views().values():
            again, attention = look(model, batch, layers=False, choice=one.choose(output))
            torch.testing.assert_close(again.answer, output.answer, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(attention.importance.sum(1), torch.ones(len(batch)))
            found.append(attention.importance)
    differ = not torch.allclose(*found, atol=1e-4)
    assert differ == (model.config.pooling == "attention" and found[0].shape[1] > 1)


def test_of_an_answer_no_other_part_of_the_head_is_felt():
    task, targets = task_and_targets()
    model, batch = model_and_batch("transformer", "text", task)
    batch = of(targets, batch)
    task.members["size"].loss(model(batch), batch).backward()
    assert model.head.weight.grad[:3].abs().max() == 0 < model.head.weight.grad[3:].abs().max()


@pytest.mark.parametrize("name", ["attention", "occlusion", "integrated_gradients", "grad_attention"])
def test_every_view_is_explained_and_measured_by_its_own_score(name):
    task, _ = task_and_targets()
    model, batch = model_and_batch("transformer", "text", task)
    results = []
    for one in task.views().values():
        study = Study(model.eval(), one, [name])
        explained = study.explain(batch)
        study.measure(explained)
        torch.testing.assert_close(
            one.score(explained.output, explained.choice), task.score(explained.output, explained.choice)
        )
        results.append((explained.maps[name], study.result()["scores"][name]["comprehensiveness"]))
    assert results[0][1] != results[1][1]


def test_a_loss_that_is_uncertain_weighs_less_and_the_weights_settle_at_one_over_each():
    balance = Balance("uncertainty", 2, 0.5)
    for _ in range(2_000):
        balance.learn([torch.tensor(0.5), torch.tensor(4.0)], [1.0, 1.0], torch.nn.Linear(1, 1))
    torch.testing.assert_close(balance.weights(torch.device("cpu")), torch.tensor([2.0, 0.25]))


def test_weighted_gradients_become_equally_long():
    task, targets = task_and_targets(weighting="gradient_norms", asymmetry=0.0)
    model, batch = model_and_batch("transformer", "text", task)
    batch = of(targets, batch)
    model.eval()

    def norms():
        losses = [one.loss(model(batch), batch) for one in task.members.values()]
        last = list(model.layers[-1].parameters())
        each = [torch.autograd.grad(loss, last, retain_graph=True, allow_unused=True) for loss in losses]
        return torch.stack([torch.cat([g.flatten() for g in one if g is not None]).norm() for one in each])

    shares = torch.tensor([1.0, 3.0])
    for _ in range(300):
        task.learn(model, model(batch), batch)
    first, second = norms() * shares * task.balance.weights(torch.device("cpu"))
    torch.testing.assert_close(first, second, rtol=1e-2, atol=0)
    other, _ = task_and_targets(weighting="gradient_norms", asymmetry=0.0)
    other.load_state(json.loads(json.dumps(task.state())))
    assert other.balance.logs.tolist() == task.balance.logs.tolist()


@pytest.mark.parametrize(
    "state",
    [{"members": {}}, {"members": {"kind": {}, "size": {}}, "balance": {"logs": [0.0], "first": None}}, {"x": 1}],
)
def test_what_other_tasks_learned_is_refused(state):
    task, _ = task_and_targets(weighting="uncertainty")
    with pytest.raises(ValueError, match="holds"):
        task.load_state(state)


def test_rows_without_one_of_the_targets_are_named_with_the_task():
    options = config()
    target = schema.load(options._target_).target(options, *options.target_columns(None))
    collector = target.collector([None, None])
    collector.add([["a", None], [1.0, float("nan")]])
    stored = collector.finish()
    assert target.usable(stored).tolist() == [True, False]
    assert target.complaint(stored, 1) == "has no label (-1) (of kind)"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"members": {"one": {"task": {"_target_": "attnpred.tasks.regression.Regression", "loss": "mse"}}}},
            "two or more",
        ),
        ({"monitored": {"kind/nothing": 1}}, "there is no kind/nothing; use"),
        ({"monitored": {"kind/accuracy": -1}}, "give a number of at least 0"),
        ({"loss_function": "mine.loss"}, "have a loss each"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(changes, said):
    with pytest.raises(UserError, match=said):
        config(**changes)
