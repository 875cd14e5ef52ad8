"""Sweeps on a real Ray cluster of two nodes on this machine."""

import os
import signal
import sys
import threading
import time

import pytest

from attnpred.sweep.job import Job
from tests.waiting import wait_for

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster():
    """A head that runs nothing, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_health_check_period_ms": "1000"}
    before = dict(os.environ)
    os.environ.update(quiet)
    cluster = Cluster(
        initialize_head=True, head_node_args={**SMALL, "num_cpus": 0, "include_dashboard": False}, connect=False
    )
    try:
        cluster.nodes = [cluster.add_node(**SMALL) for _ in range(2)]
        yield cluster
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def on_cluster(cluster):
    return ["hydra/launcher=ray", f"hydra.launcher.address={cluster.address}", "hydra.launcher.n_jobs=3"]


def launcher(cluster, **changes):
    from attnpred.sweep.launchers.ray import Ray, RayConfig

    plain = {"n_jobs": 4, "on_failure": "continue", "address": cluster.address, "cpus": 1, "gpus": 0, "retries": 1}
    return Ray(RayConfig(_target_="", **{**plain, **changes}))


def test_stopped_jobs_save_and_those_that_wait_are_taken_back(cluster, tmp_path):
    executor = launcher(cluster)
    try:
        for number in range(3):  # one more than there are cores
            job = Job(number, [], tmp_path / str(number))
            job.directory.mkdir()
            save = f"trap 'sleep 1; touch {job.directory}/saved; exit 143' TERM"
            script = f"{save}; touch {job.directory}/begun; while :; do sleep 0.1; done"
            executor.start(job, ["bash", "-c", script], str(tmp_path))
        wait_for(lambda: len(list(tmp_path.glob("*/begun"))) == 2, seconds=60)
        executor.stop()
        ended, deadline = {}, time.monotonic() + 60
        while len(ended) < 3 and time.monotonic() < deadline:
            ended |= {job.number: code for job, code in executor.finished(0.5)}
        assert sorted(ended.values()) == [-signal.SIGTERM, 143, 143]
        assert len(list(tmp_path.glob("*/saved"))) == len(list(tmp_path.glob("*/begun"))) == 2
    finally:
        executor.close()


def test_a_search_runs_there_too(cluster, on_cluster, sweeps):
    pytest.importorskip("optuna", reason="the extra optuna is not installed")
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "optimizer.lr=interval(0.1,0.9)"]
    assert sweeps.train(*on_cluster, *search) == 0, sweeps.err
    assert sweeps.statuses() == ["done"] * 3


def test_losing_a_node_loses_no_job(cluster, on_cluster, sweeps):
    sweeps.tell(seconds=2, fail="seed=3")

    def lose():
        wait_for(lambda: len(sweeps.noted("start")) >= 2, seconds=60)
        cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    code = sweeps.train(*on_cluster, "seed=0,1,2,3")
    losing.join()
    assert code == 1
    assert sweeps.statuses() == ["done", "done", "done", "failed"]
    assert sorted(sweeps.noted("end")) == ["0", "1", "2"]
    assert len(sweeps.noted("start")) == 5, "the one that was lost began again"
    assert "told to fail" in sweeps.err


def test_no_cluster_is_said_before_anything_is_made(sweeps, monkeypatch):
    def init(**_):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", init)
    assert sweeps.train("hydra/launcher=ray", "hydra.launcher.address=auto", "seed=0,1") == 2
    assert "hydra.launcher.address=auto: no cluster answers" in sweeps.err
    assert not (sweeps.place / "outputs").exists()


def test_a_missing_package_is_named(sweeps, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert sweeps.train("hydra/launcher=ray", "seed=0,1") == 2
    assert "pip install -e '.[ray]'" in sweeps.err
