"""Run directories as training leaves them, without training."""

import copy
import json

import yaml

from attnpred.config import compose

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
DEFAULT = compose.plain(compose.compose([]))


def make_run(path, options=None, *, seed=0, value=0.8, status="done", points=0, **described):
    """`options` are dotted names of the config; `value` is the accuracy; `points` lines are recorded."""
    config = copy.deepcopy(DEFAULT)
    for name, chosen in {"seed": seed, **(options or {})}.items():
        *groups, last = name.split(".")
        place = config
        for group in groups:
            place = place[group]
        place[last] = chosen
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.dump(config, Dumper=DUMPER, sort_keys=False, allow_unicode=True))
    overrides = [f"{name}={chosen}" for name, chosen in (options or {}).items()]
    told = {"status": status, "overrides": overrides, "started": "2026-01-01T00:00:00+00:00", "host": "elsewhere"}
    (path / "run.json").write_text(json.dumps({**told, **described}))
    if status == "done":
        metrics = {"loss": 1 - value, "accuracy": value, "f1": value, "step": 10, "epoch": 1}
        scores = {"attention": {"comprehensiveness": [value / 2, 0.1, 0.9]}}
        result = {"val": {"best": metrics, "final": metrics}, "test": {"accuracy": value - 0.1, "classes": []}}
        (path / "metrics.json").write_text(json.dumps({**result, "seconds": 9.5, "attention": {"scores": scores}}))
    (path / "checkpoints").mkdir()
    for name in ("best.ckpt", "last.ckpt", "checksums.json"):
        (path / "checkpoints" / name).write_bytes(b"0" * 1000)
    if points:
        (path / "metrics.jsonl").write_text("".join(json.dumps(p) + "\n" for p in recorded(points, value)))
    return path


def recorded(points, value):
    for i in range(1, points + 1):
        share = 1 - 0.5**i
        yield {"step": 10 * i, "epoch": i, "time": 1e9 + i, "train/loss": 2 * 0.5**i + (1 - value)}
        yield {"step": 10 * i, "epoch": i, "time": 1e9 + i, "val/accuracy": value * share}
