"""How many jobs swept values make, counted before any of them is made."""

import math
from decimal import Decimal

from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, RangeSweep

from attnpred.errors import UserError

MOST_JOBS = 100_000


def count(override: Override) -> int:
    """How many values a sweep goes through, without making them; raises where that is no number."""
    sweep, line = override.value(), str(override.input_line)
    if isinstance(sweep, Glob):
        raise UserError(f"{line}: glob(…) finds no files here; list them, as in key=one,two")
    if isinstance(sweep, ChoiceSweep):
        found = len(sweep.list)
    else:
        assert isinstance(sweep, RangeSweep)
        found = _steps(sweep, line)
    if found == 0:
        raise UserError(f"{line}: holds no value; let it go through at least one")
    return found


def _steps(sweep: RangeSweep, line: str) -> int:
    ends = [Decimal(str(end)) for end in (sweep.start, sweep.stop, sweep.step)]
    if not all(end.is_finite() for end in ends):
        raise UserError(f"{line}: must begin, end and step by finite numbers")
    start, stop, step = ends
    if step == 0:
        raise UserError(f"{line}: steps by 0, and would not end; give another step")
    if max(map(abs, ends)) > Decimal(2) ** 63 or abs((stop - start) / step) > 2**63:
        raise UserError(f"{line}: goes through too many values; let it be at most {MOST_JOBS:,}")
    return max(0, math.ceil((stop - start) / step))


def refuse_many(counts: dict[str, int]) -> None:
    """Raises where the combinations of so many values are more than a sweep can have; names those with most."""
    if (jobs := math.prod(counts.values())) <= MOST_JOBS:
        return
    most = max(counts, key=lambda line: counts[line])
    raise UserError(
        f"{most}: makes {jobs:,} jobs, and a sweep has at most {MOST_JOBS:,}; let it go through fewer values"
    )


def refuse_endless(overrides: list[Override]) -> None:
    """Raises unless the values that are swept over make jobs, and no more than a sweep can have."""
    refuse_many({str(override.input_line): count(override) for override in overrides if override.is_discrete_sweep()})
