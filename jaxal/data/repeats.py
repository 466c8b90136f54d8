"""Pools with near-duplicates, on which top-k batches of most strategies waste their labels."""

import math

import numpy as np

from jaxal.base import Examples


def repeat(examples: Examples, times: int, *, noise: float = 0.0, seed: int = 0) -> Examples:
    """Repeats each row and adds Gaussian noise to every copy, drawn once.

    RepeatedMNIST is `repeat(mnist, times, noise=0.1)` of standardised images.

    Args:
      examples: NumPy arrays, float inputs [N, ...] and labels [N].
      times: how often each row comes; 1 adds the noise alone.
      noise: standard deviation, of every number in the inputs; 0 makes exact copies.
      seed: of `numpy.random.default_rng`.

    Returns:
      times x N rows in random order.

    Raises:
      ValueError: fewer than one time, or noise that is negative or not finite.

    References:
      Kirsch et al., "BatchBALD", NeurIPS 2019, section 4.1.

    Example:
      >>> repeat(Examples(np.zeros((3, 2)), np.arange(3)), 4).inputs.shape
      (12, 2)
    """
    if isinstance(times, bool) or not (isinstance(times, int) and times >= 1):
        raise ValueError(f"times: expected an integer of at least 1, got {times!r}")
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise: expected a finite number >= 0, got {noise!r}")
    generator = np.random.default_rng(seed)
    rows = generator.permutation(np.tile(np.arange(len(examples.labels)), times))
    inputs = examples.inputs[rows]
    if noise:
        inputs = inputs + noise * generator.standard_normal(inputs.shape, np.float32)
    return Examples(inputs, examples.labels[rows])
