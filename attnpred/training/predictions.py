"""A trained run's answers on the rows that it did not train on: one row each, beside the target."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from attnpred.config.options import Config
from attnpred.data.splits import Split, source_split
from attnpred.machine.device import Chosen
from attnpred.runs.run import Run

FILE = "predictions.parquet"  # in the run directory of a fold
PARTS: tuple[Split, ...] = ("val", "test")
KEY = ("part", "split", "row", "true")  # columns before those of the task's own description


def predictions(run: Run, config: Config, data: Any, chosen: Chosen) -> Iterator[list[dict[str, Any]]]:
    """Batch by batch: part, the source's split, the row in it, the target in words, and the answer's description.

    `data` is the run's, as the trained model reads it.
    """
    task = run.task()
    model = run.load_model().for_inference().to(chosen.device_type)
    for part in PARTS:
        split, _ = source_split(config.data, part)
        for batch in islice(data.loader(part), config.trainer.limit_batches):
            with torch.inference_mode(), chosen.autocast():
                output = task.asked(
                    model, batch.to(chosen.device_type), mirror=config.data.mirrors(), need_attention=False
                )
            told = zip(task.describe(output), task.kept(output, batch), strict=True)
            rows = zip(batch.ids.tolist(), task.truths(batch), told, strict=True)
            yield [
                {"part": part, "split": split, "row": row, "true": true, **described, **further}
                for row, true, (described, further) in rows
            ]


def keep(run: Run, config: Config, data: Any, chosen: Chosen) -> None:
    """Writes them into the run directory, for stacking and for finding labels that are likely wrong."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draft = run.path / f".{FILE}.part"
    # a batch without a span does not say what one is made of: types are known when all are there
    tables = [pa.Table.from_pylist(rows) for rows in predictions(run, config, data, chosen)]
    if tables:
        pq.write_table(pa.concat_tables(tables, promote_options="permissive"), draft)
        draft.replace(run.path / FILE)


def kept(directory: Path) -> Iterator[list[dict[str, Any]]] | None:
    """The answers that `keep` wrote, batch by batch; None where it did not."""
    import pyarrow.parquet as pq

    file = directory / FILE
    if not file.is_file():
        return None
    return (batch.to_pylist() for batch in pq.ParquetFile(file).iter_batches())
