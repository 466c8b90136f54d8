"""Small data sets that come with scikit-learn, and regressions that it makes."""

from collections.abc import Callable
from typing import Any

from jaxal.checks import check_at_least, check_integer
from jaxal.data.readers.registry import Table, source


@source("sklearn", names=("breast_cancer", "diabetes", "digits", "iris", "wine"))
def read_sklearn(name: str, flat: bool | None = None) -> Table:
    """Reads a data set of scikit-learn; there is no test part.

    Args:
      name: which; "diabetes" is a regression.
      flat: False gives digits as images [N, 8, 8, 1].

    Returns:
      All its rows, float64.
    """
    from sklearn import datasets  # a second to import, and the other sources do without

    inputs, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits" and flat is False:
        inputs = inputs.reshape(-1, 8, 8, 1)
    return Table((inputs, labels))


@source("friedman1")
def read_friedman1(rows: str, *, noise: float = 1.0, seed: int = 0) -> Table:
    """Makes Friedman's first regression: ten inputs, uniform on [0, 1], of which five count.

    The target is `10 sin(pi x0 x1) + 20 (x2 - 0.5)^2 + 10 x3 + 5 x4` and Gaussian noise.

    Args:
      rows: how many, at least 1.
      noise: standard deviation of the noise, at least 0.
      seed: of all that is drawn.

    Returns:
      float64 [N, 10], and targets float64 [N].

    Raises:
      ValueError: a number of rows that is none, or a negative noise.
    """
    from sklearn import datasets

    return _made("friedman1", datasets.make_friedman1, rows, noise, seed)


@source("friedman3")
def read_friedman3(rows: str, *, noise: float = 0.1, seed: int = 0) -> Table:
    """Makes Friedman's third regression, a phase: four inputs, and a target that is steep in few.

    The target is `arctan((x1 x2 - 1 / (x1 x3)) / x0)` and Gaussian noise, of x0 uniform on [0,
    100], x1 on [40 pi, 560 pi], x2 on [0, 1] and x3 on [1, 11].

    Args:
      rows: how many, at least 1.
      noise: standard deviation of the noise, at least 0.
      seed: of all that is drawn.

    Returns:
      float64 [N, 4], and targets float64 [N].

    Raises:
      ValueError: a number of rows that is none, or a negative noise.
    """
    from sklearn import datasets

    return _made("friedman3", datasets.make_friedman3, rows, noise, seed)


def _made(name: str, make: Callable[..., Any], rows: str, noise: float, seed: int) -> Table:
    if not rows.isdecimal() or int(rows) < 1:
        raise ValueError(f"{name}: expected a number of rows, as in {name}:2000, got {rows!r}")
    check_at_least(0, noise=noise)
    check_integer(0, seed=seed)
    return Table(make(int(rows), noise=noise, random_state=seed))
