"""Shortens a failing input: edits, and pieces of their texts, are left out as long as it fails alike."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.siege.case import Case, packed
from tests.siege.worker import replay

MOST = 300  # inputs that are tried


def reduced(case: Case, root: Path, bases: Path) -> Case:
    signature = replay([case], root, bases)[0].signature
    if not signature:
        return case
    left = MOST
    while True:
        for smaller in _smaller(case):
            left -= 1
            if left < 0:
                return case
            if replay([smaller], root, bases)[0].signature == signature:
                case = smaller
                break
        else:
            return case


def _smaller(case: Case) -> Iterator[Case]:
    for number in range(len(case.edits)):
        yield replace(case, edits=(*case.edits[:number], *case.edits[number + 1 :]))
    for number in range(len(case.arguments)):
        if not case.told:
            yield replace(case, arguments=(*case.arguments[:number], *case.arguments[number + 1 :]))
    for number, edit in enumerate(case.edits):
        if edit[0] not in ("write", "bytes"):
            continue
        content = edit[2].encode("utf-8", "surrogatepass") if edit[0] == "write" else base64.b64decode(edit[2])
        size = len(content) // 2
        while size:
            for start in range(0, len(content), size):
                shorter = content[:start] + content[start + size :]
                try:
                    text = shorter.decode("utf-8", "surrogatepass") if edit[0] == "write" else packed(shorter)
                except UnicodeDecodeError:
                    continue
                yield replace(case, edits=(*case.edits[:number], [*edit[:2], text], *case.edits[number + 1 :]))
            size //= 2
