"""Rows that the library `datasets` reads: a directory in the hub's layout, or a dataset of the hub.

The library is imported only when rows are read; what names a source for the cache needs nothing but the disk.
"""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache as cached
from functools import cached_property
from pathlib import Path
from typing import Any

from attnpred.config.options import DataConfig
from attnpred.data import cache, card
from attnpred.data.formats import columns_in, rows_in
from attnpred.data.places import Reach, files_digest, within
from attnpred.data.sources import Source
from attnpred.data.utf8 import columns_of, not_utf8
from attnpred.errors import UserError
from attnpred.files import read_json, write_json
from attnpred.machine import hub

PARQUET_ROWS = 256
LONGEST_REASON = 400  # characters of what a library says
FORMATS = ("parquet", "arrow", "csv", "json", "text", "imagefolder", "webdataset")
COMMIT, COMMIT_FILE = re.compile(r"[0-9a-f]{40}"), "commit.json"


class DatasetSource(Source):
    """What the library `datasets` reads: `local` a directory, or the hub where it is None."""

    def __init__(self, config: DataConfig, local: Path | None) -> None:
        super().__init__(config)
        self._local = local

    @property
    def fingerprint(self) -> dict[str, Any]:
        known: dict[str, Any] = {"subset": self.config.subset}
        if self._local is None:
            return known | {"hub": self.config.source, "revision": self.config.revision}
        # the place belongs to it: unpacked copies of different data can agree in every name, size and time
        return known | {"directory": str(self._local), "files": files_digest(self._local)}

    def splits(self) -> list[str]:
        return list(self._tables)

    def _class_names(self, split: str, column: str) -> list[str] | None:
        features = self._tables[split].features
        feature = features[column] if features and column in features else None
        names = getattr(getattr(feature, "feature", feature), "names", None)  # of a list's elements, or of the value
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise self._unreadable(f"its names of the classes of {column} are no texts")
        return names

    def _chunks(self, split: str, size: int) -> Iterator[dict[str, list[Any]]]:
        return self._chunks_from(split, size, 0)

    def _chunks_from(self, split: str, size: int, start: int) -> Iterator[dict[str, list[Any]]]:
        with self._readable():
            # as Arrow, images stay the encoded bytes that they are
            rows = self._tables[split].skip(start) if start else self._tables[split]
            for table in rows.with_format("arrow").iter(batch_size=size):
                if len(table):
                    yield columns_of(table)

    @property
    def reach(self) -> Reach:
        if self._local is not None:
            return Reach((self._local,), self.config.paths_outside)
        from datasets import config
        from huggingface_hub.constants import HF_HUB_CACHE

        own = Path(HF_HUB_CACHE, f"datasets--{self.config.source.replace('/', '--')}")
        unpacked = (config.DOWNLOADED_DATASETS_PATH, config.EXTRACTED_DATASETS_PATH)
        return Reach((own, *map(Path, unpacked)), self.config.paths_outside)

    def file_of(self, split: str, row: int) -> str | None:
        with suppress(OSError, ValueError):  # while something else is wrong, which is what shall be told
            return self._file_of(split, row)
        return None

    def _file_of(self, split: str, row: int) -> str | None:
        import pyarrow.parquet as pq

        if self._local is None:
            return None
        files = self._files(split)
        for file in files:
            rows = row + 1 if len(files) == 1 else pq.read_metadata(file).num_rows if file.suffix == ".parquet" else 0
            if row < rows:
                return str(
                    file.relative_to(self._local.resolve()) if file.is_relative_to(self._local.resolve()) else file
                )
            row -= rows
        return None

    def _total(self, split: str) -> int | None:
        if self._local is None:
            return None
        files = self._files(split)
        return rows_in(files) if files else None

    def _files(self, split: str) -> list[Path]:
        """Those of a local directory that hold the split."""
        of_splits = {str(name): paths for name, paths in (self._builder.config.data_files or {}).items()}
        return [Path(path) for path in of_splits.get(split, [])]

    @cached_property
    def _builder(self) -> Any:
        """Of a local directory: streams its own files, without a second copy, and only the splits asked for."""
        import datasets
        from pyarrow.dataset import ParquetFragmentScanOptions

        assert self._local is not None
        card.check(self._local)
        with tempfile.TemporaryDirectory() as scratch:  # the builder wants a directory for its lock
            builder = datasets.load_dataset_builder(str(self._local), self.config.subset, cache_dir=scratch)
        self._check(builder)
        if hasattr(builder.config, "batch_size"):
            # Parquet goes by row groups otherwise, and those may be of any size, large or 0
            builder.config.batch_size = PARQUET_ROWS
        if hasattr(builder.config, "fragment_scan_options"):
            # read ahead, a file stays in memory nearly whole, however large it is
            builder.config.fragment_scan_options = ParquetFragmentScanOptions(pre_buffer=False)
        return builder

    @cached_property
    def _tables(self) -> Any:
        """Split → streamed dataset."""
        config = self.config
        with self._readable():
            if self._local is not None:
                return self._builder.as_streaming_dataset()
            import datasets

            if (cached := self._from_hub_cache()) is not None:
                return cached
            hub.require(config.source, self._commit, place="data.source", kind="dataset")
            builder = datasets.load_dataset_builder(config.source, config.subset, revision=self._commit)
            self._check(builder)
            if config.streams():
                return builder.as_streaming_dataset()
            found = datasets.load_dataset(config.source, config.subset, revision=self._commit)
            return {name: split.to_iterable_dataset() for name, split in found.items()}

    @cached_property
    def _commit(self) -> str | None:
        """The revision, of which a branch or tag is looked up once: copies on disk are known by commit."""
        revision = self.config.revision
        if revision is None or COMMIT.fullmatch(revision):
            return revision
        key = {"hub": self.config.source, "revision": revision}

        asked = cached(lambda: hub.require(self.config.source, revision, place="data.source", kind="dataset"))

        def build(directory: Path) -> None:
            write_json(directory / COMMIT_FILE, asked())

        what = f"the commit of {self.config.source} at {revision}"
        place = cache.entry(self.config.cache_dir, "revision", key, what, asked, build)
        return str(read_json(place / COMMIT_FILE))

    def _from_hub_cache(self) -> Any:
        """What an earlier download left on disk, found without asking the network; None where there is nothing."""
        import datasets
        from datasets.exceptions import DatasetsError

        offline = datasets.config.HF_HUB_OFFLINE
        datasets.config.HF_HUB_OFFLINE = True
        try:
            builder = datasets.load_dataset_builder(self.config.source, self.config.subset)
            pinned = self._commit
            return None if pinned and Path(builder.cache_dir).name != pinned else builder.as_streaming_dataset()
        except (OSError, ValueError, DatasetsError):
            return None
        finally:
            datasets.config.HF_HUB_OFFLINE = offline

    def _check(self, builder: Any) -> None:
        """Refuses formats that are more than rows, and files of elsewhere: the source's own card names both."""
        kind = type(builder).__module__.rpartition(".")[2]
        if kind not in FORMATS:
            raise UserError(
                f"data.source={self.config.source}: its files are of a kind ({kind}) that is not read; "
                f"bring them into one of {', '.join(FORMATS)}"
            )
        files = [str(file) for found in (builder.config.data_files or {}).values() for file in found]
        outside = [file for file in files if self._local and not within(file, self._local)]
        if outside:
            raise UserError(
                f"data.source={self.config.source}: its card names a file outside of the directory ({outside[0]}); "
                "put the file there"
            )
        for file in files if self._local is not None else ():
            self._bound(columns_in(Path(file)))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Turns what `datasets` raises and logs for bad files, names and subsets into the user's one line."""
        from datasets import logging
        from datasets.exceptions import DatasetsError

        level = logging.get_verbosity()
        logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        except (UserError, MemoryError):
            raise
        except Exception as error:  # of any type, by what is wrong with card, archive or table
            reason = " ".join(str(error).split()) or type(error).__name__
            if not isinstance(error, OSError | ValueError | RuntimeError | DatasetsError):
                reason = f"its card, archives or tables are damaged ({reason}); mend or remove them"
            if self._local is not None and "utf-8" in reason.lower() and (place := not_utf8(self._local)):
                reason = f"{place} is not UTF-8; convert the file"
            raise self._unreadable(reason) from error
        finally:
            logging.set_verbosity(level)

    def _unreadable(self, reason: str) -> UserError:
        subset = f" with data.subset={self.config.subset}" if self.config.subset else ""
        if len(reason) > LONGEST_REASON:
            reason = f"{reason[:LONGEST_REASON]}…"
        return UserError(f"data.source={self.config.source}: cannot be read{subset}: {reason}")
