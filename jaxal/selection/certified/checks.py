"""Checks that the rules over compressed pools share."""

from typing import Any

from jaxal.checks import check_budget, check_mask, check_rank
from jaxal.pools.compression import CompressedPool


def check_pool(pool: Any, available: Any, budget: Any) -> None:
    """Raises unless there is a compressed pool, a mask of its rows, and a budget of these."""
    if not isinstance(pool, CompressedPool):
        raise TypeError(f"pool: expected one of pools.compress, got {type(pool).__name__}")
    rows = len(pool.sources.value)
    check_mask("available", available, len(pool) if len(available) == len(pool) else rows)
    check_budget(budget, rows)


def check_residuals(residuals: Any, pool: CompressedPool) -> None:
    """Raises unless there are residuals [N, C] of the rows of a pool, or a pool like it of them."""
    rows = len(pool.sources.value)
    if isinstance(residuals, CompressedPool):
        found, expected = len(residuals.sources.value), {rows}
    else:
        check_rank("residuals", residuals, 2, "[N, C]")
        found, expected = len(residuals), {rows, len(pool)}
    if found not in expected:
        raise ValueError(f"residuals: expected {rows} rows, got {found}")
    if isinstance(residuals, CompressedPool):
        if (residuals.mesh, len(residuals)) != (pool.mesh, len(pool)):  # with padding
            raise ValueError("residuals: expected a pool on the devices of the other, got others")
