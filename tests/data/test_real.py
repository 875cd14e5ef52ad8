"""The shipped datasets' own files, where a local copy is at hand."""

import os
from pathlib import Path

import pytest
import yaml

from attnpred.config.options import DataConfig
from attnpred.config.schema import build
from tests.data.made import text_data

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf/data"
# read before a fixture hides it
COPIES = Path(os.environ.get("ATTNPRED_DATA") or ROOT.parent / "shared/data")


def shipped(name, **changes):
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    values.pop("defaults", None)  # of Hydra, which task it brings
    return build(DataConfig, {**values, **changes}, "data")


@pytest.mark.parametrize("name", [path.stem for path in sorted(CONF.glob("*.yaml"))])
def test_shipped_options_are_valid(name):
    options = shipped(name)
    assert options.name == name
    assert (CONF / f"{name}.yaml").read_text().startswith("# ")


@pytest.mark.slow
def test_sst2(tmp_path, monkeypatch):
    if not (COPIES / "glue/sst2").is_dir():
        pytest.skip(f"no copy of SST-2 below {COPIES}; set ATTNPRED_DATA to a folder that holds glue/")
    import torch

    from attnpred.contracts import Attention

    monkeypatch.setenv("ATTNPRED_DATA", str(COPIES))
    data = text_data(shipped("sst2", cache_dir=str(tmp_path)))
    assert data.target_spec.classes == ("negative", "positive")
    sizes = {split: sum(len(batch) for batch in data.loader(split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 63982, "val": 3367, "test": 872}
    [found] = next(data.reader.readings(["an unflinchingly moving film"], 1)).describe(Attention(torch.ones(1, 64)))
    assert found["words"] == ["an", "unflinchingly", "moving", "film"]
    assert found["attention"][0] == found["attention"][3]
