"""The options of a learner that a config sets too, and the checks of those it cannot set."""

from dataclasses import dataclass
from typing import Any

from jaxal.checks import describe
from jaxal.fields import check_fields, checked, count, count_or_zero, finite, positive


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a `Learner` that a config sets too; `Learner` says what each does."""

    batch_size: int = count(32)
    epoch_rows: int = count_or_zero(0)
    max_epochs: int = count(100)
    max_accuracy: float = positive(1.0)
    window: int = count_or_zero(10)
    min_gain: float = finite(0.001)
    patience: int = count_or_zero(0)
    warm_start: bool = False
    restart_every: int = count_or_zero(0)
    restart_below: float = checked("a number from 0 to 1", lambda x: 0 <= x <= 1, 0.2)
    average_from: int = count_or_zero(0)
    subset_fraction: float = checked("a number above 0, at most 1", lambda x: 0 < x <= 1, 1.0)
    subset_every: int = count(20)

    def __post_init__(self):
        check_fields(self)


def check_average(average_from: int, patience: int) -> None:
    """Raises ValueError if both an average and the best epoch are asked for."""
    if average_from and patience:
        raise ValueError(
            f"average_from: expected 0 with a patience of {patience}, which returns the variables "
            f"of the best epoch and no average, got {average_from}"
        )


def check_optimizer(optimizer: Any) -> None:
    """Raises TypeError unless it is a transformation of optax, or has its two functions."""
    if all(callable(getattr(optimizer, part, None)) for part in ("init", "update")):
        return
    hint, got = "", describe(optimizer)
    if isinstance(optimizer, str):
        hint, got = f"; optax.{optimizer}(1e-3) is one", repr(optimizer)
    elif callable(optimizer):
        hint = f"; call it: {got}(1e-3)"
    raise TypeError(f"optimizer: expected an optax.GradientTransformation, got {got}{hint}")
