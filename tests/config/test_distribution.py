"""Anybody's distribution, installed by pip into a fresh environment, does all that the shipped classes do."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

from tests.config.distribution_made import NAME, VERSION, make_wheel

pytestmark = pytest.mark.long
REPOSITORY = Path(__file__).parents[2]
CHOSEN = ["model=lstm", "data=piped", "task=margin", "callbacks=count"]
SMALL = ["trainer=cpu", "trainer.precision=32-true", "trainer.max_epochs=2", "trainer.attention_examples=8"]


class Shop:
    """A fresh environment with the distribution, and a directory to work in."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        environment = directory / "environment"
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        self.python = environment / "bin" / "python"
        site = next(environment.glob("lib/*/site-packages"))
        # what attnpred stands on is lent, since nothing can be downloaded
        (site / "lent.pth").write_text(f"{REPOSITORY}\n{sysconfig.get_path('purelib')}\n")
        install = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(make_wheel(directory))]
        subprocess.run([str(self.python), *install], check=True)
        lines = [f"{'good|a fine' if i % 2 else 'bad|a dull'} film number {i % 7}" for i in range(160)]
        (directory / "notes.piped").write_text("\n".join(lines) + "\n")

    def say(self, *words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"HOME": str(self.directory), "OMP_NUM_THREADS": "1", **environment}
        told = subprocess.run(
            [str(self.python), "-m", "attnpred", *words],
            cwd=self.directory,
            env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert told.returncode == code, told.stderr
        return told

    def train(self, *overrides: str, code: int = 0, **environment: str) -> Path:
        told = self.say("train", *CHOSEN, *SMALL, *overrides, code=code, **environment)
        if code:
            return max(self.directory.glob("outputs/*/*"), key=lambda run: run.stat().st_ctime)
        return self.directory / told.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"))
    refused = shop.say("train", *CHOSEN, code=2)
    assert "model=lstm" in refused.stderr, "before the user allowed it, nothing of it is known"
    offered = shop.say("packages")
    assert f"{NAME}" in offered.stdout
    assert VERSION in offered.stdout
    shop.say("packages", "--allow", NAME)
    return shop


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_it_trains_resumes_evaluates_explains_and_compares(shop):
    whole = shop.train()
    assert json.loads((whole / "run.json").read_text())["packages_used"] == {NAME: VERSION}
    stopped = shop.train("trainer.log_every_steps=49", code=143, STOP_AT="11")
    shop.say("resume", str(stopped))
    assert same(whole, stopped)
    evaluated = json.loads(shop.say("evaluate", str(stopped)).stdout)
    assert 0 <= evaluated["accuracy"] <= 1
    assert evaluated["examples"] == 16
    answer = json.loads(shop.say("predict", str(stopped), "a fine film").stdout)
    assert answer["label"] in ("good", "bad")
    assert answer["words"] == ["a", "fine", "film"]
    assert sum(answer["attention"]) == pytest.approx(1)
    story = json.loads(shop.say("explain", str(stopped), "--json", "--limit", "4").stdout)
    assert len(story["examples"]) == 4
    compared = json.loads(shop.say("compare", "outputs", "--json").stdout)
    assert [group["seeds"] for group in compared["groups"]] == [[0]]


def test_two_processes_train_it(shop):
    run = shop.train("trainer=ddp_cpu", "trainer.precision=32-true", "trainer.devices=2", "seed=1")
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["callbacks"]["Count"]["count"] == state["global_step"]


def test_it_is_swept(shop):
    told = shop.say("train", "-m", *CHOSEN, *SMALL, "trainer.max_epochs=1", "seed=3,4", "output_dir=swept")
    sweep = shop.directory / told.stdout.splitlines()[-1]
    jobs = json.loads((sweep / "sweep.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["done", "done"]


def test_a_run_of_it_is_refused_where_the_package_was_forgotten(shop):
    run = shop.train("trainer.max_epochs=1")
    shop.say("packages", "--forget", NAME)
    refused = shop.say("evaluate", str(run), code=2)
    assert f"made with {NAME} {VERSION}; give --package {NAME} if you trust it" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    shop.say("evaluate", str(run), "--package", NAME)
    shop.say("packages", "--allow", NAME)
