"""The things that are spoilt: small runs, sweeps of jobs that only look like runs, and an encoder, made on the spot."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from attnpred.cli import main
from attnpred.sweep import job
from tests.data.made import make_text_source
from tests.models.made import make_encoder
from tests.safety.made import QUICK, edit_json
from tests.sweep.made import FAKE, LR, OPTUNA

OFTEN = ["checkpoint.every_steps=1", "trainer.max_steps=3", "trainer.limit_batches=3", "logger=csv"]
TEXT = ["model=transformer", "data=imdb", "data.max_length=24", "model.heads=2"]
SEARCH = [OPTUNA, LR, "hydra.sweeper.n_trials=2", "hydra.sweeper.startup_trials=1"]


def make(names: set[str], bases: Path) -> None:
    """Those of the names, in a process of its own: training leaves threads behind, which no fork bears."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
            for name in sorted(names):
                MAKERS[name](bases)
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError("the bases could not be made")


def _run(name: str, choice: list[str], bases: Path) -> Path:
    """A run that stands before its last steps."""
    own = [f"output_dir={bases / 'made' / name}", f"data.cache_dir={bases / 'cache'}"]
    assert main(["train", *choice, *own, *QUICK, *OFTEN]) == 0
    (described,) = (bases / "made" / name).rglob("run.json")
    edit_json(described, lambda values: values.update(status="interrupted", pruned="2020-01-01"))
    edit_json(described, lambda values: values.pop("pruned"))
    config = described.parent / "config.yaml"
    config.write_text(config.read_text().replace("max_steps: 3", "max_steps: 4"))
    return described.parent.rename(bases / name)


def _text(bases: Path) -> None:
    source = make_text_source(bases / "made" / "imdb")
    _run("text", [*TEXT, f"data.source={source}"], bases)


def _image(bases: Path) -> None:
    run = _run("image", ["data=digits"], bases)
    Image.new("L", (8, 8), 100).save(run / "digit.png")


def _other(name: str, bases: Path) -> None:
    """A run on data of another modality, and a table to ask it about."""
    from tests.siege.kinds import modalities  # which imports what trains

    kind = modalities.ASKED[name]
    source = bases / "made" / f"{name}-data"
    source.mkdir(parents=True)
    modalities.beside(kind, source)
    (source / "good.jsonl").write_bytes(
        modalities.as_lines([modalities.TABLES[kind](i) for i in range(modalities.COUNT)])
    )
    chosen = [one for one in modalities.choice(kind) if one not in QUICK]
    run = _run(name, [*chosen, f"data.source={source / 'good.jsonl'}"], bases)
    shutil.copytree(source, run / "theirs")


def _sweep(name: str, overrides: list[str], bases: Path) -> None:
    """A sweep whose last job is still to be done; the first one has curves."""
    job.PROGRAM[:] = FAKE
    os.environ["ATTNPRED_FAKE"] = json.dumps({"curve": 2})
    os.chdir(bases)
    assert main(["train", "-m", f"output_dir={bases / 'made' / name}", *overrides]) == 0
    os.environ["ATTNPRED_FAKE"] = "{}"
    (made,) = (bases / "made" / name).glob("*/*-sweep-*")
    shutil.rmtree(made / "plots", ignore_errors=True)

    def edit(values: dict) -> None:
        values.update(
            status="interrupted", overrides=[o for o in values["overrides"] if not o.startswith("output_dir")]
        )
        for one in values["jobs"]:
            one["overrides"] = [text for text in one["overrides"] if not text.startswith("output_dir")]
        values["jobs"][-1]["status"] = "running"

    edit_json(made / "sweep.json", edit)
    made.rename(bases / name)


MAKERS: dict[str, Callable[[Path], object]] = {
    "text": _text,
    "image": _image,
    **{name: partial(_other, name) for name in ("series", "translation", "crossed")},
    "encoder": lambda bases: make_encoder(bases / "encoder"),
    "grid": lambda bases: _sweep("grid", ["seed=1,2"], bases),
    "search": lambda bases: _sweep("search", SEARCH, bases),
}
