"""Data of the other modalities: series, sounds, pairs of texts, tags, several inputs; learnt from, and asked about."""

import csv
import io
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from attnpred.config import compose
from attnpred.training.train import prepare, settled
from tests.data.made import image_rows, png
from tests.safety.made import QUICK
from tests.siege import odd
from tests.siege.case import Case, Edit, packed
from tests.siege.kinds import TRIED
from tests.siege.oracle import by_call, by_command

WEIGHT, PROGRAMS, CODES, OPEN = 4, ("git ", TRIED), (), ()
COUNT = 40  # rows
NARROW = [one for one in QUICK if "depth" not in one]
CROSSED = [
    *(
        "model=crossmodal",
        "model.heads=2",
        "model.depth=1",
        "model.encoders.text.width=8",
        "model.encoders.text.heads=2",
    ),
    *("model.encoders.image.width=8", "model.encoders.image.depth=1", "model.encoders.image.heads=2"),
    "model.encoders.image.stages=2",
]
FORECASTS = ["data=series", "data.history=8", "task.horizon=2"]
CHOICES = {
    "series": [*FORECASTS, "model=recurrent", "model.depth=1"],
    "several_series": [*FORECASTS, "data.id_column=shop", "model=linear"],
    "whole_series": ["data=whole_series", "model=tcn", "model.depth=1"],
    "sounds": ["data=audio", "model=tcn", "model.depth=1"],
    "translation": ["data=translation", "model=seq2seq", "model.depth=1", "model.heads=2"],
    "text_pairs": ["data=text_pairs", "model=transformer", "model.depth=1", "model.heads=2"],
    "tags": ["data=tags", "model=transformer", "model.depth=1", "model.heads=2"],
    "hidden_words": ["data=texts", "task=masked_tokens", "model=transformer", "model.depth=1", "model.heads=2"],
    "text_image": ["data=text_image", *CROSSED],
}
TABLES = {  # a good row of each, from its number
    "series": lambda i: {"time": f"2020-01-{1 + i // 24:02}T{i % 24:02}:00:00", "load": i % 7, "price": i / 4},
    "several_series": lambda i: {"shop": "ab"[i % 2], "time": f"2020-01-{1 + i // 2:02}", "sold": i % 5},
    "whole_series": lambda i: {"x": [i % 2, 1, i % 3], "y": [0.5, i, -1], "label": "ab"[i % 2]},
    "sounds": lambda i: {"audio": f"{i % 4}.wav", "label": "ab"[i % 2]},
    "translation": lambda i: {"english": f"a film {i}", "german": f"ein Film {i}"},
    "text_pairs": lambda i: {"premise": f"a film {i}", "hypothesis": "it is long", "label": "ab"[i % 2]},
    "tags": lambda i: {"words": ["A", "film", f"{i}"], "tags": ["O", "B-x", "I-x"]},
    "hidden_words": lambda i: {"text": f"a fine film {i}"},
    "text_image": lambda i: {"photo": f"{i % 4}.png", "caption": f"a film {i}", "label": "ab"[i % 2]},
}
OF_LISTS = ("whole_series", "tags")  # a row holds lists
BASES = ("series", "translation", "crossed")
ASKED = {"series": "series", "translation": "translation", "crossed": "text_image"}  # what a run of a base takes


def choice(name: str) -> list[str]:
    """Overrides of a tiny run on data of that name, but for the source."""
    small = NARROW if name != "several_series" else [one for one in NARROW if "width" not in one]
    return [*CHOICES[name], *small, *(["data.tokenizer.vocab_size=60"] if name == "translation" else [])]


def sound(seed: int = 0) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.random.default_rng(seed).integers(-9000, 9000, 2000, np.int16).tobytes())
    return held.getvalue()


