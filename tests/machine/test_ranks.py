"""Training on several machines: processes that torchrun or SLURM started are one run, as on one machine."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from attnpred.cli import main
from attnpred.config import compose
from attnpred.errors import UserError
from attnpred.machine import device, ranks
from attnpred.runs.run import Run
from tests.died import records

REPOSITORY = Path(__file__).parents[2]
SMALL = [
    *("model=transformer", "data=digits", "model.width=16", "model.depth=1", "model.heads=2", "trainer.max_epochs=2"),
    *("model.dropout=0", "model.attention_dropout=0", "trainer.precision=32-true", "trainer.log_every_steps=5"),
    *("logger=none", "checkpoint.every_steps=10"),
]
TWO = ["trainer=ddp_cpu", "trainer.devices=1", "trainer.nodes=2", "data.batch_size=32"]
ONE = ["trainer=cpu", "data.batch_size=64"]


def slurm_tells(rank, port=None):
    """What srun has in the environment of one of two tasks, a machine each."""
    told = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "train",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_PROCID": str(rank),
        "SLURM_NODEID": str(rank),
        "SLURM_LOCALID": "0",
    }
    return told | ({} if port is None else {"MASTER_PORT": str(port)})


@pytest.fixture
def srun(monkeypatch):
    def become(rank=0, **changes):
        for name, value in (slurm_tells(rank) | changes).items():
            monkeypatch.setenv(name, value)

    return become


class Machines:
    """Two processes that look like two machines, with the same command."""

    def __init__(self, place, overrides, *, starter=(), prefix=((), ()), **environment):
        place = [f"output_dir={place / 'outputs'}", f"data.cache_dir={place / 'cache'}"]
        port = random.randint(20000, 30000)
        self.children = []
        for rank in range(2):
            program = [word.format(rank=rank, port=port) for word in starter] or [sys.executable]
            command = [*prefix[rank], *program, "-m", "attnpred", "train", *overrides, *place]
            told = environment if starter else slurm_tells(rank, port) | environment
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            self.children.append(subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, **told}, **pipes))

    def end(self):
        """Their exit codes, and what each wrote to stdout and stderr."""
        try:
            said = [child.communicate(timeout=240) for child in self.children]
        finally:
            for child in self.children:
                child.kill()
        return [child.returncode for child in self.children], *zip(*said, strict=True)


def runs(place):
    return [file.parent for file in place.rglob("run.json")]


TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--node-rank={rank}", "--nproc-per-node=1"),
    *("--master-addr=127.0.0.1", "--master-port={port}"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A run of two machines by torchrun."""
    place = tmp_path_factory.mktemp("pair")
    codes, out, err = Machines(place, [*SMALL, *TWO], starter=TORCHRUN).end()
    assert codes == [0, 0], err
    (run,) = runs(place)
    assert [text.splitlines() for text in out] == [[str(run)], []]
    return run


@pytest.mark.slow
def test_two_machines_learn_as_one_with_the_doubled_batch(pair, tmp_path, capsys):
    assert main(["train", *SMALL, *ONE, f"output_dir={tmp_path}", f"data.cache_dir={tmp_path / 'cache'}"]) == 0
    (single,) = runs(tmp_path)
    ours, theirs = records(Run(pair)), records(Run(single))
    assert [line.keys() for line in ours] == [line.keys() for line in theirs]
    losses = 0
    for line, expected in zip(ours, theirs, strict=True):
        assert line == pytest.approx(expected, rel=1e-3, abs=1e-5)
        losses += "train/loss" in line
    assert losses > 5


@pytest.mark.slow
def test_a_run_of_two_machines_says_so(pair, capsys):
    described = json.loads((pair / "run.json").read_text())
    assert described["status"] == "done"
    assert (pair / "config.yaml").read_text().count("nodes: 2") == 1
    assert main(["evaluate", str(pair)]) == 0  # which needs one machine


@pytest.mark.long
def test_what_was_interrupted_goes_on_by_the_same_command(pair, tmp_path):
    requeued = [*SMALL, *TWO, "resume=auto"]
    machines = Machines(tmp_path, requeued)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("last.ckpt")):
        assert all(child.poll() is None for child in machines.children), machines.end()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    machines.children[1].send_signal(signal.SIGTERM)  # one alone; the other leaves with it
    codes, out, err = machines.end()
    (run,) = runs(tmp_path)
    if codes != [0, 0]:  # it may have come to its end before
        assert codes == [143, 143], err
        assert out == ("", "")
        assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
        codes, out, err = Machines(tmp_path, requeued).end()
        assert (codes, runs(tmp_path)) == ([0, 0], [run]), err
        assert out[0].splitlines() == [str(run)]
    assert records(Run(run)) == records(Run(pair))


