"""Pools with near-duplicates, on which top-k batches of most strategies waste their labels."""

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.data.checks import check_targeted


@entry.checked(
    examples=check_targeted,
    times=entry.integer(1),
    noise=entry.at_least(0.0),
    seed=entry.integer(0),
)
def repeat(examples: Examples, times: int, *, noise: float = 0.0, seed: int = 0) -> Examples:
    """Repeats each row and adds Gaussian noise to every copy, drawn once.

    RepeatedMNIST is `repeat(mnist, times, noise=0.1)` of standardised images.

    Args:
      examples: NumPy arrays, inputs [N, ...] and labels [N].
      times: how often each row comes; 1 adds the noise alone.
      noise: standard deviation, of every number in the inputs; 0, which integers need, makes exact
        copies.
      seed: of `numpy.random.default_rng`.

    Returns:
      times x N rows in random order.

    Raises:
      TypeError: no examples, or an argument of another type.
      ValueError: fewer than one time, or noise that is negative or not finite, or that integers
        were to have.

    References:
      Kirsch et al., "BatchBALD", NeurIPS 2019, section 4.1.

    Example:
      >>> repeat(Examples(np.zeros((3, 2)), np.arange(3)), 4).inputs.shape
      (12, 2)
    """
    return repeated(Examples(*examples), times, noise, seed)[0]


def repeated(
    examples: Examples, times: int, noise: float, seed: int
) -> tuple[Examples, np.ndarray]:
    """`repeat`, and the row of the examples that each row is a copy of."""
    generator = np.random.default_rng(seed)
    rows = generator.permutation(np.tile(np.arange(len(examples.labels)), times))
    if noise and np.issubdtype(examples.inputs.dtype, np.integer):
        raise ValueError(f"noise: expected 0 for inputs that are integers, got {noise!r}")
    inputs = examples.inputs[rows]
    if noise:
        inputs = inputs + noise * generator.standard_normal(inputs.shape, np.float32)
    return Examples(inputs, examples.labels[rows]), rows
