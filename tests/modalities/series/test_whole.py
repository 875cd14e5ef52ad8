"""Whole series and sounds are classified, and numbers are told of them; from files to answers."""

import json
import wave

import numpy as np
import pytest

import attnpred
from attnpred.cli import main
from attnpred.errors import BadInput
from attnpred.modalities.series import sound
from attnpred.modalities.series.sound import Sound, decoded
from tests.died import the_run

QUICK = ["trainer.max_epochs=6", "trainer.precision=32-true", "trainer.attention_examples=8", "logger=none"]
SMALL = {
    "transformer": ["model.width=16", "model.depth=1", "model.heads=2", "model.positions=learned", "data.batch_size=8"],
    "recurrent": ["model.width=16", "data.batch_size=8"],
    "tcn": ["model.width=16", "model.depth=3"],
    "linear": [],
}
SOUND = Sound(rate=8000, bands=16, hop=80, window=200)


def rows(count=200, seed=0):
    """A bump that stands early or late in a series of noise, in one of two variables; some series are shorter."""
    random = np.random.default_rng(seed)
    for i in range(count):
        length = 24 - i % 3
        x, y = 0.3 * random.normal(size=(2, length))
        at = 6 if i % 2 else length - 6
        x[at - 2 : at + 2] += 2
        yield {"x": x.round(4).tolist(), "y": y.round(4).tolist(), "label": "early" if i % 2 else "late", "at": at / 10}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    (root / "bumps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    return root


@pytest.mark.parametrize("model", SMALL)
def test_series_are_classified(model, home, tmp_path, capsys):
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={home / 'cache'}"]
    words = [f"model={model}", "data=whole_series", f"data.source={home / 'bumps.jsonl'}", "optimizer.lr=1e-2"]
    assert main(["train", *words, *SMALL[model], *QUICK, *where]) == 0
    run = the_run(tmp_path)
    assert json.loads((run.path / "metrics.json").read_text())["test"]["accuracy"] > 0.8
    row = next(rows(seed=9))
    answer = attnpred.load(str(run.path)).predict({"x": row["x"], "y": row["y"]})[0]
    assert answer["label"] == "late"
    assert sum(map(sum, answer["attention"].values())) == pytest.approx(1)
    out = tmp_path / "answers.jsonl"
    assert main(["predict", str(run.path), "--file", str(home / "bumps.jsonl"), "--out", str(out)]) == 0
    told = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(told) == 200
    assert np.mean([one["label"] == known["label"] for one, known in zip(told, rows(), strict=True)]) > 0.8
    capsys.readouterr()
    assert main(["explain", str(run.path), "--json", "--limit", "4"]) == 0
    assert len(json.loads(capsys.readouterr().out)["examples"]) == 4


def test_a_number_is_told_of_a_series(home, tmp_path):
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={home / 'cache'}"]
    words = ["model=linear", "data=whole_series", "task=regression", "data.label_column=at", "optimizer.lr=1e-2"]
    assert main(["train", *words, f"data.source={home / 'bumps.jsonl'}", "data.columns=[x,y]", *QUICK, *where]) == 0
    assert json.loads((the_run(tmp_path).path / "metrics.json").read_text())["test"]["r2"] > 0.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x": [1.0, 2.0]}, "row 3 of data.train_split=train has no lists of numbers, of one length in all columns"),
        ({"x": [float("inf")] * 24, "y": [1.0] * 24}, "row 3 of data.train_split=train has an infinite value"),
    ],
)
def test_a_bad_row_is_told_or_skipped(change, said, tmp_path, capsys, place):
    found = list(rows(60))
    found[3] |= change
    file = tmp_path / "bad.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    words = ["train", "model=linear", "data=whole_series", f"data.source={file}", "data.columns=[x,y]", *QUICK, *place]
    assert main(words) == 2
    assert said in capsys.readouterr().err
    assert main([*words, "data.on_bad_row=skip"]) == 0


def test_forecasts_and_whole_series_are_not_mixed_up(home, tmp_path, capsys):
    words = ["train", "model=linear", "data=whole_series", "task=forecasting", f"data.source={home / 'bumps.jsonl'}"]
    assert main([*words, f"output_dir={tmp_path / 'outputs'}"]) == 2
    assert "its rows are whole series; set data=series to forecast" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


