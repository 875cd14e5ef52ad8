"""What a package's code does at work: its mistakes, its callbacks, its optimizers, and runs and sweeps made with it."""

import json
from pathlib import Path

import pytest
import yaml

import attnpred
from attnpred.cli import main
from attnpred.commands import check
from attnpred.config import packages
from attnpred.errors import Theirs, UserError
from attnpred.runs import checkpoint_files
from attnpred.sweep.state import Sweep
from tests.config import packages_made
from tests.safety.made import QUICK, edit_json

pytestmark = pytest.mark.usefixtures("_alone")

FEW = ["data=digits", *QUICK]


# Mistakes in its code


def traceback_of(answer, *arguments):
    code, out, err = answer(*arguments)
    said = err[err.index("  File ") :]
    assert "attnpred/" not in said.partition("  File ")[0]
    assert "attnpred/cli.py" not in err
    assert out == ""
    return code, err


def test_a_syntax_error_shows_where_it_is(name, answer):
    packages_made.put(Path.cwd() / name / "net.py", "class NetConfig:\n    x = = 1\n")
    code, err = traceback_of(answer, "train", "--package", name, f"model._target_={name}.net.Net")
    assert code == 2
    assert f'{Path.cwd() / name / "net.py"}", line 2' in err.splitlines()[0]
    assert err.splitlines()[-1].startswith("SyntaxError: ")


def test_an_exception_in_options_shows_their_traceback(name, answer):
    text = "from attnpred.config.options import ModelConfig\nclass NetConfig(ModelConfig):\n    x = missing\n"
    packages_made.put(Path.cwd() / name / "net.py", text)
    code, err = traceback_of(answer, "train", "--package", name, f"model._target_={name}.net.Net")
    assert code == 2
    assert err.startswith("Traceback (most recent call last):\n  File ")
    assert "attnpred/" not in err
    assert err.splitlines()[-1] == "NameError: name 'missing' is not defined"


