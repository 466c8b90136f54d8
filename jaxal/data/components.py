"""Principal components: inputs as few numbers, by the directions in which a pool varies most."""

from collections.abc import Callable

import numpy as np

from jaxal.base import Examples
from jaxal.data.normalization import chunks


def principal_components(pool: Examples, number: int) -> Callable[[Examples], Examples]:
    """A function that turns inputs into their first principal components over the pool.

    Columns are centred by the pool and not scaled: the components keep their variances, the largest
    first. The coefficient of a direction that is largest in size is positive. O(N D^2) time for D
    numbers a row, and O(D^2) memory, in float64.

    Args:
      pool: inputs [N, ...] of numbers.
      number: of components.

    Returns:
      Of examples with inputs [n, ...] like the pool's: the same with float32 [n, number].

    Raises:
      TypeError: inputs that are no numbers.
      ValueError: more components than rows or numbers a row, or inputs that are not finite.

    References:
      Jolliffe, "Principal component analysis", 2002.
    """
    inputs = pool.inputs
    if inputs.dtype.kind not in "iuf":
        raise TypeError(f"pca: expected inputs that are numbers, got {inputs.dtype}")
    most = min(len(inputs), int(np.prod(inputs.shape[1:], dtype=int)))
    if number > most:
        raise ValueError(
            f"pca: expected 1 to {most} (the rows of the pool, or the numbers of one, if these are "
            f"fewer), got {number}"
        )
    mean = sum(rows.sum(0) for rows in chunks(inputs)) / len(inputs)
    scatter = sum((rows - mean).T @ (rows - mean) for rows in chunks(inputs))
    if not np.all(np.isfinite(scatter)):
        raise ValueError("pca: expected finite inputs, got NaN or inf")
    directions = np.linalg.eigh(scatter)[1][:, : -number - 1 : -1]
    largest = np.argmax(np.abs(directions), axis=0)
    directions = directions * np.sign(directions[largest, np.arange(number)])

    def apply(part: Examples) -> Examples:
        found = [((rows - mean) @ directions).astype(np.float32) for rows in chunks(part.inputs)]
        return Examples(np.concatenate(found), part.labels)

    return apply
