"""Which moments of a series are train, validation and test: one after the other, never shuffled."""

from collections.abc import Sequence
from typing import Any, NoReturn

from attnpred.data.splits import Split
from attnpred.errors import UserError

Span = tuple[int, int]  # from the first moment to behind the last


def spans(config: Any, split: Split, bounds: Sequence[Span], steps: int) -> list[Span]:
    """Of each series the moments of the part, in which its forecasts lie."""
    if config.split_of(split) is not None and split != "train":
        return list(bounds)
    gap = steps if config.gap == "horizon" else config.gap
    return [_span(config, split, start, end - start, gap) for start, end in bounds]


def _span(config: Any, split: Split, start: int, count: int, gap: int) -> Span:
    if config.split_rows is not None:
        sizes = config.split_rows
        if sum(sizes) > count:
            raise UserError(
                f"data.split_rows={sizes}: names {sum(sizes):,} moments, the series has {count:,}; name fewer"
            )
        borders = (sizes[0], sizes[0] + sizes[1], sum(sizes))
    else:
        test = round(config.test_fraction * count) if config.split_of("test") is None else 0
        val = round(config.val_fraction * count) if config.split_of("val") is None and config.folds is None else 0
        borders = (count - test - val, count - test, count)
    begin, val_end, end = borders
    if config.folds is not None:
        # train is all that lies before the fold, of which there is a block more than folds
        begin, val_end, left = (
            round((config.fold + 1) * val_end / (config.folds + 1)),
            round((config.fold + 2) * val_end / (config.folds + 1)),
            val_end,
        )
        found = {"train": (0, begin), "val": (begin + gap, val_end), "test": (left + gap, end)}
    else:
        found = {"train": (0, begin), "val": (begin + gap, val_end), "test": (val_end + gap, end)}
    first, last = found[split]
    return start + first, start + last


def refuse_short(split: Split, parts: Sequence[Span], bounds: Sequence[Span], length: int, steps: int) -> NoReturn:
    """Says why no window lies in a part."""
    longest = max((end - begin for begin, end in parts), default=0)
    name = {"train": "train", "val": "validation", "test": "test"}[split]
    if split != "train" and longest < steps:
        raise UserError(
            f"task.horizon={steps}: is longer than the {name} part, which has {max(longest, 0):,} moments; lower it, "
            f"or give more data or a larger data.{split}_fraction"
        )
    series = max((end - begin for begin, end in bounds), default=0)
    moments = longest if split == "train" else series
    raise UserError(
        f"data.history={length}: a window needs {length + steps:,} moments with task.horizon={steps}, and the "
        f"{name} part has {moments:,}; lower one of them, or give more data"
    )
