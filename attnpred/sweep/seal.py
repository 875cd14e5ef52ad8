"""Whether a record was written by this user on this machine: a seal, whose key lies in the user's config directory."""

import hashlib
import hmac
import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnpred.config import allowed
from attnpred.errors import UserError
from attnpred.files import remove

LENGTH = 32  # bytes of the key


def file() -> Path:
    return allowed.file().with_name("sweeps.key")


def seal(content: Any) -> str:
    """The seal of plain containers; empty where no key can be kept, and then nothing is known to be one's own."""
    found = key()
    return _seal(found, content) if found else ""


def holds(content: Any, sealed: Any) -> bool:
    """Whether the seal is that of the content, made with this user's key. Makes no key."""
    found = _read()
    if found is None or not isinstance(sealed, str) or not sealed.isascii():  # others cannot be compared
        return False
    return hmac.compare_digest(_seal(found, content), sealed)


def _seal(key: bytes, content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def key() -> bytes | None:
    """The user's key, made at its first use; None where the directory cannot be written."""
    if (found := _read()) is not None:
        return found
    draft = file().with_name(f".sweeps.{secrets.token_hex(8)}")
    try:
        file().parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(LENGTH))
        with suppress(FileExistsError):
            os.link(draft, file())  # whole or not at all; of several processes one makes it
    except OSError:
        return None
    finally:
        remove(draft)
    return _read()


def _read() -> bytes | None:
    try:
        with file().open("rb") as stream:
            kind = os.fstat(stream.fileno())
            content = stream.read(LENGTH + 1)
    except OSError:
        return None
    if len(content) != LENGTH:
        raise UserError(f"{file()}: is no key; delete the file, and a new one is made")
    if os.name == "posix" and stat.S_IMODE(kind.st_mode) & 0o077:
        raise UserError(f"{file()}: others may read it; delete the file, and a new one is made")
    return content
