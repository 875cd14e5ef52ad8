"""The licence of pretrained weights, as the card beside them says it."""

import re
from pathlib import Path

from attnpred.errors import UserError
from attnpred.machine import hub

LINE = re.compile(r"^license:\s*[\"']?([\w.+-]+)", re.MULTILINE)
LARGEST_CARD = 2**20


def of_weights(source: str) -> str | None:
    """None where no card is on this machine, or it does not say."""
    for card in _cards(source):
        try:
            with card.open(encoding="utf-8", errors="replace") as stream:
                found = LINE.search(stream.read(LARGEST_CARD))
        except OSError:
            continue
        if found:
            return found[1].lower()
    return None


def _cards(source: str) -> list[Path]:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        local = hub.locate(source, place="model.source")
        if local is not None:
            return [local / "README.md"]
        cached = try_to_load_from_cache(source, "README.md")
    except (UserError, HFValidationError):
        return []
    return [Path(cached)] if isinstance(cached, str) else []