def write_tone(file, pitch, *, rate=8000, width=2, channels=1, seconds=0.3, seed=0):
    random = np.random.default_rng(seed)
    at = np.arange(int(rate * seconds)) / rate
    samples = 0.5 * np.sin(2 * np.pi * pitch * at) + 0.05 * random.normal(size=len(at))
    whole = (samples.clip(-1, 1) * (2 ** (8 * width - 1) - 1)).astype("<i4")
    raw = (whole + 128).astype("u1") if width == 1 else whole.view("u1").reshape(-1, 4)[:, :width]
    with wave.open(str(file), "wb") as opened:
        opened.setparams((channels, width, rate, 0, "NONE", ""))
        opened.writeframes(np.repeat(raw.reshape(len(whole), -1), channels, 0).tobytes())
    return file


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_of_every_width_are_read(width, channels, tmp_path):
    samples, rate = decoded(write_tone(tmp_path / "tone.wav", 440, width=width, channels=channels))
    assert rate == 8000
    assert samples.shape == (2400,)
    assert 0.4 < np.abs(samples).max() < 0.8
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.fft.rfftfreq(2400, 1 / 8000)[spectrum.argmax()] == pytest.approx(440, abs=4)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_holds_what_its_wav_holds(subtype, channels, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    samples, rate = decoded(write_tone(tmp_path / "tone.wav", 440))
    several = samples if channels == 1 else np.stack([samples, samples], 1)
    soundfile.write(tmp_path / "tone.flac", several, rate, subtype=subtype)
    read, its_rate = decoded(tmp_path / "tone.flac")
    assert its_rate == rate
    np.testing.assert_allclose(read, samples, atol=2 ** (-6 if subtype == "PCM_S8" else -14))


def test_flac_that_is_cut_off_or_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    soundfile = pytest.importorskip("soundfile")
    file = tmp_path / "tone.flac"
    soundfile.write(file, np.zeros(100_000), 8000)
    whole = file.read_bytes()
    assert len(whole) < 2000
    file.write_bytes(whole[:10])
    with pytest.raises(ValueError, match="is no FLAC that can be read"):
        decoded(file)
    file.write_bytes(whole)
    monkeypatch.setattr(sound, "MOST_SAMPLES", 99_999)
    with pytest.raises(ValueError, match="unpacks to 100,000 samples, of at most 99,999"):
        decoded(file)


def test_a_sound_of_too_many_seconds_is_refused(tmp_path):
    file = write_tone(tmp_path / "slow.wav", 0.1, rate=1, seconds=20_000)
    with pytest.raises(ValueError, match="lasts 20,000 s, of at most 16,777"):
        SOUND.series(file)


def test_a_tone_is_in_the_band_of_its_pitch_at_any_rate(tmp_path):
    frames = [SOUND.series(write_tone(tmp_path / f"{rate}.wav", 1000, rate=rate)) for rate in (8000, 16000)]
    assert frames[0].shape == (28, 16)
    assert frames[0].mean(0).argmax() == frames[1].mean(0).argmax()
    low = SOUND.series(write_tone(tmp_path / "low.wav", 200)).mean(0).argmax()
    assert low < frames[0].mean(0).argmax()


def test_a_folder_of_sounds_is_classified(tmp_path, capsys):
    for i in range(60):
        folder = tmp_path / "sounds" / ("high" if i % 2 else "low")
        folder.mkdir(parents=True, exist_ok=True)
        write_tone(folder / f"{i}.wav", 1500 if i % 2 else 300, seed=i, seconds=0.2 + 0.01 * (i % 5))
    words = ["model=recurrent", "model.width=16", "model.directions=1", "data=audio", "optimizer.lr=1e-2"]
    frames = ["data.rate=8000", "data.bands=16", "data.hop=80", "data.window=200", "data.batch_size=8"]
    where = [f"output_dir={tmp_path / 'outputs'}", f"data.cache_dir={tmp_path / 'cache'}"]
    assert main(["train", *words, *frames, f"data.source={tmp_path / 'sounds'}", *QUICK, *where]) == 0
    run = the_run(tmp_path)
    assert json.loads((run.path / "metrics.json").read_text())["test"]["accuracy"] > 0.9
    capsys.readouterr()
    assert main(["predict", str(run.path), str(write_tone(tmp_path / "new.wav", 1500))]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == "high"
    (tmp_path / "odd.wav").write_bytes(b"RIFF")
    assert main(["predict", str(run.path), str(tmp_path / "odd.wav")]) == 2
    assert "is no WAV or FLAC that can be read" in capsys.readouterr().err
    with pytest.raises(BadInput, match="is no file; give a file of a sound"):
        attnpred.load(str(run.path)).predict(str(tmp_path / "gone.wav"))
