"""Where the trials of a search are kept, and how the workers that share them take turns."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from attnpred.errors import NotInstalled, UserError
from attnpred.sweep import storage_files
from attnpred.sweep.kept import masked

EXPECTED = "memory, sqlite:///FILE, journal:///FILE or postgresql://USER@HOST/DATABASE"
OPTION = "hydra.sweeper.storage"
# what Optuna meets with in a storage that it did not write
UNREADABLE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    IndexError,
    OverflowError,
    RecursionError,
)
MEND = "restore it, or name another"


class Place:
    """A storage by its address; null is a journal in the sweep's own directory."""

    def __init__(self, address: str, directory: Path) -> None:
        """`directory` is what the name of a file starts from. What is there is looked at, nothing made."""
        self.address, self.file = address, None
        kind, _, rest = address.partition("://")
        if kind in ("sqlite", "journal") and len(rest) > 1:
            self.file = directory / Path(rest[1:]).expanduser()
            if not self.file.parent.is_dir():
                raise UserError(f"{OPTION}={address}: {self.file.parent} is no directory; make it")
            storage_files.refuse_others(self.file, kind, f"{OPTION}={address}")
        elif re.match(r"postgresql(\+psycopg)?$", kind):
            if find_spec("psycopg") is None:
                raise NotInstalled(f"{OPTION}=postgresql:…", "psycopg", "optuna")
            # a password that is not given is for libpq to find, in PGPASSWORD or ~/.pgpass
            self.address = re.sub(r":\*\*\*@|(?<=[?&])password=\*\*\*&?", lambda m: "@" if "@" in m[0] else "", rest)
            self.address = f"postgresql+psycopg://{self.address}"
        elif address != "memory":
            raise UserError(f"{OPTION}={masked(address)}: must be null, or one of {EXPECTED}")

    def open(self) -> Any:
        """Optuna's storage; raises UserError where it cannot be reached."""
        import optuna
        import sqlalchemy
        from optuna.storages import InMemoryStorage, JournalStorage, RDBStorage
        from optuna.storages.journal import JournalFileBackend

        if self.address == "memory":
            return InMemoryStorage()
        try:
            if self.address.startswith("journal:"):
                assert self.file is not None
                storage_files.cut_torn_line(self.file)
                lock: Any = JournalLock(self.file)
                return JournalStorage(JournalFileBackend(str(self.file), lock))
            address = self.address if self.file is None else f"sqlite:///{self.file}"
            with self.turn():
                return RDBStorage(address, engine_kwargs={"pool_pre_ping": True})
        except UNREADABLE as error:
            raise UserError(
                f"{OPTION}={masked(self.address)}: holds no study that can be read ({error}); {MEND}"
            ) from None
        except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, OSError, RuntimeError) as error:
            reason = masked(" ".join(str(getattr(error, "orig", None) or error).split()))
            raise UserError(f"{OPTION}={masked(self.address)}: cannot be used: {reason}") from None

    def turn(self) -> AbstractContextManager[Any]:
        """While one worker counts trials and takes one, no other does; one that dies lets go."""
        if self.address == "memory":
            return nullcontext()
        return FileLock(f"{self.file}.turn") if self.file is not None else self._turn_at_server()

    @contextmanager
    def _turn_at_server(self) -> Iterator[None]:
        import sqlalchemy

        engine = sqlalchemy.create_engine(self.address, poolclass=sqlalchemy.pool.NullPool)
        number = int.from_bytes(hashlib.blake2b(b"attnpred", digest_size=7).digest(), "big")
        with engine.connect() as connection:  # whose end lets go of the lock, however it ends
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({number})"))
            yield


class JournalLock:
    """Optuna's own outlives a killed process, and others then wait for it half a minute."""

    def __init__(self, file: Path) -> None:
        self.lock = FileLock(f"{file}.lock")

    def acquire(self) -> bool:
        self.lock.acquire()
        return True

    def release(self) -> None:
        self.lock.release()
