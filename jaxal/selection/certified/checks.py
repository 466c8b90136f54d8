"""Checks that the rules over compressed pools share."""

from typing import Any

from jaxal.checks import check_budget, check_mask
from jaxal.pools.compression import CompressedPool


def check_pool(pool: Any, available: Any, budget: Any) -> None:
    """Raises unless there is a compressed pool, a mask of its rows, and a budget of these."""
    if not isinstance(pool, CompressedPool):
        raise TypeError(f"pool: expected one of pools.compress, got {type(pool).__name__}")
    rows = len(pool.sources.value)
    check_mask("available", available, len(pool) if len(available) == len(pool) else rows)
    check_budget(budget, rows)
