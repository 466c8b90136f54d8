"""Small data sets that come with scikit-learn."""

from jaxal.data.readers.registry import Table, source


@source("sklearn", names=("breast_cancer", "digits", "iris", "wine"))
def read_sklearn(name: str, flat: bool | None = None) -> Table:
    """Reads a data set of scikit-learn; there is no test part.

    Args:
      name: which.
      flat: False gives digits as images [N, 8, 8, 1].

    Returns:
      All its rows, float64.
    """
    from sklearn import datasets  # a second to import, and the other sources do without

    inputs, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "digits" and flat is False:
        inputs = inputs.reshape(-1, 8, 8, 1)
    return Table((inputs, labels))
