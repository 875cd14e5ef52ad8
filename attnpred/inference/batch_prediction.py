"""Answers to all rows of a table, written to another: in a stream, with bounded memory, and to be gone on with.

Until all are there, they lie in a folder beside the table that is asked for: a file of so many rows each. A command
that is given again goes on behind the last whole one.
"""

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from attnpred.config.options import Config
from attnpred.console.bar import Bar
from attnpred.data.formats import kind_of
from attnpred.data.places import Outside, Reach
from attnpred.errors import BadInput, UserError
from attnpred.files import read_json, write_json
from attnpred.inference.each import each
from attnpred.inference.predict import Predictor
from attnpred.inference.tables import CHUNK, Table, input_columns, values_of
from attnpred.modalities.received import Received
from attnpred.runs.run import Run

SHARD = 16 * CHUNK  # rows of a file until all are there
ABOUT = "about.json"
OUT_KINDS = ("csv", "json", "parquet")
Rows = list[dict[str, Any]]


@dataclass
class Asked:
    file: Path
    out: Path
    columns: list[str] = field(default_factory=list)  # that hold the input
    keep: list[str] = field(default_factory=list)  # that stand in the answers too
    explainer: str | None = None
    attention: bool = True
    decoding: dict[str, Any] = field(default_factory=dict)  # how answers are looked for that are texts


def predict_table(run: Run, config: Config, asked: Asked, shard: int = SHARD) -> int:
    """Writes the answers; how many there are. A row that cannot be read has an `error` in place of an answer."""
    table = Table(asked.file, "--file")
    if kind_of(asked.out) not in OUT_KINDS or asked.out.suffix in (".gz", ".zst"):
        raise UserError(f"--out {asked.out}: answers are written as .parquet, .jsonl or .csv; name such a file")
    if asked.out.resolve() == asked.file.resolve():
        raise UserError(f"--out {asked.out}: is the table that is read; name another file")
    columns = input_columns(config, asked.columns, run.reader())
    wanted = list(dict.fromkeys([*columns.values(), *asked.keep]))
    for _ in table.chunks(wanted, 1):  # a wrong name shows before a model is loaded
        break
    parts = asked.out.with_name(f"{asked.out.name}.parts")
    done = _begin(parts, run, asked, columns)
    try:
        predictor = Predictor(run, config, asked.decoding)
        bar = Bar("rows", table.rows, done)
        answered = _answered(predictor, table.chunks(wanted, start=done), columns, asked, done)
        number = len(_shards(parts))
        while rows := _take(answered, shard, bar.add):
            _write_shard(parts / f"{number:08}.parquet", rows)
            number, done = number + 1, done + len(rows)
    except UserError:
        if not _shards(parts):  # there is nothing to go on from
            shutil.rmtree(parts)
        raise
    _join(_shards(parts), asked.out)
    shutil.rmtree(parts)
    bar.end()
    return done


def _begin(parts: Path, run: Run, asked: Asked, columns: dict[str, str]) -> int:
    """Makes the folder; how many rows are answered in it already, by the same command."""
    state, weights = asked.file.stat(), run.checkpoint().stat()
    about = {
        "file": [str(asked.file.resolve()), state.st_size, state.st_mtime_ns],
        "run": [str(run.path.resolve()), weights.st_size, weights.st_mtime_ns],
        "columns": columns,
        "keep": asked.keep,
        "explainer": asked.explainer,
        "attention": asked.attention,
        "decoding": asked.decoding,
    }
    try:
        parts.mkdir(parents=True, exist_ok=True)
        if not (parts / ABOUT).exists():
            write_json(parts / ABOUT, about)
    except OSError as error:
        raise UserError(f"--out {asked.out}: cannot be written ({error.strerror}); name another file") from None
    if read_json(parts / ABOUT) != about:
        raise UserError(f"{parts}: holds answers that another command began; go on with that, or remove the folder")
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(file).metadata.num_rows for file in _shards(parts))


def _shards(parts: Path) -> list[Path]:
    return sorted(parts.glob("*.parquet"))


