"""Which column of a table is read, and which answers it, where the user did not say."""

from typing import Any

from attnpred.errors import UserError

PAIRS = (("source", "target"), ("src", "tgt"), ("input", "output"), ("document", "summary"), ("article", "highlights"))


def pair_in(columns: dict[str, list[Any]], source: str | None, target: str | None, place: str) -> tuple[str, str]:
    """The columns of what is read and of what answers it: by their names, or the only two that hold texts."""
    texts = [n for n, values in columns.items() if all(isinstance(v, str | None) for v in values) and any(values)]
    known = {name.lower(): name for name in texts}
    for one, other in PAIRS:
        if one in known and other in known and source in (None, known[one]) and target in (None, known[other]):
            return known[one], known[other]
    rest = [name for name in texts if name not in (source, target)]
    if source is None and target is None and len(rest) == 2:
        return rest[0], rest[1]
    if source is not None and len(rest) == 1:
        return source, rest[0]
    if target is not None and len(rest) == 1:
        return rest[0], target
    raise UserError(
        f"data.source_column: which column of {place} is read, and which answers it? There is "
        f"{', '.join(columns) or 'none'}. Set data.source_column=NAME data.target_column=NAME"
    )
