"""Which weights decay, at which rate each level moves, and what Muon does."""

import copy
import sys

import pytest
import torch

from attnpred.config import compose, packages
from attnpred.config.optimizer_options import of_torch
from attnpred.errors import UserError
from attnpred.models.base import Model
from attnpred.models.predicted import require_predicted
from attnpred.training import optimizers
from attnpred.training.schedule import course
from tests.config import packages_made
from tests.models.made import IMAGE, TEXT, image_batch, make_model, text_batch


def options(**values):
    return compose.compose([f"optimizer.{key}={value}" for key, value in values.items()]).optimizer


def named(model, optimizer):
    """Each trained parameter's group, by name."""
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    return {name: groups[id(p)] for name, p in model.named_parameters() if id(p) in groups}


@pytest.mark.parametrize("name", ["transformer", "bert"])
def test_norms_biases_and_embeddings_are_not_decayed(name):
    model = make_model(name, TEXT)
    groups = named(model, optimizers.make(model, options(weight_decay=0.3), fused=False))
    assert len(groups) == len(list(model.parameters()))
    decayed = {name for name, group in groups.items() if group["weight_decay"]}
    assert decayed
    assert not [n for n in decayed if "norm" in n.lower() or "bias" in n or "embed" in n]
    assert {n for n in groups if n.endswith(("qkv.weight", "query.weight", "head.weight"))} <= decayed


@pytest.mark.parametrize(("name", "spec"), [("transformer", TEXT), ("resnet_attention", IMAGE), ("bert", TEXT)])
def test_each_lower_level_moves_more_slowly(name, spec):
    model = make_model(name, spec)
    groups = named(model, optimizers.make(model, options(lr=1.0, layer_decay=0.5), fused=False))
    depth = len(model.levels())
    assert depth == {"transformer": 4, "resnet_attention": 6, "bert": 4}[name]
    assert groups["head.weight"]["lr"] == 1.0
    for level, modules in enumerate(model.levels()):
        owned = {id(p) for module in modules for p in module.parameters()}
        rates = {groups[n]["lr"] for n, p in model.named_parameters() if id(p) in owned}
        assert rates == {0.5 ** (depth - 1 - level)} or not owned


def test_what_is_in_no_level_moves_as_the_input_does():
    model = make_model("transformer", TEXT, pooling="cls")
    groups = named(model, optimizers.make(model, options(lr=1.0, layer_decay=0.5), fused=False))
    assert groups["cls"]["lr"] == groups["embed.table.weight"]["lr"] == 0.5**3


@pytest.mark.parametrize(("lr", "predicted"), [(1e-5, 5e-3), (0.1, 0.1)])
def test_what_predicts_attention_moves_even_where_a_model_is_only_fine_tuned(lr, predicted):
    model = make_model("transformer", TEXT, attention_loss="faithful")
    rates = {
        name: group["lr"] for name, group in named(model, optimizers.make(model, options(lr=lr), fused=False)).items()
    }
    assert {rate for name, rate in rates.items() if name.startswith("predicted.")} == {predicted}
    assert {rate for name, rate in rates.items() if not name.startswith("predicted.")} == {lr}


def test_muon_moves_hidden_matrices_by_steps_of_equal_singular_values():
    model = make_model("resnet_attention", IMAGE)
    optimizer = optimizers.make(model, options(name="muon", lr=0.1, weight_decay=0.0, momentum=0.9), fused=False)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(image_batch()).answer.square().sum().backward()
    optimizer.step()
    kernel = model.get_parameter("blocks.0.first.weight")
    change = (kernel.detach() - before["blocks.0.first.weight"]).flatten(1)
    values = torch.linalg.svdvals(change)
    assert values.min() > 0.4 * values.max()
    assert values.mean() == pytest.approx(0.1 * 0.2 * max(change.shape) ** 0.5, rel=0.4)
    # AdamW's first step is the rate wherever there is a gradient
    head = (model.head.weight.detach() - before["head.weight"]).abs()
    torch.testing.assert_close(head, torch.full_like(head, 0.1), rtol=1e-3, atol=0)
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_muon_goes_on_from_its_state():
    def steps(count, model, optimizer):
        for seed in range(count):
            optimizer.zero_grad()
            model(text_batch(seed=seed)).answer.square().sum().backward()
            optimizer.step()

    chosen = options(name="muon", lr=0.01)
    first = make_model("transformer", TEXT)
    optimizer = optimizers.make(first, chosen, fused=False)
    steps(2, first, optimizer)
    second = make_model("transformer", TEXT)
    second.load_state_dict(first.state_dict())
    resumed = optimizers.make(second, chosen, fused=False)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for group in resumed.param_groups:
        group["lr"] = 0.02
    for group in optimizer.param_groups:
        group["lr"] = 0.02
    steps(2, first, optimizer)
    steps(2, second, resumed)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_optimizer_holds_what_is_frozen():
    model = make_model("transformer", TEXT)
    model.freeze(2, [])
    groups = named(model, optimizers.make(model, options(name="muon"), fused=False))
    assert not [name for name in groups if name.startswith(("embed", "layers.0"))]
    assert [name for name in groups if name.startswith("layers.1")]


