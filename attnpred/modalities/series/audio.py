"""Data of sounds, which are read as series of bands of pitch: its options and the dataset."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from attnpred.config.schema import Invalid, option
from attnpred.modalities.series.sound import Sound
from attnpred.modalities.series.whole import Found, WholeSeries, WholeSeriesConfig


@dataclass(kw_only=True)
class AudioConfig(WholeSeriesConfig):
    """Options of sounds; columns names the one that holds them, or their paths."""

    rate: int = option("Samples a second that sounds are brought to.", ge=1000, le=192_000)
    bands: int = option("Bands of pitch, a variable each.", ge=4, le=512)
    hop: int = option("Samples from one frame to the next; a frame is a moment.", ge=1, le=100_000)
    window: int = option("Samples that a frame is made of.", ge=16, le=100_000)

    def check(self) -> None:
        super().check()
        if self.columns is not None and len(self.columns) != 1:
            raise Invalid("columns", "must name the one column that holds the sounds")

    def settled_by(self, sample: Callable[[], dict[str, list[Any]]], reads: str) -> Self | None:
        return None

    def sound(self) -> Sound:
        return Sound(self.rate, self.bands, self.hop, self.window)


class Audio(WholeSeries):
    """Files of sounds (WAV, FLAC), such as those of a folder with a folder a class."""

    config: AudioConfig

    def _series(self, values: Sequence[Any]) -> Found:
        (value,) = values
        content: bytes | Path
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes):
            content = value
        elif isinstance(value, str) and value:
            content = self.source.reach.file(value)
        else:
            raise ValueError("has no sound")
        return self.config.sound().series(content)

    def _names(self, variables: int) -> tuple[str, ...]:
        return tuple(f"band {i + 1}" for i in range(variables))

    def _key_of_rows(self) -> dict[str, Any]:
        return {"sound": asdict(self.config.sound())}
