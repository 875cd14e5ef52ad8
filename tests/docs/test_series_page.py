"""What docs/series.md says of commands, options and models is so."""

import re
from pathlib import Path

import pytest

from attnpred.config import compose
from attnpred.modalities.series.audio import AudioConfig
from attnpred.modalities.series.data import SeriesDataConfig
from attnpred.tasks.forecasting import ForecastingConfig

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "series.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    python train\.py (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_composes(command):
    compose.compose(command.split())


def test_every_option_is_there():
    data = {name for kind in (SeriesDataConfig, AudioConfig) for name in kind.__dataclass_fields__}
    assert set(re.findall(r"\bdata\.(\w+)", PAGE)) <= data
    assert set(re.findall(r"\btask\.(\w+)", PAGE)) <= set(ForecastingConfig.__dataclass_fields__)
    for name in ("linear", "transformer", "recurrent", "tcn"):
        assert f"| `{name}` |" in PAGE
        assert "series" in compose.compose([f"model={name}", "data=series", "task.horizon=6"]).model.accepts