def test_muon_without_a_hidden_matrix_is_adamw():
    model = make_model("transformer", TEXT)
    model.freeze(3, [])
    assert isinstance(optimizers.make(model, options(name="muon"), fused=False), torch.optim.AdamW)


def test_the_rate_that_was_reached_comes_back_with_the_state():
    model = make_model("resnet_attention", IMAGE)
    chosen = options(name="muon", lr=0.01)
    first, second = (optimizers.make(model, chosen, fused=False) for _ in range(2))
    for group in first.param_groups:
        group["lr"] = 0.003
    first.step()
    second.load_state_dict(first.state_dict())
    assert {group["lr"] for group in second.param_groups} == {0.003}


class Flat(Model):
    """Says nothing of its levels."""

    def __init__(self, config, spec):
        super().__init__(config, spec)
        self.first = torch.nn.Linear(4, 4)
        self.norm = torch.nn.LayerNorm(4)
        self.head = torch.nn.Linear(4, 2)

    def entrance(self):
        return self.first

    def forward(self, batch, *, need_attention=False, need_layers=True): ...


@pytest.fixture
def flat():
    return Flat(make_model("transformer", TEXT).config, TEXT)


def test_muon_is_refused_where_no_weight_is_known_to_be_hidden(flat):
    with pytest.raises(UserError, match=r"optimizer\.name=muon: Flat does not say by levels\(\)"):
        optimizers.make(flat, options(name="muon"), fused=False)
    flat.freeze(0, ["first", "head"])  # nothing is left that could be hidden
    assert isinstance(optimizers.make(flat, options(name="muon"), fused=False), torch.optim.AdamW)


def test_nothing_left_to_train_is_one_line(flat):
    flat.freeze(0, ["first", "norm", "head"])
    with pytest.raises(UserError, match=r"model\.frozen: leaves nothing to train"):
        optimizers.check(flat, options())


def test_a_model_that_was_asked_to_predict_its_attention_must(flat):
    asked = make_model("transformer", TEXT, attention_loss="faithful")
    require_predicted(asked)
    flat.config = asked.config
    with pytest.raises(UserError, match=r"model\.attention_loss=faithful: Flat never sets `predicted`"):
        require_predicted(flat)


@pytest.mark.parametrize("name", ["RAdam", "torch.optim.RAdam", "AdamW", "SGD", "RMSprop", "Adagrad"])
def test_a_class_of_torch_has_the_same_groups_as_ours(name):
    model = make_model("transformer", TEXT)
    chosen = {"lr": 1e-2, "layer_decay": 0.5, "weight_decay": 0.3}
    ours = named(model, optimizers.make(model, options(**chosen), fused=True))
    optimizer = optimizers.make(model, options(name=name, **chosen), fused=True)
    assert type(optimizer) is getattr(torch.optim, name.rpartition(".")[2])
    for key, group in named(model, optimizer).items():
        assert (group["lr"], group["weight_decay"]) == (ours[key]["lr"], ours[key]["weight_decay"])
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    model(text_batch()).answer.square().sum().backward()
    optimizer.step()
    assert not torch.equal(before["head.weight"], model.head.weight)