def beside(name: str, where: Path) -> None:
    """The good files that a table's rows name."""
    for i in range(4):
        if name == "sounds":
            (where / f"{i}.wav").write_bytes(sound(i))
        if name == "text_image":
            (where / f"{i}.png").write_bytes(png(image_rows(4)[0][i]))


def _learn(place: Path, case: Case) -> None:
    """As training does: what is prepared once, a model of the data's shape, and batches."""
    name, how = case.arguments
    (place / "theirs").mkdir(exist_ok=True)
    beside(name, place / "theirs")
    source = next((place / "theirs").glob("t.*"), place / "theirs")
    cache = place.parent / "scratch" / "cache"
    given = [f"data.source={json.dumps(str(source))}", f"data.cache_dir={cache}", f"data.on_bad_row={how}"]
    try:
        data, _ = prepare(settled(compose.compose([*choice(name), *given])))
        for batch in data.loader("train"):
            assert len(batch.ids)
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def _ask(place: Path, case: Case) -> int:
    """All rows of a table, answered by a run."""
    table = next((place / "theirs").glob("t.*"))
    return by_command("predict", "{place}", "--file", str(table), "--out", "{place}/answers.jsonl")(place, case)


ACTIONS = {"learn": by_call(_learn), "ask": _ask}
UNTOUCHED = frozenset({"ask"})
NEEDS = (
    *("datasets", "pandas", "pyarrow.csv", "pyarrow.json", "pyarrow.parquet", "pyarrow.dataset", "tokenizers"),
    *("attnpred.inference.predict", "attnpred.inference.batch_prediction", "attnpred.models.crossmodal"),
    *("attnpred.models.seq2seq", "attnpred.models.recurrent", "attnpred.models.linear", "attnpred.models.tcn"),
    *("attnpred.models.transformer", "attnpred.models.resnet_attention", "attnpred.modalities.series.audio"),
)


def _guided(name: str) -> Any:
    start = "".join(json.dumps(TABLES[name](i)) + "\n" for i in range(COUNT))
    return (
        lambda text: Case("modalities", "learn", (["write", "theirs/t.jsonl", text],), arguments=(name, "fail")),
        lambda bases: start,
    )


GUIDED = {name: _guided(name) for name in ("series", "tags")}

MOMENTS = st.sampled_from(
    [
        *("2020-01-01T00:00:00", "2020-01-01", "1999-12-31 23:59:59", "2020-01-01T00:00:00Z", "2020-01-01T05:00+05:00"),
        *("2020-02-30", "01/02/2020", "25:61", "0001-01-01", "9999-12-31", "99999-01-01", "-1", "0", "1e18", "NaT", ""),
    ]
)
NUMBERS = st.sampled_from(odd.NUMBERS) | st.floats() | st.integers(-9, 9)
LISTS = st.lists(st.sampled_from([*odd.NUMBERS, None, "x", "", "B-x", "I-y", "O", [], [1]]), max_size=4)
FILES = st.sampled_from(
    ["0.wav", "0.png", "9.wav", "../outside/secret.csv", "{outside}/secret.csv", "/etc/passwd", "."]
)
CELLS_OF_TAGS = ("\n", "film\n", "film\tI-y\n", "\tO\n", "a\tb\tc\n", " \n", "-DOCSTART-\n", "x\tO\r")
CELLS = st.one_of(MOMENTS, NUMBERS, LISTS, FILES, odd.values)


