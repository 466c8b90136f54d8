"""Classifications that are made to mislead strategies: the two of CDALBench."""

import numpy as np

from jaxal.checks import check_at_least, check_integer
from jaxal.data.readers.registry import Table, source

CENTERS = ((0.0, 0.0), (4.0, 3.0), (0.0, 6.0), (4.0, 3.0))
"""Of the clusters of the honeypot; the first two are of class 1."""


@source("honeypot")
def read_honeypot(rows: str, *, seed: int = 0) -> Table:
    """Makes the honeypot of CDALBench, ThreeClust in its code: two clusters, and one of noise.

    Four Gaussians of unit covariance in two dimensions have a quarter of the rows each: class 1 at
    (0, 0) and (4, 3), class 0 at (0, 6) and (4, 3). Where the two at (4, 3) lie on each other, no
    label can be foretold, and what asks for uncertain rows is caught there.

    Args:
      rows: how many, at least 20.
      seed: of all that is drawn.

    Returns:
      Four fifths of the rows, and the others as a test part: inputs float64 [n, 2], each column
      from 0 to 1 in each part by itself, as there, and labels [n].

    Raises:
      ValueError: a number of rows that is none, or below 20.

    References:
      Werner et al., "A cross-domain benchmark for active learning", NeurIPS 2024; published with
      600 rows.
    """
    count = _count("honeypot", rows, seed)
    rng = np.random.default_rng(seed)
    cluster = np.arange(count) % len(CENTERS)
    inputs = np.array(CENTERS)[cluster] + rng.normal(size=(count, 2))
    return _parts(rng, inputs, (cluster < 2).astype(np.int64))


@source("diverging_sine")
def read_diverging_sine(rows: str, *, noise: float = 0.3, seed: int = 0) -> Table:
    """Makes the diverging sine of CDALBench: two sine curves that part as they go.

    Half of the rows are of class 1, at `sin(2 t) + t / 2` with Gaussian noise, the others of class
    0, at `sin(2 t) - t / 2`; the first input is t, evenly spread from 0 to 10. At first the curves
    lie on each other, later any line parts them.

    Args:
      rows: how many, at least 20.
      noise: standard deviation of the noise, at least 0.
      seed: of all that is drawn.

    Returns:
      Four fifths of the rows, and the others as a test part: inputs float64 [n, 2], each column
      from 0 to 1 in each part by itself, as there, and labels [n].

    Raises:
      ValueError: a number of rows that is none, or below 20, or a negative noise.

    References:
      Werner et al., "A cross-domain benchmark for active learning", NeurIPS 2024; published with
      2,000 rows.
    """
    count = _count("diverging_sine", rows, seed)
    check_at_least(0, noise=noise)
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    t = np.where(labels == 1, *(_spread(labels == each) for each in (1, 0)))
    heights = np.sin(2 * t) + (labels - 0.5) * t + noise * rng.normal(size=count)
    return _parts(rng, np.stack([t, heights], axis=1), labels)


def _spread(taken: np.ndarray) -> np.ndarray:
    """Numbers from 0 to 10, evenly spread over the rows that are taken."""
    return 10 * (np.cumsum(taken) - 1) / (np.sum(taken) - 1)


def _parts(rng: np.random.Generator, inputs: np.ndarray, labels: np.ndarray) -> Table:
    """Shuffled rows in two parts, each scaled by what is least and most in it."""
    order = rng.permutation(len(labels))
    test, train = np.split(order, [len(labels) // 5])
    held_out = _from_0_to_1(inputs[test]), labels[test]
    return Table((_from_0_to_1(inputs[train]), labels[train]), held_out)


def _from_0_to_1(inputs: np.ndarray) -> np.ndarray:
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    return (inputs - low) / (high - low)


def _count(name: str, rows: str, seed: int) -> int:
    if not rows.isdecimal() or int(rows) < 20:
        raise ValueError(f"{name}: expected a number of rows of at least 20, got {rows!r}")
    check_integer(0, seed=seed)
    return int(rows)
