"""A few letters that stand for a model's weights."""

import hashlib
from pathlib import Path


def digest_of(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=8)
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()
