"""Forecasters: what their importance says, what a window's level does, and that nothing looks ahead."""

from dataclasses import replace

import pytest
import torch

from attnpred.contracts import AnswerSpec, Forecast, ModelSpec
from attnpred.errors import UserError
from attnpred.models.series import Level, WindowNorm, block_of, undone
from tests.models.made import SERIES, make_model, series_batch

FORECAST = Forecast(5, (0, 2))
ANSWER = AnswerSpec(10, exclusive=False, centred=True, forecast=FORECAST)
SPEC = ModelSpec({"series": SERIES}, ANSWER)
CASES = [
    *(
        ("linear", {"norm": norm, "shared": shared})
        for norm in ("standard", "last", "none")
        for shared in (True, False)
    ),
    *(("transformer", {"mixing": mixing, "shortcut": short}) for mixing in (False, True) for short in (False, True)),
    *(("recurrent", {"cell": cell, "directions": 1}) for cell in ("lstm", "gru")),
    ("tcn", {"separable": True}),
]
IDS = ["-".join((name, *map(str, changes.values()))) for name, changes in CASES]
every = pytest.mark.parametrize(("name", "changes"), CASES, ids=IDS)


@every
def test_a_forecast_is_given_and_explained(name, changes):
    model, batch = make_model(name, SPEC, **changes), series_batch()
    silent, asked = model(batch), model(batch, need_attention=True)
    assert silent.answer.shape == (4, 10)
    assert silent.answer.dtype == torch.float32
    torch.testing.assert_close(asked.answer, silent.answer, atol=1e-5, rtol=1e-5)
    importance = asked.attention.importance
    (grid,) = asked.attention.grids
    assert importance.shape == (4, batch.input.parts(grid))
    assert (importance >= 0).all()
    torch.testing.assert_close(importance.sum(1), torch.ones(4))
    lean = model(batch, need_attention=True, need_layers=False).attention
    torch.testing.assert_close(lean.importance, importance)
    silent.answer.square().sum().backward()
    assert [key for key, p in model.named_parameters() if p.grad is None] == []


@every
@torch.no_grad()
def test_a_window_lifted_by_a_level_has_its_forecast_lifted(name, changes):
    if changes.get("norm") == "none":
        pytest.skip("it takes no level")
    model, batch = make_model(name, SPEC, **changes), series_batch()
    lifted = batch.reading(replace(batch.input, values=batch.input.values + 3))
    torch.testing.assert_close(model(lifted).answer, model(batch).answer + 3, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", ["standard", "last", "none"])
@pytest.mark.parametrize("column", [0, 7, ~7])
@torch.no_grad()
def test_a_linear_forecasts_importance_is_what_its_answer_consists_of(norm, column):
    """Of a linear map what each part adds is known: the answer falls by as much when it becomes 0."""
    model, batch = make_model("linear", SPEC, norm=norm, block=4), series_batch()
    for one in model.map:
        one.bias.zero_()  # which the deviation of a window alone scales
    choice = torch.full((4,), column)
    sign = 1 if column >= 0 else -1
    found = model(batch, need_attention=True, choice=choice).attention.importance
    place = column if column >= 0 else ~column
    whole = model(batch).answer[:, place]
    falls = torch.zeros_like(found)
    for part in range(12):
        gone = torch.zeros(4, 12, dtype=torch.bool)
        gone[:, part] = True
        less = batch.reading(batch.input.without(gone, "mask", SERIES, (3, 4)))
        falls[:, part] = sign * (whole - model(less).answer[:, place])
    wanted = falls.clamp(min=0)
    some = wanted.sum(1) > 0  # else nothing speaks for it, and all share alike
    wanted = wanted[some] / wanted[some].sum(1, keepdim=True)
    torch.testing.assert_close(found[some], wanted, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_variables_go_apart_unless_they_are_mixed():
    batch = series_batch()
    values = batch.input.values.clone()
    values[:, 1] += torch.randn(16)  # which is not forecast
    other = batch.reading(replace(batch.input, values=values))
    for name, changes, apart in (
        ("linear", {}, True),
        ("transformer", {}, True),
        ("transformer", {"mixing": True}, False),
        ("tcn", {}, False),
    ):
        model = make_model(name, SPEC, **changes)
        assert torch.allclose(model(batch).answer, model(other).answer, atol=1e-6) == apart, (name, changes)


@torch.no_grad()
def test_convolutions_hear_of_no_later_moment():
    model = make_model("tcn", SPEC, norm="none")
    x = torch.randn(2, 16, 8)
    later = x.clone()
    later[:, 10:] = 7
    for block in model.layers:
        one, two = block(x), block(later)
        torch.testing.assert_close(one[:, :10], two[:, :10])
        x, later = one, two


@pytest.mark.parametrize("kind", ["standard", "last"])
def test_the_level_comes_back(kind):
    values = series_batch().input.values
    normed, level = WindowNorm(kind)(values)
    flat = Forecast(16, (0, 1, 2))
    torch.testing.assert_close(undone(normed, level, flat), values.flatten(1))
    assert isinstance(level, Level)


def test_parts_hold_as_many_moments_as_divide_the_series():
    assert block_of(336, None) == 6
    assert block_of(24, None) == 1
    with pytest.raises(ValueError, match="does not divide the 336 moments; take 48"):
        block_of(336, 50)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stride": 5}, "model.stride=5: does not divide the 16 moments; take 4"),
        ({"stride": 4, "patch": 2}, "model.patch=2: must be from the stride, 4, to the 16 moments"),
        ({"pooling": "cls"}, "model.pooling=cls: is for texts and images"),
        ({"ngrams": 2}, "model.ngrams=2: series have no tokens"),
    ],
)
def test_what_a_series_does_not_know_is_refused_in_one_line(changes, said):
    with pytest.raises(UserError, match=said):
        make_model("transformer", SPEC, **changes)


def test_models_of_a_forecast_can_predict_their_attention():
    batch = series_batch()
    for name in ("linear", "transformer", "recurrent", "tcn"):
        model = make_model(name, SPEC, attention_loss="faithful")
        importance = model(batch, need_attention=True).attention.importance
        torch.testing.assert_close(importance.sum(1), torch.ones(4))