def test_momentum_and_arguments_reach_a_class_of_torch():
    model = make_model("transformer", TEXT)
    chosen = options(name="RAdam", momentum=0.7, beta2=0.8, arguments="{eps: 1e-3}")
    assert optimizers.make(model, chosen, fused=False).defaults["betas"] == (0.7, 0.8)
    assert optimizers.make(model, chosen, fused=False).defaults["eps"] == 1e-3
    chosen = options(name="NAdam", arguments="{betas: [0.5, 0.6]}")
    assert list(optimizers.make(model, chosen, fused=False).defaults["betas"]) == [0.5, 0.6]
    assert optimizers.make(model, options(name="SGD", momentum=0.4), fused=False).defaults["momentum"] == 0.4


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"name": "RAdam", "arguments": "{epss: 1}"}, "optimizer.arguments.epss: RAdam takes betas, eps"),
        ({"name": "RAdam", "arguments": "{epss: 1}"}, "did you mean eps?"),
        ({"name": "RAdam", "arguments": "{lr: 1}"}, "optimizer.arguments.lr: is optimizer.lr; leave it out"),
        ({"name": "Adam", "arguments": "{fused: true}"}, "follows from trainer.precision; leave it out"),
        ({"name": "RAdam", "arguments": "{eps: -1}"}, "optimizer.name=RAdam: Invalid epsilon value: -1"),
        ({"name": "RAdam", "arguments": "{eps: a}"}, "optimizer.arguments={'eps': 'a'}: "),
        ({"name": "Rprop", "weight_decay": 0.1}, "optimizer.weight_decay=0.1: Rprop has none; set it to 0"),
        ({"name": "LBFGS", "weight_decay": 0}, "optimizer.name=LBFGS: LBFGS doesn't support per-parameter options"),
    ],
)
def test_what_a_class_of_torch_does_not_take_is_one_line(chosen, expected):
    model = make_model("transformer", TEXT)
    with pytest.raises(UserError) as error:
        optimizers.check(model, options(**chosen))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_class_without_decay_trains_without():
    model = make_model("transformer", TEXT)
    optimizer = optimizers.make(model, options(name="Rprop", weight_decay=0), fused=False)
    assert len(named(model, optimizer)) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"name": "radam"}, "did you mean RAdam?"),
        ({"name": "torch.optim.RAdm"}, "did you mean RAdam?"),
        ({"name": "torch.nn.Linear"}, "must be one of adamw, sgd, muon, a class of torch.optim"),
        ({"name": "lr_scheduler"}, "must be one of adamw, sgd, muon, a class of torch.optim"),
        ({"name": "Optimizer"}, "must be one of adamw, sgd, muon, a class of torch.optim"),
        ({"name": "other.optim.Lion"}, "other.optim.Lion: made with other; give --package other if you trust it"),
        ({"arguments": "{eps: 1}"}, "are for classes of torch.optim or of packages, not for sgd"),
        ({"schedule": "cosin"}, "did you mean cosine?"),
        ({"schedule": "other.optim.halves"}, "made with other; give --package other if you trust it"),
    ],
)
def test_a_name_that_there_is_not_is_answered_before_anything_is_made(chosen, expected):
    with pytest.raises(UserError) as error:
        options(**chosen)
    assert str(error.value).startswith("optimizer.")
    assert expected in str(error.value)


def test_every_optimizer_of_torch_is_known_without_importing_it():
    kinds = [kind for kind in vars(torch.optim).values() if isinstance(kind, type)]
    optimizers_of_torch = {k.__name__ for k in kinds if issubclass(k, torch.optim.Optimizer)} - {"Optimizer"}
    assert set(of_torch()) == optimizers_of_torch


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A package with an optimizer and a schedule."""
    packages_made.write(tmp_path, "optimizing_package")
    monkeypatch.syspath_prepend(tmp_path)
    packages.trust(["optimizing_package"])
    yield "optimizing_package.optim"
    packages.trust()
    for module in [module for module in sys.modules if module.startswith("optimizing_package")]:
        del sys.modules[module]


def test_an_optimizer_of_a_package(theirs):
    model = make_model("transformer", TEXT)
    chosen = options(name=f"{theirs}.Signs", lr=0.1, layer_decay=0.5, arguments="{size: 0.5}")
    groups = named(model, optimizers.make(model, chosen, fused=True))
    assert (groups["head.weight"]["lr"], groups["embed.table.weight"]["lr"]) == (0.1, 0.1 * 0.5**3)
    assert groups["head.weight"]["size"] == 0.5
    for arguments, expected in (("{size: -1}", "size=-1 is below 0"), ("{sise: 1}", "did you mean size?")):
        with pytest.raises(UserError, match=expected):
            optimizers.check(model, options(name=f"{theirs}.Signs", arguments=arguments))
    with pytest.raises(UserError, match=r"holds no Sign; mend the name; did you mean optimizing_package.optim.Signs\?"):
        options(name=f"{theirs}.Sign")
    with pytest.raises(UserError, match="is no class; name one"):
        optimizers.check(model, options(name=f"{theirs}.NUMBER"))


def test_a_schedule_of_a_package(theirs):
    chosen = options(schedule=f"{theirs}.halves")
    assert [course(chosen)(step, 10, chosen) for step in (0, 1, 3)] == [1.0, 0.5, 0.125]
    with pytest.raises(UserError, match="is no function; name one of"):
        course(options(schedule=f"{theirs}.NUMBER"))
