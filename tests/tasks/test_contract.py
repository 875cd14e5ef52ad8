"""What every shipped task promises models, explainers and pages, whichever it is."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from attnpred.config import compose, schema
from attnpred.contracts import ModelSpec, pick_of
from attnpred.data.future_target import Future
from attnpred.explain import base
from attnpred.explain.against_chance import FLOOR
from attnpred.explain.study import Study
from attnpred.tasks.base import Summary
from tests.explain.made import EXPLAINERS, FEW, make_explainer
from tests.models.made import made, make_config, make_model
from tests.tasks.made import fits_any

# `several` is made of others, and a translation is generated: they have tests of their own
TASKS = [name for name in compose.group_options("task") if name not in ("several", "translation")]
MODELS = [
    *(("transformer", "text"), ("transformer", "pair"), ("resnet_attention", "image")),
    *(
        ("transformer", "image"),
        ("transformer", "words"),
        ("bert", "words"),
        ("transformer", "series"),
        ("linear", "series"),
    ),
]
# what comes after the made series, of two of its three variables
FUTURE = Future(
    names=("a", "c"), places=(0, 2), mean=(0.0, 2.0), deviation=(1.0, 3.0), scale=(1.0, 0.5), steps=3, season=4
)
# a column of each kind of target, for the batches of four examples
COLUMNS = {
    "class": ["a", "b", "c", "b"],
    "number": [[1.0, 20.0], [2.5, 10.0], [-4.0, 15.0], [3.0, 0.0]],
    "labels": [["a"], ["a", "b"], [], ["c", "b"]],
    "tags": [["O", "B-a", "I-a", "O", "B-b", "O"], ["B-a"], [], ["O", "I-b", "I-b", "O"]],
}


# of tasks that hide parts: one part an example, so that there are as many answers as examples
HIDES_ONE = {
    "masked_tokens": ["task.share=1e-6", "task.whole_words=false"],
    "masked_patches": ["task.share=1e-6", "task.patch=4"],
}


def options(name):
    return compose.compose([f"task={name}", *fits_any(name), *HIDES_ONE.get(name, [])]).task


def fits(name, model, modality):
    task = options(name)
    if task.shape not in make_config(model).answers:
        return False
    return modality in task.inputs if task.inputs else modality != "words"


FITTING = [(task, *parts) for task in TASKS for parts in MODELS if fits(task, *parts)]
fitting = pytest.mark.parametrize(("task_name", "model_name", "modality"), FITTING)


def with_model(name, model="transformer", modality=None):
    """A task made from a column of its kind, with a small model and a batch that has its targets."""
    config = options(name)
    modality = modality or next(iter(config.inputs), "text")
    kind = schema.load(config._target_)
    target = kind.target(config, ["column"], "data.label_column")
    if config.reads == "itself":
        return of_itself(kind, config, target, model, modality)
    if config.reads == "future":
        return of_series(kind(config, FUTURE), model)
    collector = target.collector([None])
    collector.add([COLUMNS[config.reads]])
    stored = collector.finish()
    rows = np.arange(len(stored.values))
    spec = target.spec(stored, rows)
    task = kind(config, spec)
    input_spec, batch = made(modality)
    (input_name,) = batch.inputs
    made_model = make_model(model, ModelSpec({input_name: input_spec}, task.answer))
    targets = target.tensors(target.adapted(stored, rows, spec, "data.train_split=train"))
    if target.by_word:
        targets = {key: batch.input.on_parts(values) for key, values in targets.items()}
    return task, made_model, replace(batch, targets=targets)


def of_itself(kind, config, target, model, modality):
    """Parts of the input are hidden."""
    input_spec, batch = made(modality)
    (name,) = batch.inputs
    task = kind(config, target.of_inputs({name: input_spec}))
    posed = target.posed(replace(batch, targets={}), task.spec)
    return task, make_model(model, ModelSpec({name: input_spec}, task.answer)), posed


def of_series(task, model):
    """A forecast is no column, but what a dataset cuts out behind a window."""
    spec, batch = made("series")
    future = torch.randn(len(batch), 2, 3, generator=torch.Generator().manual_seed(1))
    future[0, 0, 1] = torch.nan
    targets = {"future": future, "there": future.isfinite()}
    return task, make_model(model, ModelSpec({"series": spec}, task.answer)), replace(batch, targets=targets)


def columns(output, choice):
    """The choice of a number for each example, of its first part with an answer where there is one a part."""
    if output.answered is None:
        return torch.full((len(output.answer),), choice)
    first = (output.answered >= 0).int().argmax(1) * output.answer.shape[-1]
    return first + choice if choice >= 0 else ~(first + ~choice)


@pytest.fixture(params=TASKS)
def parts(request):
    return with_model(request.param)


def test_the_loss_teaches(parts):
    task, model, batch = parts
    seen = task.seen(batch)
    loss = task.loss(model(seen), seen)
    assert loss.shape == ()
    loss.backward()
    slopes = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(slope.isfinite().all() for slope in slopes)
    assert any(slope.any() for slope in slopes)
    figures = task.figures(model(seen), seen)
    assert figures
    assert all(value.shape == () and value.isfinite() for value in figures.values())


def test_every_number_of_an_answer_can_be_chosen_and_raises_its_score(parts):
    task, model, batch = parts
    output = model(batch)
    answer = output.answer.detach()
    parts = answer.shape[1:-1]  # none of an answer that is one a whole
    assert answer.shape == (len(batch), *parts, task.answer.width)
    assert bool(parts) == (task.answer.shape == "parts")
    for column in range(task.answer.width):
        for choice in (column, ~column):
            chosen = columns(output, choice)
            free = answer.clone().requires_grad_()
            scores = task.score(replace(model(batch), answer=free), chosen, linear=True)
            assert scores.shape == (len(batch),)
            (slope,) = torch.autograd.grad(scores.sum(), free)
            place = task.answer.place(chosen)[1] if task.answer.shape == "hidden" else chosen
            assert (pick_of(slope, place) > 0).all()
            raised = answer + 0.1 * slope
            plain = [task.score(replace(model(batch), answer=a), chosen) for a in (answer, raised)]
            assert (plain[1] > plain[0]).all()
            if task.bounded:
                assert ((plain[0] > 0) & (plain[0] < 1)).all()
    names = [task.choice_name(choice) for column in range(task.answer.width) for choice in (column, ~column)]
    assert len(set(names)) == 2 * task.answer.width


def test_what_is_usually_explained_is_what_the_answer_says(parts):
    task, model, batch = parts
    output = model(batch)
    choice = task.choose(output)
    chosen = task.score(output, choice)
    first = choice - choice % task.answer.width  # of the numbers of the chosen part, where answers are one a part
    others = first[:, None] + torch.arange(task.answer.width)
    each = torch.stack([task.score(output, others[:, i]) for i in range(task.answer.width)], dim=1)
    assert (chosen[:, None] >= each - 1e-6).all()


def test_measures_are_those_that_the_configuration_names(parts):
    task, model, batch = parts
    metrics = task.metrics()
    task.update_metrics(metrics, model(batch), batch)
    scalars, details = task.results(metrics, learn=True)
    assert set(scalars) == set(task.config.metrics)
    assert all(torch.as_tensor(value).isfinite() for value in scalars.values())
    assert task.config.monitor in scalars
    assert details["examples"] == len(batch)
    for text in task.tables(details, "val"):
        assert "val" in text
    for picture in task.pictures(details).values():
        assert picture.dtype == np.uint8
        assert picture.ndim == 3


def test_a_summary_has_every_field(parts):
    task, model, batch = parts
    output = model(batch)
    for known in (batch, replace(batch, targets={})):
        found = task.summaries(output, task.choose(output), known)
        assert len(found) == len(batch)
        for one, described in zip(found, task.describe(output), strict=True):
            values = {f.name: getattr(one, f.name) for f in fields(Summary)}
            assert isinstance(values["predicted"], str)
            assert isinstance(values["explained"], str)
            assert (values["predicted"], values["confidence"]) == task.headline(described)
            assert values["confidence"] is None or 0 <= values["confidence"] <= 1
            assert isinstance(values["order"], float)
            assert isinstance(values["wrong"], bool)
            assert values["described"] == described
            assert (values["true"] is None) == (not known.targets)
            assert known.targets or not values["wrong"]


def test_what_was_learned_goes_into_another_task_of_its_kind(parts):
    task, model, batch = parts
    metrics = task.metrics()
    task.update_metrics(metrics, model(batch), batch)
    task.results(metrics, learn=True)
    other = type(task)(task.config, task.spec)
    other.load_state(task.state())
    assert other.state() == task.state()
    assert other.describe(model(batch)) == task.describe(model(batch))
    with pytest.raises(ValueError, match="hold"):
        other.load_state({"another": 1})


def test_softened_targets_can_be_averaged(parts):
    task, model, batch = parts
    soft = task.soften(batch.targets)
    if soft is None:
        pytest.skip("the targets cannot be averaged")
    assert soft.keys() == batch.targets.keys()
    assert all(value.is_floating_point() for value in soft.values())
    output = model(batch)
    torch.testing.assert_close(task.loss(output, replace(batch, targets=soft)), task.loss(output, batch))


@pytest.mark.parametrize("explainer", EXPLAINERS)
@fitting
def test_every_explainer_that_fits_gives_a_map(task_name, model_name, modality, explainer):
    task, model, batch = with_model(task_name, model_name, modality)
    if explainer == "gradcam" and model.last_map() is None:
        pytest.skip("no convolutional map")
    output, attention = base.look(model, batch, layers=False)
    choice = task.choose(output).detach()
    found = make_explainer(explainer, model, task, **FEW.get(explainer, {}))(batch, choice)
    assert found.shape == attention.importance.shape
    assert found.isfinite().all()
    own = base.own_parts(batch, attention.grids)
    if own is not None:
        assert not found[~own].any()
    if not base.make(explainer, model, task).signed:
        torch.testing.assert_close(found.sum(1), torch.ones(len(batch)))


@fitting
def test_a_study_measures_it(task_name, model_name, modality):
    task, model, batch = with_model(task_name, model_name, modality)
    study = Study(model, task, ["attention", "occlusion"], "mask")
    explained = study.explain(batch)
    study.measure(explained)
    found = study.result()
    assert found["removal"] == "mask"
    assert set(found["scores"]) == {"attention", "occlusion", FLOOR}
    for scores in found["scores"].values():
        assert all(np.isfinite(numbers).all() for numbers in scores.values())
    own = base.own_parts(batch, explained.attention.grids)
    ranked = 1.0 if own is None else (own.sum(1) > 1).float().mean().item()  # a single part has no order
    assert found["scores"]["occlusion"]["rank_correlation"][0] == pytest.approx(ranked)