BROKEN = """
from dataclasses import dataclass
from attnpred.models.base import Model
from attnpred.models.transformer import TransformerConfig
{line}
@dataclass(kw_only=True)
class NetConfig(TransformerConfig): ...
class Net(Model): ...
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("", "TypeError: class Net lacks these methods of its base class: entrance, forward"),
    ],
    ids=["import", "abstract"],
)
def test_a_class_that_cannot_be_made_shows_their_traceback(line, expected, name, answer, place, tmp_path):
    packages_made.put(Path.cwd() / name / "net.py", BROKEN.format(line=line))
    own = ["--package", name, "model=transformer", f"model._target_={name}.net.Net", "model.heads=2"]
    code, out, err = answer("train", *own, *FEW, *place)
    said = err[err.index("Traceback") :].splitlines()
    assert (code, out, said[-1]) == (2, "", expected)
    assert said[1].startswith(f'  File "{Path.cwd() / name / "net.py"}", line ')
    assert not (tmp_path / "outputs").exists()


def test_an_exception_at_work_shows_their_traceback(package, name, answer, place, tmp_path):
    code, out, err = answer("train", "--package", name, f"model={name}_net", "model.kind=failing", *FEW, *place)
    said = err[err.index("Traceback") :].splitlines()
    assert (code, out, said[-1]) == (1, "", "ArithmeticError: their mistake")
    assert said[1].startswith(f'  File "{package / "net.py"}", line ')
    run = next((tmp_path / "outputs").rglob("run.json"))
    assert json.loads(run.read_text())["error"] == "ArithmeticError: their mistake"


def test_a_mistake_of_ours_keeps_its_traceback(package, name, monkeypatch):
    monkeypatch.setattr(check, "main", lambda args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["check", "--package", name])


# Objects that other options name


@pytest.mark.parametrize(
    ("dotted", "expected"),
    [
        ("{}.optim.halve", "holds no halve; mend the name; did you mean {}.optim.halves?"),
        ("{}.optimum.halves", "there is no module {}.optimum"),
        ("other.optim.halves", "made with other; give --package other"),
        ("halves", "no dotted name"),
    ],
)
def test_what_cannot_be_resolved_is_one_line(dotted, expected, package, name):
    packages.trust([name])
    with pytest.raises(UserError) as error:
        packages.resolve(dotted.format(name), "task.loss")
    assert str(error.value).startswith(f"task.loss={dotted.format(name)}: ")
    assert expected.format(name) in str(error.value)


def test_a_name_is_resolved_to_what_it_stands_for(package, name):
    packages.trust([name])
    assert packages.resolve(f"{name}.optim.halves", "task.loss")(2, 10, None) == 0.25
    packages_made.put(package / "bad.py", "import sys\nraise KeyError('theirs')\n")
    with pytest.raises(Theirs) as error:
        packages.resolve(f"{name}.bad.thing", "task.loss")
    assert "attnpred/config" not in error.value.text
    assert str(error.value) == "KeyError: 'theirs'"


# A run of a package


def trained(answer, name, place, *more):
    own = ["--package", name, f"model={name}_net", f"callbacks={name}_count", f"logger={name}_lines"]
    code, out, err = answer("train", *own, *FEW[:-1], *place, *more)
    assert code == 0, err
    return Path(out.strip())


def test_a_run_with_all_that_a_package_brings(name, answer, refused, place, monkeypatch, tmp_path):
    packages_made.write(tmp_path / "site", name)
    packages_made.install(tmp_path / "site", name, "1.2")
    monkeypatch.syspath_prepend(tmp_path / "site")
    own = [f"optimizer.name={name}.optim.Signs", "optimizer.arguments={size: 0.5}"]
    run = trained(answer, name, place, *own, f"optimizer.schedule={name}.optim.halves", "callbacks.count.start=5")
    assert (run / "lines.txt").read_text().startswith("2 ")
    state = checkpoint_files.load(run / "checkpoints" / "last.ckpt")["callbacks"]
    assert state["Count"] == {"count": 7}
    assert json.loads((run / "run.json").read_text())["packages_used"] == {name: "1.2"}
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["callbacks"] == {"count": {"_target_": f"{name}.extras.Count", "start": 5}}
    assert config["model"]["recompute"] is False
    assert answer("evaluate", run, "--package", name)[0] == 0
    assert attnpred.load(str(run), packages=[name]).config.model.kind == "round"
    for verb in ("evaluate", "resume", "predict"):
        line = refused(verb, run, *(["x.png"] if verb == "predict" else []))
        assert line.endswith(f"{name}.net.Net: made with {name} 1.2; give --package {name} if you trust it\n")
    edit_json(run / "run.json", lambda values: values.update(packages_used={name: ["x"]}))
    assert f"made with {name}; give" in refused("evaluate", run)


def test_a_callbacks_state_comes_back_with_the_run(package, name, answer, place):
    run = trained(answer, name, place)
    edit_json(run / "run.json", lambda values: values.update(status="interrupted"))
    changed = yaml.safe_load((run / "config.yaml").read_text())
    changed["trainer"]["max_steps"] = 4
    (run / "config.yaml").write_text(yaml.safe_dump(changed))
    assert answer("resume", run, "--package", name)[0] == 0
    assert checkpoint_files.load(run / "checkpoints" / "last.ckpt")["callbacks"]["Count"] == {"count": 4}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["callbacks={0}_cont"], "callbacks={0}_cont: must be one of {0}_count; did you mean {0}_count?"),
        (["callbacks=[{0}_count,{0}_cont]"], "callbacks={0}_cont: must be one of {0}_count"),
        (["callbacks={0}_count", "callbacks.count.strat=1"], "did you mean callbacks.count.start?"),
        (["callbacks={0}_count", "callbacks.count.start=-1"], "callbacks.count.start=-1: must be an integer"),
        (["logger={0}_lines", "logger.others.lines.file=1"], "logger.others.lines.file=1: must be a text"),
    ],
)
def test_options_of_callbacks_and_loggers_are_checked(overrides, expected, package, name, refused):
    line = refused("train", "--package", name, *(override.format(name) for override in overrides))
    assert expected.format(name) in line


def test_a_callback_is_one_of_lightnings_and_tells_its_state_apart(package, name, answer, refused, place, tmp_path):
    files = package / "conf" / "callbacks"
    packages_made.put(files / f"{name}_odd.yaml", f"odd:\n  _target_: {name}.extras.Odd\n")
    packages_made.put(files / f"{name}_again.yaml", f"again:\n  _target_: {name}.extras.Count\n")
    code, _, err = answer("train", "--package", name, f"callbacks={name}_odd", *FEW, *place)
    assert code == 2
    assert f"callbacks.odd._target_={name}.extras.Odd: is no Callback of Lightning's" in err
    both = f"callbacks=[{name}_count,{name}_again]"
    code, _, err = answer("train", "--package", name, both, *FEW, *place)
    assert (code, "callbacks.again: is of the same class as count" in err) == (2, True)
    assert not (tmp_path / "outputs").exists()


def test_no_package_no_callbacks(refused):
    assert "callbacks=ema: no package has such a file; name it by --package" in refused("train", "callbacks=ema")


def test_a_sweep_is_gone_on_with_when_its_packages_are_named_again(package, name, answer, refused, place):
    packages.trust([name])
    overrides = [f"model={name}_net", "seed=0", f"data.cache_dir={Path.cwd() / 'cache'}", *FEW]
    made = Sweep.create(
        "out",
        overrides=overrides,
        config_dir=None,
        directory=str(Path.cwd()),
        objective={"val/accuracy": "maximize"},
        packages=[name],
    )
    made.release()
    assert f"{made.path}: made with {name}; give --package {name} if you trust it" in refused("resume", made.path)
    assert Sweep.unfinished("out", overrides, None, shared=False) is None
    packages.trust([name])
    found = Sweep.unfinished("out", overrides, None, shared=False)
    assert found is not None
    found.release()
    code, out, err = answer("resume", made.path, "--package", name)
    assert (code, out.strip()) == (0, str(made.path.resolve())), err
    edit_json(made.path / "sweep.json", lambda values: values.update(packages=["../x"]))
    assert "packages is not what stands there" in refused("resume", made.path)
