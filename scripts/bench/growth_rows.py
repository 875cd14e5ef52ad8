"""A point in processes of their own: preparing so many short texts, and opening what was prepared."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnpred.config import compose
from attnpred.config.options import Config
from attnpred.data.targets import TARGETS
from attnpred.machine.process_setup import settle
from scripts.bench import growth_peak, ours, timing

OVERRIDES = ["model=transformer", "data=imdb"]
DISTINCT = 1000  # rows that are repeated, so that the vocabulary is the same at every size
SMALL, LARGE = "small", "large"
READ = 500_000  # rows at most that are read in batches, to time them
STREAMED = ["data.stream=true", "data.val_split=train", "data.test_split=train"]


def write(directory: str, *, rows: int, words: int) -> dict[str, float]:
    """The first `words` of reviews over and over, in the hub's layout; and a small source with each once."""
    config: Any = compose.compose(OVERRIDES).data
    texts, labels = ours.texts(config, "train")
    every = max(len(texts) // DISTINCT, 1)  # reviews come by label
    short = [" ".join(text.split()[:words]) for text in texts[::every][:DISTINCT]]
    for name, count in ((SMALL, len(short)), (LARGE, rows)):
        write_source(Path(directory, name), short, labels[::every][:DISTINCT], count)
    return {}


def write_source(directory: Path, texts: list[str], labels: list[int], rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": ["neg", "pos"], "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"text": texts, "label": labels}).replace_schema_metadata(metadata)
    (directory / "plain_text").mkdir(parents=True)
    place = directory / "plain_text" / "train-00000-of-00001.parquet"
    # else repeated rows take almost no place in the file, as different ones would
    plain: dict[str, Any] = {"compression": "none", "use_dictionary": False}
    with pq.ParquetWriter(place, table.schema, **plain) as file:
        for size in sizes(rows, len(table)):
            file.write_table(table.slice(0, size))
    card = (
        "---\nconfigs:\n- config_name: plain_text\n  data_files:\n  - {split: train, path: plain_text/train-*}\n---\n"
    )
    (directory / "README.md").write_text(card, encoding="utf-8")


def sizes(total: int, each: int) -> Iterator[int]:
    """`total` in pieces."""
    while total:
        yield min(each, total)
        total -= min(each, total)


def prepare(directory: str, *, rows: int, words: int) -> dict[str, float]:
    settle()
    loader(directory, SMALL)
    before, start, worked = growth_peak.before(), timing.now(), time.process_time()
    loader(directory, LARGE)
    seconds, added = timing.now() - start, growth_peak.added(before)
    files = {file.name: file.stat().st_size for file in cache(directory, LARGE).glob("tokens-*/*")}
    return {
        "prepare_seconds": seconds,
        "prepare_cpu_seconds": time.process_time() - worked,  # of all threads: what else the machine does is left out
        "prepare_bytes": added,
        "disk_bytes": sum(files.values()),
        "kept_bytes": files[TARGETS] + files["offsets.bin"],
    }


def open_prepared(directory: str, *, rows: int, words: int) -> dict[str, float]:
    settle()
    next(iter(loader(directory, SMALL)))
    before, start = growth_peak.before(), timing.now()
    batches = loader(directory, LARGE)
    opened, opened_bytes = timing.now(), growth_peak.added(before)
    next(iter(batches))
    return {
        "open_seconds": opened - start,
        "open_bytes": opened_bytes,
        "batch_seconds": timing.now() - opened,
        "batch_bytes": growth_peak.added(before),
        "read_rate": rate(batches),
    }


def stream(directory: str, *, rows: int, words: int) -> dict[str, float]:
    """Without preparing; opening counts the rows."""
    settle()
    next(iter(loader(directory, SMALL, *STREAMED)))
    before, start = growth_peak.before(), timing.now()
    batches = loader(directory, LARGE, *STREAMED)
    opened = timing.now()
    return {
        "stream_open_seconds": opened - start,
        "stream_rate": rate(batches),
        "stream_bytes": growth_peak.added(before),
    }


def rate(batches: Any) -> float:
    """Rows a second, in batches as training takes them."""
    start, count = timing.now(), 0
    for batch in batches:
        count += len(batch)
        if count >= READ:
            break
    return count / (timing.now() - start)


def cache(directory: str, name: str) -> Path:
    return Path(directory, f"{name}-prepared")


def loader(directory: str, name: str, *overrides: str) -> Any:
    """As a launch makes it; what is not prepared yet is prepared."""
    places = [f"data.source={directory}/{name}", f"data.cache_dir={cache(directory, name)}", *overrides]
    config: Config = compose.compose([*OVERRIDES, *places])
    return ours.prepared(config).loader("train", seed=config.seed)