@pytest.mark.slow
def test_a_mistake_is_told_once_and_ends_all(tmp_path):
    codes, out, err = Machines(tmp_path, [*SMALL, *TWO, "trainer.max_epochz=1"]).end()
    assert codes == [2, 2]
    assert [text.splitlines()[-1:] for text in err] == [
        ["error: trainer.max_epochz: no such option; did you mean trainer.max_epochs?"],
        [],
    ]
    assert out == ("", "")
    assert not (tmp_path / "outputs").exists()


@contextmanager
def network():
    """Two network namespaces, joined by a cable: addresses and names of the ends."""
    names = [f"attnpred{os.getpid()}{end}" for end in "ab"]
    cable = [f"ap{os.getpid() % 10**8}{end}" for end in "ab"]
    addresses = ["10.77.0.1", "10.77.0.2"]

    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True, check=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cable[0], "type", "veth", "peer", "name", cable[1])
        for name, end, address in zip(names, cable, addresses, strict=True):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        pytest.skip(f"no network namespaces can be made here: {getattr(error, 'stderr', error)}")
    try:
        yield names, cable, addresses
    finally:
        for name in names:
            ip("netns", "del", name)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("ip") is None or os.geteuid() != 0, reason="network namespaces need root and ip")
@pytest.mark.long
def test_two_networks_make_one_run(pair, tmp_path):
    with network() as (names, cable, addresses):
        prefix = [
            ["ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME={end}"]
            for name, end in zip(names, cable, strict=True)
        ]
        codes, _, err = Machines(tmp_path, [*SMALL, *TWO], prefix=prefix, MASTER_ADDR=addresses[0]).end()
    assert codes == [0, 0], err
    (run,) = runs(tmp_path)
    assert records(Run(run)) == records(Run(pair))


def test_a_process_that_srun_started_knows_its_place(srun):
    srun(rank=1)
    own = ranks.crew()
    assert own == ranks.Crew(rank=1, world=2, devices=1, starter="srun")
    assert own.nodes == 2
    environment = ranks.environment()
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue
    assert (environment.global_rank(), environment.world_size(), environment.main_address) == (1, 2, "127.0.0.1")


def test_a_process_of_a_batch_script_or_a_single_task_is_alone(srun, monkeypatch):
    srun(SLURM_STEP_NUM_TASKS="1")
    assert ranks.crew() is None
    srun(SLURM_JOB_NAME="interactive")
    assert ranks.crew() is None
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    srun(SLURM_NTASKS="8")
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    assert ranks.crew() is None
    assert isinstance(ranks.environment(), LightningEnvironment)


def test_a_process_that_torchrun_started_knows_its_place(monkeypatch):
    told = {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert ranks.crew() == ranks.Crew(rank=5, world=8, devices=4, starter="torchrun")
    assert ranks.crew().nodes == 2


def test_srun_without_tasks_a_machine_is_refused(srun, monkeypatch):
    srun()
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(UserError, match="--ntasks-per-node"):
        ranks.environment()


def test_what_was_started_must_be_what_was_asked_for():
    crew = ranks.Crew(rank=0, world=4, devices=2, starter="srun")
    asked = compose.compose(["trainer=ddp_cpu", "trainer.devices=2"]).trainer
    with pytest.raises(UserError, match=r"trainer.nodes=1: srun started 2 .* set trainer.devices=2 trainer.nodes=2"):
        device.choose(asked, crew)
    chosen = device.choose(
        compose.compose(["trainer=ddp_cpu", "trainer.nodes=2", "trainer.devices=auto"]).trainer, crew
    )
    assert (chosen.devices, chosen.nodes, chosen.world, chosen.strategy) == (2, 2, 4, "ddp")


def test_several_machines_need_to_be_started_as_such(tmp_path, capsys):
    assert main(["train", *TWO, f"output_dir={tmp_path / 'outputs'}"]) == 2
    assert "trainer.nodes=2: this process was started alone; have torchrun or srun" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


def test_a_sweep_is_begun_by_one_process(srun, tmp_path, capsys):
    srun()
    assert main(["train", "-m", "seed=0,1", f"output_dir={tmp_path / 'outputs'}"]) == 2
    assert "-m: a sweep is begun by one process" in capsys.readouterr().err
