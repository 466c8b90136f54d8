"""Small data sets that come with scikit-learn, and one that it makes."""

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

    if not rows.isdecimal() or int(rows) < 1:
        raise ValueError(
            f"friedman1: expected a number of rows, as in friedman1:2000, got {rows!r}"
        )
    check_at_least(0, noise=noise)
    check_integer(0, seed=seed)
    return Table(datasets.make_friedman1(int(rows), noise=noise, random_state=seed))