def _answered(
    predictor: Predictor, chunks: Iterator[dict[str, list[Any]]], columns: dict[str, str], asked: Asked, start: int
) -> Iterator[dict[str, Any]]:
    """The answers row by row. While a model works on one chunk, the next is read, and the one before described."""
    # explainers hang themselves into the model, which one at a time can do
    workers = 1 if asked.explainer else 2
    with ThreadPoolExecutor(workers) as threads:
        waiting: deque[Future[Rows]] = deque()
        for chunk in chunks:
            waiting.append(threads.submit(_rows, predictor, chunk, columns, asked, start))
            start += len(next(iter(chunk.values())))
            if len(waiting) > workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _rows(predictor: Predictor, chunk: dict[str, list[Any]], columns: dict[str, str], asked: Asked, start: int) -> Rows:
    """The answers to a chunk of rows, of which the first is the row `start`."""
    answers: list[dict[str, Any] | BadInput] = []
    given: list[Any] = []
    for place, value in enumerate(values_of(chunk, columns)):
        try:
            given.append(readable(predictor.reader, value, asked.file, place))
            answers.append({})
        except BadInput as error:
            answers.append(error)
    found = iter(each(predictor, given, asked.explainer, asked.attention))
    rows = []
    for place, answer in enumerate(answers):
        answer = next(found) if isinstance(answer, dict) else answer
        kept = {name: chunk[name][place] for name in asked.keep}
        rows.append({"row": start + place, **kept, **_told(answer)})
    return rows


def readable(reader: Any, value: Any, file: Path, place: int) -> Any:
    """An input as `readings` takes it. A picture may be named by its path in the folder of the table."""
    if hasattr(reader, "readers"):  # an example may lack some of its inputs
        given = {}
        for name, one in value.items():
            if one is not None:
                own = reader.readers[name]
                found = readable(own, one, file, place)
                given[name] = own.accept(found, place) if own.name == "image" and isinstance(found, str) else found
        if not given:
            raise BadInput("the row has no input", place)
        return Received(given)
    if value is None or (isinstance(value, dict) and None in value.values()):
        raise BadInput("the row has no input", place)
    if reader.name == "image" and isinstance(value, str) and not value.startswith("data:"):
        try:
            return str(Reach((file.parent,)).file(value))
        except Outside as error:
            raise BadInput(f"{value}: names a file {error}", place) from None
    if isinstance(value, int | float):
        value = str(value)
    return reader.received(value, place)


def _told(answer: dict[str, Any] | BadInput) -> dict[str, Any]:
    if isinstance(answer, BadInput):
        return {"error": str(answer)}
    return {**{name: value for name, value in answer.items() if name != "input"}, "error": None}


def _take(rows: Iterator[dict[str, Any]], most: int, tell: Callable[[int], None]) -> Rows:
    taken: Rows = []
    while len(taken) < most and (some := list(islice(rows, min(CHUNK, most - len(taken))))):
        taken += some
        tell(len(some))
    return taken


def _write_shard(file: Path, rows: Rows) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    draft = file.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, _schema(rows)), draft)
    draft.replace(file)


def _schema(rows: Rows) -> Any:
    """Of all rows: the library takes the names of the first row alone."""
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    return pa.schema([(name, pa.array([row.get(name) for row in rows]).type) for name in names])


def _join(shards: list[Path], out: Path) -> None:
    """All answers as one file, which is there once it is whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schemas = [pq.read_schema(file) for file in shards]
    schema = pa.unify_schemas(schemas, promote_options="permissive") if schemas else pa.schema([("row", pa.int64())])
    names = [name for name in schema.names if name != "error"] + [name for name in schema.names if name == "error"]
    draft = out.with_name(f".{out.name}.part")
    tables = (_as(pq.read_table(file), schema).select(names) for file in shards)
    write = {"parquet": _write_parquet, "csv": _write_csv, "json": _write_json}[kind_of(out) or ""]
    write(tables, schema.empty_table().select(names).schema, draft)
    draft.replace(out)


def _as(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    return pa.concat_tables([schema.empty_table(), table], promote_options="permissive")


def _write_parquet(tables: Iterator[Any], schema: Any, file: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema) as writer:
        for table in tables:
            writer.write_table(table.cast(schema))


def _write_json(tables: Iterator[Any], schema: Any, file: Path) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for table in tables:
            for batch in table.to_batches(CHUNK):
                stream.writelines(json.dumps(row, default=str) + "\n" for row in batch.to_pylist())


def _write_csv(tables: Iterator[Any], schema: Any, file: Path) -> None:
    """A field that holds several values is JSON."""
    import csv

    def cell(value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(schema.names)
        for table in tables:
            for batch in table.to_batches(CHUNK):
                writer.writerows([cell(value) for value in row.values()] for row in batch.to_pylist())