@st.composite
def _rows(draw: st.DrawFn, name: str) -> list[Any]:
    """Mostly good rows: a few odd cells, an odd column, rows in another order, too few of them, one twice."""
    count = draw(st.sampled_from([COUNT, COUNT, COUNT, COUNT, 12, 1, 0]))
    rows: list[Any] = [TABLES[name](i) for i in range(count)]
    keys = list(TABLES[name](0))
    for _ in range(draw(st.integers(0, 3)) if rows else 0):
        draw(st.sampled_from(rows))[draw(st.sampled_from(keys))] = draw(CELLS)
    match draw(st.integers(0, 9)) if rows else 9:
        case 0:
            key, value = draw(st.sampled_from([*keys, "", "x\x1b[2J", "time"])), draw(CELLS)
            for row in rows:
                row[key] = value
        case 1:
            rows = draw(st.permutations(rows))
        case 2:
            rows.insert(draw(st.integers(0, len(rows))), dict(draw(st.sampled_from(rows))))
        case 3:
            gone = draw(st.sampled_from(keys))
            rows = [{key: value for key, value in row.items() if key != gone} for row in rows]
        case 4:
            del rows[draw(st.integers(0, len(rows) - 1)) :][: draw(st.integers(1, 5))]
    return rows


def _as_csv(rows: list[Any]) -> bytes:
    held = io.StringIO()
    keys = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(held, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return held.getvalue().encode("utf-8", "surrogatepass")


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode("utf-8", "surrogatepass")


@st.composite
def _tables(draw: st.DrawFn, name: str) -> tuple[Edit, ...]:
    rows = draw(_rows(name))
    of_lines = name in OF_LISTS or draw(st.booleans())
    file = f"theirs/t.{'jsonl' if of_lines else 'csv'}"
    if draw(st.integers(0, 19)) == 0:
        return (draw(odd.rewritten(file)),)
    whole: Edit = ["bytes", file, packed(as_lines(rows) if of_lines else _as_csv(rows))]
    return (whole, draw(odd.splices(file))) if draw(st.integers(0, 3)) == 0 else (whole,)


@st.composite
def _sounds(draw: st.DrawFn) -> tuple[Edit, ...]:
    """A folder a class; one of the sounds is odd."""
    several: list[Edit] = [["bytes", f"theirs/{'ab'[i % 2]}/{i}.wav", packed(sound(i))] for i in range(12)]
    file = "theirs/a/" + draw(st.sampled_from(["0.wav", "x.wav", "x.flac", "x", "\u202e.wav"]))
    if draw(st.booleans()):
        return (*several, draw(odd.rewritten(file) | odd.replaced(file).filter(lambda e: e[0] in ("pipe", "link"))))
    return (*several, ["bytes", file, packed(sound())], draw(odd.splices(file)))


@st.composite
def _lines(draw: st.DrawFn) -> tuple[Edit, ...]:
    """Tags in columns, with a blank line between sentences."""
    rows = [f"{word}\t{tag}\n" for _ in range(COUNT) for word, tag in (("A", "O"), ("film", "B-x"))]
    for _ in range(draw(st.integers(1, 3))):
        cell = draw(
            st.sampled_from(["\n", "film\n", "film\tI-y\n", "\tO\n", "a\tb\tc\n", " \n", "-DOCSTART-\n", "x\tO\r"])
        )
        rows[draw(st.integers(0, len(rows) - 1))] = draw(st.just(cell) | st.sampled_from(odd.TEXTS))
    ends = draw(st.sampled_from([2, 2, 2, 7, 1000]))
    text = "".join(row + ("\n" if i % ends == ends - 1 else "") for i, row in enumerate(rows))
    return (["write", "theirs/t.conll", text],)


def cases(bases: Path) -> st.SearchStrategy[Case]:
    @st.composite
    def learns(draw: st.DrawFn) -> Case:
        name, how = draw(st.sampled_from(list(CHOICES))), draw(st.sampled_from(["fail", "skip"]))
        kinds = {"sounds": [_sounds(), _tables(name)], "tags": [_lines(), _tables(name)]}.get(name, [_tables(name)])
        return Case("modalities", "learn", draw(st.one_of(kinds)), arguments=(name, how))

    @st.composite
    def asks(draw: st.DrawFn) -> Case:
        base = draw(st.sampled_from(BASES))
        return Case("modalities", "ask", draw(_tables(ASKED[base])), base)

    return st.one_of(learns(), learns(), asks())
