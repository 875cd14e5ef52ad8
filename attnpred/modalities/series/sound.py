"""Sounds as series: the energy of bands of pitch, frame by frame, on a logarithmic scale (log-mel)."""

import io
import wave
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**28  # bytes of a file
WIDTHS = {1: "u1", 2: "<i2", 4: "<i4"}  # of a sample in bytes, and its format in a WAV
MOST_SAMPLES = 2**27  # of a sound, at the rate it is brought to too
BLOCK = 4096  # frames at once
MOST = 200_000  # of an option
QUIET = 1e-6  # energy that counts as silence


@dataclass(frozen=True)
class Sound:
    """How sounds are brought into frames."""

    rate: int  # samples a second that they are brought to
    bands: int
    hop: int  # samples from one frame to the next
    window: int  # samples that a frame is made of

    def series(self, content: bytes | Path) -> NDArray[np.float32]:
        """(frames, bands); ValueError or OSError for what is no sound that can be read."""
        samples, rate = decoded(content)
        if len(samples) * self.rate > MOST_SAMPLES * rate:
            raise ValueError(f"lasts {len(samples) / rate:,.0f} s, of at most {MOST_SAMPLES / self.rate:,.0f}")
        if rate != self.rate:
            from scipy.signal import resample_poly

            common = gcd(rate, self.rate)
            samples = resample_poly(samples, self.rate // common, rate // common)
        if len(samples) < self.window:
            samples = np.pad(samples, (0, self.window - len(samples)))
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.window)[:: self.hop]
        return np.concatenate([self._bands_of(frames[at : at + BLOCK]) for at in range(0, len(frames), BLOCK)])

    def _bands_of(self, frames: NDArray[np.float64]) -> NDArray[np.float32]:
        spectrum = np.abs(np.fft.rfft(frames * np.hanning(self.window), axis=1)) ** 2  # (frames, frequencies)
        return np.log(spectrum @ _bands(self).T + QUIET).astype(np.float32)


def decoded(content: bytes | Path) -> tuple[NDArray[np.float64], int]:
    """Samples of -1 to 1, channels averaged, and how many a second there are."""
    if isinstance(content, Path):
        if not content.is_file():
            raise ValueError("is no file")
        if content.stat().st_size > LARGEST:
            raise ValueError(f"is larger than {LARGEST // 2**20} MiB")
        content = content.read_bytes()
    if content[:4] == b"fLaC":
        return _flac(content)
    try:
        with wave.open(io.BytesIO(content)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"is no WAV or FLAC that can be read ({error or 'it ends too soon'})") from None
    if not channels or not rate or width not in (*WIDTHS, 3):
        raise ValueError(f"has {width} bytes a sample, {channels} channels and {rate} samples a second")
    numbers = _of_three_bytes(raw) if width == 3 else np.frombuffer(raw[: len(raw) // width * width], WIDTHS[width])
    even = (numbers.astype(np.float64) - (128 if width == 1 else 0)) / 2 ** (8 * width - 1)
    whole = even[: len(even) // channels * channels].reshape(-1, channels).mean(1)
    if not len(whole):
        raise ValueError("holds no sound")
    return whole, rate


def _of_three_bytes(raw: bytes) -> NDArray[np.int32]:
    parts = np.frombuffer(raw[: len(raw) // 3 * 3], "u1").reshape(-1, 3)
    whole = np.zeros((len(parts), 4), np.uint8)
    whole[:, 1:] = parts
    return whole.view("<i4")[:, 0] >> 8


def _flac(content: bytes) -> tuple[NDArray[np.float64], int]:
    try:
        import soundfile
    except ImportError:
        raise ValueError("is FLAC, which needs soundfile: pip install 'attnpred[audio]'") from None
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.frames * file.channels > MOST_SAMPLES:
                raise ValueError(f"unpacks to {file.frames * file.channels:,} samples, of at most {MOST_SAMPLES:,}")
            samples, rate = file.read(dtype="float64", always_2d=True), file.samplerate
    except RuntimeError as error:
        raise ValueError(f"is no FLAC that can be read ({error})") from None
    if not len(samples):
        raise ValueError("holds no sound")
    return samples.mean(1), int(rate)


@cache
def _bands(sound: Sound) -> NDArray[np.float64]:
    """(bands, frequencies): triangles at even distances of pitch as people hear it."""
    frequencies = np.linspace(0, sound.rate / 2, sound.window // 2 + 1)
    edges = _hertz(np.linspace(0, _mel(sound.rate / 2), sound.bands + 2))
    up = (frequencies - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - frequencies) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(np.minimum(up, down), 0)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 700 * (10 ** (mel / 2595) - 1)
    return found


def sound_of(options: Any, bands: int) -> Sound:
    """What a run directory says of it; ValueError where that is something else."""
    names = {"rate", "bands", "hop", "window"}
    if not isinstance(options, dict) or options.keys() != names:
        raise ValueError("reader has other options of sounds")
    if not all(type(v) is int and 0 < v <= MOST for v in options.values()) or options["bands"] != bands:
        raise ValueError("reader has other options of sounds")
    return Sound(**options)
