"""Means and deviations by which integer images are normalised: of data sets, and of a pool."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxal.base import Examples

CHUNK = 1 << 22  # numbers that are floats at a time, 32 MiB


class Normalization(NamedTuple):
    """`(inputs / scale - mean) / std`; the arguments of `models.normalized`."""

    mean: tuple[float, ...]  # one number, or one for each entry of the last axis
    std: tuple[float, ...]  # the same; infinite where the inputs are constant, which gives 0
    scale: float = 255.0  # what integers are divided by first


_MNIST = Normalization((0.1307,), (0.3081,))
_IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NORMALIZATIONS = {
    "cifar10": Normalization((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": Normalization((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "fmnist": _MNIST,
    "mnist": _MNIST,
    "stl10": _IMAGENET,
    "svhn": _IMAGENET,
}
"""DISTIL's constants for its data sets (`distil/utils/data_handler.py`), of pixels in [0, 1]."""


def pool_normalization(inputs: np.ndarray, scale: float) -> Normalization:
    """The mean and the deviation of a pool of integers, without a copy of it as floats.

    As `load(standardize=True)`: of each column for inputs [N, D], of all numbers for images.

    Args:
      inputs: [N, ...] integers.
      scale: what they are divided by first.
    """
    columns = inputs.ndim == 2
    count = len(inputs) if columns else inputs.size

    def mean_of(function):
        total = sum(function(chunk).sum(0 if columns else None) for chunk in chunks(inputs))
        return np.atleast_1d(total / count)

    mean = mean_of(lambda chunk: chunk)
    variance = mean_of(lambda chunk: np.square(chunk - mean))
    axis = 0 if columns else None
    # By comparison: the deviation of a constant need not be exactly 0 after rounding.
    constant = np.atleast_1d(inputs.min(axis) == inputs.max(axis))
    std = np.where(constant, math.inf, np.sqrt(variance) / scale)
    return Normalization(tuple((mean / scale).tolist()), tuple(std.tolist()), scale)


def chunks(inputs: np.ndarray) -> Iterator[np.ndarray]:
    """The rows as float64, some at a time, images as [n, everything]."""
    rows = max(1, CHUNK * len(inputs) // max(inputs.size, 1))
    for start in range(0, len(inputs), rows):
        chunk = inputs[start : start + rows]
        yield chunk.reshape(len(chunk), -1).astype(np.float64)


def normalize(examples: Examples, by: Normalization) -> Examples:
    """The examples as normalised float32 arrays, on the host; floats are left as they are.

    Args:
      examples: NumPy arrays.
      by: mean, deviation and scale.
    """
    inputs = examples.inputs
    if np.issubdtype(inputs.dtype, np.floating):
        return examples
    factor = (1 / np.array(by.std)).astype(np.float32)
    floats = inputs.astype(np.float32) / np.float32(by.scale)
    return Examples((floats - np.array(by.mean, np.float32)) * factor, examples.labels)
